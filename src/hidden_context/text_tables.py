"""Tables in text that is printed: plain, or as whoever prints them draws them for a terminal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from tabulate import tabulate

NO_VALUE = "–"
Draw: TypeAlias = Callable[[Sequence[str], Sequence[Sequence[str]], Sequence[bool]], str]
"""From headers, cells by row, and which columns hold numbers."""
_draw: ContextVar[Draw | None] = ContextVar("draw", default=None)


def text_table(
    rows: Sequence[Sequence[object]],
    headers: Sequence[str],
    *,
    markdown: bool = False,
    decimals: int | None = None,
) -> str:
    """A table as lines of text, or as Markdown.

    Args:
        rows: Cells by row.
        headers: Of the columns.
        markdown: Markdown, which nobody draws otherwise.
        decimals: Round numbers so, on the right of their columns, `NO_VALUE` for None; if not
            given, cells are texts, and stay as they are.
    """
    draw = None if markdown else _draw.get()
    if draw is not None:
        columns = [[row[number] for row in rows] for number in range(len(headers))]
        numeric = [any(isinstance(cell, (int, float)) for cell in of) for of in columns]
        return draw(headers, [[_cell(cell, decimals) for cell in row] for row in rows], numeric)
    if decimals is None:
        style = "github" if markdown else "simple"
        return tabulate(rows, headers, tablefmt=style, disable_numparse=True)
    return tabulate(rows, headers, floatfmt=f".{decimals}f", missingval=NO_VALUE)


@contextmanager
def drawn_by(draw: Draw | None) -> Iterator[None]:
    """Have tables of text that is made here drawn so."""
    before = _draw.set(draw)
    try:
        yield
    finally:
        _draw.reset(before)


def _cell(cell: object, decimals: int | None) -> str:
    if decimals is None:
        return str(cell)
    if cell is None:
        return NO_VALUE
    return f"{cell:.{decimals}f}" if isinstance(cell, float) else str(cell)
