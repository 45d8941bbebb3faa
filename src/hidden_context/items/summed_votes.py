"""All votes on each pair of items together, which is all that a likelihood needs of them."""

from dataclasses import dataclass

import numpy as np

from hidden_context.errors import UserError
from hidden_context.items.votes import ItemComparisons
from hidden_context.items.win_graph import WinGraph, win_graph


@dataclass(frozen=True, eq=False)
class SummedVotes:
    """All votes on each pair together."""

    summed: ItemComparisons
    """See `ItemComparisons.summed`."""
    num_items: int
    num_votes: float
    """How many independent ones."""
    graph: WinGraph
    """What they join, and what they divide."""

    @property
    def are_ties(self) -> bool:
        """Whether no vote says that an item is better."""
        return self.summed.outcomes.are_ties

    @property
    def by_grade(self) -> np.ndarray:
        """Votes of each pair for each grade, shape `(N, 2G + 1)`."""
        return votes_by_grade(self.summed, self.num_votes)


def votes_by_grade(summed: ItemComparisons, num_votes: float) -> np.ndarray:
    """Of pairs of which only ratios of weights are known, `num_votes` in all, `(N, 2G + 1)`."""
    shares, weight = summed.outcomes.shares, summed.outcomes.weight
    return shares * (weight * (num_votes / weight.sum()))[:, None]


def summed_votes(comparisons: ItemComparisons, num_items: int) -> SummedVotes:
    """Votes of each pair together.

    Raises:
        UserError: An item's number is out of range.
    """
    numbers = (comparisons.first, comparisons.second)
    low, high = min(each.min() for each in numbers), max(each.max() for each in numbers)
    if not 0 <= low <= high < num_items:
        raise UserError(f"items {low} to {high} are not within 0 to {num_items - 1}.")
    if comparisons.names and len(comparisons.names) != num_items:
        raise UserError(f"{len(comparisons.names)} items have names; num_items is {num_items}.")
    summed = comparisons.summed()
    num_votes = float(comparisons.outcomes.weight.sum())
    return SummedVotes(summed, num_items, num_votes, win_graph(summed, num_items))
