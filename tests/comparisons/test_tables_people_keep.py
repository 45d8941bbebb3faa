"""Tables as spreadsheets, surveys and pandas leave them; texts as they are damaged on their way."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.responses import read_responses
from hidden_context.errors import UserError

ASK = "Where is the capital of France?"
PLAIN = {"prompt": ASK, "chosen": "Paris", "rejected": "Nice"}
A_B = {"prompt": ASK, "response_a": "Paris", "response_b": "Nice"}
CHAT = [{"role": "user", "content": ASK}, {"role": "assistant", "content": "Paris"}]
QUALTRICS = (
    'ResponseId,chosen,rejected\nResponse ID,Which is better?,Which is worse?\n"{""ImportId"":'
    '""_recordId""}","{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\nR_1,a,b\n'
)


def read(*rows: dict[str, Any], **options: Any) -> Comparisons:
    return Comparisons.from_rows(rows, "data", **options)


def said(*rows: dict[str, Any]) -> str:
    return read(*rows).account.lines().get("to be known", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (QUALTRICS, "line 3 is a further header of Qualtrics, not an answer"),
        ("chosen,rejected\na,b\nchosen,rejected\nc,d\n", "line 3 repeats the names of the columns"),
        ("Table 1,,\nprompt,chosen,rejected\n", "line 2: 'chosen' is in a column without a name"),
        ("chosen,rejected,,\na,b,,note\n", "line 2: 'note' is in a column without a name"),
        ("chosen,rejected,,\na,b\n", "line 2: 2 cells; expected 4"),
        (
            "Prompt,Response A,response-b,Winner\nq,a,b,A\n",
            "rename 'Prompt' to 'prompt', 'Response A' to 'response_a', 'response-b' to 'respons",
        ),
        (
            'response_a,response_b,probability\na,b,"0,7"\n',
            "is '0,7'; expected .*with a decimal point",
        ),
    ],
)
def test_what_is_no_row_is_refused_by_line(text: str, message: str, tmp_path: Path):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        load_comparisons(tmp_path / "data.csv")


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_table_by_columns_is_no_conversation(name: str, tmp_path: Path):
    frame = pd.DataFrame([PLAIN, PLAIN])
    (tmp_path / name).write_text(json.dumps(frame.to_dict("list")))
    with pytest.raises(UserError, match="is one object of 3 lists, as if each were a column"):
        load_comparisons(tmp_path / name)
    frame.to_json(tmp_path / name, orient="records", lines=True)
    assert len(load_comparisons(tmp_path / name)) == 2
    (tmp_path / name).write_text(json.dumps({"chosen": CHAT, "rejected": CHAT}))
    assert load_comparisons(tmp_path / name)[0].chosen == CHAT


def test_empty_columns_at_the_right_are_left_out(tmp_path: Path):
    (tmp_path / "data.csv").write_text(",chosen,rejected,,\r\n0,a,b,,\r\n")
    data = load_comparisons(tmp_path / "data.csv")
    assert (data[0].chosen, data.columns.carried, data.columns.empty) == ("a", ("",), ())


def test_rows_in_memory_may_hold_arrays_tuples_and_marks_of_pandas():
    chat = {"chosen": np.array(CHAT, object), "rejected": (CHAT[0], CHAT[1] | {"content": "Nice"})}
    assert load_comparisons([chat])[0].chosen == CHAT
    named = [A_B | {"winner": np.str_("a"), "annotator": np.int64(3), "weight": np.float32(2)}]
    named += [A_B | {"winner": "b", "annotator": pd.NA, "weight": 1}]
    named += [A_B | {"winner": "b", "annotator": pd.NaT, "weight": 1, None: 3}]
    assert [one.annotator for one in load_comparisons(named)] == ["3", None, None]
    ranked = {"prompt": ASK, "responses": ("a", "b"), "ranking": np.array([1, 0])}
    assert load_comparisons([ranked])[0].chosen == f"{ASK}b"


def test_classes_of_a_data_set_are_read_by_their_names(tmp_path: Path):
    kinds = {"winner": datasets.ClassLabel(names=["model_b", "model_a"])}
    features = datasets.Features(dict.fromkeys(A_B, datasets.Value("string")) | kinds)
    rows = [A_B | {"winner": number} for number in (0, 1)]
    data = datasets.Dataset.from_list(rows, features=features)
    data.to_parquet(str(tmp_path / "train.parquet"))
    data.save_to_disk(str(tmp_path / "saved"))
    sources = (data, data.to_iterable_dataset(), data.with_format("numpy"))
    for source in (*sources, tmp_path / "train.parquet", tmp_path / "saved"):
        assert [one.order for one in load_comparisons(source)] == [(1, 0), (0, 1)]


def test_numbers_of_people_that_pandas_rounded_are_refused():
    ids = [1234567890123456789, 1234567890123456790, None]
    frame = pd.DataFrame([PLAIN | {"chosen": f"Paris {i}"} for i in range(3)])
    with pytest.raises(UserError, match=r"annotator is .* was rounded, so that several may have"):
        load_comparisons(frame.assign(annotator=pd.Series(ids)))
    exact = load_comparisons(frame.assign(annotator=pd.Series(ids, dtype=object)))
    assert [one.annotator for one in exact] == [*map(str, ids[:2]), None]


@pytest.mark.parametrize(
    ("row", "note"),
    [
        (PLAIN | {"chosen": "N/A"}, "1 row with a text that may stand for nothing"),
        (PLAIN | {"chosen": "#REF!"}, "1 row with a text that may stand for nothing"),
        (PLAIN | {"chosen": "Tom &amp; Ann&#39;s"}, "as HTML writes them"),
        (PLAIN | {"chosen": "Itâ€™s"}, "in a wrong encoding"),
        (PLAIN | {"rejected": "FranÃ§ais"}, "in a wrong encoding"),
        (PLAIN | {"prompt": "Wo ist \ufffd?"}, "characters that were lost"),
        (PLAIN | {"chosen": "a_x000D_\nb"}, "as Excel writes them"),
        (PLAIN | {"chosen": "x" * 32_767}, "where Excel cuts"),
        (PLAIN | {"prompt": "<|im_start|>user\nq<|im_end|>"}, "marks of a chat template"),
        (PLAIN | {"chosen": "Paris</s>"}, "marks of a chat template"),
        (PLAIN | {"chosen": "<p>Paris</p>"}, "marks of HTML"),
        (PLAIN | {"chosen": "Paris<br>"}, "marks of HTML"),
        (PLAIN | {"chosen": r"Paris\n\nIt lies"}, "line breaks written as two characters"),
        (PLAIN | {"annotator": "ann, bob"}, "may be of several people count as one each: 'ann, bo"),
        (PLAIN | {"chosen": "Paris\u200b", "rejected": "Paris "}, "white space or invisible"),
        (PLAIN | {"annotator": "NA"}, "'NA' count among the annotators, as one each"),
        (PLAIN | {"group": "null"}, "'null' count among the groups, as one each"),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: r\n\nAssistant: b"},
            "1 row whose dialogues begin otherwise, so they do not answer the same",
        ),
        (
            {"chosen": CHAT, "rejected": [CHAT[0] | {"content": "Why?"}, CHAT[1]]},
            "1 row whose dialogues begin otherwise",
        ),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r", "rejected": "\n\nHuman: q"},
            "a dialogue ends with the human's turn",
        ),
        ({"chosen": "Paris", "rejected": "Nice"}, "no column says what was asked"),
        (PLAIN | {"probability": 0.2}, "1 row in which probability says that the rejected respon"),
        (A_B | {"winner": "a", "rater2": "Response B"}, "'rater2' seems to hold verdicts, and is"),
        (PLAIN | {"is_chosen_better": False}, "'is_chosen_better' seems to hold verdicts, and is"),
        (PLAIN | {"gold": "rejected"}, "column 'gold' seems to hold verdicts, and is not read"),
    ],
)
def test_signs_of_damage_and_doubt_are_said_with_the_first_row(row: dict[str, Any], note: str):
    assert note in said(row)
    plain = "Über “Ähren” in São Tomé & NÃO?", r"$\nabla f \neq 0$", "```html\n<p>a<br></p>\n```"
    assert said(*(PLAIN | {"chosen": text} for text in (*plain, "a < b"))) == ""


def test_prompts_that_look_alike_and_outcomes_that_never_differ_are_said():
    asked = ["caf\u00e9 or tea?", "cafe\u0301 or tea?", "café  or tea?\u200b", "tea?", "Tea?"]
    asked += ["\n\nHuman: tea?\n\nAssistant:", [{"role": "user", "content": "tea?"}], "tea"]
    note = "5 prompts differ from another by capitals, white space, invisible characters, encoding"
    assert note in said(*(PLAIN | {"prompt": prompt} for prompt in asked))
    dialogues = [f"\n\nHuman: {prompt}\n\nAssistant: " for prompt in ("Tea?", "tea? ", "Milk?")]
    rows = [{"chosen": f"{asked}a", "rejected": f"{asked}b"} for asked in dialogues]
    assert "1 prompt differs from another by capitals" in said(*rows)
    rows = [A_B | {"prompt": f"{ASK} {i}", "winner": "b"} for i in range(10)]
    assert said(*rows) == "in all 10 rows the second of the two responses is better"
    assert said(*rows[:9]) == said(*rows, A_B | {"winner": "a"}) == ""
    assert said(*(PLAIN | {"prompt": f"{ASK} {i}"} for i in range(10))) == ""
    mixed = said(PLAIN, {"chosen": CHAT, "rejected": CHAT[:1] + CHAT[1:]})
    assert mixed == "1 row of conversations, and the others of plain text"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [PLAIN | {"chosen": f"{ASK} Paris"}],
            "begin with the prompt in 0 rows and only some of them in 1",
        ),
        (
            [PLAIN | {"chosen": f"Question: {ASK}\nA: x", "rejected": f"Question: {ASK}\nA: y"}],
            "hold the prompt in 1 rows, so it would be read twice",
        ),
        (
            [
                PLAIN
                | {
                    side: f"\n\nHuman: {ASK}\n\nAssistant: {side}"
                    for side in ("chosen", "rejected")
                }
            ],
            "hold the prompt in 1 rows",
        ),
        (
            [PLAIN | {"prompt": "a b\r\nc d", "chosen": "a b\nc d e", "rejected": "a b\nc d f"}],
            "hold the prompt in 1 rows",
        ),
        (
            [{"asked": ASK, "chosen": CHAT[1:], "rejected": CHAT[1:]}],
            "no column says what was asked, and 'asked' holds texts",
        ),
        (
            [{"prompt": CHAT[:1], "passage": ASK, "chosen": "a", "rejected": "b"}],
            "'prompt' is read as what was asked, and 'passage' holds texts",
        ),
        ([PLAIN | {"source_text": ASK}], "'source_text' holds texts that are not read"),
        ([PLAIN | {"initial_reason_steps": ASK}], "'initial_reason_steps' holds texts"),
        ([PLAIN | {"title": ASK}], "'title' holds texts that are not read"),
        (
            [A_B | {"chosen": "a", "rejected": "b"}],
            "row 1: 'chosen' ends with no text of response_a, response_b",
        ),
        (
            [A_B | {"response_1": "x", "response_2": "y", "winner": "a"}],
            "responses are in response_a, response_b and in response_1, response_2",
        ),
        (
            [{"conversation_a": CHAT * 2, "conversation_b": CHAT * 2, "winner": "a", "turn": 1}],
            "row 1: turn is 1, but the conversations have 2 turns of the user",
        ),
        (
            [{"chosen": [None, "a"], "rejected": ["b"], "responses": ["a", "c"]}],
            "row 1: 'rejected' ends with no text of responses",
        ),
        ([A_B | {"winner": "a", "votes": 5}], "'votes' seems to say something of the outcome"),
        ([A_B | {"winner": "a", "num_votes": 5}], "'num_votes' seems to say"),
        ([PLAIN | {"votes_chosen": 3, "votes_rejected": 5}], "'votes_chosen' seems to say"),
        ([PLAIN | {"preferences": "b"}], "'preferences' seems to say"),
        (
            [PLAIN, {"prompt": "Prompt", "chosen": "chosen ", "rejected": "Rejected"}],
            "row 2 repeats the names of the columns",
        ),
        ([A_B | {"winner": "a", "swapped": True}], "'swapped' seems to say"),
        ([PLAIN | {"is_flipped": True}], "'is_flipped' seems to say"),
        ([PLAIN | {"prompt\u200b": ASK}], r"rename 'prompt\\u200b' to 'prompt'"),
        ([PLAIN | {"WorkerId": "x"}], "rename 'WorkerId' to 'worker_id'"),
        (
            [PLAIN | {"chosen_avg_rating": 1, "rejected_avg_rating": 2}],
            "by chosen_avg_rating and rejected_avg_rating the other response is the better one",
        ),
        (
            [{"question": ASK, "answers": [{"text": "a"}, {"text": "b"}]}],
            "'answers' are not objects with answer and rank",
        ),
        (
            [{"prompt": ASK, "conversation": [{"input": ASK}], "chosen": CHAT, "rejected": CHAT}],
            "'conversation' may be a prompt beside prompt, and is neither text nor messages",
        ),
    ],
)
def test_what_would_be_read_twice_or_not_at_all_is_refused(
    rows: list[dict[str, Any]], message: str
):
    with pytest.raises(UserError, match=message):
        read(*rows)


def test_candidates_that_hold_their_prompt_are_refused_in_most_rows():
    whole = {"prompt": ASK, "responses": [f"{ASK} Paris", f"{ASK} Nice"]}
    alone = {"prompt": ASK, "responses": ["Paris", "Nice"]}
    with pytest.raises(UserError, match="file: responses hold the prompt in 2 rows, so it would"):
        read_responses([whole, whole, alone], "file")
    assert len(read_responses([whole, alone], "file")) == 2
    assert len(read_responses([{"prompt": "Hi", "responses": ["Hi there"]}], "file")) == 1


def test_a_response_that_begins_with_its_prompt_in_few_rows_is_said():
    rows = [PLAIN | {"prompt": f"{ASK} {i}"} for i in range(3)]
    note = "1 rows in which a response begins with the prompt, which is put before it all the same"
    assert f"{note} (first: row 4)" in said(*rows, PLAIN | {"chosen": f"{ASK} Paris"})


def test_forms_of_one_side_alone_percents_and_annotators_of_one_row_are_said():
    rows = [PLAIN | {"prompt": f"{ASK} {i}", "annotator": f"r{i % 9}"} for i in range(10)]
    assert said(*rows) == ""
    for text, what in {
        " Paris": "begins with white space",
        "Paris\n": "ends with white space",
        "Paris<|eot_id|>": "ends with a mark of the end",
        "Assistant: Paris": "begins with the mark of a speaker",
        "'Paris'": "is in quotes",
    }.items():
        note = f"in 9 of 10 rows the better response alone {what}"
        assert note in said(rows[0], *(row | {"chosen": text} for row in rows[1:]))
        assert "response alone" not in said(
            *rows[:2], *(row | {"chosen": text} for row in rows[2:])
        )
        assert "the worse response alone" in said(*(row | {"rejected": text} for row in rows))
    percents = [
        A_B | {"prompt": f"{ASK} {i}", "votes_a": 20 + 10 * i, "votes_b": 80 - 10 * i}
        for i in range(8)
    ] * 2
    assert "each row has 100 votes; if they are percents" in said(*percents)
    assert "percents" not in said(*percents[:9], percents[0] | {"votes_a": 21})
    alone = [row | {"annotator": f"2026-01-0{i} 12:00"} for i, row in enumerate(rows)]
    assert said(*alone) == "each row has an annotator of its own, so nobody judged twice"


def test_rows_of_two_forms_are_said_with_the_first_of_each():
    bare = [PLAIN | {"prompt": f"{ASK} {i}", "chosen": f"Paris {i}"} for i in range(3)]
    sides = ("chosen", "rejected")
    begun = [row | {side: f"{row['prompt']} {row[side]}" for side in sides} for row in bare]
    assert said(*bare, *begun) == (
        "3 rows in which a response begins with the prompt, which is put before it all the same "
        "(first: row 4)"
    )
    spoken = [
        row | {side: f"\n\nHuman: {row['prompt']}\n\nAssistant: {row[side]}" for side in sides}
        for row in bare
    ]
    told = said(*bare, *spoken)
    held = "3 rows in which the responses hold the prompt, which is put before it all the same"
    assert f"{held} (first: row 4)" in told
    form = "of dialogues in text form, as Human: ... Assistant: ... (first: row {}), and others of "
    assert f"3 rows {form.format(4)}bare texts (first: row 1)" in told
    turned = [
        row | {"prompt": [{"role": "user", "content": row["prompt"]}]} for row in (*bare, begun[0])
    ]
    assert "1 rows in which a response begins with the prompt, which is put" in said(*turned)
    without = [{side: row[side] for side in sides} for row in (*spoken, *bare)]
    told = said(*without)
    assert f"3 rows {form.format(1)}bare texts (first: row 4)" in told
    assert "responses are compared without it in 3 rows (first: row 4)" in told
    assert "prompts differ" not in told
    one = {"prompt": f"Human: {ASK}\nAssistant:"}
    assert f"1 row {form.format(4)}" in said(*bare, PLAIN | one)
    assert "dialogues" not in said(*bare) + said(*without[:3])


def test_texts_that_comment_on_responses_are_carried_beside_a_prompt():
    comments = ("chosen_reasoning", "raw_labelling_response", "original_rejected", "answer")
    comments += ("preference_statement", "all_preferences_unprocessed", "response", "rationale")
    row = PLAIN | dict.fromkeys(comments, ASK)
    assert read(row).columns.carried == comments


def test_chosen_and_rejected_may_be_among_further_responses():
    row = PLAIN | {"responses": ["Nice ", "Lyon", "Paris"]}
    assert read(row)[0].chosen == f"{ASK}Paris"
    assert read({"chosen": CHAT, "rejected": CHAT, "responses": ["Paris", "x"]})[0].chosen == CHAT


@pytest.mark.parametrize("names", [("human", "gpt"), ("User", "Assistant"), ("prompter", "model")])
def test_roles_are_read_as_other_tools_write_them(names: tuple[str, str]):
    chat = [turn | {"role": name} for turn, name in zip(CHAT, names, strict=True)]
    assert read({"chosen": chat, "rejected": chat})[0].chosen == CHAT


def test_parts_of_a_content_may_be_called_as_an_answer_of_the_responses_api():
    parts = [{"type": "output_text", "text": "Par"}, {"type": "text", "text": "is"}]
    row = {"prompt": ASK, "chosen": [CHAT[1] | {"content": parts}], "rejected": CHAT[1:]}
    assert read(row)[0].chosen == CHAT


def test_what_a_turn_says_beside_its_content_is_not_an_empty_response():
    turn = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    row = {"prompt": ASK, "chosen": [turn], "rejected": [turn | {"content": ""}]}
    assert "empty" not in said(row)
    assert "empty response" in said(row | {"rejected": [CHAT[1] | {"content": ""}]})


def test_quotes_around_a_verdict_are_not_part_of_it():
    rows = [A_B | {"winner": verdict} for verdict in ("“A”", "„B“", "\u200bA", "B\xa0")]
    assert [one.order for one in read(*rows)] == [(0, 1), (1, 0)] * 2
