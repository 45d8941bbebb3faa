"""Trained models held against the exact answers: metrics, and the curves that figures draw.

Everything reported is invariant to an affine change of the learned utility's scale, which the
comparisons do not determine. All averages are over a grid of states, and so free of sampling noise.
"""

from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.measures.explained_variance import explained_variance, rank_explained_variance
from hidden_context.synthetic.environments import Environment
from hidden_context.synthetic.models import Model, UtilityModel

POINTS_PER_AXIS = {1: 200, 2: 20}
"""Size of the grid of states by `state_dim`; a multiple of 5, so that 0.8 lies between two."""
NUM_CELLS = 40
"""Cells of the utility axis in which curves give probabilities; a multiple of 8 and of 20."""


def evaluation_states(environment: Environment) -> Tensor:
    """The grid of states on which everything is evaluated, shape `(n, state_dim)`."""
    return environment.state_grid(POINTS_PER_AXIS[environment.state_dim])


@torch.no_grad()
def exact_answers(environment: Environment) -> dict[str, float]:
    """What a perfect model would reach.

    `expected_loss` is the entropy of the comparisons in nats: no model can have less.
    """
    prob = environment.preference_matrix(evaluation_states(environment))
    return {
        "explained_variance": environment.explained_variance,
        "rank_explained_variance": environment.rank_explained_variance,
        "expected_loss": float(-(torch.xlogy(prob, prob) + torch.xlogy(1 - prob, 1 - prob)).mean()),
    }


@torch.no_grad()
def evaluate(model: Model, environment: Environment) -> dict[str, Any]:
    """Metrics of one model against the exact answers.

    For every model, over all pairs of grid states: `expected_loss` (cross-entropy to the exact
    preference probabilities, in nats; what a held-out loss estimates), `probability_mean_error`
    and `probability_max_error` (absolute, of P(i ≻ j)) and `borda_count_max_error` (of the mean
    of P(i ≻ j) over j). For models of utility also what `utility_metrics` lists.
    """
    states = evaluation_states(environment)
    exact = environment.preference_matrix(states)
    log_prob, log_prob_other = model.pairwise_log_probs(states)
    error = (log_prob.exp() - exact).abs()
    borda_error = log_prob.exp().mean(1) - environment.borda_count(states)
    metrics: dict[str, Any] = {
        "expected_loss": float(-(exact * log_prob + (1 - exact) * log_prob_other).mean()),
        "probability_mean_error": float(error.mean()),
        "probability_max_error": float(error.max()),
        "borda_count_max_error": float(borda_error.abs().max()),
    }
    if isinstance(model, UtilityModel):
        metrics |= utility_metrics(model.family, model.network(states), environment, states)
    return metrics


def utility_metrics(
    family: Family, raw: Tensor, environment: Environment, states: Tensor
) -> dict[str, Any]:
    """What the learned utilities say about order, explained variance and spread.

    - `ordering`: the mean utility's order of the states beside that of the Borda count and that of
      the expected utility; see `compare_orders`.
    - `explained_variance`: r² on the family's own scale. mean_and_variance fixes its scale up to
      an affine map by taking utilities for normal, which these are not. The scale of categorical
      is arbitrary: any monotone relabelling of its bins fits about as well. So neither need come
      out at the exact r² of the utility.
    - `rank_explained_variance`: r² after every utility was replaced by its rank in the population
      of all states and contexts; 1 without any spread. No monotone change of scale moves it: this
      is the one to hold against the exact answer. See `measures.explained_variance`.
    - `spread`: see `spread_metrics`.

    Args:
        family: Reads `raw`.
        raw: Raw outputs for the states, shape `(n, num_outputs)`.
        environment: Of the states.
        states: Shape `(n, state_dim)`.
    """
    utility = read_utility(family, raw)
    return {
        "ordering": {
            "borda_count": compare_orders(utility.mean, environment.borda_count(states)),
            "expected_utility": compare_orders(utility.mean, environment.expected_utility(states)),
        },
        "explained_variance": explained_variance(utility),
        "rank_explained_variance": (
            1.0 if utility.is_scalar else rank_explained_variance(family, raw)
        ),
        "spread": spread_metrics(utility, environment.utility_variance(states).sqrt()),
    }


def read_utility(family: Family, raw: Tensor) -> UtilityDistribution:
    """Utilities of states that are all compared with one another, from raw outputs.

    Contexts that states share have an origin each, which comparisons leave free: here their mean.
    """
    return family.decode(raw).centered([0] * len(raw))


def compare_orders(values: Tensor, exact: Tensor) -> dict[str, float]:
    """How alike two orders of the same states are.

    `spearman`: correlation of the ranks. `max_rank_difference`: the largest difference between a
    state's two ranks, each the share of states below it, in [0, 1]. `pairwise_disagreement`: share
    of all pairs of states that the two order differently.

    In 1-D a continuous network passes through all values at the jump at 0.8: the largest difference
    is found at the one or two states there, and says little about the others.
    """
    rank, exact_rank = rankdata(values), rankdata(exact)
    order = torch.sign(values[:, None] - values)
    exact_order = torch.sign(exact[:, None] - exact)
    return {
        "spearman": float(np.corrcoef(rank, exact_rank)[0, 1]),
        "max_rank_difference": float(np.abs(rank - exact_rank).max() / len(rank)),
        "pairwise_disagreement": float((order * exact_order < 0).double().mean()),
    }


def spread_metrics(utility: UtilityDistribution, exact_std: Tensor) -> dict[str, float | None]:
    """The learned standard deviation where the hidden context matters, and where it does not.

    It matters where the exact standard deviation is above its average (1-D: from 0.8 on). Both are
    in units of the standard deviation of the learned means over all states. `spearman` is the
    correlation of the ranks of learned and exact standard deviations; None where all learned ones
    are equal. Where they are 0, `ratio` is None too.
    """
    matters = exact_std > exact_std.mean()
    unit = utility.mean.std(correction=0)
    inside, outside = utility.std[matters].mean() / unit, utility.std[~matters].mean() / unit
    if not float(utility.std.max()) > 0:
        return {"where_context_matters": 0.0, "elsewhere": 0.0, "ratio": None, "spearman": None}
    varies = bool((utility.std != utility.std[0]).any())
    return {
        "where_context_matters": float(inside),
        "elsewhere": float(outside),
        "ratio": float(inside / outside),
        "spearman": compare_orders(utility.std, exact_std)["spearman"] if varies else None,
    }


@torch.no_grad()
def exact_curves(environment: Environment) -> dict[str, np.ndarray]:
    """Grid of states and exact answers, as arrays for the figure."""
    states = evaluation_states(environment)
    return {
        "env": np.array(environment.name),
        "states": states.numpy(),
        "exact/expected_utility": environment.expected_utility(states).numpy(),
        "exact/borda_count": environment.borda_count(states).numpy(),
    }


@torch.no_grad()
def curves(name: str, model: UtilityModel, environment: Environment) -> dict[str, np.ndarray]:
    """What the figure draws of one model.

    `<name>/mean` and `<name>/std`, shape `(n,)`; `<name>/edges`, shape `(NUM_CELLS + 1,)`: cells of
    the utility axis; `<name>/mass`, shape `(n, NUM_CELLS)`: the probability of each.
    """
    utility = read_utility(model.family, model.network(evaluation_states(environment)))
    edges = _utility_axis(utility)
    below = torch.stack([utility.cdf(float(edge)) for edge in edges], dim=-1)
    arrays = {"mean": utility.mean, "std": utility.std, "edges": edges, "mass": below.diff(dim=-1)}
    return {f"{name}/{what}": values.numpy() for what, values in arrays.items()}


def _utility_axis(utility: UtilityDistribution) -> Tensor:
    """Cells on [0, 1] if all utility lies there, else on the range of the central 99 %."""
    low, high = 0.0, 1.0
    if float(utility.cdf(low).max()) > 0 or float(utility.cdf(high).min()) < 1 - 1e-5:
        low, high = float(utility.quantile(0.005).min()), float(utility.quantile(0.995).max())
        margin = 0.001 * (high - low)  # a certain utility at an end is inside
        low, high = low - margin, high + margin
    return torch.linspace(low, high, NUM_CELLS + 1)
