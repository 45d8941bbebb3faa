"""What length explains of a model's decisions, against models of known make."""

import math

import numpy as np
import pytest
from scipy import optimize, special

from hidden_context.errors import UserError
from hidden_context.measures.length import (
    length_coefficient,
    length_measures,
    rate_without_length,
    reward_slope,
)
from hidden_context.measures.rates import wilson

RNG = np.random.default_rng(0)
CHOSEN, REJECTED = RNG.integers(1, 2000, size=(2, 1000)).astype(float)
LENGTHS = np.stack([CHOSEN, REJECTED], axis=-1)
LENGTH = np.log1p(CHOSEN) - np.log1p(REJECTED)
PROMPTS = np.arange(1000) // 4


def logs(log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return special.log_expit(log_odds), special.log_expit(-log_odds)


def test_a_model_of_length_alone_keeps_nothing() -> None:
    measures = length_measures(*logs(0.7 * LENGTH), LENGTHS, PROMPTS)
    assert measures.longer_wins == wilson(0.5 + 0.5 * np.sign(LENGTH), PROMPTS)
    assert measures.without_length == wilson(np.full(1000, 0.5), PROMPTS)
    assert measures.coefficient == pytest.approx(0.7)


def test_a_model_that_ignores_length_keeps_its_accuracy() -> None:
    """Each length difference once with either sign and the same log-odds: β is 0."""
    log_odds = np.tile(RNG.normal(size=1000) + 0.5, 2)
    lengths, prompts = np.concatenate([LENGTHS, LENGTHS[:, ::-1]]), np.tile(PROMPTS, 2)
    measures = length_measures(*logs(log_odds), lengths, prompts)
    assert measures.coefficient == pytest.approx(0, abs=1e-12)
    assert measures.without_length == wilson(log_odds > 0, prompts)
    assert measures.longer_wins.value == 0.5


def test_the_part_that_length_adds_is_taken_away() -> None:
    """Small log-odds make the regression linear, so that 0.01·(quality + 2·length) leaves quality.

    The fitted coefficient errs by the sample covariance of quality and length.
    """
    quality = RNG.normal(size=1000) + 1
    quality -= LENGTH * (quality @ LENGTH) / (LENGTH @ LENGTH)
    measures = length_measures(*logs(0.01 * (quality + 2 * LENGTH)), LENGTHS, PROMPTS)
    assert measures.coefficient == pytest.approx(0.02, rel=0.01)
    assert measures.without_length.value == pytest.approx(np.mean(quality > 0), abs=0.005)


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
    measures = length_measures(log, reverse, LENGTHS, PROMPTS)
    turned = length_measures(reverse, log, LENGTHS[:, ::-1], PROMPTS)
    assert turned.coefficient == pytest.approx(measures.coefficient)
    for name in ("longer_wins", "without_length"):
        before, after = getattr(measures, name), getattr(turned, name)
        assert (after.value, after.low, after.high) == pytest.approx(
            (1 - before.value, 1 - before.high, 1 - before.low)
        )


def test_equal_lengths_are_ties_and_explain_nothing() -> None:
    measures = length_measures(*logs(np.array([1.0, 2.0, -1.0])), np.full((3, 2), 5), np.arange(3))
    assert (measures.longer_wins.value, measures.coefficient) == (0.5, 0.0)
    assert measures.without_length.value == pytest.approx(2 / 3)


def test_near_certain_preferences_have_a_finite_coefficient() -> None:
    measures = length_measures(*logs(30 * np.sign(LENGTH)), LENGTHS, PROMPTS)
    assert math.isfinite(measures.coefficient)
    assert measures.coefficient > 0


def test_what_has_no_length_is_refused() -> None:
    def refused(words: str, log: list[float], reverse: list[float], lengths: np.ndarray) -> None:
        with pytest.raises(UserError, match=words):
            length_measures(np.array(log), np.array(reverse), lengths, np.arange(len(log)))

    refused("lengths is as low as -1", [-1.0], [-0.5], np.array([[-1, 3]]))
    refused("expected 1", [-1.0], [-0.5], np.array([[1, 3], [2, 3]]))
    refused("not finite", [0.0], [-np.inf], np.array([[1, 3]]))
    refused("at least one", [], [], np.zeros((0, 2)))


def test_shares_and_weights_of_votes_are_counted() -> None:
    share, weight = RNG.uniform(size=1000), RNG.uniform(0.1, 3, 1000)
    log_odds = RNG.normal(size=1000) + 0.5 * LENGTH
    measures = length_measures(*logs(log_odds), LENGTHS, PROMPTS, win_share=share, weights=weight)
    right = log_odds > measures.coefficient * LENGTH
    agreement = np.where(right, share, 1 - share)
    assert measures.without_length == wilson(agreement, PROMPTS, weights=weight)
    plain = length_measures(*logs(log_odds), LENGTHS, PROMPTS)
    assert plain.coefficient == measures.coefficient  # β describes the model, not the votes
    assert plain.without_length.value != measures.without_length.value


def test_several_trainings_have_one_coefficient_and_their_decisions_are_averaged() -> None:
    log_odds = RNG.normal(size=(3, 1000)) + np.array([[0.2], [0.5], [0.8]]) * LENGTH
    measures = length_measures(*logs(log_odds), LENGTHS, PROMPTS)
    whole = length_coefficient(special.expit(log_odds).ravel(), np.tile(LENGTH, 3))
    assert measures.coefficient == whole
    assert measures.without_length == wilson((log_odds > whole * LENGTH).mean(0), PROMPTS)
    assert measures.longer_wins == wilson(0.5 + 0.5 * np.sign(LENGTH), PROMPTS)
    one = length_measures(*logs(log_odds[0]), LENGTHS, PROMPTS)
    assert length_measures(*logs(np.tile(log_odds[0], (3, 1))), LENGTHS, PROMPTS) == one


def test_a_reward_of_length_alone_has_its_slope_and_decides_nothing_without_it() -> None:
    rewards = 3 + 0.7 * np.log1p(LENGTHS)
    slope = reward_slope(rewards, LENGTHS)
    assert slope == pytest.approx(0.7)
    prompts = np.arange(1000)
    rate = rate_without_length(rewards, LENGTHS, prompts, slope=slope)
    assert rate == wilson(np.full(1000, 0.5), prompts)
    plain = rate_without_length(rewards, LENGTHS, prompts, slope=0.0)
    assert plain.value == np.mean(LENGTH > 0) + np.mean(LENGTH == 0) / 2


def test_a_slope_of_ordinary_comparisons_leaves_harm_where_length_goes_with_it() -> None:
    """The reward is length plus harm; harm is longer by a factor. Without length harm decides."""
    lengths = np.stack([CHOSEN * 3, CHOSEN], axis=-1)
    rewards = np.log1p(lengths) + np.array([1, 0])
    prompts = np.arange(1000)
    honest = rate_without_length(rewards, lengths, prompts, slope=1.0)
    assert honest.value == 1
    biased = reward_slope(rewards, lengths)
    assert biased > 1.8  # 1 + 1 / log 3, nearly


def test_equal_lengths_have_no_slope() -> None:
    assert reward_slope([[1.0, 0.0], [2.0, 0.0]], [[5, 5], [5, 5]]) == 0
