"""`fit_items`: a distribution of utility for each item of a list, and what a fit can tell."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.distributions import Family, UtilityDistribution, make_family
from hidden_context.distributions.normal import Normal
from hidden_context.errors import UserError
from hidden_context.items.link_tails import SpreadCheck, compare_with_one_spread
from hidden_context.items.optimizer import best_of_starts, summed_votes
from hidden_context.items.votes import ItemComparisons, read_votes
from hidden_context.items.win_graph import WinGraph
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, default_outcome_model

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.1, 0.5, 0.9)
"""Quantiles that a table shows."""


@dataclass(frozen=True, eq=False, repr=False)
class ItemFit:
    """Fitted raw outputs, and what they mean."""

    family: Family
    outcome_model: OutcomeModel
    raw: np.ndarray
    """Shape `(items, num_outputs)`, float64."""
    converged: bool
    """Whether every derivative was small enough before the iterations were used up, and votes (or a
    ridge) determine the fit (`WinGraph`); with a scale that the likelihood leaves free, a fit is as
    good without."""
    items: tuple[Hashable, ...] = ()
    """What each item is called; empty if by its number."""
    spread_check: SpreadCheck | None = None
    """Whether the votes show that items differ in spread; of `mean_and_variance`, if asked for."""
    win_graph: WinGraph | None = None
    """What votes join, and what they divide."""
    ridge: float = 0.0
    """That of the fit."""

    @property
    def names(self) -> tuple[Hashable, ...]:
        """What each item is called."""
        return self.items or tuple(range(len(self.raw)))

    @property
    def utility(self) -> UtilityDistribution:
        """A distribution for each item; contexts that items share are centred over the list."""
        return self.family.decode(self.raw).centered(np.zeros(len(self.raw)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before the fit is read, in sentences."""
        graph, check = self.win_graph, self.spread_check
        of_graph = graph.warnings(self.names, ridge=self.ridge) if graph else ()
        of_check = (check.warning,) if check and check.warning else ()
        return (*of_graph, *of_check)

    def log_likelihood(self, comparisons: ItemComparisons) -> np.ndarray:
        """Of each comparison in nats, times its weight, shape `(n,)`."""
        responses = [self.raw[comparisons.first], self.raw[comparisons.second]]
        return log_likelihood(self.family, responses, comparisons.outcomes, self.outcome_model)

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) for all pairs of items, shape `(items, items)`.

        Not a number where neither votes nor a ridge say anything of the two.
        """
        rows = self.family.decode(self.raw[:, None])
        prob = rows.prob_preferred_to(self.family.decode(self.raw[None]))
        if self.win_graph is None or self.ridge:
            return prob
        return np.where(self.win_graph.is_ordered(), prob, np.nan)

    def to_frame(self, levels: Sequence[float] = LEVELS) -> "pd.DataFrame":
        """A row for each item, best mean first: item, mean, std and quantiles."""
        import pandas as pd

        utility = self.utility
        columns = {f"quantile_{level:g}": utility.quantile(level) for level in levels}
        table = pd.DataFrame(
            {"item": self.names, "mean": utility.mean, "std": utility.std, **columns}
        )
        return table.sort_values("mean", ascending=False, ignore_index=True)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        about = f"ItemFit({len(self.raw)} items, family {self.family.name}, {state})"
        return "\n".join([about, *self.warnings])

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())
        return said + self.to_frame().to_html(index=False, float_format="{:.3g}".format)


def fit_items(
    votes: Any,
    family: str | Family = "mean_and_variance",
    *,
    num_items: int | None = None,
    outcome_model: OutcomeModel | None = None,
    learn_outcomes: bool = False,
    learn_options: Sequence[str] = (),
    ridge: float = 0.0,
    max_iterations: int = 500,
    num_starts: int = 1,
    seed: int = 0,
    check_spread: bool = True,
) -> ItemFit:
    """Maximum (penalised) likelihood by L-BFGS in float64.

    Votes may leave a fit without a maximum: where some items won every time against others, or no
    vote joins them (`WinGraph`). Without a ridge such a fit says so, has not converged, and names
    the items in `warnings`.

    Args:
        votes: What was observed: `ItemComparisons`, or what `read_votes` reads.
        family: How raw outputs are read, or its name; its regularizer takes part.
        num_items: Number of items, if more than the votes name; of those without comparisons
            nothing is known, and with a ridge they go to 0.
        outcome_model: How outcomes follow from two utilities. Without, ties are half, and
            thresholds of strengths are learned where the votes have strengths.
        learn_outcomes: Learn thresholds, or ν, too.
        learn_options: Options of the family to learn; see `Family.learnable`. Whether the data
            identify a correlation, `check_correlation_identified` tells.
        ridge: Half this times the sum of squares of all raw outputs, over the number of votes, is
            added to the loss: a normal prior of variance 1/ridge on each, if a vote has weight 1.
            Above 0 there always is a fit, and for `base` only one.
        max_iterations: Of each start. Deviations may go to 0 where an item has few votes, and
            held-out loss then grows: a ridge or fewer iterations prevent it.
        num_starts: Random starts, of which the best is kept: with contexts, components or
            deviations there are local optima.
        seed: Of the starts.
        check_spread: Fill `ItemFit.spread_check`, for about the time of one more start.

    Raises:
        UserError: Votes cannot be read, an item or an option is out of range, or the likelihood is
            not finite.
    """
    _check_options(ridge, max_iterations, num_starts)
    comparisons = votes if isinstance(votes, ItemComparisons) else read_votes(votes)
    num_items = comparisons.num_items if num_items is None else num_items
    summed = summed_votes(comparisons, num_items)
    likelihood = _likelihood(
        family, outcome_model, comparisons.outcomes.num_grades, learn_outcomes, learn_options
    )
    best = best_of_starts(
        likelihood,
        summed,
        num_starts=num_starts,
        seed=seed,
        penalty=ridge / (2 * summed.num_votes),
        max_iterations=max_iterations,
    )
    check = None
    if check_spread and isinstance(best.family, Normal):
        learn = likelihood.learns_outcomes
        check = compare_with_one_spread(
            best, summed, learn_outcomes=learn, max_iterations=max_iterations, seed=seed
        )
    determined = ridge > 0 or (summed.graph.is_joined and summed.graph.is_bounded)
    return ItemFit(
        best.family,
        best.outcome_model,
        best.raw,
        converged=best.converged and determined,
        items=comparisons.names,
        spread_check=check,
        win_graph=summed.graph,
        ridge=ridge,
    )


def _check_options(ridge: float, max_iterations: int, num_starts: int) -> None:
    if not 0 <= ridge < math.inf:
        raise UserError(f"ridge is {ridge}; give a finite number, 0 or more.")
    for name, value in {"max_iterations": max_iterations, "num_starts": num_starts}.items():
        if value < 1:
            raise UserError(f"{name} is {value}; give a number from 1.")


def _likelihood(
    family: str | Family,
    outcome_model: OutcomeModel | None,
    num_grades: int,
    learn_outcomes: bool,
    options: Sequence[str],
) -> LearnedLikelihood:
    family = make_family(family) if isinstance(family, str) else family
    if outcome_model is None:
        outcome_model = default_outcome_model(family, num_grades, ties="half")
        learn_outcomes = learn_outcomes or num_grades > 1
    return LearnedLikelihood(family, outcome_model, learn_outcomes=learn_outcomes, options=options)
