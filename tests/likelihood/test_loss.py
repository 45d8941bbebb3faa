"""The loss against its definition."""

import math

import numpy as np
import pytest
import torch

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.likelihood.loss import preference_loss

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


@every_family
def test_loss_is_the_mean_negative_log_likelihood_and_the_penalty_of_all_texts(
    family: Family,
) -> None:
    chosen, rejected = make_pair(family)
    nats = [
        -family.decode(a).log_prob_preferred_to(family.decode(b))
        for a, b in zip(chosen, rejected, strict=True)
    ]
    penalty = family.regularizer(family.decode(np.concatenate([chosen, rejected])))
    likelihood = preference_loss(family, chosen, rejected, regularize=False)
    assert likelihood == pytest.approx(np.mean(nats))
    assert preference_loss(family, chosen, rejected) == pytest.approx(np.mean(nats) + penalty)


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
