"""The mixture family against scipy's normal distributions, root finding and integrals."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats
import torch

from hidden_context.distributions import Mixture, Normal
from hidden_context.distributions.mixture import MixtureUtility

WEIGHTS = np.array([0.2, 0.5, 0.3])
MEANS = np.array([1.0, -2.0, 0.4])
STDS = np.array([0.3, 1.1, 2.0])
LEVELS = [1e-9, 0.01, 0.2, 0.5, 0.999]


@pytest.fixture
def utility() -> MixtureUtility:
    return MixtureUtility(np.log(WEIGHTS), MEANS, STDS)


@pytest.fixture
def other() -> MixtureUtility:
    return MixtureUtility(np.log(WEIGHTS[::-1]), MEANS - 0.5, STDS[[1, 2, 0]])


def make_raw(num_components: int, *batch: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(*batch, 3 * num_components))


def cdf_by_scipy(utility: float) -> float:
    return float(WEIGHTS @ scipy.stats.norm.cdf(utility, MEANS, STDS))


def quantile_by_scipy(level: float) -> float:
    found = scipy.optimize.root_scalar(
        lambda u: cdf_by_scipy(u) - level, bracket=(-20, 20), xtol=1e-13
    )
    return float(found.root)


# Comparisons


@pytest.mark.parametrize("margin", [-3.0, 0.0, 0.4, 25.0])
def test_preference_is_the_double_sum_over_components(
    utility: MixtureUtility, other: MixtureUtility, margin: float
) -> None:
    terms = [
        math.log(WEIGHTS[i] * WEIGHTS[2 - j])
        + scipy.stats.norm.logcdf(
            (MEANS[i] - other.locations[j] - margin) / math.hypot(STDS[i], other.scales[j])
        )
        for i, j in itertools.product(range(3), repeat=2)
    ]
    expected = scipy.special.logsumexp(terms)
    np.testing.assert_allclose(utility.log_prob_preferred_to(other, margin), expected, rtol=1e-12)


def test_preference_is_an_integral_over_one_of_the_utilities(
    utility: MixtureUtility, other: MixtureUtility
) -> None:
    """P(A > B) = ∫ f_A F_B."""
    expected, _ = scipy.integrate.quad(
        lambda u: WEIGHTS @ scipy.stats.norm.pdf(u, MEANS, STDS) * other.cdf(u), -20, 20, limit=200
    )
    np.testing.assert_allclose(utility.prob_preferred_to(other), expected, rtol=1e-7)


def test_one_component_is_mean_and_variance() -> None:
    """Its weight is 1 and its offset 0."""
    raw_a, raw_b = make_raw(1, 2, 6)
    family = Mixture(num_components=1)
    assert family.offsets == (0.0,)
    a, b = family.decode(raw_a), family.decode(raw_b)
    normal_a, normal_b = Normal().decode(raw_a[:, 1:]), Normal().decode(raw_b[:, 1:])
    for found, expected in [
        (a.log_prob_preferred_to(b, 0.3), normal_a.log_prob_preferred_to(normal_b, 0.3)),
        (a.mean, normal_a.mean),
        (a.std, normal_a.std),
        (a.cdf(0.3), normal_a.cdf(0.3)),
        (a.quantile(0.01), normal_a.quantile(0.01)),
        (a.cvar(0.05), normal_a.cvar(0.05)),
        (a.entropic(0.7), normal_a.entropic(0.7)),
    ]:
        np.testing.assert_allclose(found, expected, rtol=1e-10)


# Distribution functions


def test_moments_are_those_of_scipys_components(utility: MixtureUtility) -> None:
    laws = [scipy.stats.norm(mean, std) for mean, std in zip(MEANS, STDS, strict=True)]
    first, second = (WEIGHTS @ [law.moment(order) for law in laws] for order in (1, 2))
    assert utility.mean == pytest.approx(first)
    assert utility.variance == pytest.approx(second - first**2)
    for value in (-9.0, -2.0, 0.1, 3.0):
        assert utility.cdf(value) == pytest.approx(cdf_by_scipy(value), rel=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_quantile_is_the_root_that_scipy_finds(utility: MixtureUtility, level: float) -> None:
    assert utility.quantile(level) == pytest.approx(quantile_by_scipy(level), rel=1e-10)


@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_quantile_takes_levels_of_any_shape(
    library: Callable[[Any], Any], utility: MixtureUtility
) -> None:
    shaped = MixtureUtility(
        *(
            library(np.tile(part, (2, 3, 1)))
            for part in (utility.log_weights, utility.locations, utility.scales)
        )
    )
    levels = np.array(LEVELS)[:, None, None]
    expected = np.broadcast_to(np.vectorize(quantile_by_scipy)(levels), (5, 2, 3))
    np.testing.assert_allclose(shaped.quantile(library(levels)), expected, rtol=1e-9)
    np.testing.assert_allclose(shaped.quantile(library(np.array(0.2))), expected[2], rtol=1e-9)


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float32, 1e-6), (np.float64, 1e-14)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_quantile_is_found_to_rounding_however_far_apart_components_are(
    dtype: type, rounding: float, scale: float
) -> None:
    """The cdf, in float64, passes the level within a few roundings of the quantile.

    Or of the level, where the cdf is flat. In the tails Φ has z² ≤ 36 times the rounding of z.
    """
    utility = Mixture().decode(make_raw(3, 1000, scale=scale).astype(dtype))
    exact = MixtureUtility(
        *(part.astype(float) for part in (utility.log_weights, utility.locations, utility.scales))
    )
    for level in LEVELS:
        quantile = utility.quantile(level).astype(float)
        step = rounding * (np.abs(quantile) + np.abs(utility.locations).max(-1))
        assert (exact.cdf(quantile - step) <= level * (1 + 36 * rounding)).all()
        assert (exact.cdf(quantile + step) >= level * (1 - 36 * rounding)).all()


@pytest.mark.parametrize("level", LEVELS)
def test_gradient_of_the_quantile_is_that_of_the_implicit_function(
    utility: MixtureUtility, level: float
) -> None:
    """By scipy: dq/dμₖ = πₖ fₖ / f, dq/dσₖ = πₖ fₖ zₖ / f, dq/dπₖ = -Fₖ / f, dq/dlevel = 1/f."""
    tensors = [torch.tensor(part, requires_grad=True) for part in (np.log(WEIGHTS), MEANS, STDS)]
    share = torch.tensor(level, dtype=torch.float64, requires_grad=True)
    quantile = MixtureUtility(*tensors).quantile(share)
    found = torch.autograd.grad(quantile, [*tensors, share])
    root = quantile_by_scipy(level)
    densities = WEIGHTS * scipy.stats.norm.pdf(root, MEANS, STDS)
    total = densities.sum()
    expected = [
        -WEIGHTS * scipy.stats.norm.cdf(root, MEANS, STDS) / total,
        densities / total,
        densities * (root - MEANS) / STDS / total,
        1 / total,
    ]
    for gradient, by_scipy in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, by_scipy, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("level", [0.01, 0.2, 0.9])
def test_cvar_is_the_mean_of_the_lower_tail(utility: MixtureUtility, level: float) -> None:
    laws = [scipy.stats.norm(mean, std) for mean, std in zip(MEANS, STDS, strict=True)]
    root = quantile_by_scipy(level)
    expected = WEIGHTS @ [law.expect(ub=root) for law in laws] / level
    np.testing.assert_allclose(utility.cvar(level), expected, rtol=1e-7)


@pytest.mark.parametrize("theta", [0.01, 1.0, 4.0])
def test_entropic_utility_is_that_of_the_moment_generating_functions(
    utility: MixtureUtility, theta: float
) -> None:
    moments = WEIGHTS @ np.exp(-theta * MEANS + (theta * STDS) ** 2 / 2)
    np.testing.assert_allclose(utility.entropic(theta), -np.log(moments) / theta, rtol=1e-11)


def test_gradients_are_those_of_finite_differences() -> None:
    family = Mixture(num_components=2)
    raw = torch.from_numpy(make_raw(2, 2, 3)).requires_grad_()

    def statistics(raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = family.decode(raw[0]), family.decode(raw[1])
        return (
            a.log_prob_preferred_to(b),
            a.log_prob_preferred_to(b, 0.3),
            *(a.mean, a.std, a.quantile(0.2), a.cvar(0.2), a.cdf(0.33), a.entropic(0.7)),
        )

    assert torch.autograd.gradcheck(statistics, raw)


# Components


def test_components_are_reported_in_the_order_of_their_means(utility: MixtureUtility) -> None:
    weights, means, stds = utility.components
    np.testing.assert_allclose(weights, [0.5, 0.3, 0.2], rtol=1e-12)
    np.testing.assert_array_equal(means, [-2.0, 0.4, 1.0])
    np.testing.assert_array_equal(stds, [1.1, 2.0, 0.3])


def test_exchanged_components_are_the_same_distribution(
    utility: MixtureUtility, other: MixtureUtility
) -> None:
    exchanged = MixtureUtility(utility.log_weights[::-1], MEANS[::-1], STDS[::-1])
    for found, expected in [
        (exchanged.log_prob_preferred_to(other), utility.log_prob_preferred_to(other)),
        (exchanged.quantile(0.2), utility.quantile(0.2)),
        (exchanged.components, utility.components),
    ]:
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("num_components", [1, 2, 3, 4])
def test_outputs_of_zero_are_a_spread_mixture_around_zero(num_components: int) -> None:
    utility = Mixture(num_components=num_components).decode(np.zeros(3 * num_components))
    weights, means, stds = utility.components
    assert utility.mean == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(weights, 1 / num_components)
    np.testing.assert_allclose(stds, math.log(2))
    levels = scipy.stats.norm.cdf(means)
    np.testing.assert_allclose(levels, (np.arange(num_components) + 0.5) / num_components)


def test_components_with_equal_outputs_have_different_gradients() -> None:
    raw = torch.zeros(2, 9, requires_grad=True)
    chosen, rejected = map(Mixture().decode, raw)
    (grad,) = torch.autograd.grad(chosen.log_prob_preferred_to(rejected), raw)
    assert abs(grad[0, 0] - grad[0, 2]) > 0.1
    assert abs(grad[0, 3] - grad[0, 4]) > 0.01
