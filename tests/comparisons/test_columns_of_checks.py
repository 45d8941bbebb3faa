"""Columns that say which rows count are said, and what was observed is no group of people."""

import pandas as pd
import pytest

import hidden_context as hc
from hidden_context.errors import UserError
from hidden_context.judging.judgments import of_columns
from hidden_context.people.findings import values_of_people


def rows(**columns: list) -> list[dict]:
    """Six comparisons, with further columns."""
    return [
        {
            "prompt": f"Question {number}?",
            "response_a": f"Answer {number}.",
            "response_b": f"Another answer {number}.",
            "winner": "ab"[number % 2],
            "annotator": f"p{number % 3}",
            **{name: values[number] for name, values in columns.items()},
        }
        for number in range(6)
    ]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("valid", [True, False] * 3),
        ("status", ["accepted", "rejected"] * 3),
        ("attention_check", ["pass", "fail"] * 3),
        ("is_gold", [0, 1] * 3),
    ],
)
def test_a_column_that_may_say_which_rows_count_is_said(column: str, values: list):
    account = str(hc.load_comparisons(rows(**{column: values})).account)
    assert f"column '{column}' may say which rows are to be left out" in account
    assert "may say which rows" not in str(
        hc.load_comparisons(rows(**{column: [values[0]] * 6})).account
    )


def test_what_was_observed_is_neither_a_group_nor_a_judge():
    comparisons = hc.load_comparisons(pd.DataFrame(rows()))
    for refused in (
        lambda: values_of_people(comparisons, "winner"),
        lambda: of_columns("judge", ["winner"], comparisons, None),  # pyrefly: ignore
        lambda: hc.find_axes(comparisons, by="response_a"),
    ):
        with pytest.raises(UserError, match=r"is read as the (outcome|responses)"):
            refused()


@pytest.mark.parametrize("column", ["labeller_id", "labeller", "evaluator", "evaluator_id"])
def test_further_names_of_annotators_are_read(column: str):
    data = [{column: row.pop("annotator"), **row} for row in rows()]
    assert {each.annotator for each in hc.load_comparisons(data)} == {"p0", "p1", "p2"}


def test_responses_that_differ_by_white_space_alone_are_said():
    data = rows()
    again = [{**row, "response_a": row["response_a"] + "\n"} for row in data[:2]]
    said = "2 responses differ from another by white space"
    assert said in str(hc.load_comparisons([*data, *again]).account)
    assert said not in str(hc.load_comparisons(data).account)
