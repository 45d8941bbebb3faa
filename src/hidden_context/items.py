"""Distributions of utility for a fixed list of items, straight from comparisons: no text is read.

Statements that people vote on, systems in an arena, songs: each has its own raw outputs, fitted by
maximum likelihood. It is also how the families are tested against known truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL, log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes, normalize_weights

START_STD = 0.3
"""Standard deviation of the raw outputs that a fit starts from."""
GRADIENT_TOLERANCE = 1e-7
"""A fit has converged where no derivative of the loss (nats per vote) is larger."""

MATRIX_FROM = 1 / 2
"""Share of all ordered pairs with votes from which all are computed: at three fifths a step of
`categorical` takes a quarter of the time, and of `quantile` at most twice."""


@dataclass(frozen=True, eq=False)
class ItemComparisons:
    """Comparisons of items that are known by their numbers, from 0."""

    first: np.ndarray
    """Shape `(n,)`, int."""
    second: np.ndarray
    """Shape `(n,)`, int."""
    outcomes: Outcomes
    """What was observed, for `first`; NumPy arrays."""

    def __post_init__(self) -> None:
        sizes = {len(self.first), len(self.second), len(self.outcomes.weight)}
        if len(sizes) > 1 or sizes == {0}:
            raise UserError(f"items and outcomes have lengths {sorted(sizes)}; give one each.")

    @classmethod
    def won(cls, winner: np.ndarray, loser: np.ndarray) -> "ItemComparisons":
        """Ordinary comparisons, of the preferred items with the others."""
        shares = np.zeros((len(winner), 3))
        shares[:, 2] = 1.0
        return cls(winner, loser, Outcomes(shares, np.ones(len(winner))))

    def __len__(self) -> int:
        return len(self.first)

    def selected(self, keep: np.ndarray) -> "ItemComparisons":
        """Those of some indices, or where `keep` is true; weights are 1 on average again."""
        outcomes = self.outcomes
        weight = normalize_weights(outcomes.weight[keep])
        return ItemComparisons(
            self.first[keep], self.second[keep], Outcomes(outcomes.shares[keep], weight)
        )

    def summed(self) -> "ItemComparisons":
        """One comparison for each ordered pair, with the same likelihood but for a factor.

        Votes on a pair are sufficient by their sums. Each goes to the order in which it is a win,
        and a tie to that of the lower number, so that half of the grades need no probability.
        """
        middle = self.outcomes.num_grades
        votes = self.outcomes.shares * self.outcomes.weight[:, None]
        wins, losses = np.zeros_like(votes), np.zeros_like(votes)
        wins[:, middle + 1 :] = votes[:, middle + 1 :]
        losses[:, middle + 1 :] = votes[:, :middle][:, ::-1]
        low_first = self.first <= self.second
        wins[low_first, middle] = votes[low_first, middle]
        losses[~low_first, middle] = votes[~low_first, middle]
        first = np.concatenate([self.first, self.second])
        second = np.concatenate([self.second, self.first])
        size = int(first.max()) + 1
        codes, index = np.unique(first * size + second, return_inverse=True)
        columns = np.concatenate([wins, losses]).T
        summed = np.stack([np.bincount(index, column, len(codes)) for column in columns], axis=1)
        total = summed.sum(1)
        used = total > 0
        return ItemComparisons(
            codes[used] // size,
            codes[used] % size,
            Outcomes(summed[used] / total[used, None], normalize_weights(total[used])),
        )


@dataclass(frozen=True, eq=False)
class ItemFit:
    """Fitted raw outputs, and what they mean."""

    family: Family
    outcome_model: OutcomeModel
    raw: np.ndarray
    """Shape `(items, num_outputs)`, float64."""
    converged: bool
    """Whether every derivative was below `GRADIENT_TOLERANCE` before the iterations were used up;
    with a scale that the likelihood leaves free, a fit is as good without."""

    @property
    def utility(self) -> UtilityDistribution:
        """A distribution for each item; contexts that items share are centred over the list."""
        return self.family.decode(self.raw).centered(np.zeros(len(self.raw)))

    def log_likelihood(self, comparisons: ItemComparisons) -> np.ndarray:
        """Of each comparison in nats, times its weight, shape `(n,)`."""
        responses = [self.raw[comparisons.first], self.raw[comparisons.second]]
        return log_likelihood(self.family, responses, comparisons.outcomes, self.outcome_model)

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) for all pairs of items, shape `(items, items)`."""
        rows = self.family.decode(self.raw[:, None])
        return rows.prob_preferred_to(self.family.decode(self.raw[None]))


def fit_items(
    family: Family,
    comparisons: ItemComparisons,
    *,
    num_items: int,
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL,
    learn_outcomes: bool = False,
    learn_options: Sequence[str] = (),
    ridge: float = 0.0,
    max_iterations: int = 500,
    num_starts: int = 1,
    seed: int = 0,
) -> ItemFit:
    """Maximum (penalised) likelihood by L-BFGS in float64.

    Args:
        family: How raw outputs are read; its regularizer takes part.
        comparisons: What was observed.
        num_items: Number of items; those without comparisons stay where they start, or go to 0
            with a ridge.
        outcome_model: How outcomes follow from two utilities.
        learn_outcomes: Learn thresholds, or ν, too.
        learn_options: Options of the family to learn; see `Family.learnable`. Whether the data
            identify a correlation, `check_correlation_identified` tells.
        ridge: Half this times the sum of squares of all raw outputs, over the number of votes, is
            added to the loss: a normal prior of variance 1/ridge on each, if a vote has weight 1.
        max_iterations: Of each start. Deviations may go to 0 where an item has few votes, and
            held-out loss then grows: a ridge or fewer iterations prevent it.
        num_starts: Random starts, of which the best is kept: with contexts, components or
            deviations there are local optima.
        seed: Of the starts.

    Raises:
        UserError: An item's number is out of range, or the likelihood is not finite.
    """
    largest = int(max(comparisons.first.max(), comparisons.second.max()))
    smallest = int(min(comparisons.first.min(), comparisons.second.min()))
    if not 0 <= smallest <= largest < num_items:
        raise UserError(f"items {smallest} to {largest} are not within 0 to {num_items - 1}.")
    penalty = ridge / (2 * float(comparisons.outcomes.weight.sum()))
    votes = _votes(comparisons.summed(), num_items)
    generator = torch.Generator().manual_seed(seed)
    best: tuple[float, ItemFit] | None = None
    for _ in range(num_starts):
        shape = (num_items, family.num_outputs)
        start = START_STD * torch.randn(shape, generator=generator, dtype=torch.float64)
        likelihood = LearnedLikelihood(
            family, outcome_model, learn_outcomes=learn_outcomes, options=learn_options
        ).double()
        loss, fit = _fit(likelihood, votes, start, penalty, max_iterations)
        if best is None or loss < best[0]:
            best = loss, fit
    assert best is not None
    return best[1]


def _fit(
    likelihood: LearnedLikelihood,
    votes: "_Votes",
    start: Tensor,
    penalty: float,
    max_iterations: int,
) -> tuple[float, ItemFit]:
    raw = start.clone().requires_grad_()
    parameters = [raw, *likelihood.parameters()]

    def loss() -> Tensor:
        family, outcome_model = likelihood()
        log_prob = log_likelihood(family, votes.responses(raw), votes.outcomes, outcome_model)
        regularizer = family.regularizer(family.decode(raw))
        return -log_prob.sum() / votes.total + regularizer + penalty * (raw**2).sum()

    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=max_iterations,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=1e-12,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
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
    family, outcome_model = likelihood.fitted()
    return final, ItemFit(family, outcome_model, raw.detach().numpy(), converged)


@dataclass(frozen=True, eq=False)
class _Votes:
    """Summed comparisons as tensors: a list, or a matrix of all ordered pairs.

    A matrix decodes each item once and needs no gathering, so it pays where most cells are used.
    """

    listed: tuple[Tensor, Tensor] | None
    """Items of each comparison, shape `(n,)`; none: rows are compared with columns."""
    outcomes: Outcomes
    """Of the n comparisons, or with leading shape `(items, items)`."""
    total: float
    """Sum of the weights."""

    def responses(self, raw: Tensor) -> list[Tensor]:
        """Raw outputs of the first and of the second items."""
        if self.listed is None:
            return [raw[:, None], raw[None]]
        return [raw.index_select(0, items) for items in self.listed]


def _votes(summed: ItemComparisons, num_items: int) -> _Votes:
    shares = torch.from_numpy(summed.outcomes.shares).double()
    weight = torch.from_numpy(summed.outcomes.weight).double()
    first, second = torch.from_numpy(summed.first), torch.from_numpy(summed.second)
    total = float(weight.sum())
    if len(summed) < MATRIX_FROM * num_items**2:
        return _Votes((first, second), Outcomes(shares, weight), total)
    cells = torch.zeros(num_items, num_items, shares.shape[1], dtype=torch.float64)
    cells[first, second] = shares
    weights = torch.zeros(num_items, num_items, dtype=torch.float64)
    weights[first, second] = weight
    return _Votes(None, Outcomes(cells, weights), total)
