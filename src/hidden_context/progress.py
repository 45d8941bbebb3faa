"""How far long work is: a bar on stderr with the time left, or lines where it is no terminal."""

import sys
from typing import Any

from tqdm import tqdm

A_LINE = 30.0
"""Seconds between two lines of work that goes on, where there is no terminal."""


def progress_bar(
    total: int | None, what: str, *, unit: str, shown: bool, **options: Any
) -> "tqdm[Any]":
    """A bar of `total` units with the time that is left, estimated from the units that are done.

    Where stderr is no terminal, one line says what begins, and every half minute another one how
    far it is.

    Args:
        total: How many units there are; None if that is not known. Of none nothing is printed.
        what: Says what is done.
        unit: Name of one.
        shown: Else nothing is printed.
        options: Further ones of tqdm.
    """
    if not shown or total == 0 or is_terminal():
        hidden = not shown or total == 0
        return tqdm(total=total, desc=what, unit=unit, disable=hidden, **options)
    count = "" if total is None else f": {total:,} {unit}{'' if total == 1 else 's'}"
    print(f"{what}{count}", file=sys.stderr, flush=True)
    count = f"{{n_fmt}} {unit}s" if total is None else "{n_fmt} of {total_fmt}"
    left = "" if total is None else ", about {remaining} left"
    lines: dict[str, Any] = {
        "file": _Lines(),
        "bar_format": f"{{desc}}: {count}, {{elapsed}} so far{left}",
        "delay": A_LINE,
        "mininterval": A_LINE,
        "miniters": 1,
        "leave": False,
    }
    return _Unwatched(total=total, desc=what, unit=unit, **options | lines)


class _Unwatched(tqdm):
    """Draws itself as units are done, without a thread that looks after it."""

    monitor_interval = 0


class _Lines:
    """Writes what is drawn over and over on one line as a line each."""

    def write(self, drawn: str) -> None:
        text = drawn.replace("\x1b[A", "").strip()
        if text:
            print(text, file=sys.stderr)

    def flush(self) -> None:
        if sys.stderr is not None and not sys.stderr.closed:
            sys.stderr.flush()


def is_terminal() -> bool:
    """Whether stderr is one."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def in_words(seconds: float) -> str:
    """As exactly as such an estimate is."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
