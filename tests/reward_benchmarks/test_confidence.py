"""Calibration, and how sure a model is where it errs, against sums written out."""

import math

import numpy as np
import pytest

from hidden_context.distributions import make_family
from hidden_context.measures.bootstrap import Resampling
from hidden_context.reward_benchmarks.confidence import Confidence, confidence, pairs_of

FEW = Resampling(num_resamples=50)


def of_utilities(rows: list[list[float]], num_chosen: list[int]) -> Confidence:
    """Of the scalar family, so that P is σ(u_a - u_b); every row is of a prompt of its own."""
    raw = np.array([[value] for row in rows for value in row])
    sizes = np.array(list(map(len, rows)))
    return confidence(
        make_family("base"), raw, sizes, num_chosen, np.arange(len(rows)), resampling=FEW
    )


def test_every_chosen_response_meets_every_rejected_one_of_its_row() -> None:
    chosen, rejected, row = pairs_of(np.array([2, 5]), [1, 2])
    assert chosen.tolist() == [0, 2, 2, 2, 3, 3, 3]
    assert rejected.tolist() == [1, 4, 5, 6, 4, 5, 6]
    assert row.tolist() == [0, 1, 1, 1, 1, 1, 1]


def test_rows_count_alike_and_decisions_are_weighed_by_what_the_model_says() -> None:
    """Three rows: sure and right; sure and wrong; two pairs, one right and one at ½."""
    sure = of_utilities([[3, 0], [0, 4], [1, 0, 1]], [1, 1, 1])
    p = [1 / (1 + math.exp(-gap)) for gap in (3, 4, 1)]
    assert sure.num_pairs == 4
    assert sure.accuracy.value == pytest.approx((1 + 0 + (1 + 0.5) / 2) / 3)
    right, wrong = (1, 0, 0.5, 0.25), (0, 1, 0, 0.25)
    decided = (p[0], p[1], p[2], 0.5)
    assert sure.sure_where_right is not None
    assert sure.sure_where_wrong is not None
    assert sure.wrong_and_sure is not None
    assert sure.sure_where_right.value == pytest.approx(
        np.average(decided, weights=right), abs=1e-6
    )
    assert sure.sure_where_wrong.value == pytest.approx(
        np.average(decided, weights=wrong), abs=1e-6
    )
    assert sure.wrong_and_sure.value == pytest.approx(1 / 1.25)
    assert sure.accuracy_of_surer_half.value == pytest.approx(1 / 2)
    brier = ((1 - p[0]) ** 2 + p[1] ** 2 + ((1 - p[2]) ** 2 + 0.25) / 2) / 3
    assert sure.brier_score.value == pytest.approx(brier, abs=1e-6)


def test_a_model_without_errors_says_nothing_of_them() -> None:
    sure = of_utilities([[3, 0], [1, 0], [2, 0]], [1, 1, 1])
    assert sure.accuracy.value == 1
    assert sure.sure_where_wrong is sure.wrong_and_sure is None


def test_a_model_that_says_what_is_so_is_calibrated_and_an_overconfident_one_is_not() -> None:
    rng = np.random.default_rng(0)
    gaps = rng.normal(0, 1.5, 1500)
    right = rng.random(1500) < 1 / (1 + np.exp(-gaps))
    chosen_first = np.where(right, gaps, -gaps)
    honest = of_utilities([[gap, 0] for gap in chosen_first], [1] * 1500)
    boaster = of_utilities([[4 * gap, 0] for gap in chosen_first], [1] * 1500)
    assert honest.expected_calibration_error.value < 0.05
    assert boaster.expected_calibration_error.value > 0.12
    assert honest.accuracy.value == boaster.accuracy.value
    assert honest.brier_score.value < boaster.brier_score.value
    assert honest.sure_where_wrong is not None
    assert boaster.sure_where_wrong is not None
    assert honest.sure_where_wrong.value < honest.sure_where_right.value  # type: ignore
    assert boaster.sure_where_wrong.value > honest.sure_where_wrong.value + 0.15
    assert honest.accuracy_of_surer_half.value > honest.accuracy.value + 0.05
    assert sum(part.num_votes for part in honest.reliability) == pytest.approx(1500)
