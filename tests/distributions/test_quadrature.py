"""CVaR and certainty equivalents by quadrature against closed forms; what a lower tail tells."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats
import torch

from hidden_context.distributions import FAMILIES, Family, UtilityDistribution, quadrature
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.special import Array
from hidden_context.errors import UserError

TOLERANCES = {
    "base": 1e-12,
    "mean_and_variance": 1e-12,
    "categorical": 1e-4,
    "quantile": 1e-4,
    "mixture": 2e-3,
    "shared_context": 1e-2,
}
"""Of utilities within about ±4: rounding where quantiles are smooth, the square of the distance of
the nodes where they have kinks, and this distance where they jump, or nearly do."""

CVAR_LEVELS = [1e-6, 0.01, 0.05, 0.3, 0.5, 0.7, 0.99]
RISK_AVERSIONS = [1e-12, 1e-6, 0.01, 0.1, 0.5, 1.0, 2.0, 10.0]
with_closed_forms = pytest.mark.parametrize("name", list(TOLERANCES))


def utility_of(name: str, library: Callable = np.asarray) -> UtilityDistribution:
    family: Family = FAMILIES[name]()
    raw = np.random.default_rng(0).uniform(-2, 2, (2, family.num_outputs))
    return family.decode(library(raw))


@with_closed_forms
@pytest.mark.parametrize(
    ("library", "atol"),
    [
        (np.asarray, 0),
        (torch.tensor, 0),
        (functools.partial(np.asarray, dtype=np.float32), 1e-5),
    ],
    ids=["numpy", "torch", "float32"],
)
def test_the_defaults_are_the_closed_forms(name: str, library: Callable, atol: float) -> None:
    utility = utility_of(name, library)
    atol = max(atol, TOLERANCES[name])
    for level in CVAR_LEVELS:
        found = UtilityDistribution._cvar(utility, level)
        np.testing.assert_allclose(found, utility.cvar(level), atol=atol)
        assert found.dtype == utility.mean.dtype
    for theta in RISK_AVERSIONS:
        found = UtilityDistribution._entropic(utility, theta)
        np.testing.assert_allclose(found, utility.entropic(theta), atol=atol)
        assert found.dtype == utility.mean.dtype


def test_gradients_of_the_defaults_are_those_of_the_closed_forms() -> None:
    location = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    utility = NormalUtility(location, scale, "probit")
    for default, closed in (
        (UtilityDistribution._cvar(utility, 0.1), utility.cvar(0.1)),
        (UtilityDistribution._entropic(utility, 2.0), utility.entropic(2.0)),
    ):
        gradients = (
            torch.autograd.grad(worth.sum(), (location, scale)) for worth in (default, closed)
        )
        for found, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(found, expected)


@dataclass(frozen=True, eq=False, repr=False)
class Quantiles(UtilityDistribution):
    """Whatever has this quantile function and mean, moved by `location`."""

    location: Array
    function: Callable[[Array], Array]
    center: float

    @property
    def mean(self) -> Array:
        return self.location + self.center

    @property
    def variance(self) -> Array:
        raise NotImplementedError

    def cdf(self, utility: float | Array) -> Array:
        raise NotImplementedError

    def _quantile(self, level: float | Array) -> Array:
        return self.location + self.function(level)

    def log_prob_preferred_to(self, other: "Quantiles", margin: float | Array = 0.0) -> Array:
        raise NotImplementedError


LOCATION = np.array([-1.0, 0.0, 40.0])


def minus_gamma(shape: float) -> Quantiles:
    """-G, whose tail is that of an exponential times a power: E[exp(θG)] = (1 - θ)^-shape."""
    return Quantiles(LOCATION, lambda level: -scipy.stats.gamma(shape).isf(level), -shape)


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_an_exponential_tail_has_an_expectation_up_to_its_rate(shape: float) -> None:
    utility = minus_gamma(shape)
    for theta in (1e-6, 0.1, 0.5, 0.9):
        expected = LOCATION + shape * math.log1p(-theta) / theta
        np.testing.assert_allclose(utility.entropic(theta), expected, atol=1e-8)
    for theta in (1.2, 3.0, 1e6):
        assert np.isneginf(utility.entropic(theta)).all()


def test_a_rate_that_the_tail_has_not_come_near_is_refused_rather_than_guessed() -> None:
    with pytest.raises(UserError, match="define `_entropic` in the family"):
        minus_gamma(3.0).entropic(0.999)


def test_a_tail_heavier_than_exponential_has_no_expectation_at_all() -> None:
    """Of minus a log-normal variable, and of minus a Pareto variable."""
    log_normal = Quantiles(
        LOCATION, lambda level: -np.exp(-scipy.stats.norm.ppf(level)), -math.exp(0.5)
    )
    pareto = Quantiles(LOCATION, lambda level: -(level ** (-1 / 3)), -1.5)
    for utility in (log_normal, pareto):
        for theta in (1e-12, 1e-3, 1.0, 1e6):
            assert np.isneginf(utility.entropic(theta)).all()


def test_a_lighter_tail_has_one_as_far_as_levels_reach() -> None:
    """A normal variable is priced at a depth of (θσ)²/2 in log q, of which float64 holds 700."""
    normal = Quantiles(LOCATION, scipy.stats.norm.ppf, 0.0)
    for theta in (1.0, 10.0, 25.0):
        np.testing.assert_allclose(normal.entropic(theta), LOCATION - theta / 2, rtol=1e-10)
    for theta in (35.0, 100.0, 1e6, 1e40):
        with pytest.raises(UserError, match="Quantiles tell of its lower tail"):
            normal.entropic(theta)


def test_quantiles_that_fail_in_the_tail_are_refused_rather_than_used() -> None:
    for wrong in (math.inf, -math.inf, math.nan):
        broken = Quantiles(LOCATION, lambda q, wrong=wrong: np.where(q < 1e-300, wrong, q), 0.5)
        with pytest.raises(UserError, match="define `_entropic`"):
            broken.entropic(1.0)


def test_bounded_utilities_have_certainty_equivalents_at_any_risk_aversion() -> None:
    uniform = Quantiles(LOCATION, lambda level: 1.0 * level, 0.5)
    for theta in (30.0, 1e3, 1e6, 1e20):
        np.testing.assert_allclose(
            uniform.entropic(theta), LOCATION + math.log(theta) / theta, atol=1e-9
        )


def test_chunks_of_responses_are_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    utility = utility_of("mean_and_variance")
    at_once = UtilityDistribution._cvar(utility, 0.1), UtilityDistribution._entropic(utility, 2.0)
    monkeypatch.setattr(quadrature, "LARGEST_CHUNK", 4)
    found = UtilityDistribution._cvar(utility, 0.1), UtilityDistribution._entropic(utility, 2.0)
    np.testing.assert_allclose(found, at_once, rtol=1e-12)
