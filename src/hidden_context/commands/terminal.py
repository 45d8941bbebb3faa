"""What a terminal is shown: tables drawn by rich, verdicts in colour. Elsewhere text is plain."""

import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hidden_context.text_tables import drawn_by

if TYPE_CHECKING:
    from rich.console import JustifyMethod, RenderableType

VERDICTS = {
    "green": (r"Yes(?=[:,])|ok(?=  )", r"\bholds(?= in this run$)"),
    "red": (
        r"No(?=, the reverse)|Not seen(?=:)|missing(?=  )",
        r"\bdoes NOT hold(?= in this run$)",
    ),
    "yellow": (
        "Cannot tell from these data|Not that these data show|No more than people|Perhaps(?=,)"
        "|Label noise may be all|off(?=  )",
        r"\bcannot tell from these data\b",
    ),
}
"""By colour, patterns of words that begin a line, and of others: a colour repeats what they say."""


def for_stdout(words: Callable[[], object]) -> str:
    """Words as they are, or for a terminal, if stdout is one."""
    if not is_drawn():
        return str(words())
    with drawn_by(_table):
        return _coloured(str(words()))


def is_drawn() -> bool:
    """Whether stdout is a terminal that can do more than letters."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown")


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], is_number: Sequence[bool]) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    is_utf = "utf" in (sys.stdout.encoding or "").lower()
    table = Table(
        box=box.SIMPLE_HEAD if is_utf else box.ASCII,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for header, of_numbers in zip(headers, is_number, strict=True):
        justify: JustifyMethod = "right" if of_numbers else "left"
        table.add_column(Text(header), justify=justify, overflow="fold")  # nothing is cut
    for row in rows:
        table.add_row(*map(Text, row))  # not as rich's markup
    return "\n".join(line.rstrip() for line in _rendered(table).splitlines())


def _coloured(text: str) -> str:
    """Text with its verdicts in colour; none where NO_COLOR says so (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return text
    from rich.style import Style

    for colour, (beginning, within) in VERDICTS.items():
        before, after = Style(color=colour, bold=True).render("\0").split("\0")
        for pattern in (rf"(^ *)({beginning})", rf"()({within})"):
            text = re.sub(pattern, rf"\1{before}\2{after}", text, flags=re.MULTILINE)
    return text


def _rendered(what: "RenderableType") -> str:
    from rich.console import Console

    out = io.StringIO()
    console: Console = Console(
        file=out, force_terminal=True, width=shutil.get_terminal_size().columns
    )
    console.print(what)
    return out.getvalue()
