"""Near-ties against noise, on comparisons of which each is known to be which."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.rates import wilson
from hidden_context.measures.undecided import Undecided, undecided_kinds
from hidden_context.scores.scores import Scores

FAMILY = make_family("mean_and_variance")


def raw(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Raw outputs of normal utilities, by the inverse of softplus (docs/conventions.md)."""
    outputs = np.stack([mean, std + np.log(-np.expm1(-std))], axis=-1)
    decoded = FAMILY.decode(outputs)
    np.testing.assert_allclose(np.asarray(decoded.mean), mean)
    np.testing.assert_allclose(np.asarray(decoded.std), std)
    return outputs


def pairs(difference: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two responses whose means differ so, with half the variance each."""
    std = spread / np.sqrt(2)
    return raw(difference, std), raw(np.zeros_like(difference), std)


def shares_of(first: np.ndarray, second: np.ndarray, **fields: Any) -> Undecided:
    scores = Scores.of_pairs(FAMILY, np.stack([first, second], axis=1), **fields)
    undecided = evaluate(scores, measures=("undecided",)).undecided
    assert undecided is not None
    return undecided


def test_each_comparison_is_what_it_was_made_as() -> None:
    """κ = Φ⁻¹(.6) = .2533, and the median of s is 1."""
    difference = np.array([0.1, 0.3, 0.9, 0.9, -0.1, -0.9, 0.0])
    spread = np.array([1.0, 1.0, 1.0, 5.0, 1.0, 5.0, 0.2])
    near_tie, noisy = undecided_kinds(FAMILY, *pairs(difference, spread))
    np.testing.assert_array_equal(near_tie, [1, 0, 0, 0, 1, 0, 1])
    np.testing.assert_array_equal(noisy, [0, 0, 0, 1, 0, 1, 0])


@pytest.mark.parametrize(
    ("options", "kappa"),
    [
        ({"link": "probit"}, stats.norm.ppf(0.6)),
        ({"link": "paper"}, np.log(1.5) / np.sqrt(2 * np.pi)),
        ({"link": "logit"}, np.log(1.5) / 1.702),
        ({"correlation": 0.9}, stats.norm.ppf(0.6) * np.sqrt(0.1)),
        ({"link": "paper", "correlation": -0.5}, np.log(1.5) / np.sqrt(2 * np.pi) * np.sqrt(1.5)),
    ],
)
def test_a_near_tie_is_undecided_by_the_models_own_link_and_correlation(
    options: dict[str, Any], kappa: float
) -> None:
    """P is .6 at κ s, s² = σ² + σ'² - 2ρσσ': undecided just within, decided just beyond."""
    family = make_family("mean_and_variance", options)
    for factor in (0.99, 1.01):
        first, second = pairs(np.full(5, factor * kappa), np.ones(5))
        near_tie, noisy = undecided_kinds(family, first, second)
        np.testing.assert_array_equal(near_tie, np.full(5, factor < 1))
        assert not noisy.any()
    spread = np.array([1.0, 1, 1, 4])
    first, second = pairs(1.01 * kappa * np.ones(4), spread)
    np.testing.assert_array_equal(undecided_kinds(family, first, second)[1], [0, 0, 0, 1])


def test_of_equal_spreads_none_is_noisy_and_the_near_ties_are_those_of_the_normal_law() -> None:
    """Δ ~ N(0, 2²) at s = 1: undecided with probability 2Φ(.2533/2) - 1 = .1008."""
    rng = np.random.default_rng(0)
    n = 4000
    shares = shares_of(*pairs(2 * rng.normal(size=n), np.ones(n)))
    expected = 2 * stats.norm.cdf(stats.norm.ppf(0.6) / 2) - 1
    assert shares.noisy == wilson(np.zeros(n), np.arange(n))
    error = np.sqrt(expected * (1 - expected) / n)
    assert abs(shares.near_tie.value - expected) < 4 * error
    assert shares.near_tie.high - shares.near_tie.low == pytest.approx(3.92 * error, rel=0.05)


def test_the_shares_add_up_and_swap_with_nothing() -> None:
    rng = np.random.default_rng(1)
    first, second = pairs(rng.normal(size=300), rng.uniform(0.2, 4, 300))
    prompt, weight = np.arange(300) // 3, rng.uniform(0.1, 2, 300)
    outcomes = Outcomes(np.tile([0.0, 0.0, 1.0], (300, 1)), weight)
    shares = shares_of(first, second, prompt=prompt, outcomes=outcomes)
    assert shares.near_tie.value + shares.noisy.value + shares.decided.value == pytest.approx(1)
    assert shares == shares_of(second, first, prompt=prompt, outcomes=outcomes)
    near_tie, _ = undecided_kinds(FAMILY, first, second)
    assert shares.near_tie == wilson(near_tie, prompt, weights=weight)


def test_a_common_scale_and_a_shift_of_each_prompt_change_nothing() -> None:
    rng = np.random.default_rng(2)
    difference, spread, shift = rng.normal(size=(3, 200))
    spread = np.exp(spread)
    std = spread / np.sqrt(2)
    expected = undecided_kinds(FAMILY, *pairs(difference, spread))
    moved = undecided_kinds(FAMILY, raw(7 * difference + shift, 7 * std), raw(shift, 7 * std))
    np.testing.assert_array_equal(moved, expected)


def test_a_shift_of_a_shared_context_changes_nothing() -> None:
    family = make_family("shared_context")
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 100, family.num_outputs))
    shift = np.zeros((100, family.num_outputs))
    shift[:, 0] = rng.normal(size=100)
    expected = undecided_kinds(family, first, second)
    assert 0 < expected[0].sum() + expected[1].sum() < 100
    np.testing.assert_array_equal(undecided_kinds(family, first + shift, second + shift), expected)


def test_a_scalar_family_is_refused() -> None:
    points = np.zeros((4, 1))
    with pytest.raises(UserError, match="all its utilities are points"):
        undecided_kinds(make_family("base"), points, points)
