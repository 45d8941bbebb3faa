"""Comparisons of items known by their numbers, and how tables of votes become them."""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.pairs import pair_votes
from hidden_context.comparisons.texts import Text, numbers_in_order
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights

ITEM_COLUMNS = {
    ("first", "second"): ("response_a", "response_b"),
    ("item_a", "item_b"): ("response_a", "response_b"),
    ("winner", "loser"): ("chosen", "rejected"),
}
"""Columns of two items, and those of two responses as which they are read."""


@dataclass(frozen=True, eq=False)
class ItemComparisons:
    """Comparisons of items that are known by their numbers, from 0."""

    first: np.ndarray
    """Shape `(n,)`, int."""
    second: np.ndarray
    """Shape `(n,)`, int."""
    outcomes: Outcomes
    """What was observed, for `first`; NumPy arrays. A weight is how many independent votes a
    comparison is, times `importance`."""
    names: tuple[Hashable, ...] = ()
    """What each item is called; empty if by its number."""
    annotators: tuple[str | None, ...] | None = None
    """Who made each comparison, where the votes say it; None for one of which they do not."""
    ballots: np.ndarray | None = None
    """Number of the ballot that each comparison is of, shape `(n,)`, where some ballots make
    several, as rankings do: these are not independent."""
    groups: tuple[str | None, ...] | None = None
    """To which group each belongs who made a comparison, where the votes say it."""
    importance: np.ndarray | None = None
    """How much each vote of a comparison counts, shape `(n,)`; None where all count alike. Part of
    `outcomes.weight`: a vote that counts three times is one vote, of three times the score."""

    def __post_init__(self) -> None:
        sizes = {len(self.first), len(self.second), len(self.outcomes.weight)}
        if len(sizes) > 1 or sizes == {0}:
            raise UserError(f"items and outcomes have lengths {sorted(sizes)}; give one each.")
        for items in (self.first, self.second):
            if not np.issubdtype(items.dtype, np.integer):
                raise UserError(f"items are {items.dtype}; give their numbers, integers from 0.")
        shares, weight = self.outcomes.shares, self.outcomes.weight
        total = shares @ np.ones(shares.shape[1])  # a third of the time of a sum over rows
        bounds = shares.min(), total.min(), 2 - total.max(), weight.min(), -weight.max()
        least = 0, 1 - 1e-5, 1 - 1e-5, 0, -np.finfo(float).max
        if not np.greater_equal(bounds, least).all():
            valid = (shares >= 0).all(-1) & (abs(total - 1) <= 1e-5)
            valid &= (weight >= 0) & np.isfinite(weight)
            number = int(np.flatnonzero(~valid)[0])
            raise UserError(
                f"comparison {number} has shares {shares[number].tolist()} and weight "
                f"{weight[number]}; give shares that sum to 1, and a finite weight, 0 or more."
            )
        if not weight.any():
            raise UserError("all weights are 0; give some that are not.")
        own = self.importance
        if own is not None and (own.shape != weight.shape or not (own[weight > 0] > 0).all()):
            raise UserError(
                f"importance has shape {own.shape} for {len(weight)} comparisons, or is not above "
                "0 where a weight is; give one number above 0 each."
            )

    @classmethod
    def won(cls, winner: np.ndarray, loser: np.ndarray) -> "ItemComparisons":
        """Ordinary comparisons, of the preferred items with the others."""
        return cls.decided(winner, loser, np.ones(len(winner)))

    @classmethod
    def decided(
        cls,
        first: np.ndarray,
        second: np.ndarray,
        win: np.ndarray,
        names: Sequence[Hashable] = (),
        annotators: Sequence[str | None] | None = None,
    ) -> "ItemComparisons":
        """Comparisons from arrays: `win` is 1 where the first won, 0 where the second, ½ a tie.

        Raises:
            UserError: Some other number is among them, or lengths differ.
        """
        win = np.asarray(win, dtype=float)
        shares = np.zeros((len(win), 3))
        shares[:, 2], shares[:, 1], shares[:, 0] = win == 1, win == 0.5, win == 0
        if np.count_nonzero(shares) != len(win):
            wrong = win[~np.isin(win, (0, 0.5, 1))][0]
            raise UserError(f"win is {wrong} of a comparison; give 1, 0, or 0.5 for a tie.")
        who = None if annotators is None else tuple(annotators)
        outcomes = Outcomes(shares, np.ones(len(win)))
        return cls(np.asarray(first), np.asarray(second), outcomes, tuple(names), who)

    @cached_property
    def clusters(self) -> np.ndarray | None:
        """A number for what belongs together: whom a comparison is by, else its ballot.

        Shape `(n,)`; None where each comparison stands alone.
        """
        if self.annotators is None:
            return self.ballots
        alone = np.arange(len(self)) if self.ballots is None else self.ballots
        keys = [
            (True, alone[row]) if who is None else (False, who)
            for row, who in enumerate(self.annotators)
        ]
        return numbers_in_order(keys)

    def __len__(self) -> int:
        return len(self.first)

    @property
    def num_items(self) -> int:
        """Of names; without, up to the largest number."""
        return len(self.names) or int(max(self.first.max(), self.second.max())) + 1

    def selected(self, keep: np.ndarray) -> "ItemComparisons":
        """Those of some indices, or where `keep` is true; weights are 1 on average again."""
        kept = self.taken(keep)
        return kept._of_weight(normalize_weights(kept.outcomes.weight))

    def _of_weight(self, weight: np.ndarray) -> "ItemComparisons":
        return replace(self, outcomes=replace(self.outcomes, weight=weight))

    @property
    def num_votes(self) -> np.ndarray:
        """How many independent votes each comparison is, whatever they count, shape `(n,)`."""
        weight = self.outcomes.weight
        if self.importance is None:
            return weight
        return np.divide(weight, self.importance, out=np.zeros(len(weight)), where=weight > 0)

    @property
    def squared(self) -> "ItemComparisons":
        """The same with the square of each vote's importance, of which scores' variances are."""
        if self.importance is None:
            return self
        return self._of_weight(self.outcomes.weight * self.importance)

    def taken(self, keep: np.ndarray) -> "ItemComparisons":
        """Those of some indices, or where `keep` is true, each with its own weight."""
        numbers = np.arange(len(self))[keep]
        who, groups = (
            None if names is None else tuple(names[number] for number in numbers)
            for names in (self.annotators, self.groups)
        )
        ballots = None if self.ballots is None else self.ballots[keep]
        importance = None if self.importance is None else self.importance[keep]
        first, second, outcomes = self.first[keep], self.second[keep], self.outcomes[keep]
        return ItemComparisons(
            first, second, outcomes, self.names, who, ballots, groups, importance
        )

    def summed(self) -> "ItemComparisons":
        """One comparison for each ordered pair, with the same likelihood but for a factor.

        Votes on a pair are sufficient by their sums. Each goes to the order in which it is a win,
        and a tie to that of the lower number, so that half of the grades need no probability.
        """
        size = self.num_items
        codes, votes = self._votes_by_pair(size)
        middle = self.outcomes.num_grades
        first, second = codes // size, codes % size
        # the other order of each pair: where it is, and its votes
        place = np.searchsorted(codes, second * size + first)
        place[place == len(codes)] = 0
        known = codes[place] == second * size + first
        turned = np.where(known[:, None], votes[place], 0.0)[:, ::-1]
        lacking = ~known & (votes[:, : middle + 1].sum(1) > 0)
        first, second = (
            np.concatenate([first, second[lacking]]),
            np.concatenate([second, first[lacking]]),
        )
        summed = np.concatenate([votes + turned, votes[lacking][:, ::-1]])
        summed[first == second] /= 2  # of an item with itself both orders are one
        summed[first == second, middle + 1 :] *= 2
        summed[:, :middle] = 0.0
        summed[first > second, middle] = 0.0
        order = np.argsort(first * size + second)
        total = summed.sum(1)
        used = order[total[order] > 0]
        return ItemComparisons(
            first[used],
            second[used],
            Outcomes(summed[used] / total[used, None], normalize_weights(total[used])),
            self.names,
        )

    def _votes_by_pair(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes first · size + second in order, and the votes of each grade, `(pairs, 2G + 1)`."""
        codes = self.first * np.int64(size) + self.second
        weighted = (self.outcomes.weight * shares for shares in self.outcomes.shares.T)
        if size * size <= 4 * len(codes) + 2**16:  # counting is quicker than sorting
            votes = np.stack([np.bincount(codes, each, size * size) for each in weighted], 1)
            seen = np.flatnonzero(votes.any(1))
            return seen, votes[seen]
        seen, index = np.unique(codes, return_inverse=True)
        return seen, np.stack([np.bincount(index, each) for each in weighted], 1)


def read_votes(votes: Any) -> ItemComparisons:
    """Votes on items that have names, from a table or from preference data; texts are items.

    A table is a list of rows or a DataFrame: two items in `first` and `second` (or `item_a`,
    `item_b`), with any outcome that preference data may have, such as `wins` and `losses`, or
    `winner` (the item, or its column, or tie); or `winner` and `loser`. A ranking of K counts as
    all its pairs, each of weight 2/K.

    Args:
        votes: A table, `Comparisons`, or whatever `load_comparisons` reads.

    Raises:
        UserError: The votes cannot be read, or two items have one name when written out.
    """
    comparisons, original = comparisons_of(votes)
    numbers: dict[str, int] = {}
    first, second, shares, counts, own, annotators, groups = [], [], [], [], [], [], []
    ballots, number, of_before = [], -1, None
    for pair in comparisons.pairs():
        number += pair.comparison is not of_before
        of_before = pair.comparison
        ballots.append(number)
        for text, indices in ((pair.first, first), (pair.second, second)):
            indices.append(numbers.setdefault(_name(text), len(numbers)))
        shares.append(pair.comparison.outcome.shares)
        counts.append(pair_votes(pair.comparison))
        own.append(pair.comparison.weight)
        annotators.append(pair.comparison.annotator)
        groups.append(pair.comparison.group)
    weight, importance = weighted_votes(np.array(counts), np.array(own))
    return ItemComparisons(
        np.array(first),
        np.array(second),
        Outcomes(np.array(shares), weight),
        tuple(original.get(name, name) for name in numbers),
        None if all(name is None for name in annotators) else tuple(annotators),
        np.array(ballots) if number + 1 < len(ballots) else None,
        None if all(name is None for name in groups) else tuple(groups),
        importance,
    )


def weighted_votes(votes: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights of comparisons from their numbers of votes and the rows' own weights, and importance.

    The rows' own weights are divided by their mean over all votes, so that only ratios matter.
    """
    total = float(votes @ own)
    if not total > 0 or (own == own[0]).all():
        return votes * (own > 0), None
    importance = own * (float(votes.sum()) / total)
    return votes * importance, importance


def comparisons_of(
    votes: Any, source: str | None = None
) -> tuple[Comparisons, dict[str, Hashable]]:
    """What `read_votes` reads, with its items as texts, and what each was before it was a text.

    `source` is what messages call the rows of a list.
    """
    original: dict[str, Hashable] = {}
    if isinstance(votes, Comparisons):
        return votes, original
    rows = votes.to_dict("records") if hasattr(votes, "to_dict") else votes
    if isinstance(rows, list | tuple) and all(isinstance(row, Mapping) for row in rows):
        votes = [_as_comparison(row, original) for row in rows]
        if source is not None:
            return Comparisons.from_rows(votes, source), original
    return load_comparisons(votes), original


def _as_comparison(row: Mapping[str, Any], original: dict[str, Hashable]) -> Mapping[str, Any]:
    """A row with its items as responses; `original` gets what each was before it was text."""
    columns = next((pair for pair in ITEM_COLUMNS if all(name in row for name in pair)), None)
    if columns is None:
        return row
    import pandas as pd  # slow to import

    items = [row[name] for name in columns]
    for name, item in zip(columns, items, strict=True):
        missing = item is None or item is pd.NA or item is pd.NaT
        if not isinstance(item, Hashable) or missing or item != item:
            raise UserError(
                f"column {name!r} is {item!r} in {dict(row)}; give what the item is called."
            )
        if original.setdefault(str(item), item) != item:
            raise UserError(
                f"two items are called {str(item)!r}: {original[str(item)]!r} and {item!r}; "
                "rename one."
            )
    rest = {name: value for name, value in row.items() if name not in columns}
    if isinstance(rest.get("winner"), Hashable) and "winner" in rest:
        side = dict(zip([*columns, *items], "abab", strict=True))
        rest["winner"] = side.get(rest["winner"], rest["winner"])
    return dict(zip(ITEM_COLUMNS[columns], map(str, items), strict=True)) | rest


def _name(text: Text) -> str:
    return text if isinstance(text, str) else json.dumps(text, default=dict)
