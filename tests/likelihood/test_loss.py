"""The loss, accuracy and explained variance against their definitions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.point import PointUtility
from hidden_context.likelihood.loss import (
    accuracy,
    comparison_metrics,
    explained_variance,
    preference_loss,
)

REGULARIZED: list[Family] = [
    Point(),
    Normal(variance_penalty=0.3),
    Categorical(num_atoms=5),
    Categorical(num_atoms=5, entropy="batch"),
]
every_family = pytest.mark.parametrize("family", REGULARIZED, ids=repr)


def make_pair(family: Family, comparisons: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    chosen, rejected = rng.normal(size=(2, comparisons, family.num_outputs))
    return chosen, rejected


# Loss


@every_family
def test_loss_is_the_mean_negative_log_likelihood_and_the_penalty_of_all_texts(
    family: Family,
) -> None:
    chosen, rejected = make_pair(family)
    each = [
        -family.decode(a).log_prob_preferred_to(family.decode(b))
        for a, b in zip(chosen, rejected, strict=True)
    ]
    penalty = family.regularizer(family.decode(np.concatenate([chosen, rejected])))
    likelihood = preference_loss(family, chosen, rejected, regularize=False)
    assert likelihood == pytest.approx(np.mean(each))
    assert preference_loss(family, chosen, rejected) == pytest.approx(np.mean(each) + penalty)


@every_family
def test_gradient_of_the_loss_is_that_of_finite_differences(family: Family) -> None:
    raw = [torch.from_numpy(raw).requires_grad_() for raw in make_pair(family)]
    assert torch.autograd.gradcheck(lambda *raw: preference_loss(family, *raw), raw)


@every_family
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_loss_is_taken_in_float32_at_least(family: Family, dtype: torch.dtype) -> None:
    chosen, rejected = (torch.tensor(raw, dtype=dtype) for raw in make_pair(family))
    expected = torch.float64 if dtype is torch.float64 else torch.float32
    assert preference_loss(family, chosen, rejected).dtype is expected


def test_indifference_costs_log_2() -> None:
    same = np.ones((4, 2))
    assert preference_loss(Normal(), same, same) == pytest.approx(math.log(2))


def test_the_likely_order_costs_less_than_its_reverse() -> None:
    chosen, rejected = np.array([[1.0]]), np.array([[0.0]])
    forward = preference_loss(Point(), chosen, rejected)
    assert preference_loss(Point(), rejected, chosen) == pytest.approx(forward + 1.0)


# Accuracy


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        ([2.0, 0.0, 5.0, 1.0], [1.0, 1.0, 4.0, 0.0], 0.75),
        ([1.0, 1.0], [1.0, 1.0], 0.5),
        ([1.0, 2.0], [1.0, 1.0], 0.75),
        ([-1.0], [0.0], 0.0),
        ([0.0], [-0.0], 0.5),
    ],
)
@pytest.mark.parametrize("as_array", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_accuracy_is_the_share_of_wins_and_half_the_ties(
    as_array: Callable[..., Any], chosen: list[float], rejected: list[float], expected: float
) -> None:
    assert accuracy(as_array(chosen), as_array(rejected)) == expected


def test_accuracies_of_both_orders_add_to_one() -> None:
    a, b = np.random.default_rng(0).integers(0, 3, (2, 100)).astype(np.float32)
    assert accuracy(a, b) + accuracy(b, a) == pytest.approx(1.0)


# Explained variance

MEAN, STD = np.array([-1.0, 0.5, 2.0, 2.5]), np.array([0.3, 1.0, 2.0, 0.1])


def test_explained_variance_is_that_of_the_mean_over_the_total() -> None:
    expected = MEAN.var() / (MEAN.var() + np.mean(STD**2))
    for mean, std in ((MEAN, STD), (torch.from_numpy(MEAN), torch.from_numpy(STD))):
        found = explained_variance(NormalUtility(mean, std, "probit"))
        assert isinstance(found, float)
        assert found == pytest.approx(expected, rel=1e-12)


def test_explained_variance_is_the_share_within_a_mixture_of_all_responses() -> None:
    """By the law of total variance, the total is that of utilities pooled over responses."""
    rng = np.random.default_rng(0)
    pooled = rng.normal(MEAN, STD, (200_000, 4))
    expected = MEAN.var() / pooled.var()
    found = explained_variance(NormalUtility(MEAN, STD, "probit"))
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("shift", "scale"), [(100.0, 1.0), (0.0, 1e-3), (-7.0, 1e3)])
@pytest.mark.parametrize(
    ("dtype", "precision"), [(np.float32, 1e-5), (np.float64, 1e-9)], ids=["float32", "float64"]
)
def test_explained_variance_ignores_a_common_shift_and_scale(
    shift: float, scale: float, dtype: type, precision: float
) -> None:
    moved = NormalUtility(
        (shift + scale * MEAN).astype(dtype), (scale * STD).astype(dtype), "probit"
    )
    unmoved = NormalUtility(MEAN, STD, "probit")
    assert explained_variance(moved) == pytest.approx(explained_variance(unmoved), abs=precision)


def test_one_response_explains_nothing() -> None:
    assert explained_variance(NormalUtility(MEAN[:1], STD[:1], "probit")) == 0.0


def test_without_any_variance_there_is_no_share_to_tell() -> None:
    assert math.isnan(explained_variance(PointUtility(np.array([2.0, 2.0]))))


def test_utilities_without_spread_are_wholly_explained() -> None:
    assert explained_variance(PointUtility(MEAN)) == 1.0


# Metrics of comparisons


@every_family
@pytest.mark.parametrize("as_array", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_metrics_of_comparisons_are_those_of_their_decoded_outputs(
    as_array: Callable[..., Any], family: Family
) -> None:
    chosen, rejected = make_pair(family)
    found = comparison_metrics(family, as_array(chosen), as_array(rejected))
    mean_chosen, mean_rejected = family.decode(chosen).mean, family.decode(rejected).mean
    all_texts = family.decode(np.concatenate([chosen, rejected]))
    expected = {
        "accuracy": accuracy(mean_chosen, mean_rejected),
        "nll": preference_loss(family, chosen, rejected, regularize=False),
        **({} if family.name == "base" else {"r2": explained_variance(all_texts)}),
        "margin": np.mean(mean_chosen) - np.mean(mean_rejected),
        "mean_reward": np.mean(all_texts.mean),
        "min_reward": np.min(all_texts.mean),
        "max_reward": np.max(all_texts.mean),
    }
    assert found == pytest.approx(expected)
    assert all(type(value) is float for value in found.values())
