"""Preference data in the hand: loaded from anywhere, accounted for, selected and split."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

from hidden_context.comparisons import row_files
from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl

ROWS = [
    {"prompt": f"Q{i // 2}: ", "chosen": f"a{i}", "rejected": "b", "judge": "xyz"[i % 3]}
    for i in range(12)
]


def texts(comparisons: Comparisons) -> list[Any]:
    return [comparison.texts for comparison in comparisons]


def test_all_sources_give_the_same_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    dataset = datasets.Dataset.from_list(ROWS)
    given = [ROWS, tmp_path / "rows.jsonl", str(tmp_path / "rows.jsonl"), pd.DataFrame(ROWS)]
    given += [dataset, datasets.DatasetDict({"train": dataset})]
    expected = [("Q0: a0", "Q0: b"), ("Q0: a1", "Q0: b")]
    for source in given:
        assert texts(load_comparisons(source, size=2)) == expected
    monkeypatch.setattr(row_files, "LARGEST_IN_MEMORY", 0)
    assert texts(load_comparisons(tmp_path / "rows.jsonl")[:2]) == expected
    with pytest.raises(UserError, match="this is a int"):
        load_comparisons(3)


def test_the_account_says_what_was_read_and_what_was_not():
    rows = [
        {
            "prompt": "Q",
            "chosen": "a",
            "rejected": "a",
            "winner": "tie",
            "worker_id": 1,
            "note": 2,
            "weight": 1,
        },
        {"prompt": "Q", "chosen": "a", "rejected": "b", "winner": "chosen", "weight": 2},
    ]
    account = Comparisons.from_rows([rows[0], rows[1] | {"extra": 0}], "rows").account
    assert (account.num_rows, account.num_pairs, account.num_ties, account.num_equal) == (
        2,
        2,
        1,
        1,
    )
    assert account.num_prompts == 1
    assert account.columns.by_role["outcome"] == ("winner",)
    assert account.columns.by_role["annotator"] == ("worker_id",)
    assert account.columns.carried == ("note", "extra")
    assert account.columns.puts_prompt_before
    assert "not read: note, extra" in str(account)


def test_the_column_that_says_the_objective_is_read():
    row = {"chosen": "a", "rejected": "b", "data_subset": "helpful"}
    account = load_comparisons([row]).account
    assert account.columns.by_role["objective"] == ("data_subset",)
    both = load_comparisons([{**row, "objective": "harmless"}]).account
    assert both.columns.by_role["objective"] == ("objective",)
    assert (account.columns.carried, both.columns.carried) == ((), ("data_subset",))


def test_a_selection_is_what_numpy_would_select():
    data = load_comparisons(ROWS)
    every = texts(data)
    assert data[-1].texts == every[-1]
    assert texts(data[2:5]) == every[2:5]
    assert texts(data[[3, 1]]) == [every[3], every[1]]
    assert texts(data[np.arange(12) % 2 == 0]) == every[::2]


def test_a_split_takes_names_for_the_same_that_differ_by_white_space_or_type():
    rows: list[dict[str, Any]] = [{"chosen": f"{n}", "rejected": "x"} for n in range(12)]
    for row, who in zip(rows, ["a", "a ", " a", 1, 1.0, "1"] * 2, strict=True):
        row["who"] = who
    for part in load_comparisons(rows).split(by="who", test_size=0.5):
        assert len({str(one.row["who"]).strip().removesuffix(".0") for one in part}) == 1


def test_groups_are_those_of_the_column_that_is_named():
    rows: list[dict[str, Any]] = [
        {"chosen": f"{n}", "rejected": "x", "group": n % 2, "land": f" l{n}"} for n in range(3)
    ]
    data = load_comparisons(rows)
    assert [each.group for each in data] == ["0", "1", "0"]
    grouped = data.grouped_by("land")
    assert [each.group for each in grouped] == ["l0", "l1", "l2"]
    assert grouped.columns.by_role["group"] == ("land",)
    assert grouped.columns.carried == ("group",)
    assert [each.group for each in grouped.grouped_by("group")] == ["0", "1", "0"]
    for column, message in (("lnd", "no column 'lnd'"), ("chosen", "is read as the responses")):
        with pytest.raises(UserError, match=message):
            data.grouped_by(column)
    with pytest.raises(UserError, match="row 2: column 'land' is empty; name the group"):
        load_comparisons([rows[0], rows[1] | {"land": " "}]).grouped_by("land")


@pytest.mark.parametrize("by", ["prompt", "judge", "row"])
@pytest.mark.parametrize("test_size", [0.25, 4])
def test_a_split_keeps_groups_whole_and_loses_nothing(by: str, test_size: float):
    data = load_comparisons(ROWS)
    train, test = data.split(by=by, test_size=test_size, seed=1)
    assert sorted(texts(train) + texts(test)) == sorted(texts(data))
    groups = [{comparison.row.get(by) for comparison in part} for part in (train, test)]
    assert by == "row" or not groups[0] & groups[1]
    if by != "prompt" or test_size == 4:
        assert len(test) == (
            4 if by == "judge" else round(test_size * (1 if test_size > 1 else 12))
        )
    assert texts(data.split(by=by, test_size=test_size, seed=1)[1]) == texts(test)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_size": 1.0}, "expected a share between 0 and 1"),
        ({"test_size": 12}, "from 1 to 11"),
        ({"test_size": 0}, "expected a share"),
        ({"by": "nobody"}, "row 1: no column 'nobody'"),
        ({"by": "rejected"}, "have one rejected"),
    ],
)
def test_a_split_that_is_impossible_is_refused(options: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        load_comparisons(ROWS).split(**options)


def test_data_sets_of_different_layouts_are_put_together_by_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Votes times weights are 1, 1, 4 · 3 · 2 and 1 · 1 · 2, of mean 7."""
    write_jsonl(tmp_path / "plain.jsonl", ROWS[:2])
    votes = {"prompt": "Q9: ", "response_a": "x", "response_b": "y", "wins": 3, "votes": 4}
    rows = [votes | {"weight": 3}, votes | {"wins": 1, "votes": 1, "weight": 1}]
    for largest in (2**20, 0):
        monkeypatch.setattr(row_files, "LARGEST_IN_MEMORY", largest)
        parts = [load_comparisons(tmp_path / "plain.jsonl"), load_comparisons(rows)]
        joined = Comparisons.concatenate(parts, weights=[1, 2])
        assert texts(joined) == [*texts(parts[0]), *texts(parts[1])]
        assert [comparison.weight for comparison in joined] == [1, 1, 6, 2]
        assert joined.outcomes is not None
        expected = np.array([1, 1, 24, 2]) / 7
        np.testing.assert_allclose(joined.outcomes.weight, expected, rtol=1e-6)
        assert joined.columns.by_role["responses"] == (
            "chosen",
            "rejected",
            "response_a",
            "response_b",
        )
        assert joined.columns.carried == ("judge",)
        assert len(joined[1:3]) == 2
        assert {len(part) for part in joined.split(by="prompt", test_size=2)} == {2}


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        ([ROWS, ROWS], [1], "1 weights for 2 data sets"),
        ([], None, "0 weights for 0 data sets"),
        ([ROWS, ROWS], [1, 0], "weight is 0; expected a number above 0"),
        ([ROWS, ROWS], [float("nan"), 1], "weight is nan"),
        (
            [ROWS, [ROWS[0] | {"strength": 2}]],
            None,
            r"tells 1 strength\(s\) of preference apart, rows in memory 2",
        ),
    ],
)
def test_data_sets_that_cannot_be_put_together_are_refused(
    rows: list[Any], weights: list[float] | None, message: str
):
    with pytest.raises(UserError, match=message):
        Comparisons.concatenate(list(map(load_comparisons, rows)), weights)
