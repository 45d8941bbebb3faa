"""The votes of people on pairs of responses, as arrays: what a judge is held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hidden_context.comparisons.columns import CHOSEN_REJECTED
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import Pair, pairs_of
from hidden_context.comparisons.schema import Comparison
from hidden_context.comparisons.texts import (
    Text,
    digest,
    numbers_in_order,
    numbers_of,
)
from hidden_context.errors import UserError
from hidden_context.records import json_line, require_columns


@dataclass(frozen=True, eq=False)
class Votes:
    """N entries, each one vote or several equal ones, on pairs of different texts.

    Of each pair one response is *its first*, by an order of the texts that knows no votes; signs
    are seen from it. One row of data with votes for both sides has an entry for each.
    """

    row: np.ndarray
    """Which of the pairs of the data, in their order, shape `(N,)`."""
    pair: np.ndarray
    """Number of the two texts with their prompt."""
    prompt: np.ndarray
    """Number of the prompt."""
    sign: np.ndarray
    """1 for the pair's first, -1 for its second, 0 a tie."""
    count: np.ndarray
    """How many votes."""
    weight: np.ndarray
    """How much all of them count together."""
    voter: np.ndarray
    """Number of who voted; -1 where an entry is of several people without names."""
    person: np.ndarray | None
    """Number of the annotator; None where the data do not say it of all."""
    people: tuple[str, ...]
    group: np.ndarray | None
    groups: tuple[str, ...]
    shown: np.ndarray
    """1 where the pair's first was shown first, -1 where its second was, 0 where it is unknown."""
    length: np.ndarray
    """log(1 + characters of the pair's first) - log(1 + those of its second)."""
    items: np.ndarray
    """Numbers of the pair's two responses within all, shape `(N, 2)`."""
    is_turned: np.ndarray
    """Whether the pair's first is the second of the row as `Comparisons` has it."""
    num_equal: int
    """Pairs of equal texts, which are left out."""

    def __len__(self) -> int:
        return len(self.sign)

    @cached_property
    def others(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights of other people's votes on the same pair: for its first, its second, ties."""
        return self.others_in(np.ones(len(self), bool))

    @cached_property
    def _ballot(self) -> np.ndarray:
        """Number of all that one voter says of a pair; an entry of several people is alone."""
        several = self.voter < 0
        key = np.where(several, np.arange(len(self)) + self.voter.max() + 1, self.voter)
        return np.unique(self.pair * (key.max() + 1) + key, return_inverse=True)[1].ravel()

    def others_in(self, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`others`, of some entries alone, which `part` says, shape `(N,)`."""
        one = np.where(self.voter < 0, self.weight / self.count, self.weight)
        left = []
        for sign in (1, -1, 0):
            said = part & (self.sign == sign)
            rest = np.bincount(self.pair, self.weight * said)[self.pair]
            rest = rest - np.bincount(self._ballot, one * said)[self._ballot]
            left.append(np.where(rest < 1e-9, 0.0, rest))
        return left[0], left[1], left[2]

    def in_first_order(self, values: np.ndarray) -> np.ndarray:
        """Values of both responses as rows have them, `(pairs of the data, 2, ...)`, turned."""
        of_entry = values[self.row]
        return np.where(
            self.is_turned.reshape(-1, *[1] * (of_entry.ndim - 1)), of_entry[:, ::-1], of_entry
        )

    def mean_of_pairs(self, values: np.ndarray) -> np.ndarray:
        """For each entry the mean of `values` over all entries of its pair, NaN left out."""
        known = ~np.isnan(values)
        total = np.bincount(self.pair, np.where(known, values, 0.0))
        number = np.bincount(self.pair, known)
        with np.errstate(invalid="ignore"):
            return (total / number)[self.pair]


def read_votes(comparisons: Comparisons, *, pair_column: str | None = None) -> Votes:
    """Votes on the pairs of preference data; a ranking is all its pairs, each of weight 2/K.

    Strengths of preference count as what they prefer. A row without an annotator is one voter if it
    is one vote or less, and as many as it has votes if it has more. Pairs of the same texts are one
    pair, unless `pair_column` tells them apart.

    Raises:
        UserError: All pairs are of equal texts, or no vote has weight.
    """
    if pair_column is not None:
        rows = (comparison.row for comparison in comparisons)
        require_columns(rows, (pair_column,), comparisons.source)
    names, prompts = comparisons.columns.by_role["responses"], comparisons.prompts
    columns: dict[str, list[Any]] = {}
    num_equal = 0
    for row, (number, pair) in enumerate(_numbered_pairs(comparisons)):
        shown = side_shown_first(pair.comparison, names)
        about = _about(pair, int(prompts[number]), pair_column, shown=shown)
        if about is None:
            num_equal += 1
            continue
        voter = pair.comparison.annotator or f"\0{number}"
        for said in _said(pair, is_turned=about["is_turned"]):
            for name, value in {"row": row, "voter": voter, **about, **said}.items():
                columns.setdefault(name, []).append(value)
    if not columns:
        raise UserError(
            f"{comparisons.source}: no votes to hold a judge against; {num_equal} pairs are of "
            "equal texts, and the others have no weight."
        )
    return _votes_of(columns, num_equal)


def _numbered_pairs(comparisons: Comparisons) -> Iterator[tuple[int, Pair]]:
    """The pairs of the data in their order, each with the number of its comparison."""
    for number, comparison in enumerate(comparisons):
        for pair in pairs_of([comparison]):
            yield number, pair


def _about(
    pair: Pair, prompt: int, pair_column: str | None, *, shown: int
) -> dict[str, Any] | None:
    """What all votes on a pair have in common; None for equal texts."""
    comparison, keys = pair.comparison, (_key(pair.first), _key(pair.second))
    if keys[0] == keys[1]:
        return None
    is_turned = keys[0] > keys[1]
    turn = -1 if is_turned else 1
    low, high = (key.hex() for key in sorted(keys))
    told_apart = "" if pair_column is None else comparison.row[pair_column]
    logs = np.log1p(pair.lengths)
    return {
        "pair": f"{prompt} {low} {high} {told_apart}",
        "prompt": prompt,
        "is_several": comparison.annotator is None and comparison.outcome.votes > 1,
        "is_named": comparison.annotator is not None,
        "group": comparison.group,
        "shown": turn * shown,
        "length": turn * (logs[0] - logs[1]),
        "items": (f"{prompt} {low}", f"{prompt} {high}"),
        "is_turned": is_turned,
    }


def _said(pair: Pair, *, is_turned: bool) -> Iterator[dict[str, float]]:
    """Sign, number and weight of the votes on a pair, for each side that has some."""
    votes = pair.comparison.outcome.votes
    for sign, share in zip((1, -1, 0), _shares(pair), strict=True):
        if share > 0 and pair.weight > 0:
            turned = -sign if is_turned else sign
            yield {"sign": turned, "count": share * votes, "weight": share * pair.weight}


def _votes_of(columns: dict[str, list[Any]], num_equal: int) -> Votes:
    """Numbers in place of names, and nobody where not all are named."""
    items = [item for both in columns.pop("items") for item in both]
    voters, groups = columns.pop("voter"), columns.pop("group")
    people, names_of_groups = tuple(dict.fromkeys(voters)), tuple(dict.fromkeys(groups))
    of_voter, of_group = (numbers_in_order(names) for names in (voters, groups))
    pair = numbers_of(columns.pop("pair"))
    arrays = {name: np.array(values) for name, values in columns.items()}
    arrays["prompt"] = np.unique(arrays["prompt"], return_inverse=True)[1]
    is_several, are_named = arrays.pop("is_several"), arrays.pop("is_named").all()
    are_grouped = None not in names_of_groups
    return Votes(
        **arrays,
        pair=pair,
        voter=np.where(is_several, -1, of_voter),
        items=numbers_of(items).reshape(-1, 2),
        person=of_voter if are_named else None,
        people=people if are_named else (),
        group=of_group if are_grouped else None,
        groups=tuple(name for name in names_of_groups if name is not None),
        num_equal=num_equal,
    )


def side_shown_first(comparison: Comparison, names: Sequence[str]) -> int:
    """1 if a row has the comparison's first text in the first of its columns, -1 if in the second.

    0 where no order is known: `chosen` and `rejected` say who won, not what was shown first.
    """
    if tuple(names) == CHOSEN_REJECTED or len(comparison.texts) != 2:
        return 0
    return 1 if comparison.order == (0, 1) else -1


def order_of_row(comparison: Comparison, names: Sequence[str]) -> int:
    """-1 where a row's first response is the comparison's second, else 1.

    As `side_shown_first`; `chosen` and `rejected` are the comparison's first and second.
    """
    return -1 if side_shown_first(comparison, names) < 0 else 1


def _shares(pair: Pair) -> tuple[float, float, float]:
    """Of the votes, for the first, for the second, for a tie."""
    shares = pair.comparison.outcome.shares
    middle = len(shares) // 2
    return sum(shares[middle + 1 :]), sum(shares[:middle]), shares[middle]


def _key(text: Text) -> bytes:
    return digest(text if isinstance(text, str) else json_line({"text": text}).decode())
