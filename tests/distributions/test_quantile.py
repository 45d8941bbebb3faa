"""The quantile family against its pieces: scipy's uniform distributions, integrals and samples."""

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import torch

from hidden_context.distributions import QuantileFunction
from hidden_context.distributions.quantile import (
    PiecewiseUniformUtility,
    log_prob_uniform_exceeds,
)

SAMPLES = 200_000

every_width = pytest.mark.parametrize("num_levels", [2, 3, 8])


def make_raw(num_levels: int, *batch: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(*batch, num_levels))


def decode(
    num_levels: int, *batch: int, seed: int = 0, lapse: float = 0.0
) -> PiecewiseUniformUtility:
    family = QuantileFunction(num_levels=num_levels, lapse=lapse)
    return family.decode(make_raw(num_levels, *batch, seed=seed))


def sample(utility: PiecewiseUniformUtility, rng: np.random.Generator) -> np.ndarray:
    levels = np.linspace(0, 1, utility.num_pieces + 1)
    return np.interp(rng.uniform(size=SAMPLES), levels, utility.values)


def pairs_of(kinks: np.ndarray) -> list[tuple[float, float]]:
    """Neighbours, between which an integrand is smooth."""
    return list(itertools.pairwise(kinks.tolist()))


# Comparisons


@every_width
@pytest.mark.parametrize("margin", [-0.7, 0.0, 0.4])
def test_preference_is_an_integral_over_one_of_the_utilities(
    num_levels: int, margin: float
) -> None:
    """P(A > B + m) = ∫₀¹ F_B(quantile_A(q) - m) dq, by scipy between the kinks of quantile_A."""
    a, b = (decode(num_levels, seed=seed) for seed in (0, 1))
    levels = np.linspace(0, 1, num_levels)
    kinks = np.unique(np.concatenate([levels, np.clip(a.cdf(b.values + margin), 0, 1)]))
    expected = sum(
        scipy.integrate.quad(lambda q: b.cdf(np.interp(q, levels, a.values) - margin), *ends)[0]
        for ends in pairs_of(kinks)
    )
    np.testing.assert_allclose(np.exp(a.log_prob_preferred_to(b, margin)), expected, rtol=1e-9)


@every_width
@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_preference_is_the_share_of_samples_that_win(num_levels: int, margin: float) -> None:
    rng = np.random.default_rng(0)
    a, b = (decode(num_levels, seed=seed) for seed in (2, 3))
    share = np.mean(sample(a, rng) > sample(b, rng) + margin)
    error = 4.5 * math.sqrt(0.25 / SAMPLES)  # 7 in a million by chance
    assert share == pytest.approx(float(np.exp(a.log_prob_preferred_to(b, margin))), abs=error)


def test_two_levels_are_two_uniform_variables() -> None:
    """The difference of two uniform variables has a trapezoid as its density."""
    a = PiecewiseUniformUtility(np.array(0.3), np.array([3.0]), lapse=0.0)
    b = PiecewiseUniformUtility(np.array(0.0), np.array([1.0]), lapse=0.0)
    difference = scipy.stats.trapezoid(c=0.25, d=0.75, loc=0.3 - 2, scale=4)
    for margin in (-1.6, -1.0, 0.3, 1.1, 2.2):
        expected = difference.logsf(margin)
        assert a.log_prob_preferred_to(b, margin) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("narrow", [1e-6, 1e-3, 1.0])
def test_narrow_pieces_and_their_opposites_share_all_probability(
    dtype: torch.dtype, narrow: float
) -> None:
    ahead = torch.linspace(-2, 2, 401, dtype=dtype) * torch.tensor([1.0, narrow]).to(dtype)[:, None]
    width, other = torch.tensor([narrow, 0.5], dtype=dtype)
    there = log_prob_uniform_exceeds(ahead, width, other)
    back = log_prob_uniform_exceeds(-ahead, other, width)
    error = 1e-6 if dtype == torch.float32 else 1e-14
    np.testing.assert_allclose(torch.logaddexp(there, back), 0.0, atol=error)


def test_a_small_overlap_has_its_probability_to_all_digits() -> None:
    """δ² / (2wv) for an overlap δ of pieces of widths w and v; powers of 2 have no rounding."""
    for overlap in (2.0**-10, 2.0**-27, 2.0**-50):
        found = log_prob_uniform_exceeds(np.array(-2.0), np.array(2.0), np.array(overlap))
        assert found == pytest.approx(math.log(overlap**2 / (2 * 4.0 * 2 * overlap)), rel=1e-12)


def test_where_equal_pieces_meet_the_gradient_is_their_density() -> None:
    """dP/dahead = 1/(2h) at a kink of the formula, 0 ahead of equal half-widths h."""
    inputs = [torch.tensor(value, requires_grad=True) for value in (0.0, 0.5, 0.5)]
    prob = log_prob_uniform_exceeds(*inputs).exp()
    gradients = torch.autograd.grad(prob, inputs)
    np.testing.assert_allclose(torch.stack(gradients), [1.0, 0.0, 0.0], atol=1e-6)


# Lapses


def test_a_lapse_mixes_the_exact_comparison_with_bradley_and_terrys() -> None:
    exact, lapsing = (decode(8, 5, lapse=lapse) for lapse in (0.0, 0.1))
    other_exact, other_lapsing = (decode(8, 5, seed=1, lapse=lapse) for lapse in (0.0, 0.1))
    for margin in (0.0, 0.6):
        prob = np.exp(exact.log_prob_preferred_to(other_exact, margin))
        lapsed = scipy.special.expit(exact.mean - other_exact.mean - margin)
        np.testing.assert_allclose(
            np.exp(lapsing.log_prob_preferred_to(other_lapsing, margin)),
            0.9 * prob + 0.1 * lapsed,
            rtol=1e-12,
        )


def test_all_lapses_are_bradley_and_terry() -> None:
    a, b = (decode(8, 5, seed=seed, lapse=1.0) for seed in (0, 1))
    expected = scipy.special.log_expit(a.mean - b.mean)
    np.testing.assert_allclose(a.log_prob_preferred_to(b), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_utilities_that_do_not_overlap_are_pulled_by_their_means(dtype: torch.dtype) -> None:
    family = QuantileFunction(num_levels=4, lapse=0.01)
    low, high = (
        torch.tensor([mean, 0.0, 1.0, -1.0], dtype=dtype, requires_grad=True)
        for mean in (-500.0, 500.0)
    )
    log_prob = family.decode(low).log_prob_preferred_to(family.decode(high))
    assert log_prob.item() == pytest.approx(math.log(0.01) - 1000, rel=1e-6)
    log_prob.backward()
    assert low.grad is not None
    np.testing.assert_allclose(low.grad, [1, 0, 0, 0], atol=1e-6)


def test_without_a_lapse_they_have_no_chance_and_no_gradient() -> None:
    family = QuantileFunction(num_levels=4, lapse=0.0)
    low, high = (torch.tensor([mean, 0.0, 1.0, -1.0], requires_grad=True) for mean in (-50.0, 50.0))
    log_prob = family.decode(low).log_prob_preferred_to(family.decode(high))
    log_prob.backward()
    assert log_prob.item() == -math.inf
    assert low.grad is not None
    assert not low.grad.any()


# Distribution functions


def test_values_are_the_quantiles_at_equally_spaced_levels() -> None:
    utility = decode(8, 3)
    levels = np.linspace(0, 1, 8)
    for index in range(1, 7):
        np.testing.assert_allclose(
            utility.quantile(float(levels[index])), utility.values[..., index], rtol=1e-12
        )
    np.testing.assert_allclose(np.diff(utility.values), utility.width, rtol=1e-12)


@every_width
def test_statistics_are_those_of_a_histogram_with_equal_counts(num_levels: int) -> None:
    utility = decode(num_levels)
    mass = np.full(num_levels - 1, 1 / (num_levels - 1))
    expected = scipy.stats.rv_histogram((mass, utility.values), density=False)
    assert utility.mean == pytest.approx(expected.mean())
    assert utility.variance == pytest.approx(expected.var())
    for share in (0.01, 0.4, 0.99):
        assert utility.quantile(share) == pytest.approx(expected.ppf(share))
        assert utility.cdf(share) == pytest.approx(expected.cdf(share))
        kinks = np.unique(np.clip(np.linspace(0, 1, num_levels), 0, share))
        tail = sum(scipy.integrate.quad(expected.ppf, *ends)[0] for ends in pairs_of(kinks))
        assert utility.cvar(share) == pytest.approx(tail / share)


@every_width
@pytest.mark.parametrize("theta", [0.01, 1.0, 20.0])
def test_entropic_utility_is_that_of_the_pieces(num_levels: int, theta: float) -> None:
    utility = decode(num_levels)
    lower, upper = utility.values[:-1], utility.values[1:]
    moments = (np.exp(-theta * lower) - np.exp(-theta * upper)) / (theta * (upper - lower))
    assert utility.entropic(theta) == pytest.approx(-math.log(moments.mean()) / theta, rel=1e-10)


def test_entropic_utility_tends_to_the_lowest_value() -> None:
    utility = decode(8, 3)
    np.testing.assert_allclose(utility.entropic(1e12), utility.values[..., 0], atol=1e-10)


@every_width
def test_equal_outputs_are_a_uniform_distribution_of_their_softplus_as_std(num_levels: int) -> None:
    utility = QuantileFunction(num_levels=num_levels).decode(
        np.array([0.7] + [1.3] * (num_levels - 1))
    )
    assert utility.mean == 0.7
    assert utility.std == pytest.approx(math.log1p(math.exp(1.3)), rel=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    family = QuantileFunction(num_levels=5, lapse=0.05)
    raw = torch.from_numpy(make_raw(5, 2, 3)).requires_grad_()

    def statistics(raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = family.decode(raw[0]), family.decode(raw[1])
        return (
            a.log_prob_preferred_to(b),
            a.log_prob_preferred_to(b, 0.3),
            *(a.mean, a.std, a.quantile(0.2), a.cvar(0.2), a.cdf(0.33), a.entropic(0.7)),
        )

    assert torch.autograd.gradcheck(statistics, raw)
