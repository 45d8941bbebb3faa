"""Maximum likelihood of raw outputs from summed votes, by L-BFGS in float64."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.items.votes import ItemComparisons
from hidden_context.items.win_graph import WinGraph, win_graph
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

START_STD = 0.3
"""Standard deviation of the raw outputs that a fit starts from."""
GRADIENT_TOLERANCE = 1e-7
"""A fit has converged where no derivative of the loss (nats per vote) is larger."""
MATRIX_FROM = 1 / 2
"""Share of all ordered pairs with votes from which all are computed: at three fifths a step of
`categorical` takes a quarter of the time, and of `quantile` at most twice."""


@dataclass(frozen=True, eq=False)
class SummedVotes:
    """Summed comparisons as tensors: a list, or a matrix of all ordered pairs.

    A matrix decodes each item once and needs no gathering, so it pays where most cells are used.
    """

    listed: tuple[Tensor, Tensor] | None
    """Items of each comparison, shape `(n,)`; none: rows are compared with columns."""
    outcomes: Outcomes
    """Of the n comparisons, or with leading shape `(items, items)`."""
    total: float
    """Sum of the weights."""
    num_items: int
    num_votes: float
    """How many independent ones."""
    graph: WinGraph
    """What they join, and what they divide."""

    def log_likelihood(self, raw: Tensor, family: Family, outcome_model: OutcomeModel) -> Tensor:
        """Of all votes, in nats per vote, a scalar."""
        if self.listed is None:
            responses = [raw[:, None], raw[None]]
        else:
            responses = [raw.index_select(0, items) for items in self.listed]
        log_prob = log_likelihood(family, responses, self.outcomes, outcome_model)
        return log_prob.sum() / self.total


def summed_votes(comparisons: ItemComparisons, num_items: int) -> SummedVotes:
    """Votes of each pair together.

    Raises:
        UserError: An item's number is out of range.
    """
    numbers = np.array([comparisons.first, comparisons.second])
    if not 0 <= numbers.min() <= numbers.max() < num_items:
        raise UserError(
            f"items {numbers.min()} to {numbers.max()} are not within 0 to {num_items - 1}."
        )
    if comparisons.names and len(comparisons.names) != num_items:
        raise UserError(f"{len(comparisons.names)} items have names; num_items is {num_items}.")
    summed = comparisons.summed()
    shares = torch.from_numpy(summed.outcomes.shares).double()
    weight = torch.from_numpy(summed.outcomes.weight).double()
    first, second = torch.from_numpy(summed.first), torch.from_numpy(summed.second)
    total = float(weight.sum())
    listed = None if len(summed) >= MATRIX_FROM * num_items**2 else (first, second)
    if listed is None:
        cells = torch.zeros(num_items, num_items, shares.shape[1], dtype=torch.float64)
        cells[first, second] = shares
        weights = torch.zeros(num_items, num_items, dtype=torch.float64)
        weights[first, second] = weight
        shares, weight = cells, weights
    num_votes = float(comparisons.outcomes.weight.sum())
    graph = win_graph(summed, num_items)
    return SummedVotes(listed, Outcomes(shares, weight), total, num_items, num_votes, graph)


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the optimiser stopped."""

    family: Family
    outcome_model: OutcomeModel
    raw: np.ndarray
    """Shape `(items, num_outputs)`, float64."""
    loss: float
    """What was minimised, in nats per vote: with the penalties."""
    log_likelihood: float
    """In nats per vote, without them."""
    converged: bool
    """Whether every derivative was below `GRADIENT_TOLERANCE`."""


def random_start(num_items: int, num_outputs: int, generator: torch.Generator) -> Tensor:
    """Small normal raw outputs, shape `(items, num_outputs)`."""
    size = (num_items, num_outputs)
    return START_STD * torch.randn(size, generator=generator, dtype=torch.float64)


def best_of_starts(
    likelihood: LearnedLikelihood,
    votes: SummedVotes,
    *,
    num_starts: int,
    seed: int,
    penalty: float,
    max_iterations: int,
) -> Optimum:
    """The best of several `maximize_likelihood`, each from a copy of the likelihood as it is."""
    generator = torch.Generator().manual_seed(seed)
    optima = (
        maximize_likelihood(
            copy.deepcopy(likelihood),
            votes,
            random_start(votes.num_items, likelihood.family.num_outputs, generator),
            penalty=penalty,
            max_iterations=max_iterations,
        )
        for _ in range(num_starts)
    )
    return min(optima, key=lambda optimum: optimum.loss)


def maximize_likelihood(
    likelihood: LearnedLikelihood,
    votes: SummedVotes,
    start: Tensor,
    *,
    penalty: float = 0.0,
    max_iterations: int,
) -> Optimum:
    """By L-BFGS.

    Args:
        likelihood: Its parameters are fitted, too, in float64.
        votes: What was observed.
        start: Raw outputs, shape `(items, num_outputs)`.
        penalty: Times the sum of squares of all raw outputs, it is added to nats per vote.
        max_iterations: Steps, if the fit has not converged before.

    Raises:
        UserError: The likelihood is not finite.
    """
    raw = start.clone().requires_grad_()
    parameters = [raw, *likelihood.double().parameters()]

    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=max_iterations,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=1e-16,  # rounding: a larger one ends a fit a step before it has converged
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        family, outcome_model = likelihood()
        log_prob = votes.log_likelihood(raw, family, outcome_model)
        value = family.regularizer(family.decode(raw)) + penalty * (raw**2).sum() - log_prob
        if not torch.isfinite(value):
            raise UserError(
                f"the likelihood of family {likelihood.family.name} is not finite; thresholds may "
                "be larger than any difference of its utilities."
            )
        value.backward()
        return value

    optimizer.step(closure)
    final = float(closure().detach())
    converged = all(
        float(p.grad.abs().max()) <= GRADIENT_TOLERANCE for p in parameters if p.grad is not None
    )
    with torch.no_grad():
        unpenalized = float(votes.log_likelihood(raw, *likelihood()))
    family, outcome_model = likelihood.fitted()
    return Optimum(family, outcome_model, raw.detach().numpy(), final, unpenalized, converged)
