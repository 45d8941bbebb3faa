"""Laws that every family of utility distributions obeys; a new family is tested with no edit."""

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hidden_context.distributions import (
    FAMILIES,
    Categorical,
    Family,
    Mixture,
    Normal,
    Point,
    QuantileFunction,
    SharedContext,
    UtilityDistribution,
    family_from_dict,
    make_family,
)
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import preference_loss

FAMILIES_TESTED: list[Family] = [
    *(family() for family in FAMILIES.values()),
    Normal(link="paper"),
    Normal(link="logit"),
    Normal(variance_penalty=0.3),
    Normal(scale_penalty=0.1),
    Normal(correlation=0.5),
    Categorical(num_atoms=2),
    Categorical(num_atoms=20),
    Categorical(entropy="batch"),
    QuantileFunction(num_levels=2),
    QuantileFunction(num_levels=12),
    Mixture(num_components=1),
    Mixture(num_components=2),
    SharedContext(num_contexts=1),
    SharedContext(num_contexts=3),
]
FAMILIES_HERE = {
    "base",
    "mean_and_variance",
    "categorical",
    "quantile",
    "mixture",
    "shared_context",
}
"""Those of the package, whose utilities have all exponential moments."""
SHAPES = [(), (5,), (2, 3)]
DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]
ALL_DTYPES = [*DTYPES, np.float32, np.float64]
BATCHES = list(itertools.product(SHAPES, ALL_DTYPES))
SIZES = [25.0, 1000.0]
"""Of extreme outputs."""
LEVELS = [0.01, 0.25, 0.5, 0.9]
MARGINS = [-1.5, -0.2, 0.0, 0.3, 0.999, 2.0]
EDGES = [(-0.3, 0.3), (0.1, 0.25), (-0.9, 0.4), (0.2, 0.95), (-0.97, -0.93)]
RISK_AVERSIONS = [1e-6, 0.1, 0.5, 2.0]

STATISTICS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda utility: utility.mean,
    "variance": lambda utility: utility.variance,
    "std": lambda utility: utility.std,
    "cdf": lambda utility: utility.cdf(0.3),
    "quantile": lambda utility: utility.quantile(0.01),
    "cvar": lambda utility: utility.cvar(0.05),
    "entropic": lambda utility: utility.entropic(0.5),
}

every_family = pytest.mark.parametrize("family", FAMILIES_TESTED, ids=repr)


def has_atoms(family: Family) -> bool:
    """Whether utilities have point masses, at which their cdf jumps."""
    return isinstance(family, (Point, SharedContext))


every_continuous_family = pytest.mark.parametrize(
    "family", [family for family in FAMILIES_TESTED if not has_atoms(family)], ids=repr
)


def make_raw(family: Family, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, (*shape, family.num_outputs))


def to_dtype(raw: np.ndarray, dtype: torch.dtype | type) -> Any:
    return torch.tensor(raw, dtype=dtype) if isinstance(dtype, torch.dtype) else raw.astype(dtype)


def tolerance(values: Any) -> float:
    """A few dozen roundings of numbers near 1, in the precision of the values."""
    return 1e-5 if "float32" in str(values.dtype) else 1e-12


# Preferences


@every_family
def test_one_of_two_responses_is_preferred(family: Family) -> None:
    for shape, dtype in BATCHES:
        a, b = (family.decode(to_dtype(make_raw(family, shape, seed), dtype)) for seed in (0, 1))
        total = a.prob_preferred_to(b) + b.prob_preferred_to(a)
        assert total.shape == shape
        np.testing.assert_allclose(total, 1.0, atol=tolerance(total))


@every_family
def test_a_response_is_preferred_to_itself_half_the_time(family: Family) -> None:
    for shape, dtype in BATCHES:
        utility = family.decode(to_dtype(make_raw(family, shape), dtype))
        prob = utility.prob_preferred_to(utility)
        np.testing.assert_allclose(prob, 0.5, atol=tolerance(prob))


@every_family
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_preference_is_a_probability_for_any_finite_outputs(
    family: Family, data: st.DataObject
) -> None:
    raw = data.draw(arrays(np.float64, (2, family.num_outputs), elements=st.floats(-1e3, 1e3)))
    a, b = map(family.decode, torch.from_numpy(raw))
    assert a.log_prob_preferred_to(b) <= 1e-12
    total = a.prob_preferred_to(b) + b.prob_preferred_to(a)
    np.testing.assert_allclose(total, 1.0, atol=1e-9)


@every_family
def test_a_preference_is_the_exponential_of_its_logarithm(family: Family) -> None:
    a, b = (family.decode(make_raw(family, (5,), seed)) for seed in (0, 1))
    np.testing.assert_allclose(
        a.prob_preferred_to(b), np.exp(a.log_prob_preferred_to(b)), rtol=1e-12
    )


# Margins


@every_family
def test_one_response_is_ahead_by_more_than_a_margin_or_it_is_not(family: Family) -> None:
    """P(a - b > m) + P(b - a > -m) = 1, for numbers and for arrays."""
    for library in (np.asarray, torch.tensor):
        a, b = (family.decode(library(make_raw(family, (5,), seed))) for seed in (0, 1))
        array = library(np.linspace(-1.2, 1.2, 5))
        for margin, opposite in [*((margin, -margin) for margin in MARGINS), (array, -array)]:
            log_probs = a.log_prob_preferred_to(b, margin), b.log_prob_preferred_to(a, opposite)
            assert log_probs[0].shape == (5,)
            np.testing.assert_allclose(np.logaddexp(*map(np.asarray, log_probs)), 0.0, atol=1e-12)


@every_family
def test_a_larger_margin_is_less_probable(family: Family) -> None:
    for dtype in ALL_DTYPES:
        a, b = (family.decode(to_dtype(make_raw(family, (5,), seed), dtype)) for seed in (0, 1))
        margins = to_dtype(np.linspace(-3, 3, 61)[:, None], dtype)
        prob = np.exp(np.asarray(a.log_prob_preferred_to(b, margins)))
        assert prob.shape == (61, 5)
        assert (np.diff(prob, axis=0) <= tolerance(prob)).all()
        assert (prob[0] > prob[-1]).all()


@every_family
def test_a_preference_is_to_be_ahead_at_all(family: Family) -> None:
    a, b = (family.decode(make_raw(family, (2, 3), seed)) for seed in (0, 1))
    for nothing in (0.0, np.zeros(3)):
        np.testing.assert_allclose(
            a.log_prob_preferred_to(b, nothing), a.log_prob_preferred_to(b), rtol=1e-12
        )


@every_family
def test_a_margin_of_each_comparison_is_as_if_it_were_alone(family: Family) -> None:
    a, b = (make_raw(family, (5,), seed) for seed in (0, 1))
    margins = np.array([-0.7, -0.1, 0.0, 0.4, 0.8])
    together = family.decode(a).log_prob_preferred_to(family.decode(b), margins)
    alone = [
        family.decode(a[i]).log_prob_preferred_to(family.decode(b[i]), float(margins[i]))
        for i in range(5)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-11)


@every_family
def test_no_utility_is_ahead_by_the_largest_margin(family: Family) -> None:
    a, b = (family.decode(make_raw(family, (5,), seed)) for seed in (0, 1))
    assert family.largest_margin > 0
    if family.largest_margin < math.inf:
        assert not np.exp(a.log_prob_preferred_to(b, family.largest_margin)).any()


@every_family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, np.float32, np.float64], ids=str)
def test_between_two_edges_is_what_the_tails_beyond_them_leave(
    family: Family, dtype: torch.dtype | type
) -> None:
    """A closed form is the difference of two tails; with edges for all, and for each head."""
    a, b = (family.decode(to_dtype(make_raw(family, (4, 5), seed), dtype)) for seed in (0, 1))
    arrays_of_edges = [to_dtype(np.array(edges), dtype) for edges in zip(*EDGES, strict=True)]
    for low, high in [*EDGES, arrays_of_edges]:
        found = a.log_prob_between(b, low, high)
        expected = UtilityDistribution.log_prob_between(a, b, low, high)
        assert found.shape == (4, 5)
        found, expected = map(np.asarray, (found, expected))
        rtol = 1e-10 if found.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


@every_family
def test_gradients_between_two_edges_are_those_of_finite_differences(family: Family) -> None:
    raw = torch.from_numpy(make_raw(family, (2, 5))).requires_grad_()
    edges = torch.tensor(EDGES, dtype=torch.float64).T.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda raw, edges: family.decode(raw[0]).log_prob_between(family.decode(raw[1]), *edges),
        (raw, edges),
    )


@every_family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_between_two_edges_extreme_outputs_have_finite_values_and_gradients(
    family: Family, dtype: torch.dtype, size: float
) -> None:
    """Wherever the tails beyond the edges have them."""
    raw = torch.tensor(make_raw(family, (2, 40)), dtype=dtype) * size
    for edge in (1e-5, 0.4, min(family.largest_margin, 50.0)):
        given = [raw.clone().requires_grad_(), torch.tensor(edge, dtype=dtype, requires_grad=True)]
        a, b = map(family.decode, given[0])
        found = a.log_prob_between(b, -given[1], given[1])
        expected = UtilityDistribution.log_prob_between(a, b, -edge, edge)
        assert found[expected.isfinite()].isfinite().all()
        for gradient in torch.autograd.grad(found[expected.isfinite()].sum(), given):
            assert gradient.isfinite().all()


# Rankings


@every_family
def test_a_ranking_of_two_is_a_comparison(family: Family) -> None:
    a, b = (family.decode(make_raw(family, (2, 3), seed)) for seed in (0, 1))
    np.testing.assert_allclose(
        family.log_prob_of_ranking([a, b]), a.log_prob_preferred_to(b), rtol=1e-12
    )


@every_family
def test_a_ranking_has_a_log_likelihood_for_each_of_the_batch(family: Family) -> None:
    raw = make_raw(family, (4, 2, 3))
    together = family.log_prob_of_ranking([family.decode(response) for response in raw])
    alone = family.log_prob_of_ranking([family.decode(response[1, 2]) for response in raw])
    from_torch = family.log_prob_of_ranking([family.decode(each) for each in torch.tensor(raw)])
    assert together.shape == (2, 3)
    assert (together < 0).all()
    np.testing.assert_allclose(together[1, 2], alone, rtol=1e-12)
    np.testing.assert_allclose(together, from_torch, rtol=1e-6)


# Distribution functions


@every_family
def test_a_quantile_is_at_most_a_utility_iff_its_level_is_at_most_the_share_below(
    family: Family,
) -> None:
    levels, values = np.array(LEVELS), np.array([-2.0, -0.3, 0.07, 0.5, 0.93, 2.0])
    for shape, dtype in BATCHES:
        utility = family.decode(to_dtype(make_raw(family, shape), dtype))
        along, across = to_dtype(levels, utility.mean.dtype), to_dtype(values, utility.mean.dtype)
        quantile = utility.quantile(along.reshape(-1, 1, *(1 for _ in shape)))
        share = utility.cdf(across.reshape(-1, *(1 for _ in shape)))
        for level, of_level in zip(LEVELS, quantile, strict=True):
            clear = abs(share - level) > tolerance(share)  # apart by more than rounding
            lower = of_level <= across.reshape(-1, *(1 for _ in shape))
            assert bool(((lower == (level <= share)) | ~clear).all())


@every_continuous_family
def test_cdf_undoes_quantile(family: Family) -> None:
    for shape, dtype in BATCHES:
        utility = family.decode(to_dtype(make_raw(family, shape), dtype))
        levels = to_dtype(np.array(LEVELS), utility.mean.dtype).reshape(-1, *(1 for _ in shape))
        share = utility.cdf(utility.quantile(levels))
        np.testing.assert_allclose(share, levels + 0 * share, atol=tolerance(share))


@every_family
def test_quantile_rises_with_its_level(family: Family) -> None:
    for dtype in ALL_DTYPES:
        utility = family.decode(to_dtype(make_raw(family, (2, 3)), dtype))
        levels = to_dtype(np.linspace(0.001, 0.999, 50)[:, None, None], utility.mean.dtype)
        assert (np.diff(np.asarray(utility.quantile(levels)), axis=0) >= 0).all()


@every_family
def test_quantile_takes_an_array_of_levels(family: Family) -> None:
    for dtype in ALL_DTYPES:
        utility = family.decode(to_dtype(make_raw(family, (2, 3)), dtype))
        levels = to_dtype(np.array(LEVELS).reshape(-1, 1, 1), utility.mean.dtype)
        one_by_one = np.stack([utility.quantile(level) for level in LEVELS])
        at_once = utility.quantile(levels)
        assert at_once.shape == (len(LEVELS), 2, 3)
        np.testing.assert_allclose(at_once, one_by_one, atol=10 * tolerance(utility.mean))


# Moments, in float64


def integration_rule(family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Levels and weights of the trapezoid rule in logit(q), down to e^-36 in both tails.

    Its error is that of h²: below 2e-6 for a quantile with kinks, such as a histogram's. For a
    smooth one it falls exponentially in 1/h, and the roots that a mixture takes are dear.
    """
    steps = np.linspace(-36, 36, 2**13 if isinstance(family, Mixture) else 2**15)
    levels = 1 / (1 + np.exp(-steps))
    return levels, levels * (1 - levels) * (steps[1] - steps[0])


INTEGRATION_ERROR = 2e-6
JUMP_ERROR = 4 * 72 / (2**15 - 1) / 8
"""Where a function of the quantile jumps between two steps, the rule is off by at most half a step
times the jump times q(1 - q) ≤ 1/4. All jumps of a quantile in [-2, 2] add up to at most 4.
"""


def integration_error(family: Family) -> float:
    return INTEGRATION_ERROR + JUMP_ERROR * has_atoms(family)


def utility_to_integrate(family: Family) -> UtilityDistribution:
    return family.decode(make_raw(family, (3,)))


@functools.cache
def quantiles_of(family: Family, below: float = 1.0) -> np.ndarray:
    """Quantiles of `utility_to_integrate` at the levels of the rule times `below`."""
    levels = below * integration_rule(family)[0]
    return np.asarray(utility_to_integrate(family).quantile(levels[:, None]))


def mean_of_quantiles(family: Family, *, power: int = 1, below: float = 1.0) -> np.ndarray:
    """(1/below) ∫₀^below quantile(q)^power dq."""
    return integration_rule(family)[1] @ quantiles_of(family, below) ** power


@every_family
def test_mean_is_the_integral_of_the_quantile(family: Family) -> None:
    found = utility_to_integrate(family).mean
    np.testing.assert_allclose(found, mean_of_quantiles(family), atol=integration_error(family))


@every_family
def test_variance_is_that_of_the_quantiles(family: Family) -> None:
    utility = utility_to_integrate(family)
    expected = mean_of_quantiles(family, power=2) - mean_of_quantiles(family) ** 2
    margin = 2 * INTEGRATION_ERROR
    if has_atoms(family):  # jumps of the square add up to 8, and d(mean²) ≤ 2 · 2 · d(mean)
        margin += (2 + 4) * JUMP_ERROR
    np.testing.assert_allclose(utility.variance, expected, atol=margin)
    np.testing.assert_allclose(utility.std**2, utility.variance, rtol=1e-12)


@every_family
def test_cvar_is_the_mean_of_the_quantiles_below_its_level(family: Family) -> None:
    for level in (0.01, 0.05, 0.5, 0.99):
        expected = mean_of_quantiles(family, below=level)
        found = utility_to_integrate(family).cvar(level)
        np.testing.assert_allclose(found, expected, atol=integration_error(family))


@every_family
def test_cvar_of_everything_is_the_mean(family: Family) -> None:
    for dtype in ALL_DTYPES:
        utility = family.decode(to_dtype(make_raw(family, (5,)), dtype))
        np.testing.assert_array_equal(utility.cvar(1.0), utility.mean)


# Certainty equivalents, in float64. -inf is one of them, where E[exp(-θU)] is infinite.


def is_finite(family: Family, risk_aversion: float) -> bool:
    """Whether certainty equivalents are numbers; always so for the families of the package."""
    utility = family.decode(make_raw(family, (5,)))
    finite = np.isfinite(utility.entropic(risk_aversion))
    assert finite.all() or (family.name not in FAMILIES_HERE and not finite.any())
    return bool(finite.all())


@every_family
def test_entropic_utility_is_the_integral_over_the_quantile(family: Family) -> None:
    theta = 0.5
    if not is_finite(family, theta):
        return
    weights, quantiles = integration_rule(family)[1], quantiles_of(family)
    expected = -np.log(weights @ np.exp(-theta * quantiles)) / theta
    margin = 10 * INTEGRATION_ERROR
    if has_atoms(family):  # exp(-θu) is within e^±2θ: error of the integral, over its smallest
        jumps = 2 * math.sinh(2 * theta)
        margin += jumps / 4 * JUMP_ERROR / math.exp(-2 * theta) / theta
    np.testing.assert_allclose(utility_to_integrate(family).entropic(theta), expected, atol=margin)


@every_family
def test_a_certainty_equivalent_is_infinite_where_the_tail_outweighs_its_probability(
    family: Family,
) -> None:
    """exp(-θ quantile(q)) q, the share of E[exp(-θU)] at q in log q, does not fall as q → 0."""
    utility = family.decode(make_raw(family, (5,)))
    logs = np.array([-150.0, -300.0])
    quantiles = np.asarray(utility.quantile(np.exp(logs)[:, None]))
    for theta in (*RISK_AVERSIONS, 30.0):
        if not is_finite(family, theta):
            far, farther = logs[:, None] - theta * quantiles
            assert (farther >= far - 1e-9).all()


@every_family
def test_entropic_utility_falls_from_the_mean(family: Family) -> None:
    for shape in SHAPES:
        utility = family.decode(make_raw(family, shape))
        falling = [utility.mean, *(utility.entropic(theta) for theta in RISK_AVERSIONS)]
        for larger, smaller in itertools.pairwise(falling):
            assert (smaller <= larger + 1e-12).all()


@every_family
def test_entropic_utility_tends_to_the_mean_less_half_the_variance(family: Family) -> None:
    """mean - θ variance / 2 + θ² skew / 6 - ..., here of utilities within ±20."""
    utility = family.as_published().decode(make_raw(family, (5,)))
    for theta in (1e-3, 1e-6, 1e-12):
        if is_finite(family, theta):
            np.testing.assert_allclose(
                utility.entropic(theta),
                utility.mean - theta * utility.variance / 2,
                atol=1e-12 + 20**3 * theta**2 / 6,
            )


@every_family
def test_entropic_utility_is_at_most_the_cvar_and_its_price(family: Family) -> None:
    """entropic(θ) + log(α)/θ ≤ cvar(α) at any α and θ (Ahmadi-Javid 2012)."""
    utility = family.decode(make_raw(family, (2, 3)))
    for level, theta in itertools.product(LEVELS, [*RISK_AVERSIONS, 30.0]):
        bound = utility.cvar(level) - math.log(level) / theta
        assert (utility.entropic(theta) <= bound + 1e-12).all()


@every_family
def test_entropic_utility_and_its_gradient_are_finite_at_extreme_risk_aversion(
    family: Family,
) -> None:
    for theta, dtype in itertools.product((1e-30, 1e-6, 1e6), (torch.float32, torch.float64)):
        raw = torch.tensor(make_raw(family, (5,)), dtype=dtype, requires_grad=True)
        worth = family.decode(raw).entropic(theta)
        assert worth.isfinite().all() == is_finite(family, theta)
        (grad,) = torch.autograd.grad(worth.sum(), raw)
        assert grad.isfinite().all()


# Arrays of distributions

INDICES: dict[str, tuple[tuple[int, ...], Any]] = {
    "a number": ((5,), 2),
    "a number from the end": ((5,), -1),
    "a slice": ((5,), slice(1, 4)),
    "a mask": ((5,), [True, False, True, True, False]),
    "numbers": ((5,), [3, 0, 0]),
    "nothing of it": ((5,), slice(0, 0)),
    "a row": ((2, 3), 1),
    "one of all axes": ((2, 3), (1, -1)),
    "a column": ((2, 3), (slice(None), 1)),
    "the last axis": ((2, 3), (..., [2, 0])),
    "an axis more": ((2, 3), (slice(None), None, slice(1, 3))),
    "a mask of all axes": ((2, 3), np.array([[True, False, False], [False, True, True]])),
    "numbers of all axes": ((2, 3), ([0, 1, 1], [2, 2, 0])),
    "all": ((2, 3), ...),
    "all of one": ((), ...),
}


def preference_to_itself(utility: UtilityDistribution) -> Any:
    return utility.log_prob_preferred_to(utility, 0.1)


@every_family
def test_distributions_are_indexed_like_an_array(family: Family) -> None:
    for library, (what, (shape, index)) in itertools.product(
        (np.asarray, torch.tensor), INDICES.items()
    ):
        utility = family.decode(library(make_raw(family, shape)))
        some = utility[index]
        assert type(some) is type(utility)
        for statistic in (STATISTICS["mean"], STATISTICS["quantile"], preference_to_itself):
            expected = np.asarray(statistic(utility))[index]
            assert some.shape == expected.shape
            np.testing.assert_allclose(statistic(some), expected, rtol=1e-6, err_msg=what)


@every_family
def test_distributions_have_a_length_and_come_one_by_one(family: Family) -> None:
    for shape in ((5,), (2, 3), (0,)):
        utility = family.decode(make_raw(family, shape))
        rows = list(utility)
        assert len(utility) == len(rows) == shape[0]
        for row, mean in zip(rows, utility.mean, strict=True):
            np.testing.assert_array_equal(row.mean, mean)
    one = family.decode(make_raw(family, ()))
    for unsized in (len, iter, list):
        with pytest.raises(TypeError):
            unsized(one)
    for index in (0, (0, 0), np.array([True])):
        with pytest.raises(IndexError):
            one[index]


@every_family
def test_distributions_take_another_shape(family: Family) -> None:
    utility = family.decode(make_raw(family, (2, 3)))
    for shape in ((6,), (3, 2), (-1,), (1, 6)):
        np.testing.assert_array_equal(
            utility.reshape(*shape).variance, utility.variance.reshape(shape)
        )


@every_family
def test_samples_are_as_often_below_a_utility_as_its_cdf_says(family: Family) -> None:
    n = 2000
    for library, generator in (
        (np.asarray, np.random.default_rng(0)),
        (torch.tensor, torch.Generator().manual_seed(0)),
    ):
        utility = family.decode(library(make_raw(family, (2, 3))))
        draws = utility.sample(n, generator)
        assert draws.shape == (n, 2, 3)
        assert type(draws) is type(utility.mean)
        for value in (-1.0, 0.2, 0.7, 1.5):
            share = (draws <= value).sum(0) / n
            margin = 5 * math.sqrt(0.25 / n)  # 6 in 10 million by chance
            np.testing.assert_allclose(share, utility.cdf(value), atol=margin)


@every_family
def test_a_generator_of_one_seed_draws_the_same_samples(family: Family) -> None:
    utility = family.decode(make_raw(family, (5,)))
    one, same, other = (utility.sample(3, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(one, utility.sample(3, 0))
    assert has_atoms(family) or (one != other).all()


@every_family
def test_without_a_generator_samples_are_other_ones_each_time(family: Family) -> None:
    for library in (np.asarray, torch.tensor):
        utility = family.decode(library(make_raw(family, (5,))))
        one, other = utility.sample(3), utility.sample(3)
        assert type(one) is type(utility.mean)
        assert one.shape == (3, 5)
        assert has_atoms(family) or (one != other).all()


@every_family
def test_a_density_holds_the_probability_of_its_cells(family: Family) -> None:
    edges = np.array([-1.0, -0.4, 0.1, 0.2, 0.6, 3.0])
    for library, shape in itertools.product((np.asarray, torch.tensor), SHAPES):
        utility = family.decode(library(make_raw(family, shape)))
        density = np.asarray(utility.density(library(edges)))
        assert density.shape == (*shape, 5)
        for cell in range(5):
            mass = np.asarray(utility.cdf(edges[cell + 1]) - utility.cdf(edges[cell]))
            np.testing.assert_allclose(
                density[..., cell] * (edges[cell + 1] - edges[cell]), mass, atol=1e-12
            )


@every_family
def test_atoms_have_all_the_probability_and_the_mean_where_there_is_no_density(family: Family):
    for library, shape in itertools.product((np.asarray, torch.tensor), SHAPES):
        utility = family.decode(library(make_raw(family, shape)))
        assert family.has_density == (utility.atoms is None)
        if utility.atoms is not None:
            at, prob = map(np.asarray, utility.atoms)
            np.testing.assert_allclose(prob.sum(-1), np.ones(shape), rtol=1e-6)
            np.testing.assert_allclose((at * prob).sum(-1), utility.mean, rtol=1e-5, atol=1e-6)


@every_family
def test_distributions_print_as_their_kind_shape_and_means(family: Family) -> None:
    for library, shape in itertools.product((np.asarray, torch.tensor), (*SHAPES, (0,), (50, 4))):
        utility = family.decode(library(make_raw(family, shape)))
        text = repr(utility)
        assert type(utility).__name__ in text
        assert str(shape) in text
        assert len(text) < 90
        if 0 not in shape:
            assert f"{float(utility.mean.min()):.4g}" in text


@every_family
def test_scalar_utilities_are_those_without_variance(family: Family) -> None:
    utility = family.decode(make_raw(family, (5,)))
    assert utility.is_scalar == (not np.asarray(utility.variance).any())


# Precision, shapes and libraries


@every_family
def test_statistics_have_the_shape_of_the_batch_and_at_least_float32(family: Family) -> None:
    for shape, dtype in BATCHES:
        raw = to_dtype(make_raw(family, shape), dtype)
        expected = "float64" if "float64" in str(raw.dtype) else "float32"
        utility = family.decode(raw)
        for name, statistic in STATISTICS.items():
            found = statistic(utility)
            assert found.shape == shape, name
            assert expected in str(found.dtype), name


@every_family
def test_numpy_and_torch_read_the_same_outputs_alike(family: Family) -> None:
    for statistic, dtype in itertools.product(STATISTICS, (np.float32, np.float64)):
        raw = make_raw(family, (2, 3)).astype(dtype)
        from_numpy, from_torch = family.decode(raw), family.decode(torch.from_numpy(raw))
        np.testing.assert_allclose(
            STATISTICS[statistic](from_numpy),
            STATISTICS[statistic](from_torch),
            rtol=1e-6,
            atol=1e-6,
        )


@every_family
def test_numpy_and_torch_have_the_same_loss(family: Family) -> None:
    chosen, rejected = (make_raw(family, (5,), seed) for seed in (0, 1))
    np.testing.assert_allclose(
        preference_loss(family, chosen, rejected),
        preference_loss(family, torch.from_numpy(chosen), torch.from_numpy(rejected)),
        rtol=1e-6,
    )


@every_family
def test_a_response_does_not_depend_on_its_batch(family: Family) -> None:
    for statistic in STATISTICS:
        raw = make_raw(family, (2, 3))
        together = STATISTICS[statistic](family.decode(raw))
        np.testing.assert_allclose(
            STATISTICS[statistic](family.decode(raw[1, 2])), together[1, 2], rtol=1e-12
        )


# Extremes


def extreme_outputs(family: Family, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Every ordered pair of: all outputs high, high and low in turn, rising; their opposites."""
    index = np.arange(family.num_outputs)
    rising = np.linspace(-1, 1, family.num_outputs)
    patterns = [np.ones_like(rising), np.where(index % 2, -1.0, 1.0), rising]
    rows = [sign * size * pattern for pattern in patterns for sign in (1, -1)]
    chosen, rejected = zip(*itertools.product(rows, rows), strict=True)
    return np.stack(chosen), np.stack(rejected)


@every_family
def test_loss_and_gradient_are_finite_at_extreme_outputs(family: Family) -> None:
    for dtype, size in itertools.product(DTYPES, SIZES):
        chosen, rejected = (
            torch.tensor(raw, dtype=dtype, requires_grad=True)
            for raw in extreme_outputs(family, size)
        )
        loss = preference_loss(family, chosen, rejected)
        loss.backward()
        assert loss.isfinite()
        for raw in (chosen, rejected):
            assert raw.grad is not None
            if dtype is not torch.float16:  # whose largest number is 65,504
                assert raw.grad.isfinite().all()


@every_family
def test_margins_and_rankings_are_finite_at_extreme_outputs(family: Family) -> None:
    for size in SIZES:
        chosen, rejected = (
            torch.tensor(raw, dtype=torch.float32, requires_grad=True)
            for raw in extreme_outputs(family, size)
        )
        a, b = family.decode(chosen), family.decode(rejected)
        for log_prob in (
            a.log_prob_preferred_to(b, 0.3),
            a.log_prob_preferred_to(b, -0.3),
            family.log_prob_of_ranking([a, b, a]),
        ):
            assert log_prob.isfinite().all()
            for grad in torch.autograd.grad(log_prob.sum(), (chosen, rejected), retain_graph=True):
                assert grad.isfinite().all()


@every_family
def test_statistics_and_gradients_are_finite_at_extreme_outputs(family: Family) -> None:
    for statistic, size in itertools.product(STATISTICS, SIZES):
        raw = torch.tensor(
            extreme_outputs(family, size)[0], dtype=torch.float32, requires_grad=True
        )
        found = STATISTICS[statistic](family.decode(raw))
        assert found.isfinite().all() or (statistic == "entropic" and not is_finite(family, 0.5))
        if found.requires_grad:
            (grad,) = torch.autograd.grad(found.sum(), raw)
            assert grad.isfinite().all()


@every_family
def test_regularizer_is_a_finite_scalar(family: Family) -> None:
    for shape in SHAPES:
        for raw in (make_raw(family, shape), extreme_outputs(family, 1000.0)[0]):
            penalty = family.regularizer(family.decode(torch.tensor(raw)))
            assert penalty.shape == ()
            assert penalty.isfinite()


@every_family
def test_one_comparison_or_many_have_a_loss(family: Family) -> None:
    for shape in SHAPES:
        chosen, rejected = (torch.tensor(make_raw(family, shape, seed)) for seed in (0, 1))
        assert preference_loss(family, chosen, rejected).shape == ()


# Families are data


@every_family
def test_a_family_survives_its_file(family: Family) -> None:
    for same in (family, family.as_published(), family.with_published_moments()):
        assert family_from_dict(json.loads(json.dumps(same.to_dict()))) == same
        assert family_from_dict(same.to_dict()) == same
        assert same.num_outputs == family.num_outputs


@every_family
def test_a_family_is_made_by_its_name(family: Family) -> None:
    options = {name: getattr(family, name) for name in family.option_names()}
    assert make_family(family.name, options) == family
    assert set(family.published_options) <= set(family.option_names())


@every_family
def test_a_family_reads_another_width_or_says_why_not(family: Family) -> None:
    assert family.with_num_outputs(family.num_outputs) == family
    width = family.num_outputs + 3
    wider = with_num_outputs_or_refusal(family, width)
    if isinstance(wider, UserError):
        assert f"{family.name} has {family.num_outputs} outputs" in str(wider)
        assert str(width) in str(wider)
    else:
        assert (wider.name, wider.num_outputs) == (family.name, width)
        assert wider.decode(np.zeros((2, width))).mean.shape == (2,)


def with_num_outputs_or_refusal(family: Family, width: int) -> Family | UserError:
    try:
        return family.with_num_outputs(width)
    except UserError as refusal:
        return refusal


@every_family
def test_families_and_distributions_cannot_be_edited(family: Family) -> None:
    utility = family.decode(make_raw(family, (5,)))
    for frozen in (family, utility):
        for field in dataclasses.fields(frozen):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(frozen, field.name, None)
    for name in ("mean", "variance", "std"):
        with pytest.raises(AttributeError):
            setattr(utility, name, 0.0)


# Refusals


@every_family
def test_outputs_of_another_width_are_refused_by_name(family: Family) -> None:
    for shape in [(family.num_outputs + 1,), (4, family.num_outputs + 1), (family.num_outputs, 0)]:
        for raw in (np.zeros(shape), torch.zeros(shape)):
            with pytest.raises(UserError) as refusal:
                family.decode(raw)
            assert f"{family.name} reads {family.num_outputs} outputs" in str(refusal.value)
            assert str(shape) in str(refusal.value)
    with pytest.raises(UserError, match=family.name):
        family.decode(np.asarray(1.0))


@every_family
def test_levels_outside_the_unit_interval_are_refused(family: Family) -> None:
    utility = family.decode(make_raw(family, (2,)))
    for level in (0.0, 1.0, -0.1, 1.1, float("nan"), np.array([0.5, 1.0])):
        with pytest.raises(UserError, match="outside"):
            utility.quantile(level)
    for level in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match="outside"):
            utility.cvar(level)


@every_family
def test_risk_aversions_that_are_not_positive_are_refused(family: Family) -> None:
    for theta in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match=str(theta)):
            family.decode(make_raw(family, (2,))).entropic(theta)


@every_family
def test_the_worst_context_is_refused_where_no_contexts_are_shared(family: Family) -> None:
    utility = family.decode(make_raw(family, (2,)))
    if isinstance(family, SharedContext):
        assert utility.worst_context.shape == (2,)
    else:
        with pytest.raises(UserError, match="train family shared_context"):
            assert utility.worst_context


@pytest.mark.parametrize("name", ["normal", "", "Base"])
def test_an_unknown_family_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(UserError) as refusal:
        make_family(name)
    assert repr(name) in str(refusal.value)
    for known in FAMILIES:
        assert known in str(refusal.value)


@every_family
def test_an_unknown_option_is_refused_with_the_known_ones(family: Family) -> None:
    with pytest.raises(UserError) as refusal:
        make_family(family.name, {"num_dragons": 3})
    for word in ("num_dragons", family.name, *family.option_names()):
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mean_and_variance", {"link": "cauchit"}, ["cauchit", "probit", "paper", "logit"]),
        ("mean_and_variance", {"variance_penalty": -0.1}, ["variance_penalty", "-0.1"]),
        ("mean_and_variance", {"variance_penalty": float("nan")}, ["variance_penalty", "nan"]),
        ("mean_and_variance", {"scale_penalty": -1.0}, ["scale_penalty", "-1.0"]),
        ("categorical", {"num_atoms": 1}, ["num_atoms", "1", "2"]),
        ("categorical", {"entropy_coeff": float("inf")}, ["entropy_coeff", "inf"]),
        ("categorical", {"entropy": "all"}, ["'all'", "each", "batch"]),
        ("categorical", {"moments": "points"}, ["'points'", "bins", "atoms"]),
        ("mean_and_variance", {"correlation": 1.0}, ["correlation", "1.0", "-1"]),
        ("quantile", {"num_levels": 1}, ["num_levels", "1", "2"]),
        ("quantile", {"lapse": 1.5}, ["lapse", "1.5", "[0, 1]"]),
        ("quantile", {"lapse": float("nan")}, ["lapse", "nan"]),
        ("mixture", {"num_components": 0}, ["num_components", "0", "1"]),
        ("shared_context", {"num_contexts": 0}, ["num_contexts", "0", "1"]),
    ],
)
def test_an_unusable_option_is_refused_with_what_would_do(
    name: str, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as refusal:
        make_family(name, options)
    for word in words:
        assert word in str(refusal.value)
