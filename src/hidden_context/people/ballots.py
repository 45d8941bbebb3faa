"""Comparisons of items by who made them."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from hidden_context.errors import UserError
from hidden_context.items.votes import read_votes

MOST_CELLS = 2**16
"""Comparisons of people that are computed at one time, padding included."""


@dataclass(frozen=True, eq=False)
class Ballots:
    """The comparisons of V people, padded to the N of the one who made most."""

    first: np.ndarray
    """Numbers of items, shape `(V, N)`."""
    second: np.ndarray
    """Numbers of items, shape `(V, N)`."""
    shares: np.ndarray
    """Share of votes for the second, for a tie, for the first, shape `(V, N, 3)`."""
    weight: np.ndarray
    """Number of votes, shape `(V, N)`; 0 is padding."""
    items: tuple[Hashable, ...]
    """What each item is called."""
    people: tuple[Hashable, ...]
    """What each person is called, V of them."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def has_ties(self) -> bool:
        """Whether anybody said that two items are equally good."""
        return bool((self.shares[..., 1] * self.weight > 0).any())

    def selected(self, people: np.ndarray) -> Self:
        """Those of some people, by their numbers or where an array is true."""
        width = max(1, int((self.weight[people] > 0).sum(1).max(initial=0)))
        order = np.argsort(self.weight[people] == 0, axis=1, kind="stable")[:, :width]
        rows = np.arange(len(self))[people][:, None]
        names = tuple(self.people[number] for number in rows[:, 0])
        return type(self)(
            self.first[rows, order],
            self.second[rows, order],
            self.shares[rows, order],
            self.weight[rows, order],
            self.items,
            names,
        )

    def kept(self, keep: np.ndarray) -> Self:
        """Of everybody, the comparisons where `keep`, shape `(V, N)`, is true."""
        weight = np.where(keep, self.weight, 0.0)
        return type(self)(
            self.first, self.second, self.shares, weight, self.items, self.people
        ).selected(np.arange(len(self)))

    def chunks(self) -> Iterator[np.ndarray]:
        """Numbers of people with about as many comparisons, to be computed together."""
        order = np.argsort((self.weight > 0).sum(1), kind="stable")
        counts = (self.weight > 0).sum(1)[order].clip(1)
        start = 0
        for end in range(1, len(order) + 1):
            if end == len(order) or (end + 1 - start) * counts[end] > MOST_CELLS:
                yield order[start:end]
                start = end


def read_ballots(votes: Any, *, items: Sequence[Hashable] | None = None) -> Ballots:
    """Comparisons by person, from a table or preference data with a column of annotators.

    Strengths of preference count as what they prefer. A ranking of K counts as all of its pairs,
    each of weight 2/K.

    Args:
        votes: Whatever `read_votes` reads.
        items: What items are called, if not only those that are compared.

    Raises:
        UserError: The votes cannot be read, an item is not among `items`, or it is not known who
            made a comparison.
    """
    read = read_votes(votes)
    if read.annotators is None:
        raise UserError("nothing says who compared; give a column annotator with a name for each.")
    unnamed = [number for number, name in enumerate(read.annotators) if name is None]
    if unnamed:
        raise UserError(
            f"comparison {unnamed[0] + 1} does not say who made it ({len(unnamed)} do not); leave "
            "these out, or name the annotators."
        )
    names = read.names if items is None else tuple(items)
    number_of = {name: number for number, name in enumerate(names)}
    unknown = [name for name in read.names if name not in number_of]
    if unknown:
        raise UserError(f"item {unknown[0]!r} is not among the {len(names)} items that are known.")
    renumbered = np.array([number_of[name] for name in read.names])
    people = tuple(dict.fromkeys(read.annotators))
    person_of = {name: number for number, name in enumerate(people)}
    person = np.array([person_of[name] for name in read.annotators])
    order = np.argsort(person, kind="stable")
    place = np.arange(len(order)) - np.searchsorted(person[order], person[order])
    grades = read.outcomes.num_grades
    shares = read.outcomes.shares
    collapsed = np.stack(
        [shares[:, :grades].sum(1), shares[:, grades], shares[:, grades + 1 :].sum(1)], 1
    )
    size = (len(people), int(place.max()) + 1)

    def padded(values: np.ndarray) -> np.ndarray:
        by_person = np.zeros((*size, *values.shape[1:]), values.dtype)
        by_person[person[order], place] = values[order]
        return by_person

    return Ballots(
        padded(renumbered[read.first]),
        padded(renumbered[read.second]),
        padded(collapsed),
        padded(read.outcomes.weight),
        names,
        people,
    )
