"""Rows by prompt: the unit in which data are sampled, resampled and cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hidden_context.errors import UserError

PromptLabels = Sequence[Any] | np.ndarray
"""The prompt of each row, n labels that can be sorted: texts or numbers."""


@dataclass(frozen=True, eq=False)
class PromptGroups:
    """Which rows (responses or comparisons) belong to one prompt."""

    labels: np.ndarray
    """Label of each prompt, sorted, shape `(m,)`."""
    group: np.ndarray
    """Number of each row's prompt, 0 to m - 1, shape `(n,)`."""
    num_rows: np.ndarray
    """Rows of each prompt, shape `(m,)`."""

    @property
    def num_prompts(self) -> int:
        """Number of different prompts, m."""
        return len(self.num_rows)

    @cached_property
    def order(self) -> np.ndarray:
        """Row numbers, prompt after prompt, shape `(n,)`."""
        return np.argsort(self.group, kind="stable")

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each prompt begins in `order`, shape `(m,)`."""
        return np.cumsum(self.num_rows) - self.num_rows

    @cached_property
    def rows(self) -> list[np.ndarray]:
        """Row numbers of each prompt."""
        return np.split(self.order, self.starts[1:])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each prompt's rows of the last axis: `(..., n)` to `(..., m)`."""
        return np.add.reduceat(values[..., self.order], self.starts, axis=-1)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean over each prompt's rows of the last axis: `(..., n)` to `(..., m)`."""
        return self.sums(values) / self.num_rows

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Every two rows of one prompt once, the earlier row first: two vectors of row numbers."""
        pairs = [rows[np.array(np.triu_indices(len(rows), k=1))] for rows in self.rows]
        first, second = np.concatenate(pairs, axis=1)
        return first, second


def group_prompts(prompts: PromptLabels, *, num_rows: int | None = None) -> PromptGroups:
    """Group rows by prompt; `num_rows` is their number, where it is known.

    Raises:
        UserError: The lengths differ, or there are no prompts.
    """
    labels = np.asarray(prompts)
    if labels.ndim != 1 or (num_rows is not None and len(labels) != num_rows):
        expected = "(n,)" if num_rows is None else f"({num_rows},)"
        raise UserError(
            f"prompts has shape {labels.shape}; expected {expected}, the prompt of each row."
        )
    if len(labels) == 0:
        raise UserError("there are 0 prompts; at least 1 is needed.")
    return PromptGroups(*np.unique(labels, return_inverse=True, return_counts=True))


def with_several_rows(groups: PromptGroups) -> np.ndarray:
    """Numbers of the rows whose prompt has at least two, in their order.

    Raises:
        UserError: No prompt has two rows.
    """
    rows = np.flatnonzero(groups.num_rows[groups.group] >= 2)
    if len(rows) == 0:
        raise UserError(
            "no prompt has two responses, so nothing varies within one; "
            "give every response of a prompt the same prompt label."
        )
    return rows
