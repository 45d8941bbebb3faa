"""Rows that are read again each time they are gone through, so that they need not fit in memory."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import compress, islice
from typing import TypeVar

import numpy as np

T = TypeVar("T", covariant=True)
S = TypeVar("S")


class Streamed(Collection[T]):
    """A collection that holds nothing but how to go through it."""

    def __init__(self, read: Callable[[], Iterable[T]], count: int) -> None:
        """Of `count` things; `read` starts at the beginning each time that it is called."""
        self._read = read
        self._count = count

    def __iter__(self) -> Iterator[T]:
        return iter(self._read())

    def __len__(self) -> int:
        return self._count

    def __contains__(self, wanted: object) -> bool:
        return any(row == wanted for row in self)


def mapped(function: Callable[[T], S], rows: Collection[T]) -> Collection[S]:
    """`function` of each row: a list of a list, streamed if `rows` are."""
    if isinstance(rows, Streamed):
        return Streamed(lambda: map(function, rows), len(rows))
    return [function(row) for row in rows]


def enumerated(rows: Collection[T]) -> Collection[tuple[int, T]]:
    """Each row with its number, from 1: a list of a list, streamed if `rows` are."""
    if isinstance(rows, Streamed):
        return Streamed(lambda: enumerate(rows, start=1), len(rows))
    return list(enumerate(rows, start=1))


def selected(rows: Collection[T], keep: Collection[bool]) -> Collection[T]:
    """The rows to keep, in order: a list of a list, streamed if `rows` are."""
    if isinstance(rows, Streamed):
        return Streamed(lambda: compress(rows, keep), sum(keep))
    return list(compress(rows, keep))


def between(rows: Collection[T], start: int, stop: int) -> Collection[T]:
    """The rows from `start` to before `stop`, of which none is read beyond that."""
    if isinstance(rows, Streamed):
        return Streamed(lambda: islice(rows, start, stop), max(0, min(stop, len(rows)) - start))
    return list(islice(rows, start, stop))


def rows_at(rows: Collection[T], numbers: np.ndarray) -> Collection[T]:
    """The rows of these numbers, counted from 0; streamed if `rows` are and the order stays."""
    keep = np.isin(np.arange(len(rows)), numbers)
    kept = selected(rows, keep.tolist())
    if (np.diff(numbers) > 0).all():
        return kept
    by_number = dict(zip(np.flatnonzero(keep).tolist(), kept, strict=True))
    return [by_number[number] for number in numbers.tolist()]


def chained(parts: Iterable[Collection[T]]) -> Collection[T]:
    """One part after the other: a list if all of them are."""
    parts = list(parts)
    if any(isinstance(part, Streamed) for part in parts):
        return Streamed(lambda: (row for part in parts for row in part), sum(map(len, parts)))
    return [row for part in parts for row in part]
