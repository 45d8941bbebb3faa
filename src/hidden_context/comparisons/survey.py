"""What the columns of a data set hold, seen in all rows before one is read."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hidden_context.comparisons.texts import (
    OPENS_MESSAGE,
    is_serialized,
    is_written_otherwise,
    opens_list,
)
from hidden_context.errors import UserError

WORDS_OF_A_TEXT = 4
"""From here on a value may be something that was said, rather than a label."""
WITHOUT_SPACES = re.compile(r"(?:[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff].?){6}")
"""As much, in scripts without spaces between words: Thai to Burmese, Khmer, Japanese, Chinese."""
SHARE_OF_TEXTS = 1 / 4
"""A column of which more rows than these hold words is one of texts."""
SHARE_OF_CHATS = 1 / 10
"""A column of texts of which as many rows are chats written as text is no column of plain texts."""
MOST_LABELS = 12
"""A column of more values than these has no few labels."""


@dataclass
class Column:
    """What is in one column."""

    num_filled: int = 0
    """Rows in which it holds anything; NaN is nothing."""
    first: int = 0
    """The first of these, from 1."""
    num_blank: int = 0
    """Rows in which it holds nothing but white space."""
    num_lists: int = 0
    """Rows in which it holds a list or an object as such."""
    num_serialized: int = 0
    """Rows in which a list may be written as text."""
    num_opened: int = 0
    """Rows that begin as such a list, whole or cut."""
    first_other: int | None = None
    """The first row that holds anything else, or such a list that is cut; from 1."""
    num_texts: int = 0
    """Rows in which it holds words or turns."""
    num_chats: int = 0
    """Rows in which a message, or what `is_written_otherwise`, may be written as text."""
    num_unreadable: int = 0
    """Of these, what `is_written_otherwise`."""
    first_written: int | None = None
    """The first row that begins as a list, or is written otherwise; from 1."""
    labels: set[str] = field(default_factory=set)
    """What it holds, in small letters, while these are few; see `MOST_LABELS`."""

    @property
    def is_serialized(self) -> bool:
        """Whether lists are written as text, in all rows: one row alone may quote such a list."""
        others = self.num_filled - self.num_blank - self.num_lists
        return 0 < self.num_serialized == others

    @property
    def is_text(self) -> bool:
        """Whether enough of what it holds are texts or conversations."""
        return self.num_texts > SHARE_OF_TEXTS * self.num_filled


def survey(
    rows: Iterable[Mapping[str, Any]], ignored: Collection[str] = ()
) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The columns that hold anything in any row, and those that do not; without those to ignore.

    Raises:
        UserError: A column to ignore is not there.
    """
    columns: dict[str, Column] = {}
    seen: dict[str, None] = {}
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            seen[name] = None
            if not is_missing(value):
                _count(columns.setdefault(name, Column(first=number)), value, number)
    for name in ignored:
        if name not in seen:
            raise UserError(
                f"ignore_columns: there is no column {name!r}; columns present: "
                f"{', '.join(map(str, seen))}."
            )
        columns.pop(name, None)
    filled = {name: columns[name] for name in seen if name in columns}
    return filled, tuple(name for name in seen if name not in filled and name not in ignored)


def _count(column: Column, value: Any, number: int) -> None:
    column.num_filled += 1
    column.num_texts += _is_said(value)
    is_blank = isinstance(value, str) and not value.strip()
    is_list, is_whole = isinstance(value, list | Mapping), is_serialized(value)
    column.num_blank += is_blank
    column.num_lists += is_list
    column.num_serialized += is_whole
    is_opened, is_unreadable = opens_list(value), is_written_otherwise(value)
    column.num_opened += is_opened
    column.num_unreadable += is_unreadable
    column.num_chats += is_unreadable or (
        isinstance(value, str) and OPENS_MESSAGE.match(value) is not None
    )
    if (is_opened or is_unreadable) and column.first_written is None:
        column.first_written = number
    if len(column.labels) <= MOST_LABELS and not is_list:
        column.labels.add(str(value)[:40].strip().lower())
    if not (is_blank or is_list or is_whole) and column.first_other is None:
        column.first_other = number


def serialized_columns(
    columns: Mapping[str, Column], of_texts: Collection[str], source: str
) -> list[str]:
    """Those in which lists are written as text in all rows that hold anything.

    Raises:
        UserError: One `of_texts` holds lists in most rows, or chats in a tenth of them, and in
            others something else, a list that is cut or a chat in a form that nothing reads: as
            text, a list would be what somebody said.
    """
    for name in of_texts:
        column = columns.get(name, Column())
        held = column.num_filled - column.num_blank
        if column.num_unreadable and column.num_unreadable >= SHARE_OF_CHATS * held:
            raise UserError(
                f"{source}, row {column.first_written}, column {name!r}: {column.num_unreadable} "
                f"of {held} rows hold an object, or a list that was written as text twice; "
                "expected the text itself, or a list of messages with role and content."
            )
        if column.is_serialized:
            continue
        lists = column.num_opened + column.num_lists
        if column.num_opened and 2 * lists > held:
            raise UserError(
                f"{source}, row {column.first_other}, column {name!r}: this is no whole list, but "
                f"{lists} of {held} rows begin as a list, some written as text; write all as "
                "JSON lists, or all as plain text."
            )
        if column.num_chats and column.num_chats >= SHARE_OF_CHATS * held:
            raise UserError(
                f"{source}, row {column.first_written}, column {name!r}: a conversation is written "
                f"as text in {column.num_chats} of {held} rows, and others hold something else "
                f"(first: row {column.first_other}); write all as JSON lists of messages, or all "
                "as plain text."
            )
    return [name for name, column in columns.items() if column.is_serialized]


def read_as_said(columns: Mapping[str, Column], of_texts: Collection[str]) -> list[str]:
    """Sentences on lists that a few rows hold as text, and that are read as what was said."""
    return [
        f"column {name!r}: {column.num_opened + column.num_unreadable} rows look like a list that "
        f"was written as text (first: row {column.first_written}), and are read as plain text"
        for name, column in columns.items()
        if name in of_texts and column.first_written is not None and not column.is_serialized
    ]


def require_read(
    row: Mapping[str, Any], required: Collection[str], present: Mapping[str, Column], place: str
) -> None:
    """Refuse a row without a column that is read of the others.

    Raises:
        UserError: It names the column, and the first row that has it.
    """
    for name in required:
        if name not in row:
            there = present.get(name)
            others = "" if there is None else f", which other rows have (first: row {there.first})"
            columns = ", ".join(map(str, row)) or "none"
            raise UserError(f"{place}: no column {name!r}{others}; columns present: {columns}.")


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, or NaN in its place."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, as files of several kinds write it."""
    return is_missing(value) or str(value).strip() in ("", "nan")


def _is_said(value: Any) -> bool:
    if isinstance(value, str):
        is_long = len(value.split(None, WORDS_OF_A_TEXT)) >= WORDS_OF_A_TEXT
        return is_long or WITHOUT_SPACES.search(value) is not None
    return isinstance(value, list) and any(isinstance(turn, Mapping) for turn in value)
