"""What could mean two things, or is half there, is refused by row and column, or said."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.responses import account_of_responses, read_responses
from hidden_context.comparisons.schema import Comparison
from hidden_context.errors import UserError

USER = {"role": "user", "content": "q"}
A, B = ({"role": "assistant", "content": said} for said in "ab")
TEXT = {"chosen": json.dumps([USER, A]), "rejected": json.dumps([USER, B])}
PLAIN = {"chosen": "a", "rejected": "b"}
A_B = {"response_a": "a", "response_b": "b"}
ARENA = {"prompt": '["q"]', "response_a": '["a"]', "response_b": '["b"]', "winner": "a"}


def read(*rows: dict[str, Any], **options: Any) -> list[Comparison]:
    return list(Comparisons.from_rows(rows, "data", **options))


def cut(row: dict[str, Any], column: str, end: int = -5) -> dict[str, Any]:
    return row | {column: row[column][:end]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([TEXT] * 59 + [PLAIN], "row 60, column 'chosen': this is no whole list, but 59 of 60"),
        ([TEXT] * 3 + [cut(TEXT, "chosen")], "row 4, column 'chosen': this is no whole list"),
        ([TEXT] * 3 + [cut(TEXT, "rejected", 12)], "row 4, column 'rejected'"),
        ([cut(TEXT, "chosen")] * 2, "row 1, column 'chosen': this is no whole list, but 2 of 2"),
        ([ARENA] * 3 + [cut(ARENA, "prompt", -2)], "row 4, column 'prompt'"),
        ([ARENA] * 2 + [ARENA | {"response_b": "b"}], "row 3, column 'response_b'"),
        (
            [{"prompt": [USER], "chosen": [A], "rejected": [B]}] * 2
            + [cut({"prompt": [USER], "chosen": json.dumps([A]), "rejected": [B]}, "chosen")],
            "row 3, column 'chosen'",
        ),
        (
            [TEXT | {"chosen": f"array({[USER, A]}, dtype=object)"}],
            "row 1, column 'chosen': this is",
        ),
        ([ARENA | {"response_a": "['a' 'b']"}], "row 1, .*neither JSON nor a list of Python"),
        ([TEXT | {"chosen": '[{"role": "user", "role": "x"}]'}], "row 1.*key 'role' is there 2"),
    ],
)
def test_lists_written_as_text_are_all_whole_or_the_row_is_named(rows: Any, message: str):
    with pytest.raises(UserError, match=message):
        read(*rows)


def test_responses_of_a_list_that_are_written_as_text_are_refused():
    row = {"prompt": "p", "responses": [json.dumps([A]), json.dumps([B])], "ranking": [0, 1]}
    for reader in (read, lambda row: read_responses([row], "data")):
        with pytest.raises(UserError, match=r"row 1, column 'responses': all 2 are conversations"):
            reader(row)
    assert read(row | {"responses": ["a", json.dumps([B])]})[0].chosen == "pa"


def test_a_cut_list_of_responses_is_named():
    rows = [{"prompt": "p", "responses": '["a", "b"]'}] * 3
    assert [one.texts for one in read_responses(rows, "file")] == [("pa", "pb")] * 3
    with pytest.raises(UserError, match=r"file, row 4, column 'responses': this is no whole list"):
        read_responses([*rows, cut(rows[0], "responses", -2)], "file")


@pytest.mark.parametrize(
    "rows",
    [
        [TEXT, {"chosen": [USER, A], "rejected": [USER, B]}],  # as text, and as such
        [{"prompt": "q", "chosen": json.dumps(A), "rejected": json.dumps(B)}],  # one message
        [TEXT | {"chosen": TEXT["chosen"] + "\n"}, TEXT | {"prompt": ""}],
    ],
)
def test_lists_written_as_text_are_parsed_where_nothing_else_is_there(rows: Any):
    assert {json.dumps(one.texts) for one in read(*rows)} == {json.dumps([[USER, A], [USER, B]])}


def test_plain_answers_of_which_some_look_like_lists_stay_texts():
    quoting = {"chosen": '["x"]', "rejected": "b"}
    assert read(PLAIN, quoting)[1].chosen == '["x"]'
    assert read(*[{"chosen": "[1, 2]", "rejected": "[3]"}] * 3)[0].chosen == "[1, 2]"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ARENA | {"response_a": "[null]"}], r"row 1, column 'response_a': expected text"),
        (
            [ARENA | dict.fromkeys(("prompt", "response_a", "response_b"), '["x", null]')],
            "row 1, turn 2 of the prompt is null: .*write \"\" where nothing was said",
        ),
        (
            [ARENA | dict.fromkeys(("prompt", "response_a"), '["q", "r"]')
             | {"response_b": '["a", null]'}],
            "row 1, turn 2 of response 2 is null",
        ),
        ([PLAIN | {"chosen": "x\ud83d"}], "row 1, column 'chosen': character 2 is half of one"),
        ([PLAIN | {"chosen": [USER, {**A, "content": "\ude00"}]}], "turn 2: character 1 is half"),
        ([ARENA | {"response_a": '["\\ud83d"]'}], "turn 1 of response 1: character 1 is half"),
        (
            [{"chosen": [{"role": "system", "content": "x"}, USER, A], "rejected": [USER, B]}],
            "row 1: .*different turns of the system",
        ),
        ([PLAIN] * 3 + [A_B | {"winner": "a"}], "row 1: no column 'response_a', .*first: row 4"),
        ([PLAIN] * 3 + [A_B], "row 4: no column 'chosen', which other rows have .first: row 1"),
        ([PLAIN | {" weight": 2}], "column ' weight' differs from 'weight' by spaces or capitals"),
        ([{" chosen": "a", "rejected": "b"}], "column ' chosen' differs from 'chosen'"),
        ([PLAIN | {"Prompt": "q"}], "column 'Prompt' differs from 'prompt'"),
        ([PLAIN, PLAIN | {"outcome": {"shares": [1, 0, 0], "weight": 1}}], "row 1: this is no row"),
        ([PLAIN | {"outcome": {"shares": [1, 0, 0], "weight": 1}}, PLAIN | {"winner": "tie"}],
         "row 2: this is no row of a file of scores .* but row 1 is"),
        ([PLAIN | {"preference": "b"}], "and how preference is meant beside them is ambiguous"),
        ([A_B | {"winner": "a", "choice": "b"}], "winner and choice both say what was observed"),
        ([A_B | {"winner": "a", "vote": "b"}], "'vote' seems .* beside winner, and is not"),
        ([PLAIN | {"sample_weight": 2}], "'sample_weight' seems to say something of the outcome"),
        ([PLAIN | {"images": ["x.png"]}], "'images' holds what a reward model of texts cannot"),
        ([A_B | {"response_c": "c", "winner": "a"}], "response_b, response_c are three responses"),
        ([{"chosen": [USER, A, USER], "rejected": [USER, B]}], "ends with a turn of the user"),
        ([PLAIN | {"tie": True, "winner": "tie"}], "winner and tie both say what was observed"),
        ([PLAIN | {"tie": "maybe"}], "tie is 'maybe'; expected true or false"),
        ([A_B | {"tie": False}], "'tie' does not say which response is better"),
        ([PLAIN | {"score_chosen": 1, "score_rejected": 2}], "score_chosen and .* 1 of 1 rows"),
        ([A_B | {"winner": "x", "model_a": "y", "model_b": "z"}], r"'x'; .*\(here model_a 'y'"),
        ([A_B | {"winner": "x", "model_a": "x", "model_b": "X"}], "winner is 'x'"),
        ([A_B | {"winner": "b", "model_a": "b", "model_b": "a"}], "winner is 'b'"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_refused(rows: Any, message: str):
    with pytest.raises(UserError, match=message):
        read(*rows)


def test_a_tie_a_models_name_and_both_good_are_read():
    assert read(PLAIN | {"tie": 1})[0].outcome.shares == (0, 1, 0)
    assert read(PLAIN | {"tie": "no"})[0].outcome.shares == (0, 0, 1)
    assert read(A_B | {"winner": "bothgood"})[0].outcome.shares == (0, 1, 0)
    named = A_B | {"model_a": "old", "model_b": "GPT-4"}
    data = Comparisons.from_rows([named | {"winner": "gpt-4"}, named | {"winner": "a"}], "data")
    assert [one.chosen for one in data] == ["b", "a"]
    assert data.columns.by_role["outcome"] == ("winner", "model_a", "model_b")


def test_scores_that_contradict_few_outcomes_are_counted_and_said():
    agree = PLAIN | {"chosen-rating": 2, "rejected-rating": "1"}
    rows = [agree, agree, agree | {"chosen-rating": 0.5}, agree | {"chosen-rating": None}]
    account = str(Comparisons.from_rows(rows, "data"))
    assert "by chosen-rating and rejected-rating the other response is better in 1 rows" in account
    assert "(by" not in str(Comparisons.from_rows(rows[:2], "data"))
    flipped = A_B | {"winner": "b", "score_a": 1, "score_b": 2}
    assert Comparisons.from_rows([flipped], "data").columns.num_against_scores == 0


def test_conversations_that_share_no_turn_of_the_user_have_no_prompt_in_common():
    other = [{"role": "user", "content": "r"}, B]
    data = Comparisons.from_rows(
        [{"chosen": [USER, A], "rejected": other}, {"chosen": other, "rejected": [USER, B]}], "data"
    )
    assert data.account.num_prompts == 2


def test_a_table_of_pandas_is_read_with_its_index_and_no_column_twice():
    table = pd.DataFrame({"prompt": ["q"], "judge": ["x"], **{k: [v] for k, v in PLAIN.items()}})
    data = load_comparisons(table.set_index(["prompt", "judge"]), ignore_columns="judge")
    assert (data[0].chosen, data.columns.ignored) == ("qa", ("judge",))
    assert load_comparisons(table.set_index("judge"))[0].row["judge"] == "x"
    with pytest.raises(UserError, match="the DataFrame has several columns 'chosen'"):
        load_comparisons(table.set_axis(["prompt", "chosen", "chosen", "rejected"], axis=1))
    with pytest.raises(UserError, match="a level of the index and a column 'prompt'"):
        load_comparisons(table.set_index("prompt", drop=False))
    for options, message in (
        ({"size": -1}, "size is -1; there are 1 rows"),
        ({"size": "1"}, "size is '1'; there are 1 rows"),
        ({"split": 3}, "split is 3; give one name"),
    ):
        with pytest.raises(UserError, match=message):
            load_comparisons(table, **options)  # pyrefly: ignore
    rows = [PLAIN | {"objective": "helpful"}, PLAIN]
    with pytest.raises(UserError, match=r"row 2: no column 'objective' to select .* 1 of 2 rows"):
        load_comparisons(rows, subset="helpful")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.jsonl",
            '{"chosen": "a", "rejected": "b", "chosen": "c"}\n',
            "line 1: the key 'chosen'",
        ),
        ("x.json", '[{"a": {"b": 1, "b": 2}}]', "x.json: the key 'b' is there 2 times"),
        ("x.csv", "chosen;rejected\na;b\n", "separated by ';' .*read_csv.path, sep=';'"),
        ("x.csv", "chosen\trejected\na\tb\n", r"separated by '\\t'"),
    ],
)
def test_files_that_say_a_key_twice_or_have_no_commas_are_refused(
    tmp_path: Path, name: str, content: str, message: str
):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        load_comparisons(tmp_path / name)


def test_the_account_of_responses_says_what_is_read_and_what_is_empty():
    rows = [
        {"prompt": "p", "responses": ["a"], "id": 1, "x": None},
        {"prompt": None, "responses": ["b"]},
    ]
    assert account_of_responses(rows, "file").splitlines() == [
        "source: file, 2 rows",
        "prompt: prompt (empty in 1 rows)",
        "carried along, not read: id",
        "without a value: x",
    ]
