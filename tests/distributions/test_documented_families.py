"""The families of docs/extending.md against scipy and against integrals."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from documented_families import documented_family

from hidden_context.distributions import UtilityDistribution

LOCATION, SCALE = np.array([-1.0, 0.0, 3.0]), np.array([0.3, 1.0, 2.5])
LEVELS = [1e-300, 1e-100, 1e-9, 0.01, 0.3, 0.49, 0.7, 1 - 1e-9]


def laplace(location: np.ndarray = LOCATION) -> UtilityDistribution:
    return documented_family("laplace").from_options({"scale": 1.3}).decode(location[:, None])


def student(location: np.ndarray = LOCATION, scale: np.ndarray = SCALE) -> UtilityDistribution:
    raw = np.stack([location, np.log(np.expm1(scale))], axis=-1)
    return documented_family("student_t")().decode(raw)


@pytest.mark.parametrize(
    ("utility", "law"),
    [
        (laplace(), scipy.stats.laplace(LOCATION, 1.3)),
        (student(), scipy.stats.t(4, LOCATION, SCALE)),
    ],
    ids=["laplace", "student_t"],
)
def test_distribution_functions_and_moments_are_those_of_scipy(
    utility: UtilityDistribution, law: Any
) -> None:
    np.testing.assert_allclose(utility.mean, law.mean())
    np.testing.assert_allclose(utility.variance, law.var(), rtol=1e-12)
    for level in LEVELS:
        expected = law.ppf(level)
        np.testing.assert_allclose(utility.quantile(level), expected, rtol=1e-8)
        np.testing.assert_allclose(utility.cdf(utility.quantile(level)), level, rtol=1e-12)
        np.testing.assert_allclose(utility.cdf(expected), law.cdf(expected), rtol=1e-12)


def test_cvar_is_that_of_the_closed_forms() -> None:
    """Its default, by quadrature; the quantile function of Laplace has a kink at 1/2."""
    utility = laplace()
    for level in (1e-9, 0.01, 0.3, 0.5, 0.9, 0.999):
        tail = min(level, 1 - level)
        below = tail * (math.log(2 * tail) - 1) / level
        np.testing.assert_allclose(utility.cvar(level), LOCATION + 1.3 * below, atol=1e-7)
        z = scipy.stats.t.ppf(level, 4)
        below = -scipy.stats.t.pdf(z, 4) * (4 + z**2) / 3 / level
        np.testing.assert_allclose(student().cvar(level), LOCATION + SCALE * below, rtol=1e-11)


def test_certainty_equivalents_are_those_of_the_closed_forms() -> None:
    """log(1 - θ²s²)/θ for Laplace up to θs = 1, then -inf, as always for Student's t."""
    utility = laplace()
    for theta_scale in (1e-6, 0.1, 0.5, 0.9, 0.99):
        expected = LOCATION + 1.3 * math.log1p(-(theta_scale**2)) / theta_scale
        np.testing.assert_allclose(utility.entropic(theta_scale / 1.3), expected, atol=1e-6)
    for theta_scale in (1.0, 1.01, 5.0, 1e6):
        assert np.isneginf(utility.entropic(theta_scale / 1.3)).all()
    for theta in (1e-12, 0.1, 1e6):
        assert np.isneginf(student().entropic(theta)).all()


@pytest.mark.parametrize("margin", [-2.0, 0.0, 0.7])
def test_preference_is_the_integral_over_one_of_the_utilities(margin: float) -> None:
    """∫ F_b(u - margin) dF_a(u) over logits of levels: 1e-10 where both are of a size."""
    logits = np.linspace(-80, 36, 20001)
    levels = 1 / (1 + np.exp(-logits))
    weights = levels / (1 + np.exp(logits)) * (logits[1] - logits[0])
    pairs = {
        "laplace": (laplace(), laplace(LOCATION[::-1])),
        "student_t": (student(), student(np.array([0.5, -30.0, 100.0]), np.array([2.0, 0.5, 1.0]))),
    }
    for name, (a, b) in pairs.items():
        expected = weights @ np.asarray(b.cdf(a.quantile(levels[:, None]) - margin))
        np.testing.assert_allclose(
            a.log_prob_preferred_to(b, margin), np.log(expected), atol=2e-8, err_msg=name
        )


@pytest.mark.parametrize("name", ["laplace", "student_t"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    family = documented_family(name)()
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 3, family.num_outputs, generator=generator, dtype=torch.float64)

    def statistics(raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = family.decode(raw[0]), family.decode(raw[1])
        log_prob = a.log_prob_preferred_to(b, 0.3)
        return log_prob, a.std + a.mean, a.quantile(0.2), a.cvar(0.2), a.cdf(0.33)

    assert torch.autograd.gradcheck(statistics, raw.requires_grad_())
