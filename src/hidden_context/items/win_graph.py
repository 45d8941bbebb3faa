"""Whether votes determine where items stand: who was compared with whom, and who ever won.

Where utilities may be moved freely, the likelihood has no maximum if the items can be divided in
two so that one side won every time (Ford 1957; Hunter 2004), and none that is unique if no vote
joins the two. So the directed graph of wins must be strongly connected. A tie bounds the difference
of two utilities from both sides, as does any strength but the largest: each counts as wins of both.

For `base` with a given outcome model this is necessary and sufficient. For the other families it is
not sufficient: with a deviation for each item, for example, one may go to 0.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from hidden_context.items.figure import shortened
from hidden_context.items.votes import ItemComparisons

MOST_SHOWN = 6
"""Items of a part, and parts, that a sentence names; `WinGraph` has all."""


@dataclass(frozen=True)
class WinGraph:
    """What votes join, and what they divide; items by their numbers."""

    parts: tuple[tuple[int, ...], ...]
    """Items that votes join, directly or through others, most items first: no vote says anything of
    an item of one part against an item of another."""
    tiers: tuple[tuple[tuple[int, ...], ...], ...]
    """Of each part: items of a tier never lost to, nor tied with, items of a later one."""
    won: csr_array = field(repr=False, compare=False)
    """Above 0 where the row won against the column, shape `(items, items)`."""

    @property
    def is_joined(self) -> bool:
        """Whether votes join all items."""
        return len(self.parts) == 1

    @property
    def is_scattered(self) -> bool:
        """Whether most items were compared with one other at most, which joins them to no third."""
        alone = sum(len(part) for part in self.parts if len(part) <= 2)
        return not self.is_joined and 2 * alone > sum(map(len, self.parts))

    @property
    def is_bounded(self) -> bool:
        """Whether within each part nobody won every time against the rest."""
        return all(len(tiers) == 1 for tiers in self.tiers)

    def is_ordered(self) -> np.ndarray:
        """Whether votes say how two items compare, for all pairs, shape `(items, items)`.

        They do in one tier, where P is a number, and where wins lead from one to the other, where
        it goes to 0 or 1.
        """
        tiers = [tier for part in self.tiers for tier in part]
        tier_of = np.empty(sum(map(len, self.parts)), dtype=np.int64)
        for index, tier in enumerate(tiers):
            tier_of[list(tier)] = index
        ahead = np.eye(len(tiers), dtype=bool)
        winner, loser = (tier_of[items] for items in self.won.nonzero())
        ahead[winner, loser] = True
        for index in reversed(range(len(tiers))):  # a tier is ahead of later ones only
            ahead[index] |= ahead[np.flatnonzero(ahead[index])].any(0)
        return (ahead | ahead.T)[np.ix_(tier_of, tier_of)]

    def warnings(self, names: Sequence[Hashable], *, ridge: float) -> tuple[str, ...]:
        """What votes leave open, in sentences; with a ridge only what it decides alone."""

        def shown(items: Iterable[int]) -> str:
            return listed([shortened(names[item]) for item in items], ", ")

        said = []
        if not self.is_joined:
            parts = listed([f"({shown(part)})" for part in self.parts], ", ")
            by_ridge = "P of an item of one over an item of another is the ridge's alone."
            without = (
                "P of an item of one over an item of another is not a number; give votes that join "
                "them, fit each part alone, or give a ridge, such as ridge=1."
            )
            said.append(
                f"Not identified: no vote joins these {len(self.parts)} parts of the items: "
                f"{parts}. {by_ridge if ridge else without}"
            )
        if not self.is_bounded and not ridge:
            divided = [tiers for tiers in self.tiers if len(tiers) > 1]
            order = [" > ".join(f"({shown(tier)})" for tier in _first(tiers)) for tiers in divided]
            said.append(
                "No finite fit: items before a > never lost to those after it, so the likelihood "
                f"grows with their distance without end: {listed(order, '; ')}. The distance is "
                "that of the last step; give a ridge, such as ridge=1, or votes that they lost."
            )
        return tuple(said)


def win_graph(summed: ItemComparisons, num_items: int) -> WinGraph:
    """The graph of all votes that weigh more than 0.

    Args:
        summed: `ItemComparisons.summed`, in which no grade is a loss.
        num_items: Items without comparisons are a part each.
    """
    always = summed.outcomes.shares[:, -1] == 1.0
    first = np.concatenate([summed.first, summed.second[~always]])
    second = np.concatenate([summed.second, summed.first[~always]])
    won = csr_array((np.ones(len(first)), (first, second)), shape=(num_items, num_items))
    parts = _divided(connected_components(won, directed=False)[1])
    tier_of = connected_components(won, directed=True, connection="strong")[1]
    order = _best_first(tier_of[first], tier_of[second], int(tier_of.max()) + 1)
    tiers = [tuple(_divided(order[tier_of[list(part)]], part)) for part in parts]
    by_size = sorted(range(len(parts)), key=lambda index: -len(parts[index]))
    return WinGraph(tuple(parts[i] for i in by_size), tuple(tiers[i] for i in by_size), won)


def _divided(labels: np.ndarray, items: Sequence[int] = ()) -> list[tuple[int, ...]]:
    """Items of each label, in the order of the labels."""
    numbers = np.array(items) if len(items) else np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return [tuple(group.tolist()) for group in np.split(numbers[order], cuts)]


def _best_first(winner: np.ndarray, loser: np.ndarray, count: int) -> np.ndarray:
    """Place of each tier, so that one that won from another comes before it; shape `(count,)`."""
    if count == 1:
        return np.zeros(1, dtype=np.int64)
    import networkx  # slow to import

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(count))
    pairs = np.unique(np.stack([winner, loser], axis=1)[winner != loser], axis=0)
    graph.add_edges_from(pairs.tolist())
    place = np.empty(count, dtype=np.int64)
    place[list(networkx.topological_sort(graph))] = np.arange(count)
    return place


def _first(tiers: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """At most the first `MOST_SHOWN` tiers; what comes later is one."""
    if len(tiers) <= MOST_SHOWN:
        return list(tiers)
    rest = tuple(item for tier in tiers[MOST_SHOWN - 1 :] for item in tier)
    return [*tiers[: MOST_SHOWN - 1], rest]


def listed(names: Sequence[str], between: str) -> str:
    """At most `MOST_SHOWN` names, and how many more there are."""
    more = len(names) - MOST_SHOWN
    return between.join(names[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
