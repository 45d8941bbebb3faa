"""Metrics of the synthetic experiments: exact where the answer is known, blind to scale."""

import math
from typing import Any

import pytest
import torch

from hidden_context.distributions import make_family
from hidden_context.distributions.normal import NormalUtility
from hidden_context.synthetic.environments import ENVIRONMENTS
from hidden_context.synthetic.evaluate import (
    compare_orders,
    curves,
    evaluate,
    evaluation_states,
    exact_answers,
    rank_explained_variance,
    spread_metrics,
    utility_metrics,
)
from hidden_context.synthetic.models import PairClassifier, UtilityModel, build_model


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_perfect_model_reaches_the_lowest_loss_and_makes_no_error(
    env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = ENVIRONMENTS[env]

    def exact_logit(_: PairClassifier, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.logit(environment.preference_probability(first, second), eps=1e-6)

    monkeypatch.setattr(PairClassifier, "logit", exact_logit)
    metrics = evaluate(PairClassifier(environment.state_dim), environment)
    assert metrics["expected_loss"] == pytest.approx(
        exact_answers(environment)["expected_loss"], abs=2e-5
    )
    assert metrics["probability_max_error"] < 2e-6
    # The mean over the grid stands for an integral over a probability that jumps: one cell.
    assert metrics["borda_count_max_error"] < 1 / len(evaluation_states(environment)) ** 0.5


def test_orders_agree_with_themselves_and_with_any_increasing_function_of_themselves() -> None:
    values = torch.rand(50, generator=torch.Generator().manual_seed(0))
    same = compare_orders(values, values.exp())
    assert same["spearman"] == pytest.approx(1)
    assert same["max_rank_difference"] == 0
    assert same["pairwise_disagreement"] == 0


def test_a_reversed_order_disagrees_on_every_pair_of_different_states() -> None:
    values = torch.arange(10.0)
    reversed_order = compare_orders(values, -values)
    assert reversed_order["spearman"] == pytest.approx(-1)
    assert reversed_order["max_rank_difference"] == pytest.approx(0.9)
    assert reversed_order["pairwise_disagreement"] == pytest.approx(0.9)  # all but the diagonal


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_rank_scale_r2_of_normal_utilities_is_that_of_theory(share: float) -> None:
    """For normal means and spreads Var[E[rank]] = asin(r²/2) / 2π (Kruskal 1958)."""
    level = (torch.arange(1000) + 0.5) / 1000
    means = math.sqrt(share) * torch.special.ndtri(level)
    utility = NormalUtility(means, torch.full_like(means, math.sqrt(1 - share)), "probit")
    expected = 6 / math.pi * math.asin(share / 2)
    assert rank_explained_variance(utility) == pytest.approx(expected, abs=3e-3)


def test_without_any_spread_all_rank_variance_is_explained() -> None:
    utility = make_family("base").decode(torch.arange(200.0)[:, None])
    assert rank_explained_variance(utility) == pytest.approx(1, abs=1e-4)


def leaves(tree: dict[str, Any]) -> list[float]:
    return [leaf for v in tree.values() for leaf in (leaves(v) if isinstance(v, dict) else [v])]


def test_every_metric_of_a_utility_ignores_its_scale_and_origin() -> None:
    """The likelihood does not fix them, and they drift during training."""
    environment = ENVIRONMENTS["1d"]
    states = evaluation_states(environment)
    a = states[:, 0]
    once = NormalUtility(a + torch.sin(9 * a), 0.2 + a**2, "probit")
    moved = NormalUtility(64 * once.location - 32, 64 * once.scale, "probit")
    expected = leaves(utility_metrics(once, environment, states))
    assert leaves(utility_metrics(moved, environment, states)) == pytest.approx(expected, rel=1e-3)


def test_a_spread_that_is_exact_is_ranked_exactly() -> None:
    environment = ENVIRONMENTS["2d"]
    states = evaluation_states(environment)
    std = environment.utility_variance(states).sqrt()
    utility = NormalUtility(environment.expected_utility(states), std + 0.01, "probit")
    spread = spread_metrics(utility, std)
    assert spread["spearman"] == pytest.approx(1)
    assert spread["ratio"] is not None
    assert spread["ratio"] > 1


def test_a_family_without_spread_has_no_ratio() -> None:
    utility = make_family("base").decode(torch.arange(4.0)[:, None])
    assert spread_metrics(utility, torch.arange(4.0))["ratio"] is None


@pytest.mark.parametrize("name", ["mean_and_variance", "categorical"])
def test_the_drawn_cells_hold_nearly_all_probability(name: str) -> None:
    """The axis spans the central 99 % of every state, so at most 1 % lies outside."""
    environment = ENVIRONMENTS["1d"]
    model = build_model(name, environment, seed=0).eval()
    assert isinstance(model, UtilityModel)
    drawn = curves(name, model, environment)
    mass = drawn[f"{name}/mass"]
    assert mass.shape == (len(evaluation_states(environment)), len(drawn[f"{name}/edges"]) - 1)
    assert (mass.sum(1) > 0.99 - 1e-4).all()
    assert (mass > -1e-6).all()
