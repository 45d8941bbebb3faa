"""Comparisons of items by who made them."""

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from hidden_context.audits.comparison_table import Reads, text_read
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.prompt_columns import PROMPT_ID
from hidden_context.comparisons.schema import prompt_key
from hidden_context.comparisons.texts import Text, numbers_of
from hidden_context.errors import UserError
from hidden_context.items.votes import comparisons_of, read_votes

MOST_CELLS = 2**16
"""Comparisons of people that are computed at one time, padding included."""
MOST_PADDING = 2
"""How many times as many comparisons one of them may have made as another."""


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
    prompts: np.ndarray | None = None
    """Number of the prompt of each comparison, from 0, shape `(V, N)`; where it is known."""
    texts: tuple[Text, ...] | None = None
    """What each item is as a text, where items are texts."""

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
        return replace(
            self,
            first=self.first[rows, order],
            second=self.second[rows, order],
            shares=self.shares[rows, order],
            weight=self.weight[rows, order],
            people=tuple(self.people[number] for number in rows[:, 0]),
            prompts=None if self.prompts is None else self.prompts[rows, order],
        )

    def kept(self, keep: np.ndarray) -> Self:
        """Of everybody, the comparisons where `keep`, shape `(V, N)`, is true."""
        return replace(self, weight=np.where(keep, self.weight, 0.0)).selected(np.arange(len(self)))

    def chunks(self) -> Iterator[np.ndarray]:
        """Numbers of people with about as many comparisons, to be computed together."""
        order = np.argsort((self.weight > 0).sum(1), kind="stable")
        counts = (self.weight > 0).sum(1)[order].clip(1)
        start = 0
        for end in range(1, len(order) + 1):
            if end < len(order):
                is_like = counts[end] <= MOST_PADDING * counts[start]
                if is_like and (end + 1 - start) * counts[end] <= MOST_CELLS:
                    continue
            yield order[start:end]
            start = end


def read_ballots(
    votes: Any,
    *,
    items: Sequence[Hashable] | None = None,
    reads: Reads | None = None,
    default: str | None = None,
) -> Ballots:
    """Comparisons by person, from a table or preference data with a column of annotators.

    Strengths of preference count as what they prefer. A ranking of K counts as all of its pairs,
    each of weight 2/K.

    Args:
        votes: Whatever `read_votes` reads.
        items: What items are called, if not only those that are compared.
        reads: What of a response is an item, where responses are read as texts; see `Reads`.
        default: Who made the comparisons, where no column says it.

    Raises:
        UserError: The votes cannot be read, an item is not among `items`, or it is not known who
            made a comparison.
    """
    comparisons, original = comparisons_of(votes)
    read = read_votes(comparisons)
    names, numbers, texts = read.names, np.stack([read.first, read.second]), None
    if reads is not None:
        names, numbers, texts = _texts_read(comparisons, reads)
    named = read.annotators
    if named is None and default is not None:
        named = (default,) * len(read)
    annotators = _annotators(named)
    names = tuple(original.get(str(name), name) for name in names)
    if items is not None:
        number_of = {name: number for number, name in enumerate(items)}
        unknown = [name for name in names if name not in number_of]
        if unknown:
            raise UserError(
                f"item {unknown[0]!r} is not among the {len(items)} items that are known."
            )
        numbers = np.array([number_of[name] for name in names])[numbers]
        names = tuple(items)
    grades, shares = read.outcomes.num_grades, read.outcomes.shares
    three = [shares[:, :grades].sum(1), shares[:, grades], shares[:, grades + 1 :].sum(1)]
    people = tuple(dict.fromkeys(annotators))
    person_of = {name: number for number, name in enumerate(people)}
    person = np.array([person_of[name] for name in annotators])
    order = np.argsort(person, kind="stable")
    place = np.arange(len(order)) - np.searchsorted(person[order], person[order])
    size = (len(people), int(place.max()) + 1)

    def padded(values: np.ndarray) -> np.ndarray:
        by_person = np.zeros((*size, *values.shape[1:]), values.dtype)
        by_person[person[order], place] = values[order]
        return by_person

    return Ballots(
        padded(numbers[0]),
        padded(numbers[1]),
        padded(np.stack(three, 1)),
        padded(read.outcomes.weight),
        names,
        people,
        padded(numbers_of(_prompts(comparisons))),
        texts,
    )


def _annotators(names: Sequence[str | None] | None) -> list[str]:
    if names is None:
        raise UserError("nothing says who compared; give a column annotator with a name for each.")
    unnamed = [number for number, name in enumerate(names) if name is None]
    if unnamed:
        raise UserError(
            f"comparison {unnamed[0] + 1} does not say who made it ({len(unnamed)} do not); leave "
            "these out, or name the annotators."
        )
    return [name for name in names if name is not None]


def _texts_read(
    comparisons: Comparisons, reads: Reads
) -> tuple[tuple[str, ...], np.ndarray, tuple[Text, ...]]:
    """Names of all texts, numbers of both of each pair, shape `(2, n)`, and the texts."""
    number_of: dict[str, int] = {}
    texts: list[Text] = []
    pairs = []
    for pair in comparisons.pairs():
        both = [text_read(text, pair.comparison, reads) for text in (pair.first, pair.second)]
        names = [text if isinstance(text, str) else json.dumps(text, default=dict) for text in both]
        for name, text in zip(names, both, strict=True):
            if number_of.setdefault(name, len(texts)) == len(texts):
                texts.append(text)
        pairs.append([number_of[name] for name in names])
    return tuple(number_of), np.array(pairs).T, tuple(texts)


def _prompts(comparisons: Comparisons) -> Iterable[str]:
    """The prompt of each pair, or what the column `prompt_id` says of it."""
    for pair in comparisons.pairs():
        given = pair.comparison.prompt_id
        yield prompt_key(pair.comparison) if given is None else f"{PROMPT_ID} {given}"
