"""Comparisons of items known by their numbers, and how tables of votes become them."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.texts import Text
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
    """What was observed, for `first`; NumPy arrays. The sum of the weights counts as the number of
    independent votes."""
    names: tuple[Hashable, ...] = ()
    """What each item is called; empty if by its number."""
    annotators: tuple[str | None, ...] | None = None
    """Who made each comparison, where the votes say it; None for one of which they do not."""

    def __post_init__(self) -> None:
        sizes = {len(self.first), len(self.second), len(self.outcomes.weight)}
        if len(sizes) > 1 or sizes == {0}:
            raise UserError(f"items and outcomes have lengths {sorted(sizes)}; give one each.")
        for items in (self.first, self.second):
            if not np.issubdtype(items.dtype, np.integer):
                raise UserError(f"items are {items.dtype}; give their numbers, integers from 0.")
        shares, weight = self.outcomes.shares, self.outcomes.weight
        valid = (shares >= 0).all(-1) & (abs(shares.sum(-1) - 1) < 1e-5)
        valid &= (weight >= 0) & np.isfinite(weight)
        if not valid.all():
            number = int(np.flatnonzero(~valid)[0])
            raise UserError(
                f"comparison {number} has shares {shares[number].tolist()} and weight "
                f"{weight[number]}; give shares that sum to 1, and a finite weight, 0 or more."
            )
        if not weight.any():
            raise UserError("all weights are 0; give some that are not.")

    @classmethod
    def won(cls, winner: np.ndarray, loser: np.ndarray) -> "ItemComparisons":
        """Ordinary comparisons, of the preferred items with the others."""
        shares = np.tile([0.0, 0.0, 1.0], (len(winner), 1))
        return cls(winner, loser, Outcomes(shares, np.ones(len(winner))))

    def __len__(self) -> int:
        return len(self.first)

    @property
    def num_items(self) -> int:
        """Of names; without, up to the largest number."""
        return len(self.names) or int(max(self.first.max(), self.second.max())) + 1

    def selected(self, keep: np.ndarray) -> "ItemComparisons":
        """Those of some indices, or where `keep` is true; weights are 1 on average again."""
        kept = self.outcomes[keep]
        kept = replace(kept, weight=normalize_weights(kept.weight))
        who = self.annotators
        if who is not None:
            who = tuple(who[number] for number in np.arange(len(self))[keep])
        return ItemComparisons(self.first[keep], self.second[keep], kept, self.names, who)

    def summed(self) -> "ItemComparisons":
        """One comparison for each ordered pair, with the same likelihood but for a factor.

        Votes on a pair are sufficient by their sums. Each goes to the order in which it is a win,
        and a tie to that of the lower number, so that half of the grades need no probability.
        """
        middle = self.outcomes.num_grades
        votes = self.outcomes.shares * self.outcomes.weight[:, None]
        votes = np.concatenate([votes, votes[:, ::-1]])
        votes[:, :middle] = 0.0
        high_first = np.concatenate([self.first > self.second, self.second >= self.first])
        votes[high_first, middle] = 0.0
        first = np.concatenate([self.first, self.second])
        second = np.concatenate([self.second, self.first])
        size = int(first.max()) + 1
        codes, index = np.unique(first * size + second, return_inverse=True)
        summed = np.stack([np.bincount(index, votes_of) for votes_of in votes.T], axis=1)
        total = summed.sum(1)
        used = total > 0
        return ItemComparisons(
            codes[used] // size,
            codes[used] % size,
            Outcomes(summed[used] / total[used, None], normalize_weights(total[used])),
            self.names,
        )


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
    first, second, shares, weight, annotators = [], [], [], [], []
    for pair in comparisons.pairs():
        for text, indices in ((pair.first, first), (pair.second, second)):
            indices.append(numbers.setdefault(_name(text), len(numbers)))
        shares.append(pair.comparison.outcome.shares)
        weight.append(pair.weight)
        annotators.append(pair.comparison.annotator)
    return ItemComparisons(
        np.array(first),
        np.array(second),
        Outcomes(np.array(shares), np.array(weight)),
        tuple(original.get(name, name) for name in numbers),
        None if all(name is None for name in annotators) else tuple(annotators),
    )


def comparisons_of(votes: Any) -> tuple[Comparisons, dict[str, Hashable]]:
    """What `read_votes` reads, with its items as texts, and what each was before it was a text."""
    original: dict[str, Hashable] = {}
    if isinstance(votes, Comparisons):
        return votes, original
    rows = votes.to_dict("records") if hasattr(votes, "to_dict") else votes
    if isinstance(rows, list | tuple) and all(isinstance(row, Mapping) for row in rows):
        votes = [_as_comparison(row, original) for row in rows]
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
