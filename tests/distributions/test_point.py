"""The scalar reward model: Bradley–Terry comparisons of utilities that have no spread."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch

from hidden_context.distributions import Point
from hidden_context.measures.explained_variance import explained_variance

RAW = np.array([[-1.5], [0.0], [3.0]])


def test_preferences_are_those_of_bradley_and_terry() -> None:
    strength = np.exp(RAW[:, 0])
    utility = Point().decode(RAW[:, None, :])
    other = Point().decode(RAW[None, :, :])
    expected = strength[:, None] / (strength[:, None] + strength[None, :])
    np.testing.assert_allclose(utility.prob_preferred_to(other), expected, rtol=1e-12)


@pytest.mark.parametrize("difference", [-800.0, -30.0, 0.0, 30.0, 800.0])
def test_log_preference_is_exact_in_both_tails(difference: float) -> None:
    a, b = Point().decode(np.array([difference])), Point().decode(np.array([0.0]))
    expected = scipy.special.log_expit(difference)
    np.testing.assert_allclose(a.log_prob_preferred_to(b), expected, rtol=1e-12)


@pytest.mark.parametrize("margin", [-800.0, -1.3, 0.0, 1.3, 800.0])
@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_a_margin_is_taken_off_the_difference(library: Callable[..., Any], margin: float) -> None:
    a, b = Point().decode(library([[0.7]])), Point().decode(library([[-0.2]]))
    for given in (margin, library(margin)):
        found = a.log_prob_preferred_to(b, given)
        np.testing.assert_allclose(found, scipy.special.log_expit(0.9 - margin), rtol=1e-6)
    both = a.log_prob_preferred_to(b, margin), b.log_prob_preferred_to(a, -margin)
    np.testing.assert_allclose(np.exp(np.stack(both)).sum(), 1.0, rtol=1e-6)


def test_a_certain_utility_is_worth_itself_at_any_risk_aversion() -> None:
    utility = Point().decode(RAW)
    for risk_aversion in (1e-9, 1.0, 1e9):
        np.testing.assert_array_equal(utility.entropic(risk_aversion), RAW[:, 0])


def test_the_output_is_the_utility_and_every_quantile_of_it() -> None:
    utility = Point().decode(RAW)
    for same in (utility.mean, utility.quantile(0.01), utility.quantile(0.99), utility.cvar(0.05)):
        np.testing.assert_array_equal(same, RAW[:, 0])


def test_there_is_no_variance_to_explain() -> None:
    utility = Point().decode(RAW)
    assert not utility.variance.any()
    assert not utility.std.any()
    assert explained_variance(utility) == 1.0


def test_the_cdf_jumps_at_the_utility() -> None:
    utility = Point().decode(RAW)
    np.testing.assert_array_equal(utility.cdf(-1e-9), [1, 0, 0])
    np.testing.assert_array_equal(utility.cdf(0.0), [1, 1, 0])


def test_gradient_is_that_of_finite_differences() -> None:
    raw = torch.tensor([[[0.3], [-2.0]], [[1.1], [0.0]]], dtype=torch.float64, requires_grad=True)
    family = Point()
    assert torch.autograd.gradcheck(
        lambda raw: family.decode(raw[0]).log_prob_preferred_to(family.decode(raw[1])), raw
    )
