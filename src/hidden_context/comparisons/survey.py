"""What the columns of a data set hold, seen in all rows before one is read."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hidden_context.comparisons.texts import is_serialized
from hidden_context.errors import UserError

WORDS_OF_A_TEXT = 4
"""From here on a value may be something that was said, rather than a label."""


@dataclass
class Column:
    """What is in one column."""

    num_filled: int = 0
    """Rows in which it holds anything; NaN is nothing."""
    num_serialized: int = 0
    """Rows in which a list may be written as text."""
    num_texts: int = 0
    """Rows in which it holds words or turns."""

    @property
    def is_serialized(self) -> bool:
        """Whether lists are written as text, in all rows: one row alone may quote such a list."""
        return self.num_serialized == self.num_filled

    @property
    def is_text(self) -> bool:
        """Whether most of what it holds are texts or conversations."""
        return 2 * self.num_texts > self.num_filled


def survey(
    rows: Iterable[Mapping[str, Any]], ignored: Collection[str] = ()
) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The columns that hold anything in any row, and those that do not; without those to ignore.

    Raises:
        UserError: A column to ignore is not there.
    """
    columns: dict[str, Column] = {}
    seen: dict[str, None] = {}
    for row in rows:
        for name, value in row.items():
            seen[name] = None
            if not is_missing(value):
                column = columns.setdefault(name, Column())
                column.num_filled += 1
                column.num_serialized += is_serialized(value)
                column.num_texts += _is_said(value)
    for name in ignored:
        if name not in seen:
            raise UserError(
                f"ignore_columns: there is no column {name!r}; columns present: "
                f"{', '.join(map(str, seen))}."
            )
        columns.pop(name, None)
    filled = {name: columns[name] for name in seen if name in columns}
    return filled, tuple(name for name in seen if name not in filled and name not in ignored)


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, or NaN in its place."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, as files of several kinds write it."""
    return is_missing(value) or str(value).strip() in ("", "nan")


def _is_said(value: Any) -> bool:
    if isinstance(value, str):
        return len(value.split(None, WORDS_OF_A_TEXT)) >= WORDS_OF_A_TEXT
    return isinstance(value, list) and any(isinstance(turn, Mapping) for turn in value)
