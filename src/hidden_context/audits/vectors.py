"""Vectors of texts as heads read them: standardised, turned to their principal axes, and cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hidden_context.errors import UserError

MOST_COMPONENTS = 256
"""Width from which on vectors are cut: a head on more is slower and, from a few thousand
comparisons, no better (docs/decisions/0014-audit.md)."""
ROWS_AT_ONCE = 4096
NO_VARIANCE = 1e-6
"""A standard deviation below this share of the largest is rounding."""


class States(Protocol):
    """States of texts: an array, or files that are read as they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Texts, then width."""
        ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """Shape `(len(rows), width)`."""
        ...


@dataclass(frozen=True, eq=False)
class Axes:
    """An affine map of states: standardised, then turned, so that E‖x‖² = 1 over the texts.

    Turning changes neither a head nor a ridge on it, but lets an optimiser that scales each
    coordinate converge in few steps. The axes are those of the variance between texts and that
    within comparisons, added, so that what only tells prompts apart does not crowd out the rest.
    """

    mean: np.ndarray
    """Of each state, shape `(width,)`."""
    turn: np.ndarray
    """Shape `(width, num_components)`."""

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Shape `(n, width)` to `(n, num_components)`, float32."""
        return (np.asarray(states, np.float32) - self.mean) @ self.turn


def find_axes(
    states: States, first: np.ndarray, second: np.ndarray, *, most: int = MOST_COMPONENTS
) -> Axes:
    """The axes of the states of texts that are compared. No outcome is looked at.

    Args:
        states: Of all texts, shape `(texts, width)`.
        first: Row of `states` of the first text of each comparison, shape `(n,)`.
        second: Of the second.
        most: Components to keep.

    Raises:
        UserError: The two texts of every comparison have the same state.
    """
    width = states.shape[1]
    rows = np.unique(np.concatenate([first, second]))
    total, squares = np.zeros(width), np.zeros((width, width))
    for block in blocks(rows):
        taken = _taken(states, block)
        total += taken.sum(0, dtype=np.float64)
        squares += taken.T @ taken
    mean = total / len(rows)
    between = squares / len(rows) - np.outer(mean, mean)
    within = np.zeros((width, width))
    pairs = np.arange(len(first))
    for block in blocks(pairs):
        difference = _taken(states, first[block]) - _taken(states, second[block])
        within += difference.T @ difference
    within /= 2 * len(first)
    if not (np.diag(within) > 0).any():
        raise UserError(
            "the two texts of every comparison have the same vector, so nothing can be learned; "
            "check that the texts differ, or give another --model_name."
        )
    std = np.sqrt(np.maximum(np.diag(between), 0))
    varies = std > NO_VARIANCE * std.max()
    scale = np.where(varies, 1 / np.where(varies, std, 1.0), 0.0)
    both = (between + within) * np.outer(scale, scale)
    _, axes = np.linalg.eigh(both)
    axes = axes[:, ::-1][:, : min(most, int(varies.sum()))]
    turn = scale[:, None] * axes
    size = np.einsum("ij,ik,kj->", turn, between, turn)
    return Axes(mean.astype(np.float32), (turn / np.sqrt(size)).astype(np.float32))


class TextVectors(Protocol):
    """Anything that gives heads a vector for each row."""

    @property
    def width(self) -> int:
        """Of a vector."""
        ...

    def __getitem__(self, rows: np.ndarray, /) -> Tensor:
        """Shape `(len(rows), width)`, float32."""
        ...


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of some texts, in memory or made from states as they are asked for."""

    states: States
    """Shape `(any, width)`; or the vectors themselves where `axes` is None."""
    axes: Axes | None
    width: int
    """Of a vector."""
    rows: np.ndarray | None = None
    """Of `states`, for each text, if not as they are."""

    def __getitem__(self, texts: np.ndarray) -> Tensor:
        """Shape `(len(texts), width)`, float32."""
        taken = _taken(self.states, texts if self.rows is None else self.rows[texts])
        vectors = taken if self.axes is None else self.axes(taken)
        return torch.from_numpy(np.ascontiguousarray(vectors))


def make_vectors(
    states: States, axes: Axes, *, rows: np.ndarray | None = None, memory: int
) -> Vectors:
    """Keep the vectors in memory if they take at most `memory` bytes.

    Args:
        states: Shape `(any, width)`.
        axes: Of these states.
        rows: Of which states, shape `(texts,)`; all if not given.
        memory: In bytes.
    """
    rows = np.arange(states.shape[0]) if rows is None else rows
    width = axes.turn.shape[1]
    if 4 * len(rows) * width > memory:
        return Vectors(states, axes, width, rows)
    kept = np.empty((len(rows), width), np.float32)
    for block in blocks(np.arange(len(rows))):
        kept[block] = axes(_taken(states, rows[block]))
    return Vectors(kept, None, width)


def _taken(states: States, rows: np.ndarray) -> np.ndarray:
    return np.asarray(states[rows], np.float32)


def blocks(rows: np.ndarray, size: int = ROWS_AT_ONCE) -> Iterator[np.ndarray]:
    """The rows in order, at most `size` at once."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
