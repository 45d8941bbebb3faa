"""Layouts of public preference data: each is read as it says, or refused by its column's name."""

import json
from pathlib import Path
from typing import Any

import pytest
from layouts import HEADER, lines

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.schema import Comparison
from hidden_context.comparisons.texts import TOOLS
from hidden_context.errors import UserError

ASK = "Which city is the capital of France?"
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": ASK}
PARIS = {"role": "assistant", "content": "Paris"}
NICE = {"role": "assistant", "content": "Nice"}
WHOLE = {"chosen": [USER, PARIS], "rejected": [USER, NICE]}
PLAIN = {"chosen": "Paris", "rejected": "Nice"}


def read(*rows: dict[str, Any], **options: Any) -> list[Comparison]:
    return list(Comparisons.from_rows(rows, "data", **options))


def first(*rows: dict[str, Any], **options: Any) -> Comparison:
    return read(*rows, **options)[0]


@pytest.mark.parametrize(
    ("row", "opening"),
    [
        (WHOLE | {"prompt": ASK}, [USER]),  # UltraFeedback binarized, Tulu 3
        (WHOLE | {"prompt": f"{ASK}\n"}, [USER]),
        (WHOLE | {"prompt": [USER]}, [USER]),
        (WHOLE | {"prompt": ASK, "messages": [USER, PARIS]}, [USER]),
        (WHOLE | {"messages": [USER, PARIS]}, None),
        (WHOLE | {"question": ASK}, [USER]),
        ({"prompt": [USER], "chosen": [PARIS], "rejected": [NICE]}, [USER]),
        ({"prompt": ASK, "chosen": [PARIS], "rejected": [NICE]}, [USER]),
        ({"conversations": [{"from": "human", "value": ASK}]}  # ShareGPT pairs
         | {"chosen": {"from": "gpt", "value": "Paris"}}
         | {"rejected": {"from": "gpt", "value": "Nice"}}, [USER]),
        ({"context": [USER], "response1": "Paris", "response2": "Nice"}  # HelpSteer3
         | {"overall_preference": -2}, [USER]),
    ],
)  # fmt: skip
def test_the_turn_of_the_user_is_read_once(row: dict[str, Any], opening: Any):
    comparison = first(row)
    assert comparison.texts == ([USER, PARIS], [USER, NICE])
    assert comparison.prompt == opening
    pair = next(iter(Comparisons.from_rows([row], "data").pairs()))
    assert pair.lengths == (5, 4)


@pytest.mark.parametrize("prompt", [ASK, [USER], [SYSTEM, USER]])
def test_a_prompt_may_come_after_the_turn_of_the_system(prompt: Any):
    row = {"chosen": [SYSTEM, USER, PARIS], "rejected": [SYSTEM, USER, NICE], "prompt": prompt}
    comparison = first(row)
    assert comparison.texts == ([SYSTEM, USER, PARIS], [SYSTEM, USER, NICE])
    assert comparison.prompt == [SYSTEM, USER]


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        ({"question": ASK}, f"{ASK}Paris"),
        ({"query": ASK}, f"{ASK}Paris"),
        ({"input": ASK}, f"{ASK}Paris"),
        ({"instruction": ASK}, f"{ASK}Paris"),
        ({"instruction": "Answer.", "input": ASK}, f"Answer.\n{ASK}Paris"),
        ({"instruction": ASK, "input": ""}, f"{ASK}Paris"),
        ({"context": ASK}, f"{ASK}Paris"),
        ({"prompt": ASK, "question": ASK}, f"{ASK}Paris"),
        ({"system": "Be brief.", "question": ASK}, [SYSTEM, USER, PARIS]),  # Orca
        ({"system": "", "question": ASK}, [USER, PARIS]),
        ({"system_prompt": "Be brief.", "prompt": [USER]}, [SYSTEM, USER, PARIS]),
        ({"system": "Be brief.", "prompt": [SYSTEM, USER]}, [SYSTEM, USER, PARIS]),
    ],
)
def test_the_prompt_is_read_wherever_it_is(columns: dict[str, Any], texts: Any):
    other = {name: value for name, value in columns.items() if value}
    assert first(PLAIN | columns, PLAIN | {**columns, **other}).chosen == texts


def test_tools_are_a_turn_before_all_others():
    tools = [{"type": "function", "function": {"name": "capital_of"}}]
    for given in (tools, json.dumps(tools)):
        comparison = first(PLAIN | {"prompt": ASK, "tools": given})
        assert comparison.chosen == [{"role": TOOLS, "content": "", TOOLS: tools}, USER, PARIS]


@pytest.mark.parametrize("as_text", [json.dumps, repr])
def test_conversations_written_as_text_are_parsed(as_text: Any):
    row = {name: as_text(turns) for name, turns in WHOLE.items()} | {"prompt": ASK}
    assert first(row).texts == ([USER, PARIS], [USER, NICE])
    assert first(PLAIN | {"prompt": as_text([USER])}).chosen == [USER, PARIS]


def test_a_list_in_one_response_of_plain_text_is_what_was_said():
    quoting = PLAIN | {"prompt": ASK, "chosen": json.dumps([USER])}
    rows = [quoting, *[PLAIN | {"prompt": ASK}] * 10]
    assert first(*rows).chosen == ASK + json.dumps([USER])
    assert "column 'chosen': 1 rows look like a list that was written" in str(
        Comparisons.from_rows(rows, "data")
    )


def test_content_in_parts_is_the_text_of_its_parts():
    parts = [{"type": "text", "text": "Pa", "image": None}, {"type": "text", "text": "ris"}]
    row = {"prompt": ASK, "chosen": [{"role": "assistant", "content": parts}], "rejected": [NICE]}
    assert first(row).chosen == [USER, PARIS]


def test_the_arenas_are_read_turn_by_turn():
    a, b = '["Paris", "Yes."]', '["Nice", ""]'
    votes = {"winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}
    row = {"prompt": json.dumps([ASK, "Sure?"]), "response_a": a, "response_b": b} | votes
    comparison = first(row)
    sure = {"role": "user", "content": "Sure?"}
    yes, nothing = ({"role": "assistant", "content": said} for said in ("Yes.", ""))
    assert comparison.texts == ([USER, NICE, sure, nothing], [USER, PARIS, sure, yes])
    assert comparison.prompt == [USER]
    row = {"conversation_a": [USER, PARIS], "conversation_b": [USER, NICE], "winner": "both_bad"}
    assert first(row).outcome.shares == (0, 1, 0)
    assert first(row | {"winner": "model_b"}).texts == ([USER, NICE], [USER, PARIS])


def test_shp_nectar_and_judgebench_are_read():
    shp = {"history": ASK, "human_ref_A": "Nice", "human_ref_B": "Paris", "labels": 0}
    assert first(shp).texts == (f"{ASK}Paris", f"{ASK}Nice")
    answers = [{"answer": "Nice", "rank": 2.0}, {"answer": "Paris", "rank": 1.0}]
    assert first({"prompt": ASK, "answers": answers}).texts == (f"{ASK}Paris", f"{ASK}Nice")
    judged = {"question": ASK, "response_A": "Nice", "response_B": "Paris", "label": "B>A"}
    assert first(judged).texts == (f"{ASK}Paris", f"{ASK}Nice")


@pytest.mark.parametrize(
    ("outcome", "texts"),
    [
        ({"responses": ["a", "b", "c"], "ranks": [2.0, 3.0, 1.0]}, ("c", "a", "b")),
        ({"responses": ["a", "b", "c"], "ranking": [2.0, 0.0, 1.0]}, ("c", "a", "b")),
        ({"response_0": "a", "response_1": "b", "better_response_id": 1.0}, ("b", "a")),
        ({"response_0": "a", "response_1": "b", "better_response_id": "1"}, ("b", "a")),
        ({"response_1": "a", "response_2": "b", "preference_strength": "2"}, ("b", "a")),
    ],
)
def test_whole_numbers_may_be_floats_or_text(outcome: dict[str, Any], texts: Any):
    assert first(outcome).texts == texts


@pytest.mark.parametrize("word", ["tie (bothbad)", "bothbad", "both_bad", "tie"])
def test_both_bad_is_a_tie(word: str):
    assert first({"response_a": "a", "response_b": "b", "winner": word}).outcome.shares == (0, 1, 0)


def test_the_union_of_all_rows_decides_what_the_outcome_is():
    with pytest.raises(UserError, match="row 1: no column 'probability'"):
        read(PLAIN, PLAIN | {"probability": 0.1})
    with pytest.raises(UserError, match="row 2: probability is None; expected a number from 0"):
        read(PLAIN | {"probability": 0.1}, PLAIN | {"probability": None})
    with pytest.raises(UserError, match="row 2: no column 'weight'"):
        read(PLAIN | {"weight": 2}, PLAIN)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (WHOLE | {"prompt": "Else?"}, "row 1: .* the prompt is not how they begin"),
        (WHOLE | {"question": "Else?"}, "question says what is not in them"),
        (WHOLE | {"chosen": [PARIS]}, "one response is a conversation from the user's turn on"),
        (PLAIN | {"prompt": [USER, PARIS]}, "'prompt' ends with a turn of the assistant"),
        (PLAIN | {"prompt": ASK, "context": "France is a country."}, "'context' may be a prompt"),
        (PLAIN | {"question": ASK, "context": "A country."}, "'question' may be a prompt"),
        (PLAIN | {"system": "Be brief."}, "'system' is there, but the responses are plain text"),
        (PLAIN | {"system": "Be rude.", "prompt": [SYSTEM, USER]}, "of the system says something"),
        (PLAIN | {"system": "a", "system_prompt": "b"}, "may both be the system's text"),
        (
            {"chosen": f"{ASK}Paris", "rejected": f"{ASK}Nice", "system": "Hi.", "prompt": ASK},
            "begin with the prompt, which has turns of its own",
        ),
        (PLAIN | {"task": "Name the capital of France."}, "'task' holds texts that are not read"),
        (PLAIN | {"prompt": 3}, "column 'prompt': expected text .* found int"),
        (PLAIN | {"prompt": {"text": ASK}}, "column 'prompt': expected text .* found dict"),
        (PLAIN | {"prompt": [ASK]}, "column 'prompt': expected text .* found list"),
        (PLAIN | {"prompt": "[{'role': 'user', 'content': array([1])}]"}, "neither JSON nor"),
        (PLAIN | {"prompt": [{"role": "boss", "content": "a"}]}, "role is 'boss'; expected one of"),
        (
            PLAIN | {"prompt": [{"role": "user", "content": [{"type": "image"}]}]},
            "turn 1: content is no text but holds 'image'",
        ),
        (PLAIN | {"prompt": [{"role": "user", "content": None}]}, "content is no text but holds"),
        (PLAIN | {"prompt": ASK, "tools": 3}, "column 'tools': expected a list of functions"),
        (PLAIN | {"margin": 1.5}, "'margin' asks for a utility greater by so much"),
        ({"chosen": ["Paris"], "rejected": ["Nice", "Lyon"]}, "a response is a list of texts"),
        (
            {"response_0": "a", "response_1": "b", "safer_response_id": 1},
            "'safer_response_id' says which response is safer",
        ),
        (PLAIN | {"strength": -100}, "strength is -100; expected a whole number from 0"),
        (
            {"response1": "a", "response2": "b", "overall_preference": -100},
            "overall_preference is -100; expected a whole number from -3",
        ),
        (PLAIN | {"strength": float("inf")}, "strength is inf"),
        (PLAIN | {"annotator": {"id": 3}}, "annotator is a dict"),
        (PLAIN | {"group": ["north"]}, "group is a list"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        read(row)


def test_columns_are_ignored_only_by_name_and_carried_along():
    row = PLAIN | {"task": "Name the capital of France.", "margin": 2.0, "id": 7}
    data = load_comparisons([row], ignore_columns=["task", "margin"])
    assert data[0].chosen == "Paris"
    assert data[0].row == row
    account = str(data)
    assert "ignored (ignore_columns): task, margin" in account
    assert "carried along, not read: id" in account
    with pytest.raises(UserError, match="no column 'tusk'; columns present: chosen"):
        load_comparisons([row], ignore_columns=["tusk"])


def test_lone_surrogates_in_a_name_can_be_written():
    (comparison,) = read(PLAIN | {"annotator": "x\ud800", "group": "\udfff"})
    assert (comparison.annotator, comparison.group) == ("x\\ud800", "\\udfff")


def test_texts_beside_whole_dialogues_are_carried():
    dialogue = "\n\nHuman: Hi\n\nAssistant:{}"
    row = {"chosen": dialogue.format("a"), "rejected": dialogue.format("b")}
    data = Comparisons.from_rows([row | {"rationale": "It is the better one of both."}], "data")
    assert data.columns.carried == ("rationale",)


def test_the_table_of_layouts_is_what_the_readers_read():
    page = Path(__file__).parents[2] / "docs" / "layouts.md"
    assert page.read_text(encoding="utf-8").splitlines() == [*HEADER.splitlines(), *lines()]
