"""Comparisons to look at: those that a look at all of them would choose, and no others."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_samples import comparison_rows, write_scores

from hidden_context.distributions import (
    Categorical,
    Family,
    Mixture,
    Normal,
    Point,
    QuantileFunction,
    SharedContext,
)
from hidden_context.report.examples import AGREED, CONTESTED, Kind, examples_of
from hidden_context.scores.score_files import load_scores

DISAGREE = "Mean and 0.01-quantile disagree"
DISTRIBUTIONAL = (Normal(), Categorical(), QuantileFunction(), Mixture(), SharedContext())
NUM_EXAMPLES = 4


def kinds_of(
    folder: Path, family: Family, rows: Sequence[dict[str, Any]], most: int = NUM_EXAMPLES
) -> dict[str, Kind]:
    path = write_scores(folder / f"{family.name}.jsonl", family, rows)
    return {kind.title: kind for kind in examples_of(load_scores(path), most)}


def raw_of(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Outputs as a score file is read, float32, shape `(n, 2, num_outputs)`."""
    columns = ("reward_output_chosen", "reward_output_rejected")
    pairs = [[row[column] for column in columns] for row in rows]
    return np.array(pairs, np.float32).astype(np.float64)


def row_numbers(kind: Kind) -> list[int]:
    return [example.row - 1 for example in kind.examples]


def pair_of(family: Family, both: np.ndarray) -> Any:
    """Utilities of one pair, contexts centred over it."""
    return family.decode(both).centered([0, 0])


# Choice


@pytest.mark.parametrize("family", DISTRIBUTIONAL, ids=lambda family: family.name)
def test_the_most_contested_are_of_largest_spread_and_the_most_agreed_of_surest_choice(
    tmp_path: Path, family: Family
):
    rows = comparison_rows(family, num_rows=40)
    spread = [float(pair_of(family, both).variance.sum()) for both in raw_of(rows)]
    found = kinds_of(tmp_path, family, rows)
    order = sorted(range(len(rows)), key=lambda row: -spread[row])
    assert row_numbers(found[CONTESTED]) == order[:NUM_EXAMPLES]
    pairs = [pair_of(family, both) for both in raw_of(rows)]
    sure = [abs(float(pair[0].prob_preferred_to(pair[1])) - 0.5) for pair in pairs]
    surest = sorted(range(len(rows)), key=lambda row: -sure[row])
    assert row_numbers(found[AGREED]) == surest[:NUM_EXAMPLES]
    assert found[CONTESTED].num_eligible == found[AGREED].num_eligible == 40


@pytest.mark.parametrize("family", DISTRIBUTIONAL, ids=lambda family: family.name)
def test_where_mean_and_quantile_disagree_they_do_and_the_clearest_come_first(
    tmp_path: Path, family: Family
):
    rows = comparison_rows(family, num_rows=60, seed=1)
    clarity = {}
    for number, both in enumerate(raw_of(rows)):
        utility = pair_of(family, both)
        by_mean, by_low = np.subtract(*utility.mean), np.subtract(*utility.quantile(0.01))
        if np.sign(by_mean) == -np.sign(by_low) != 0:
            clarity[number] = min(abs(by_mean), abs(by_low))
    assert len(clarity) >= NUM_EXAMPLES
    kind = kinds_of(tmp_path, family, rows)[DISAGREE]
    assert row_numbers(kind) == sorted(clarity, key=lambda row: -clarity[row])[:NUM_EXAMPLES]
    assert kind.num_eligible == len(clarity)
    for example in kind.examples:
        by_mean = np.subtract(*example.utility.mean)
        assert by_mean * np.subtract(*example.utility.quantile(0.01)) < 0


def test_a_kind_without_comparisons_is_left_out(tmp_path: Path):
    rows = [
        {"chosen": "a", "rejected": "b", "reward_output_chosen": [gap, 0.0], **other}
        for gap in (1.0, 2.0)
        for other in [{"reward_output_rejected": [0.0, 0.0]}]
    ]
    assert list(kinds_of(tmp_path, Normal(), rows)) == [CONTESTED, AGREED]


def test_a_scalar_family_has_the_closest_and_the_most_decided(tmp_path: Path):
    rows = comparison_rows(Point(), num_rows=40)
    gap = np.abs(np.subtract(*raw_of(rows)[:, :, 0].T))
    found = kinds_of(tmp_path, Point(), rows)
    assert list(found) == ["Closest", "Most decided"]
    assert row_numbers(found["Closest"]) == np.argsort(gap)[:NUM_EXAMPLES].tolist()
    assert row_numbers(found["Most decided"]) == np.argsort(-gap)[:NUM_EXAMPLES].tolist()


def test_only_the_scalar_family_and_a_single_context_have_no_spread():
    assert Point().is_scalar
    assert SharedContext(num_contexts=1).is_scalar
    assert not any(family.is_scalar for family in DISTRIBUTIONAL)


def test_a_first_row_of_equal_responses_does_not_make_a_family_scalar(tmp_path: Path):
    rows = comparison_rows(SharedContext())
    rows[0]["reward_output_rejected"] = rows[0]["reward_output_chosen"]
    found = kinds_of(tmp_path, SharedContext(), rows)
    assert CONTESTED in found
    assert 0 not in row_numbers(found[AGREED])  # centred, both are at 0 in every context


def test_copies_of_a_comparison_are_shown_once(tmp_path: Path):
    rows = comparison_rows(Normal(), num_rows=10)
    once, thrice = kinds_of(tmp_path, Normal(), rows), kinds_of(tmp_path, Normal(), rows * 3)
    assert {title: row_numbers(kind) for title, kind in once.items()} == {
        title: row_numbers(kind) for title, kind in thrice.items()
    }


def test_fewer_comparisons_than_asked_for_are_all_shown(tmp_path: Path):
    kind = kinds_of(tmp_path, Normal(), comparison_rows(Normal(), num_rows=3), most=7)[CONTESTED]
    assert sorted(row_numbers(kind)) == [0, 1, 2]


def test_a_shift_of_one_context_of_both_responses_changes_nothing(tmp_path: Path):
    """Outputs are multiples of 1/64, so that the shift is exact in float32."""
    family = SharedContext()
    rows = comparison_rows(family, num_rows=30)
    shifted = []
    for number, row in enumerate(rows):
        changed = dict(row)
        for column in ("reward_output_chosen", "reward_output_rejected"):
            row[column] = (np.round(np.array(row[column]) * 64) / 64).tolist()
            changed[column] = [row[column][0] + 5 + number, *row[column][1:]]
        shifted.append(changed)
    plain = kinds_of(tmp_path, family, rows)
    moved = kinds_of(tmp_path, family, shifted)
    assert list(plain) == list(moved)
    for title, kind in plain.items():
        assert row_numbers(kind) == row_numbers(moved[title])
        for one, other in zip(kind.examples, moved[title].examples, strict=True):
            np.testing.assert_allclose(one.utility.mean, other.utility.mean, atol=1e-12)
            np.testing.assert_allclose(one.utility.std, other.utility.std, atol=1e-12)
            assert one.prob == pytest.approx(other.prob, abs=1e-12)


# What an example holds


@pytest.mark.parametrize("family", [Point(), *DISTRIBUTIONAL], ids=lambda family: family.name)
def test_an_example_has_its_row_texts_utilities_and_probability(tmp_path: Path, family: Family):
    rows = comparison_rows(family, num_rows=12)
    raw = raw_of(rows)
    for kind in kinds_of(tmp_path, family, rows).values():
        for example in kind.examples:
            row = rows[example.row - 1]
            assert example.prompt is not None
            assert example.prompt.turns == (("", row["prompt"]),)
            assert [each.turns[0][1] for each in example.texts] == [row["chosen"], row["rejected"]]
            both = raw[example.row - 1]
            np.testing.assert_allclose(example.utility.mean, pair_of(family, both).mean)
            chosen, rejected = (family.decode(each) for each in both)
            assert example.prob == pytest.approx(float(chosen.prob_preferred_to(rejected)))


def test_a_missing_text_is_told(tmp_path: Path):
    rows = comparison_rows(Point(), num_rows=1)
    del rows[0]["chosen"], rows[0]["prompt"]
    (example,) = kinds_of(tmp_path, Point(), rows)["Closest"].examples
    assert example.texts[0].turns == (("", "(the text is not in the file)"),)
    assert example.prompt is None


def test_scores_without_rows_have_examples_without_texts(tmp_path: Path):
    path = write_scores(tmp_path / "a.jsonl", Normal(), comparison_rows(Normal(), num_rows=3))
    kinds = examples_of(dataclasses.replace(load_scores(path), rows=()), 1)
    assert {each.turns[0][1] for kind in kinds for one in kind.examples for each in one.texts} == {
        "(the text is not in the file)"
    }


def test_texts_are_read_no_further_than_needed(tmp_path: Path):
    rows = comparison_rows(Point(), num_rows=50)
    for row, gap in ((3, 1e-4), (6, 50.0)):
        rows[row]["reward_output_chosen"] = [rows[row]["reward_output_rejected"][0] + gap]
    scores = load_scores(write_scores(tmp_path / "a.jsonl", Point(), rows))
    read: list[dict[str, Any]] = []

    class Counted(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            for row in scores.rows:
                read.append(dict(row))
                yield row

    kinds = examples_of(dataclasses.replace(scores, rows=Counted([{}])), 1)
    assert [row_numbers(kind) for kind in kinds] == [[3], [6]]
    assert len(read) == 7
