"""Wasserstein distances against scipy, closed forms and the allowed maps."""

import numpy as np
import pytest
from scipy import stats

from hidden_context.distributions import Categorical
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.point import PointUtility
from hidden_context.errors import UserError
from hidden_context.measures.wasserstein import (
    NUM_LEVELS,
    midpoints,
    real_quantiles,
    wasserstein_distances,
)

RNG = np.random.default_rng(0)
UTILITY = NormalUtility(RNG.normal(size=6), RNG.uniform(0.3, 2, size=6), "probit")
ATOMS = [RNG.normal(size=50) * 10 + 40 for _ in range(6)]


def learned_quantiles() -> np.ndarray:
    return np.stack([UTILITY.quantile(float(q)) for q in midpoints(NUM_LEVELS)], -1)


def test_it_is_scipys_distance_of_the_mapped_quantiles_from_the_atoms() -> None:
    """50 atoms divide 1000 levels evenly, so the midpoints stand for them exactly."""
    found = wasserstein_distances(UTILITY, ATOMS)
    mapped = found.slope * learned_quantiles() + found.intercepts[:, None]
    expected = [stats.wasserstein_distance(m, a) for m, a in zip(mapped, ATOMS, strict=True)]
    np.testing.assert_allclose(found.each, expected)
    assert found.mean == pytest.approx(np.mean(expected))


def test_weights_count_as_repeated_atoms() -> None:
    values, times = np.array([3.0, -1.0, 2.0]), np.array([1, 5, 2])
    np.testing.assert_array_equal(
        real_quantiles([values], [times / 7]), real_quantiles([np.repeat(values, times)])
    )
    found = wasserstein_distances(UTILITY, [values] * 6, [times] * 6)
    mapped = found.slope * learned_quantiles() + found.intercepts[:, None]
    expected = [stats.wasserstein_distance(m, values, None, times) for m in mapped]
    np.testing.assert_allclose(found.each, expected, atol=2 / NUM_LEVELS * np.ptp(values))


def test_the_map_is_the_regression_of_real_on_learned_quantiles() -> None:
    found = wasserstein_distances(UTILITY, ATOMS)
    expected = stats.linregress(learned_quantiles().ravel(), real_quantiles(ATOMS).ravel())
    assert found.slope == pytest.approx(expected.slope)
    assert found.intercepts == pytest.approx(np.full(6, expected.intercept))


def test_with_prompts_the_origin_of_each_is_free_and_the_scale_is_shared() -> None:
    prompts = np.array(["a", "b", "a", "b", "c", "c"])
    shifts = [{"a": 0, "b": 500, "c": -90}[prompt] for prompt in prompts.tolist()]
    moved = [atoms + shift for atoms, shift in zip(ATOMS, shifts, strict=True)]
    once = wasserstein_distances(UTILITY, ATOMS, prompts=prompts)
    again = wasserstein_distances(UTILITY, moved, prompts=prompts)
    np.testing.assert_allclose(again.each, once.each)
    assert again.slope == pytest.approx(once.slope)
    assert wasserstein_distances(UTILITY, moved).mean > 10 * once.mean


@pytest.mark.parametrize("prompts", [None, [0, 0, 1, 1, 2, 2]])
def test_the_learned_scale_and_origin_do_not_matter(prompts: list | None) -> None:
    moved = NormalUtility(64 * UTILITY.mean - 32, 64 * UTILITY.std, "probit")
    np.testing.assert_allclose(
        wasserstein_distances(moved, ATOMS, prompts=prompts).each,
        wasserstein_distances(UTILITY, ATOMS, prompts=prompts).each,
    )


def test_a_right_distribution_is_at_no_distance_and_a_shifted_one_at_its_shift() -> None:
    exact = list(learned_quantiles())
    assert wasserstein_distances(UTILITY, exact).mean == pytest.approx(0, abs=1e-12)
    pair = NormalUtility(np.zeros(2), np.ones(2), "probit")
    apart = [learned_quantiles()[0] + shift for shift in (3.0, -3.0)]
    found = wasserstein_distances(pair, apart)  # one origin cannot serve both
    assert found.slope == pytest.approx(UTILITY.std[0])
    np.testing.assert_allclose(found.each, 3)


def test_histograms_are_held_against_atoms_too() -> None:
    utility = Categorical(num_atoms=4).decode(np.zeros((1, 4)))  # uniform on [0, 1]
    uniform = (np.arange(100) + 0.5) / 100
    found = wasserstein_distances(utility, [uniform])
    assert found.mean == pytest.approx(1 / 400, abs=1e-4)  # E|q - nearest midpoint|


def test_an_order_that_is_reversed_gets_no_scale() -> None:
    utility = PointUtility(np.array([0.0, 1.0]))
    found = wasserstein_distances(utility, [[1.0], [0.0]])
    assert found.slope == 0
    np.testing.assert_allclose(found.each, 0.5)


def test_what_cannot_be_compared_is_refused() -> None:
    for words, atoms, weights in [
        ("one list for each item", ATOMS[:5], None),
        ("0 lists of atoms", [], None),
        ("6 lists of atoms and 2 of weights", ATOMS, [[1.0], [1.0]]),
        ("atoms of item 5", [*ATOMS[:5], []], None),
        ("weights of item 0 are all 0", ATOMS, [np.zeros(50)] * 6),
        ("weights of item 0 has 1", ATOMS, [np.ones(1)] * 6),
    ]:
        with pytest.raises(UserError, match=words):
            wasserstein_distances(UTILITY, atoms, weights)
    with pytest.raises(UserError, match="one number"):
        wasserstein_distances(PointUtility(np.ones(6)), ATOMS)
    with pytest.raises(UserError, match="prompts has shape"):
        wasserstein_distances(UTILITY, ATOMS, prompts=["a"])
