"""What a judge sees is what the data say: prompt, and what each response says of its own."""

from typing import Any

import pytest

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.relabelling.read_pairs import JudgedPair, read_pairs, transcript


def pair_of(**row: Any) -> JudgedPair:
    (pair,) = read_pairs(Comparisons.from_rows([row], "data"))
    return pair


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": "\n\nHuman: Hi\n\nAssistant: yes", "rejected": "\n\nHuman: Hi\n\nAssistant: no"},
        {"prompt": "\n\nHuman: Hi\n\nAssistant:", "chosen": " yes", "rejected": " no"},
        {"prompt": "Hi", "chosen": "yes", "rejected": "no"},
        {"prompt": "Human: Hi", "chosen": "yes", "rejected": "no"},
        {
            "prompt": "Human: Hi",
            "chosen": "Human: Hi\n\nAssistant: yes",
            "rejected": "Human: Hi\n\nAssistant: no",
        },
        {"prompt": "Hi", "response_a": "no", "response_b": "yes", "winner": "b"},
    ],
)
def test_plain_texts_become_the_published_form(row: dict[str, Any]):
    pair = pair_of(**row)
    assert (pair.prompt, pair.responses) == ("Human: Hi", ("yes", "no"))
    assert pair.whole == ("Human: Hi\n\nAssistant: yes", "Human: Hi\n\nAssistant: no")
    assert pair.originally_preferred == 0


def test_dialogues_that_part_earlier_are_cut_where_both_still_agree():
    pair = pair_of(
        chosen="\n\nHuman: Hi\n\nAssistant: yes\n\nHuman: Why?\n\nAssistant: so",
        rejected="\n\nHuman: Hi\n\nAssistant: yeah\n\nHuman: Really?\n\nAssistant: no",
    )
    assert pair.prompt == "Human: Hi"
    assert pair.responses[0] == "yes\n\nHuman: Why?\n\nAssistant: so"
    assert pair.whole[1] == "Human: Hi\n\nAssistant: yeah\n\nHuman: Really?\n\nAssistant: no"


def test_one_response_that_goes_on_where_the_other_ends():
    pair = pair_of(
        chosen="\n\nHuman: Hi\n\nAssistant: yes",
        rejected="\n\nHuman: Hi\n\nAssistant: yes\n\nHuman: Why?\n\nAssistant: so",
    )
    assert pair.prompt == "Human: Hi"
    assert pair.responses == ("yes", "yes\n\nHuman: Why?\n\nAssistant: so")


def test_an_empty_response_is_one():
    pair = pair_of(chosen="\n\nHuman: Hi\n\nAssistant:", rejected="\n\nHuman: Hi\n\nAssistant: no")
    assert pair.responses == ("", "no")
    assert pair.prompt == "Human: Hi"


def test_texts_without_a_prompt_are_shown_whole():
    pair = pair_of(chosen="One.", rejected="Two.")
    assert (pair.prompt, pair.responses, pair.whole) == ("", ("One.", "Two."), ("One.", "Two."))


def test_the_preferred_response_of_soft_labels_and_ties():
    texts = {"chosen": "a b", "rejected": "c d", "prompt": "x"}
    assert pair_of(**texts, probability=0.75).originally_preferred == 0
    assert pair_of(**texts, probability=0.25).originally_preferred == 1
    assert pair_of(**texts, probability=0.5).originally_preferred is None


def test_a_transcript_names_who_speaks_and_holds_what_utf8_can():
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi \ud800"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]},
        {"role": "tool", "content": "3"},
    ]
    assert transcript(turns) == (
        'System: Be brief.\n\nHuman: Hi ?\n\nAssistant: [{"name": "f"}]\n\nTool: 3'
    )
    assert transcript(turns[2:3]) == '[{"name": "f"}]'
