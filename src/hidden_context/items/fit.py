"""`fit_items`: a distribution of utility for each item of a list, and what a fit can tell."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hidden_context.distributions import Family, UtilityDistribution, make_family
from hidden_context.distributions.normal import Normal
from hidden_context.distributions.shared_context import SharedContext, SharedContextUtility
from hidden_context.errors import UserError
from hidden_context.items.held_out import FamilyComparison, compare_families
from hidden_context.items.optimizer import Optimum, best_of_starts
from hidden_context.items.spread_check import SpreadCheck
from hidden_context.items.summed_votes import SummedVotes, summed_votes
from hidden_context.items.uncertainty import (
    Intervals,
    Uncertainty,
    few_votes,
    moments,
    preferences,
    sandwich,
)
from hidden_context.items.votes import ItemComparisons, read_votes
from hidden_context.items.win_graph import WinGraph
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, default_outcome_model

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

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
    """Whether every mean and deviation is within `newton.TOLERANCE` (1e-5 of the standard deviation
    of all utilities of the list) of the maximum, and votes (or a ridge) determine the fit
    (`WinGraph`)."""
    items: tuple[Hashable, ...] = ()
    """What each item is called; empty if by its number."""
    spread_check: SpreadCheck | None = None
    """Whether the votes show that items differ in spread; of `mean_and_variance`, if asked for."""
    win_graph: WinGraph | None = None
    """What votes join, and what they divide."""
    ridge: float = 0.0
    """That of the fit."""
    optimum: Optimum | None = None
    """Where the optimiser stopped, for `uncertainty`."""
    comparisons: ItemComparisons | None = None
    """What it was fitted to."""
    held_out: FamilyComparison | None = None
    """How it and `base` predict votes that they did not see, where the ridge was chosen."""
    kept_outcomes: bool = False
    """Whether thresholds or ν were to be learned, but stayed as given: of ties alone they have no
    finite value."""

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
        of_family = ()
        if self.family != make_family(self.family.name) and self._has_regularizer():
            of_family = (
                f"What {self.family.name} adds to a loss of training (its regularizer) takes no "
                "part in a fit of items, where the ridge is the only penalty.",
            )
        of_ties = ()
        if self.comparisons is not None and self.comparisons.outcomes.are_ties:
            of_ties = (_of_ties_alone(len(self.comparisons), kept=self.kept_outcomes),)
        few = few_votes(self.comparisons, self.names) if self.comparisons else ""
        return (*of_ties, *of_graph, *of_check, *of_family, *filter(None, [few]))

    def _has_regularizer(self) -> bool:
        return float(self.family.regularizer(self.family.decode(self.raw))) != 0

    def log_likelihood(self, comparisons: ItemComparisons) -> np.ndarray:
        """Of each comparison in nats, times its weight, shape `(n,)`."""
        responses = [self.raw[comparisons.first], self.raw[comparisons.second]]
        return log_likelihood(self.family, responses, comparisons.outcomes, self.outcome_model)

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) for all pairs of items, shape `(items, items)`.

        Not a number where neither votes nor a ridge say anything of the two.
        """
        prob = self._prob(self.raw[:, None], self.raw[None])
        if self.win_graph is None or self.ridge:
            return prob
        return np.where(self.win_graph.is_ordered(), prob, np.nan)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Of the fit; see `uncertainty`, whose gauge intervals are in.

        Raises:
            UserError: The fit is not one of `fit_items`, or has too many numbers.
        """
        if self.optimum is None or self.comparisons is None:
            raise UserError("only fits by fit_items know their votes; intervals need them.")
        return sandwich(self.optimum.objective, self.optimum.minimum.x, self.comparisons)

    def moments(self) -> tuple[Intervals, Intervals]:
        """Mean and deviation of each item with intervals, `(items,)` each."""
        learned = self.optimum is not None and self.optimum.objective.num_shared > 0
        return moments(self.family, self.outcome_model, self.raw, self.uncertainty, learned=learned)

    @cached_property
    def preferences(self) -> tuple[Intervals, Intervals]:
        """P(row ≻ column), `(items, items)`, and its mean over others, `(items,)`, with intervals.

        Not a number where neither votes nor a ridge say anything of the two.
        """
        return preferences(self._prob, self.raw, self.uncertainty)

    def _prob(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return self.family.decode(rows).prob_preferred_to(self.family.decode(columns))

    @property
    def has_free_levels(self) -> bool:
        """Whether each of several contexts has a level of its own, which comparisons leave free.

        Then neither a mean over contexts nor their spread can be compared between items.
        """
        return isinstance(self.family, SharedContext)

    def to_frame(
        self, levels: Sequence[float] = LEVELS, *, intervals: bool | None = None
    ) -> "pd.DataFrame":
        """A row for each item, best first: what is identified of it, with intervals.

        `mean` and `std` of its utility (in the gauge of `uncertainty`) and quantiles; of
        `shared_context`, the utility in each context, centred over the list, and the context's
        weight. `win_share` is the mean of P(item ≻ other) over the others. Ends of 95 % intervals
        are in `_low` and `_high`, unless `intervals` is false.
        """
        import pandas as pd

        with_ends = self.comparisons is not None if intervals is None else intervals
        utility = self.utility
        table = pd.DataFrame({"item": self.names})

        def add(name: str, value: np.ndarray, ends: Intervals | None) -> None:
            table[name] = value  # pyrefly: ignore
            if ends is not None:
                table[f"{name}_low"], table[f"{name}_high"] = ends.low, ends.high  # pyrefly: ignore

        of_mean, of_std = self.moments() if with_ends else (None, None)
        if isinstance(utility, SharedContextUtility):
            for number, values in enumerate(np.moveaxis(utility.contexts, -1, 0), start=1):
                table[f"context_{number}"] = values
                table[f"weight_{number}"] = np.exp(utility.log_weights[:, number - 1])
        else:
            level = 0.0 if of_mean is None else (utility.mean - of_mean.value).mean()
            add("mean", utility.mean - level, of_mean)
            if not utility.is_scalar:
                add("std", utility.std, of_std)
                for each in levels:
                    table[f"quantile_{each:g}"] = utility.quantile(each) - level
        if with_ends:
            add("win_share", self.preferences[1].value, self.preferences[1])
        by = "mean" if "mean" in table else "win_share" if with_ends else "context_1"
        return table.sort_values(by, ascending=False, ignore_index=True)

    def prob_frame(self) -> "pd.DataFrame":
        """A row for each pair of items, the likelier winner first: P(item ≻ other), low, high."""
        import pandas as pd

        pairs = self.preferences[0]
        known = ~np.isnan(self.prob_matrix())
        rows, columns = np.nonzero(np.triu(known, 1))
        turned = pairs.value[rows, columns] < pairs.value[columns, rows]
        rows, columns = np.where(turned, (columns, rows), (rows, columns))
        order = np.lexsort((columns, rows))
        rows, columns = rows[order], columns[order]
        names = np.array(self.names, dtype=object)
        ends = {"prob": pairs.value, "low": pairs.low, "high": pairs.high}
        return pd.DataFrame(
            {"item": names[rows], "other": names[columns]}
            | {name: values[rows, columns] for name, values in ends.items()}
        )

    def choices(self) -> "pd.DataFrame":
        """A row for each item: its score by each rule of choice (`aggregation.rules`).

        `borda`, `copeland` and `maximin` follow from P(a ≻ b); `expected_utility` is the mean,
        where it is identified. More is better. Not a number where votes do not say.
        """
        import pandas as pd

        from hidden_context.aggregation.rules import borda_count, copeland, maximin

        prob = self.prob_matrix()
        rules = {"borda": borda_count, "copeland": copeland, "maximin": maximin}
        scores = {name: np.asarray(rule(prob)) for name, rule in rules.items()}
        if not self.has_free_levels:
            mean = np.asarray(self.utility.mean)
            scores["expected_utility"] = mean - (self.family.name != "categorical") * mean.mean()
        table = pd.DataFrame({"item": self.names} | scores)
        return table.sort_values("borda", ascending=False, ignore_index=True)

    def by_group(self) -> "dict[str, ItemFit]":
        """The same family and ridge fitted to the votes of each group alone, by its name.

        Raises:
            UserError: Nothing says who belongs to which group.
        """
        if self.comparisons is None or self.comparisons.groups is None:
            raise UserError("nothing says who belongs to which group; give a column group.")
        groups = np.array([name or "" for name in self.comparisons.groups], dtype=object)
        return {
            name: fit_items(
                self.comparisons.taken(groups == name),
                self.family,
                num_items=len(self.raw),
                outcome_model=self.outcome_model,
                ridge=self.ridge,
                check_spread=False,
            )
            for name in sorted(set(groups) - {""})
        }

    def plot_utilities(self, axes: "Axes | None" = None) -> "Axes":
        """Items, best first, with the intervals of their means and the spread of each."""
        from hidden_context.items.figure import draw_utilities

        return draw_utilities(self, axes)

    def plot_preferences(self, axes: "Axes | None" = None) -> "Axes":
        """P(row ≻ column) as a table of colours, best items first."""
        from hidden_context.items.figure import draw_preferences

        return draw_preferences(self, axes)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        about = f"ItemFit({len(self.raw)} items, family {self.family.name}, {state})"
        return "\n".join([about, *self.warnings])

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())
        return said + self.to_frame(intervals=False).to_html(
            index=False, float_format="{:.3g}".format
        )


def fit_items(
    votes: Any,
    family: str | Family = "mean_and_variance",
    *,
    num_items: int | None = None,
    outcome_model: OutcomeModel | None = None,
    learn_outcomes: bool = False,
    learn_options: Sequence[str] = (),
    ridge: float | Literal["chosen"] = 0.0,
    max_iterations: int = 500,
    num_starts: int = 1,
    seed: int = 0,
    check_spread: bool = True,
    progress: bool = False,
) -> ItemFit:
    """Maximum (penalised) likelihood, by Newton's method in float64.

    Votes may leave a fit without a maximum: where some items won every time against others, or no
    vote joins them (`WinGraph`). Without a ridge such a fit says so, has not converged, and names
    the items in `warnings`.

    Args:
        votes: What was observed: `ItemComparisons`, or what `read_votes` reads.
        family: How raw outputs are read, or its name. The ridge is the only penalty: what a family
            adds to a loss of training (its regularizer, such as a reward of entropy) is left out.
        num_items: Number of items, if more than the votes name; of those without comparisons
            nothing is known, and with a ridge they go to 0.
        outcome_model: How outcomes follow from two utilities. Without, ties are half, and
            thresholds of strengths are learned where the votes have strengths.
        learn_outcomes: Learn thresholds, or ν, too; of ties alone they stay as given.
        learn_options: Options of the family to learn; see `Family.learnable`. Whether the data
            identify a correlation, `check_correlation_identified` tells.
        ridge: Half this times the sum of squares of all raw outputs, over the number of votes, is
            added to the loss: a normal prior of variance 1/ridge on each, if a vote has weight 1.
            Above 0 there always is a fit, and for `base` only one. `chosen`: that by which votes of
            held-out people (ballots, pairs of items) are likeliest; `ItemFit.held_out` then says
            how the family and `base`, each by its own ridge, predict them.
        max_iterations: Of each start. Deviations may go to 0 where an item has few votes, and
            held-out loss then grows: a ridge or fewer iterations prevent it.
        num_starts: Random starts, of which the best is kept: with contexts, components or
            deviations there are local optima.
        seed: Of the starts.
        check_spread: Fill `ItemFit.spread_check`, for about the time of one more start.
        progress: Show how far the choice of a ridge is, which takes longest.

    Raises:
        UserError: Votes cannot be read, an item or an option is out of range, or the likelihood is
            not finite.
    """
    comparisons = votes if isinstance(votes, ItemComparisons) else read_votes(votes)
    num_items = comparisons.num_items if num_items is None else num_items
    family = make_family(family) if isinstance(family, str) else family
    held_out = None
    if ridge == "chosen":
        both = ["base", family] if family.name != "base" else [family]  # the family is last
        held_out = compare_families(
            comparisons, both, outcome_model=outcome_model, seed=seed, progress=progress
        )
        ridge = held_out.fits[-1].ridge
    _check_options(ridge, max_iterations, num_starts)
    summed = summed_votes(comparisons, num_items)
    if outcome_model is None:
        grades = comparisons.outcomes.num_grades
        outcome_model = default_outcome_model(family, grades, ties="half")
        learn_outcomes = learn_outcomes or grades > 1
    has_edges = outcome_model.ties != "half" or bool(outcome_model.thresholds)
    kept = learn_outcomes and has_edges and summed.are_ties
    learn_outcomes = learn_outcomes and not summed.are_ties
    best = best_of_starts(
        family,
        outcome_model,
        summed,
        learn_outcomes=learn_outcomes,
        learn_options=learn_options,
        num_starts=num_starts,
        seed=seed,
        ridge=ridge,
        max_iterations=max_iterations,
    )
    check = None
    if check_spread and isinstance(family, Normal):
        check = _spread_check(
            best, summed, learn_outcomes=learn_outcomes, max_iterations=max_iterations
        )
    found = _fit_at(best, summed, comparisons, ridge)
    converged = found.converged and not kept
    return replace(
        found, spread_check=check, held_out=held_out, kept_outcomes=kept, converged=converged
    )


def _spread_check(best: Optimum, votes: SummedVotes, **options: Any) -> SpreadCheck:
    """See `compare_with_one_spread`, which imports torch."""
    from hidden_context.items.link_tails import compare_with_one_spread

    return compare_with_one_spread(best, votes, **options)


def _fit_at(
    best: Optimum, summed: SummedVotes, comparisons: ItemComparisons, ridge: float
) -> ItemFit:
    """What was found at an optimum."""
    family, outcome_model = best.read_as
    determined = ridge > 0 or (summed.graph.is_joined and summed.graph.is_bounded)
    return ItemFit(
        family,
        outcome_model,
        best.raw,
        converged=best.minimum.converged and determined,
        items=comparisons.names,
        win_graph=summed.graph,
        ridge=ridge,
        optimum=best,
        comparisons=comparisons,
    )


def _of_ties_alone(number: int, *, kept: bool) -> str:
    """What to know of a fit to nothing but ties."""
    said = (
        f"All {number} votes are ties, so nothing says that an item is better. There are no "
        "intervals: their width comes from how far votes are from what the fit expects, and each "
        "of these is just that."
    )
    if not kept:
        return said
    return (
        f"No finite fit: the likelihood of ties alone grows with the thresholds, or ν, without "
        f"end; they stay as given. {said}"
    )


def _check_options(ridge: Any, max_iterations: int, num_starts: int) -> None:
    if isinstance(ridge, str) or not 0 <= ridge < math.inf:
        raise UserError(f"ridge is {ridge}; give a finite number, 0 or more, or 'chosen'.")
    for name, value in {"max_iterations": max_iterations, "num_starts": num_starts}.items():
        if value < 1:
            raise UserError(f"{name} is {value}; give a number from 1.")
