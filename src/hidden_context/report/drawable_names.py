"""Names of data in figures: short, broken into lines, and without what fonts cannot draw."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from hidden_context.report.shown_text import without_unseen

TITLE, ENTRY = 40, 22
"""Characters of a title, and of an entry of a legend."""
LINE = 36
"""Characters that all names below an axis have on a line together."""
UPRIGHT = 26
"""Characters of a line beside an axis."""


def drawable(name: str, most: int) -> str:
    """On one line, with its middle left out where it is long."""
    plain = without_unseen(" ".join(name.split()))
    end = most // 3
    return plain if len(plain) <= most else f"{plain[: most - end - 1]}…{plain[-end:]}"


def make_names_drawable(axes: Axes) -> None:
    """Names below the axis, on two lines at most, beside it, and in the legend."""
    if isinstance(axes.xaxis.get_major_formatter(), FuncFormatter):  # labels that were given
        labels = [label.get_text() for label in axes.get_xticklabels()]
        width = max(LINE // max(len(labels), 1), 5)
        short = [drawable(label, 2 * width - 1) for label in labels]
        axes.set_xticklabels(["\n".join(textwrap.wrap(label, width)) for label in short])
    axes.set_ylabel("\n".join(textwrap.wrap(axes.get_ylabel(), UPRIGHT)))
    for legend in axes.figure.legends:
        for text in legend.get_texts():
            text.set_text(drawable(text.get_text(), ENTRY))
