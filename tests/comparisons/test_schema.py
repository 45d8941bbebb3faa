"""What preference data may look like, and what is refused."""

from typing import Any

import pytest

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.objectives import select_objective, take_stratified
from hidden_context.comparisons.responses import read_responses
from hidden_context.errors import UserError

USER = {"role": "user", "content": "Hi"}
GOOD = {"role": "assistant", "content": "Hello!"}
BAD = {"role": "assistant", "content": "Go away."}


def texts(*rows: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(pair.chosen, pair.rejected) for pair in Comparisons.from_rows(rows, "data")]


def test_whole_dialogues_are_left_as_they_are():
    assert texts({"chosen": "Q: A", "rejected": "Q: B"}) == [("Q: A", "Q: B")]
    assert texts({"prompt": "Q:", "chosen": "Q: A", "rejected": "Q: B"}) == [("Q: A", "Q: B")]


def test_a_prompt_is_put_before_responses():
    assert texts({"prompt": "Q: ", "chosen": "A", "rejected": "B"}) == [("Q: A", "Q: B")]


def test_a_response_that_repeats_its_prompt_does_not_change_the_others():
    repeated = {"prompt": "a", "chosen": "a", "rejected": "ab"}
    ordinary = {"prompt": "Q: ", "chosen": "A", "rejected": "B"}
    assert texts(repeated, ordinary, ordinary)[0] == ("aa", "aab")


def test_texts_that_mostly_hold_their_prompt_are_refused_rather_than_doubled():
    whole = {"prompt": "Q:", "chosen": "Q: A", "rejected": "Q: B"}
    other = {"prompt": "Q:", "chosen": " A", "rejected": " B"}
    with pytest.raises(UserError, match=r"in 2 rows but not in all \(first: row 3\)"):
        texts(whole, whole, other)


def test_conversations_are_joined_by_turns():
    row = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
    assert texts(row) == [([USER, GOOD], [USER, BAD])]
    whole = {"chosen": [USER, GOOD], "rejected": [USER, BAD]}
    assert texts(whole) == [([USER, GOOD], [USER, BAD])]


def test_a_conversation_may_have_a_prompt_in_text():
    row = {"prompt": "Hi", "chosen": [GOOD], "rejected": [BAD]}
    assert texts(row) == [([USER, GOOD], [USER, BAD])]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"chosen": "A", "answer": "B"},
            "data: no column 'rejected'; columns present: chosen, an",
        ),
        ({"chosen": "A", "rejected": None}, "no column 'rejected'; .* any row: rejected"),
        ({"chosen": 3, "rejected": "B"}, "column 'chosen': expected text"),
        ({"chosen": [{"role": "user"}], "rejected": "B"}, "list of messages with role and content"),
        ({"chosen": [], "rejected": "B"}, "column 'chosen'"),
    ],
)
def test_unusable_rows_are_refused_by_number_and_column(row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        texts(row)


def test_an_empty_data_set_is_refused():
    with pytest.raises(UserError, match="data has no rows"):
        texts()


ROWS = [
    {"objective": "helpful", "data_subset": "harmless", "n": 0},
    {"objective": "harmless", "data_subset": "harmless", "n": 1},
    {"objective": "helpful", "data_subset": "helpful", "n": 2},
    {"objective": "harmless", "data_subset": "helpful", "n": 3},
]


def numbers(rows: Any) -> list[int]:
    return [row["n"] for row in rows]


def test_the_objective_selects_rows_and_not_where_the_prompt_came_from():
    assert numbers(select_objective(ROWS, "helpful", "data")) == [0, 2]
    assert numbers(select_objective(ROWS, "both", "data")) == [0, 1, 2, 3]


def test_without_objective_the_data_subset_selects():
    rows = [{"data_subset": "helpful", "n": 0}, {"data_subset": "harmless", "n": 1}]
    assert numbers(select_objective(rows, "harmless", "data")) == [1]


def test_a_subset_that_cannot_be_selected_is_refused():
    with pytest.raises(UserError, match="no column 'objective' or 'data_subset'"):
        select_objective([{"chosen": "A"}], "helpful", "data")
    with pytest.raises(UserError, match="no row has objective = harmless"):
        select_objective([{"objective": "other"}], "harmless", "data")


def test_sizes_are_split_evenly_over_objectives_in_order():
    assert numbers(take_stratified(ROWS, 2)) == [0, 1]
    assert numbers(take_stratified(ROWS, 3)) == [0, 1, 3]
    assert numbers(take_stratified(ROWS, 0)) == [0, 1, 2, 3]


def test_more_rows_than_there_are_is_refused():
    with pytest.raises(UserError, match="size is 5; there are 4 rows"):
        take_stratified(ROWS, 5)
    with pytest.raises(UserError, match="needs 1 more rows of harmless"):
        take_stratified([ROWS[0], ROWS[2], ROWS[2], ROWS[1]], 4)


def test_prompts_of_responses_are_read_from_their_first_turn_on_only_if_asked_for():
    row = {"prompt": "Be kind. Human: Hi Human: x\n\nAssistant: ", "responses": ["A", "B", "C"]}
    (whole,) = read_responses([row], "file")
    assert whole.texts[1] == "Be kind. Human: Hi Human: x\n\nAssistant: B"
    (cut,) = read_responses([row], "file", first_turn_on=True)
    assert cut.texts[1] == "Human: Hi Human: x\n\nAssistant: B"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Q"}, "row 1: no column 'responses'; columns present: prompt"),
        ({"prompt": "Q", "responses": []}, "row 1: 'responses' is not a list of at least one"),
        ({"prompt": "Q", "responses": "A"}, "not a list"),
        ({"prompt": "Q", "responses": [None]}, "column 'responses': expected text"),
    ],
)
def test_unusable_responses_are_refused(row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        read_responses([row], "file")
