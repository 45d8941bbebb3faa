"""Certainty equivalents against high-precision closed forms and against integrals."""

import numpy as np
import pytest
import scipy.integrate
import torch

from hidden_context.distributions import certainty_equivalent

THETAS = [1e-40, 1e-12, 1e-3, 0.2, 0.24999, 0.25001, 1.0, 30.0, 1e4, 1e40]


def uniform_reference(width: float, theta: float) -> float:
    """By integration around the middle, where the logarithm does not cancel; else in closed form.

    E[exp(-θU)] = exp(-θw/2) (1 + ∫ (cosh(θ(u - w/2)) - 1) du / w).
    """
    if theta * width > 50:
        return float(np.log(theta * width) / theta)  # to e^-50
    excess, _ = scipy.integrate.quad(
        lambda x: 2 * np.sinh(theta * width * x / 2) ** 2, -0.5, 0.5, epsabs=0, epsrel=1e-13
    )
    return float(width / 2 - np.log1p(excess) / theta)


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-13)], ids=str)
def test_a_uniform_variable_is_worth_its_integral(theta: float, dtype: type, rtol: float) -> None:
    widths = np.array([1e-6, 0.3, 1.0, 40.0], dtype=dtype)
    expected = [uniform_reference(float(width), theta) for width in widths]
    found = certainty_equivalent.of_uniform(widths, theta)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-25)


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-13)], ids=str)
def test_two_points_are_worth_less_than_their_mean(theta: float, dtype: type, rtol: float) -> None:
    """Even odds of 0 and 1: 1/2 - log cosh(θ/2)/θ."""
    found = certainty_equivalent.of_mixture(
        np.log(np.array([0.5, 0.5], dtype=dtype)), np.array([1.0, 0.0], dtype=dtype), theta
    )
    if theta < 40:
        expected = 0.5 - np.log1p(2 * np.sinh(theta / 4) ** 2) / theta
    else:
        expected = np.log(2) / theta  # to e^-40
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-29)


@pytest.mark.parametrize("theta", [1e-3, 0.3, 2.0])
def test_gradients_are_those_of_finite_differences(theta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def worth(raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            certainty_equivalent.of_uniform(raw[0].exp(), theta),
            certainty_equivalent.of_mixture(raw[0].log_softmax(-1), raw[1], theta),
        )

    assert torch.autograd.gradcheck(worth, raw)
