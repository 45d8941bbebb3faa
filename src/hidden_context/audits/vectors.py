"""Vectors of texts as heads read them: standardised, turned to their principal axes, and cut."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

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
Row = TypeVar("Row", covariant=True)


class Rows(Protocol[Row]):
    """Rows of one width, in memory or read or made as they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Texts, then width."""
        ...

    def __getitem__(self, rows: np.ndarray, /) -> Row:
        """Shape `(len(rows), width)`."""
        ...


States: TypeAlias = Rows[np.ndarray]
TextVectors: TypeAlias = Rows[Tensor]
"""What heads are on, float32."""


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
        taken = np.asarray(states[block], np.float32)
        total += taken.sum(0, dtype=np.float64)
        squares += taken.T @ taken
    mean = total / len(rows)
    between = squares / len(rows) - np.outer(mean, mean)
    within = np.zeros((width, width))
    pairs = np.arange(len(first))
    for block in blocks(pairs):
        difference = np.subtract(states[first[block]], states[second[block]], dtype=np.float32)
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


@dataclass(frozen=True, eq=False)
class VectorsOnDemand:
    """Vectors that are made from states whenever they are asked for."""

    states: States
    axes: Axes
    rows: np.ndarray
    """Of `states`, for each text."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.axes.turn.shape[1]

    def __getitem__(self, texts: np.ndarray) -> Tensor:
        vectors = self.axes(self.states[self.rows[texts]])
        return torch.from_numpy(np.ascontiguousarray(vectors))


def make_vectors(states: States, axes: Axes, rows: np.ndarray, *, memory: int) -> TextVectors:
    """Vectors of some rows of states, kept in memory if they take at most `memory` bytes."""
    on_demand = VectorsOnDemand(states, axes, rows)
    if 4 * math.prod(on_demand.shape) > memory:
        return on_demand
    kept = torch.empty(on_demand.shape)
    for block in blocks(np.arange(len(rows))):
        kept[block] = on_demand[block]
    return kept


def blocks(rows: np.ndarray, size: int = ROWS_AT_ONCE) -> Iterator[np.ndarray]:
    """The rows in order, at most `size` at once."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
