"""How far long work is: a bar on stderr with the time left, or a line where it is no terminal."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(
    total: int | None, what: str, *, unit: str, shown: bool, **options: Any
) -> "tqdm[Any]":
    """A bar of `total` units with the time that is left, estimated from the units that are done.

    Where stderr is no terminal, one line says what begins, and nothing follows.

    Args:
        total: How many units there are; None if that is not known.
        what: Says what is done.
        unit: Name of one.
        shown: Else nothing is printed.
        options: Further ones of tqdm.
    """
    on_terminal = is_terminal()
    if shown and not on_terminal:
        count = "" if total is None else f": {total:,} {unit}{'' if total == 1 else 's'}"
        print(f"{what}{count}", file=sys.stderr, flush=True)
    return tqdm(total=total, desc=what, unit=unit, disable=not (shown and on_terminal), **options)


def is_terminal() -> bool:
    """Whether stderr is one."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def in_words(seconds: float) -> str:
    """As exactly as such an estimate is."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
