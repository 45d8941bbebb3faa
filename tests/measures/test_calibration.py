"""Calibration against its definition, Murphy's decomposition and simulated votes."""

import math

import numpy as np
import pytest
from measures.resampled_rows import assert_same_numbers, rows_bootstrap

from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.bootstrap import ONE_PROMPT
from hidden_context.measures.calibration import (
    calibration,
    calibration_error_interval,
    in_both_orders,
)


def test_bins_error_and_score_of_a_small_table() -> None:
    found = calibration([0.1, 0.15, 0.8, 1.0], [1, 0, 3, 4], [3, 4, 1, 0], num_bins=5)
    low, high = found.bins
    assert (low.low, low.high, low.num_comparisons, low.num_votes) == (0.0, 0.2, 2, 8)
    assert (low.predicted, low.observed) == pytest.approx((0.125, 1 / 8))
    assert (high.low, high.high, high.num_comparisons, high.num_votes) == (0.8, 1.0, 2, 8)
    assert (high.predicted, high.observed) == pytest.approx((0.9, 7 / 8))
    assert found.expected_calibration_error == pytest.approx(0.5 * 0 + 0.5 * 0.025)
    squares = [0.81, *[0.01] * 3, *[0.0225] * 4, *[0.04] * 3, 0.64, *[0.0] * 4]
    assert found.brier_score == pytest.approx(np.mean(squares))
    assert found.num_votes == 16


def test_brier_score_is_reliability_minus_resolution_plus_uncertainty() -> None:
    """Murphy (1973), exact where all predictions of a bin are equal."""
    rng = np.random.default_rng(0)
    prob = rng.integers(0, 10, size=300) / 10 + 0.05
    first, second = rng.integers(0, 9, size=(2, 300))
    found = calibration(prob, first, second)
    share = np.array([each.num_votes for each in found.bins]) / found.num_votes
    predicted = np.array([each.predicted for each in found.bins])
    observed = np.array([each.observed for each in found.bins])
    base = first.sum() / found.num_votes
    reliability, resolution = share @ (predicted - observed) ** 2, share @ (observed - base) ** 2
    assert found.brier_score == pytest.approx(reliability - resolution + base * (1 - base))


def test_a_perfect_model_has_a_small_error_and_the_least_possible_score() -> None:
    """500 votes for each of 400 pairs; a share errs by ½/√500 at most, a bin's by less."""
    rng = np.random.default_rng(1)
    prob = rng.random(400)
    first = rng.binomial(500, prob)
    found = calibration(prob, first, 500 - first)
    assert found.expected_calibration_error < 0.5 / math.sqrt(500)
    floor = np.mean(prob * (1 - prob))
    assert found.brier_score == pytest.approx(floor, abs=4 * 0.25 / math.sqrt(200_000))


def test_votes_are_weights_and_the_order_of_a_pair_is_free() -> None:
    prob, first, second = np.array([0.2, 0.7, 0.55]), np.array([2, 3, 0]), np.array([5, 1, 1])
    once = calibration(prob, first, second)
    scaled = calibration(prob, 10 * first, 10 * second)
    turned = calibration(1 - prob, second, first)
    for other in (scaled, turned):
        assert other.brier_score == pytest.approx(once.brier_score)
        assert other.expected_calibration_error == pytest.approx(once.expected_calibration_error)


def test_a_pair_without_votes_counts_nowhere() -> None:
    with_it = calibration([0.2, 0.25, 0.9], [1, 0, 3], [4, 0, 0])
    assert with_it == calibration([0.2, 0.9], [1, 3], [4, 0])


def test_what_is_no_prediction_or_vote_is_refused() -> None:
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        calibration([1.2], [1], [1])
    with pytest.raises(UserError, match="0 or more"):
        calibration([0.2], [-1], [1])
    with pytest.raises(UserError, match="no votes"):
        calibration([0.2], [0], [0])
    with pytest.raises(UserError, match="expected 2"):
        calibration([0.2, 0.3], [1], [1])
    with pytest.raises(UserError, match="num_bins"):
        calibration([0.2], [1], [1], num_bins=0)


def test_the_interval_of_the_error_is_that_of_recomputing_it_on_each_resample() -> None:
    rng = np.random.default_rng(5)
    prob, prompts = rng.uniform(size=200), np.arange(200) // 4
    votes = rng.integers(0, 3, (2, 200)) + np.array([[1], [0]])

    def error(rows: np.ndarray) -> float:
        return calibration(prob[rows], votes[0, rows], votes[1, rows]).expected_calibration_error

    interval = calibration_error_interval(prob, votes[0], votes[1], prompts)
    assert_same_numbers(interval, rows_bootstrap(error, prompts))
    assert interval.value == error(np.arange(200))


def test_one_prompt_has_an_error_and_no_interval() -> None:
    """Two bins: |.2 - ½| over two votes and |.9 - 1| over one."""
    error = calibration_error_interval([0.2, 0.9], [1, 1], [1, 0], ["a", "a"])
    assert error.value == pytest.approx((2 * 0.3 + 0.1) / 3)
    assert (error.low, error.high, error.how) == (None, None, ONE_PROMPT)


def test_the_error_of_perfect_predictions_is_above_zero_by_chance_in_every_resample() -> None:
    rng = np.random.default_rng(6)
    prob = rng.uniform(size=300)
    wins = rng.random(300) < prob
    found = calibration_error_interval(prob, wins, ~wins, np.arange(300))
    assert 0 < found.low < found.high < 0.2


def test_in_both_orders_a_swap_of_any_comparison_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    log_prob = np.log(rng.uniform(0.01, 0.99, 40))
    shares = rng.dirichlet([1, 1, 1], 40)
    outcomes = Outcomes(shares, rng.uniform(0.1, 2, 40))
    swap = rng.random(40) < 0.5
    swapped = np.where(swap, np.log1p(-np.exp(log_prob)), log_prob)
    turned = Outcomes(np.where(swap[:, None], shares[:, ::-1], shares), outcomes.weight)
    found = calibration(*in_both_orders(log_prob, outcomes.win_share, outcomes.weight))
    peer = calibration(*in_both_orders(swapped, turned.win_share, turned.weight))
    assert found.brier_score == pytest.approx(peer.brier_score)
    assert found.expected_calibration_error == pytest.approx(peer.expected_calibration_error)
    assert found.num_votes == pytest.approx(outcomes.weight.sum())
