"""Cells of comma-separated values, as texts: of the header, then of each row."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from hidden_context.errors import UserError

LONGEST_CELL = 2**31 - 1
"""Characters of a cell; the library's own limit is shorter than some dialogues."""
OF_QUALTRICS = '{"ImportId":'
"""How the cells of the third line begin that Qualtrics writes before the answers."""


def cells_of_lines(lines: Iterable[str], path: Path) -> Iterator[list[str]]:
    """The names of the columns, then the cells of each row, as many as there are names.

    Columns without a name at the right, as spreadsheets leave them, are left out if they are empty.

    Raises:
        UserError: There are no names, or one twice; or a line has other than one cell for each,
            has none that is filled, or repeats the header.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        names = list(header)
        while names and not names[-1].strip():
            names.pop()
        check_names(names, path)
        _check_separator(names, path)
        yield names
        width = len(header)
        for cells in filter(None, reader):
            is_plain = len(cells) == width == len(names) and cells[0][:1] not in ("", "{")
            if not is_plain or cells[0] == names[0]:  # what else is wrong begins so
                _check_row(cells, names, width, f"{path}, line {reader.line_num}")
            yield cells if width == len(names) else cells[: len(names)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}.") from error


def check_names(names: list[str], path: Path) -> None:
    """Refuse a name that two columns have."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has several columns {twice[:40]!r}; rename all but one.")


def _check_separator(names: list[str], path: Path) -> None:
    sign = next((sign for sign in (";", "\t", "|") if sign in names[0]), "") if names else ""
    if sign and len(names) == 1:
        raise UserError(
            f"{path}: cells seem to be separated by {sign!r} (the first line is "
            f"{names[0][:60]!r}); separate them by commas, as in pandas.read_csv(path, "
            f"sep={sign!r}).to_csv(path, index=False)."
        )


def _check_row(cells: list[str], names: list[str], width: int, place: str) -> None:
    if len(cells) != width:
        shown = ", ".join(repr(name[:40]) for name in names[:8])
        raise UserError(
            f"{place}: {len(cells)} cells; expected {width}, one for each of {shown} (cells with "
            "commas or line breaks are quoted)."
        )
    if not any(cells):
        raise UserError(
            f"{place}: all {len(cells)} cells are empty; delete the line (spreadsheets may leave "
            "such lines at the end)."
        )
    if any(cells[len(names) :]):
        filled = next(cell for cell in cells[len(names) :] if cell)
        raise UserError(
            f"{place}: {filled[:40]!r} is in a column without a name; name all columns in line 1, "
            "and delete what is before their names."
        )
    if cells[: len(names)] == names:
        raise UserError(
            f"{place} repeats the names of the columns (tables put together?); delete it."
        )
    if all(cell.startswith(OF_QUALTRICS) for cell in cells if cell):
        raise UserError(
            f"{place} is a further header of Qualtrics, not an answer; delete the lines between "
            "the names of the columns and the first answer, this one with them."
        )
