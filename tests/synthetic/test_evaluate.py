"""Metrics of the synthetic experiments: exact where the answer is known, blind to scale."""

from typing import Any

import pytest
import torch

from hidden_context.distributions import FAMILIES, Mixture, make_family
from hidden_context.distributions.normal import NormalUtility
from hidden_context.synthetic.environments import ENVIRONMENTS
from hidden_context.synthetic.evaluate import (
    compare_orders,
    curves,
    evaluate,
    evaluation_states,
    exact_answers,
    read_utility,
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


def test_without_any_spread_all_rank_variance_is_explained() -> None:
    environment = ENVIRONMENTS["1d"]
    states = evaluation_states(environment)
    metrics = utility_metrics(make_family("base"), states, environment, states)
    assert metrics["rank_explained_variance"] == 1


def test_rank_scale_r2_of_exact_gambles_is_that_of_the_environment() -> None:
    """A narrow component at the prize and one at 0, as likely as the gamble says.

    Deviations of 1e-4 keep apart the prizes of neighbouring states, which differ by 1/200 at least.
    The grid stands for an integral over a Borda count that jumps once: one cell of 1/200, of which
    the square of the deviation from 1/2, at most 1/4, counts twelve times.
    """
    environment = ENVIRONMENTS["1d"]
    states = evaluation_states(environment).double()
    prize, probability = environment.gamble(states)
    family = Mixture(num_components=2)
    zeros = torch.zeros_like(prize)
    logits = torch.stack([torch.logit(1 - probability, eps=1e-12), zeros], dim=-1)
    means = torch.stack([zeros, prize], dim=-1) - torch.tensor(family.offsets)
    stds = torch.full_like(means, 1e-4).expm1().log()  # the inverse of softplus
    raw = torch.cat([logits, means, stds], dim=-1)
    found = utility_metrics(family, raw, environment, states)["rank_explained_variance"]
    assert found == pytest.approx(environment.rank_explained_variance, abs=12 / 4 / 200)


@pytest.mark.parametrize("name", FAMILIES)
def test_contexts_that_states_share_may_have_any_origin(name: str) -> None:
    environment = ENVIRONMENTS["1d"]
    model = build_model(name, environment, seed=0).eval()
    assert isinstance(model, UtilityModel)
    states = evaluation_states(environment)
    with torch.no_grad():
        raw = model.network(states)
    moved = raw + torch.tensor([3.0, -1.0, 0.0, 0.0]) if name == "shared_context" else raw
    for what in ("mean", "std"):
        expected = getattr(read_utility(model.family, raw), what)
        found = getattr(read_utility(model.family, moved), what)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def leaves(tree: dict[str, Any]) -> list[float]:
    return [leaf for v in tree.values() for leaf in (leaves(v) if isinstance(v, dict) else [v])]


def test_every_metric_of_a_utility_ignores_its_scale_and_origin() -> None:
    """The likelihood does not fix them, and they drift during training."""
    environment = ENVIRONMENTS["1d"]
    states = evaluation_states(environment)
    a, family = states[:, 0], make_family("mean_and_variance")

    def metrics(scale: float, origin: float) -> list[float]:
        mean, std = a + torch.sin(9 * a), 0.2 + a**2
        raw = torch.stack([scale * mean + origin, (scale * std).expm1().log()], dim=-1)
        return leaves(utility_metrics(family, raw, environment, states))

    assert metrics(64, -32) == pytest.approx(metrics(1, 0), rel=1e-3)


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


def test_a_spread_that_is_the_same_everywhere_has_no_ranks() -> None:
    raw = torch.stack([torch.arange(4.0), torch.ones(4)], dim=-1)
    spread = spread_metrics(make_family("mean_and_variance").decode(raw), torch.arange(4.0))
    assert spread["spearman"] is None
    assert spread["ratio"] == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "base"])
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
