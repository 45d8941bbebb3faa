"""What length explains of a model's decisions, against models of known make."""

import math

import numpy as np
import pytest
from scipy import optimize, special

from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.bootstrap import bootstrap_mean
from hidden_context.measures.length import (
    length_baseline,
    length_coefficient,
    length_intervals,
    rate_without_length,
    reward_slope,
)

RNG = np.random.default_rng(0)
CHOSEN, REJECTED = RNG.integers(1, 2000, size=(2, 1000)).astype(float)
LENGTH = np.log1p(CHOSEN) - np.log1p(REJECTED)


def logs(log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return special.log_expit(log_odds), special.log_expit(-log_odds)


def test_a_model_of_length_alone_is_the_baseline_and_keeps_nothing() -> None:
    found = length_baseline(*logs(0.7 * LENGTH), CHOSEN, REJECTED)
    assert found.model == found.longer_wins
    assert found.without_length == 0.5
    assert found.coefficient == pytest.approx(0.7)


def test_a_model_that_ignores_length_keeps_its_accuracy() -> None:
    """Each length difference once with either sign and the same log-odds: β is 0."""
    log_odds = np.tile(RNG.normal(size=1000) + 0.5, 2)
    chosen, rejected = np.concatenate([CHOSEN, REJECTED]), np.concatenate([REJECTED, CHOSEN])
    found = length_baseline(*logs(log_odds), chosen, rejected)
    assert found.coefficient == pytest.approx(0, abs=1e-12)
    assert found.without_length == found.model == np.mean(log_odds > 0)
    assert found.longer_wins == 0.5


def test_the_part_that_length_adds_is_taken_away() -> None:
    """Small log-odds make the regression linear, so that 0.01·(quality + 2·length) leaves quality.

    The fitted coefficient errs by the sample covariance of quality and length.
    """
    quality = RNG.normal(size=1000) + 1
    quality -= LENGTH * (quality @ LENGTH) / (LENGTH @ LENGTH)
    found = length_baseline(*logs(0.01 * (quality + 2 * LENGTH)), CHOSEN, REJECTED)
    assert found.coefficient == pytest.approx(0.02, rel=0.01)
    assert found.without_length == pytest.approx(np.mean(quality > 0), abs=0.005)


def test_the_coefficient_is_that_of_the_greatest_likelihood() -> None:
    prob = special.expit(RNG.normal(size=1000) + LENGTH)

    def loss(beta: float) -> float:
        return -float(
            prob @ special.log_expit(beta * LENGTH) + (1 - prob) @ special.log_expit(-beta * LENGTH)
        )

    expected = optimize.minimize_scalar(loss, bounds=(-5, 5), options={"xatol": 1e-10}).x
    assert length_coefficient(prob, LENGTH) == pytest.approx(expected, abs=1e-6)


def test_a_swap_of_chosen_and_rejected_turns_every_decision() -> None:
    log, reverse = logs(RNG.normal(size=1000) + 0.3 * LENGTH)
    found = length_baseline(log, reverse, CHOSEN, REJECTED)
    turned = length_baseline(reverse, log, REJECTED, CHOSEN)
    assert turned.coefficient == pytest.approx(found.coefficient)
    for name in ("longer_wins", "model", "without_length"):
        assert getattr(turned, name) == pytest.approx(1 - getattr(found, name))


def test_equal_lengths_are_ties_and_explain_nothing() -> None:
    found = length_baseline(*logs(np.array([1.0, 2.0, -1.0])), [5, 5, 5], [5, 5, 5])
    assert (found.longer_wins, found.coefficient) == (0.5, 0.0)
    assert found.without_length == found.model == pytest.approx(2 / 3)


def test_near_certain_preferences_have_a_finite_coefficient() -> None:
    found = length_baseline(*logs(30 * np.sign(LENGTH)), CHOSEN, REJECTED)
    assert math.isfinite(found.coefficient)
    assert found.coefficient > 0


def test_what_has_no_length_is_refused() -> None:
    with pytest.raises(UserError, match="length_chosen is as low as -1"):
        length_baseline([-1.0], [-0.5], [-1], [3])
    with pytest.raises(UserError, match="expected 1"):
        length_baseline([-1.0], [-0.5], [1, 2], [3])
    with pytest.raises(UserError, match="not finite"):
        length_baseline([0.0], [-np.inf], [1], [3])
    with pytest.raises(UserError, match="at least one"):
        length_baseline([], [], [], [])


def test_intervals_are_those_of_the_share_of_rows_at_the_coefficient_of_all() -> None:
    log_odds = RNG.normal(size=1000) + 0.5 * LENGTH
    prompts = np.arange(1000) // 4
    found = length_baseline(*logs(log_odds), CHOSEN, REJECTED)
    longer, rest = length_intervals(*logs(log_odds), CHOSEN, REJECTED, None, prompts)
    assert longer.value == pytest.approx(found.longer_wins)
    assert rest.value == pytest.approx(found.without_length)
    by_hand = bootstrap_mean(log_odds > found.coefficient * LENGTH, prompts)
    assert (rest.low, rest.high) == pytest.approx((by_hand.low, by_hand.high))


def test_intervals_count_votes() -> None:
    shares = RNG.dirichlet([1, 1, 1], size=1000)
    outcomes = Outcomes(shares, RNG.uniform(0.1, 3, 1000))
    log_odds = RNG.normal(size=1000)
    arguments = (*logs(log_odds), CHOSEN, REJECTED, outcomes)
    found = length_baseline(*arguments)
    longer, rest = length_intervals(*arguments, np.arange(1000))
    assert longer.value == pytest.approx(found.longer_wins)
    assert rest.value == pytest.approx(found.without_length)


def test_a_reward_of_length_alone_has_its_slope_and_decides_nothing_without_it() -> None:
    rewards = 3 + 0.7 * np.log1p(CHOSEN), 3 + 0.7 * np.log1p(REJECTED)
    slope = reward_slope(*rewards, CHOSEN, REJECTED)
    assert slope == pytest.approx(0.7)
    prompts = np.arange(1000)
    rate = rate_without_length(*rewards, CHOSEN, REJECTED, prompts, slope=slope)
    assert rate.value == rate.low == rate.high == 0.5
    plain = rate_without_length(*rewards, CHOSEN, REJECTED, prompts, slope=0.0)
    assert plain.value == np.mean(LENGTH > 0) + np.mean(LENGTH == 0) / 2


def test_a_slope_of_ordinary_comparisons_leaves_harm_where_length_goes_with_it() -> None:
    """The reward is length plus harm; harm is longer by a factor. Without length harm decides."""
    harm_is_longer = CHOSEN * 3
    unsafe, safe = np.log1p(harm_is_longer) + 1, np.log1p(CHOSEN)
    prompts = np.arange(1000)
    honest = rate_without_length(unsafe, safe, harm_is_longer, CHOSEN, prompts, slope=1.0)
    assert honest.value == 1
    biased = reward_slope(unsafe, safe, harm_is_longer, CHOSEN)
    assert biased > 1.8  # 1 + 1 / log 3, nearly


def test_equal_lengths_have_no_slope() -> None:
    assert reward_slope([1.0, 2.0], [0.0, 0.0], [5, 5], [5, 5]) == 0
