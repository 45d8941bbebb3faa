"""Near-ties against noise, on comparisons of which each is known to be which."""

import numpy as np
import pytest
from scipy import stats

from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.measures.undecided import kinds, undecided

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


def test_each_comparison_is_what_it_was_made_as() -> None:
    """κ = Φ⁻¹(.6) = .2533, and the median of s is 1."""
    difference = np.array([0.1, 0.3, 0.9, 0.9, -0.1, -0.9, 0.0])
    spread = np.array([1.0, 1.0, 1.0, 5.0, 1.0, 5.0, 0.2])
    near_tie, noisy = kinds(FAMILY, *pairs(difference, spread))
    np.testing.assert_array_equal(near_tie, [1, 0, 0, 0, 1, 0, 1])
    np.testing.assert_array_equal(noisy, [0, 0, 0, 1, 0, 1, 0])


def test_of_equal_spreads_none_is_noisy_and_the_near_ties_are_those_of_the_normal_law() -> None:
    """Δ ~ N(0, 2²) at s = 1: undecided with probability 2Φ(.2533/2) - 1 = .1008."""
    rng = np.random.default_rng(0)
    n = 4000
    found = undecided(FAMILY, *pairs(2 * rng.normal(size=n), np.ones(n)), np.arange(n))
    expected = 2 * stats.norm.cdf(stats.norm.ppf(0.6) / 2) - 1
    assert found.noisy.value == found.noisy.high == 0
    error = np.sqrt(expected * (1 - expected) / n)
    assert abs(found.near_tie.value - expected) < 4 * error
    # the ends of 1000 resamples vary by .08 standard errors each
    assert found.near_tie.high - found.near_tie.low == pytest.approx(3.92 * error, rel=0.15)


def test_the_shares_add_up_and_swap_with_nothing() -> None:
    rng = np.random.default_rng(1)
    first, second = pairs(rng.normal(size=300), rng.uniform(0.2, 4, 300))
    prompts, weights = np.arange(300) // 3, rng.uniform(0.1, 2, 300)
    found = undecided(FAMILY, first, second, prompts, weights=weights)
    assert found.near_tie.value + found.noisy.value + found.decided.value == pytest.approx(1)
    assert found == undecided(FAMILY, second, first, prompts, weights=weights)


def test_a_common_scale_and_a_shift_of_each_prompt_change_nothing() -> None:
    rng = np.random.default_rng(2)
    difference, spread, shift = rng.normal(size=(3, 200))
    spread = np.exp(spread)
    std = spread / np.sqrt(2)
    expected = kinds(FAMILY, *pairs(difference, spread))
    moved = kinds(FAMILY, raw(7 * difference + shift, 7 * std), raw(shift, 7 * std))
    np.testing.assert_array_equal(moved, expected)


def test_a_shift_of_a_shared_context_changes_nothing() -> None:
    family = make_family("shared_context")
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 100, family.num_outputs))
    shift = np.zeros((100, family.num_outputs))
    shift[:, 0] = rng.normal(size=100)
    expected = kinds(family, first, second)
    assert 0 < expected[0].sum() + expected[1].sum() < 100
    np.testing.assert_array_equal(kinds(family, first + shift, second + shift), expected)


def test_a_scalar_family_and_a_senseless_distance_are_refused() -> None:
    points = np.zeros((4, 1))
    with pytest.raises(UserError, match="all its utilities are points"):
        kinds(make_family("base"), points, points)
    with pytest.raises(UserError, match=r"within is 0.5; give a distance"):
        kinds(FAMILY, np.zeros((4, 2)), np.zeros((4, 2)), within=0.5)
