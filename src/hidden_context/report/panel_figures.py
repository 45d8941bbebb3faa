"""Panels as figures: inline in a page, and as PNG and PDF files."""

import io
import re
import textwrap
import warnings
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from hidden_context.figures.style import COLOR_NAMES, INK, STYLES, FigureStyle, in_style
from hidden_context.records import atomic_write
from hidden_context.report.results import Panel
from hidden_context.report.shown_text import without_unseen

UNDATED = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
"""Kinds of files, and what would make equal figures differ."""
LONGEST_NAME = 100
"""Characters; file systems allow 255 bytes."""
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""A date would make two equal pages differ."""
_COLORS = {INK: "currentColor", **{hex_: f"var(--{name})" for hex_, name in COLOR_NAMES.items()}}
TITLE, ENTRY = 40, 22
"""Characters of a title, and of an entry of a legend."""
LINE = 36
"""Characters that all names below an axis have on a line together."""
UPRIGHT = 26
"""Characters of a line beside an axis."""


def as_svg(panel: Panel, name: str) -> Markup:
    """For a page, where a heading says what the figure's title would."""
    style = STYLES["screen"]
    with in_style(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # browsers have more fonts
        figure = figure_of(panel, style, has_title=False)
        return inline_svg(figure, name=name, description=f"{panel.title}. {panel.description}")


def write_figures(panels: Sequence[Panel], folder: Path, style: FigureStyle) -> list[Path]:
    """Each panel as `<title>.png` and `.pdf`, equal for equal panels."""
    written: list[Path] = []
    for panel in panels:
        name = file_name(panel.title)
        numbered = chain([name], (f"{name}_{number}" for number in count(2)))
        taken = {path.stem for path in written}
        stem = next(candidate for candidate in numbered if candidate not in taken)
        with in_style(style):
            figure = figure_of(panel, style, has_title=style.has_titles)
            for kind, metadata in UNDATED.items():
                path = folder / f"{stem}.{kind}"
                with atomic_write(path) as file:
                    figure.savefig(file, format=kind, metadata=metadata)
                written.append(path)
    return written


def file_name(title: str) -> str:
    """Letters, digits and underscores."""
    plain = title.lower().replace("²", "2")
    return re.sub(r"[^a-z0-9]+", "_", plain)[:LONGEST_NAME].strip("_") or "figure"


def figure_of(panel: Panel, style: FigureStyle, *, has_title: bool) -> Figure:
    """One panel; to be drawn and saved in the same style."""
    figure = Figure(figsize=panel.inches or style.panel_inches, layout="constrained")
    axes = figure.add_subplot()
    panel.draw(axes)
    make_names_drawable(axes)
    if has_title:
        axes.set_title(drawable(panel.title, TITLE))
    return figure


def inline_svg(figure: Figure, *, name: str, description: str) -> Markup:
    """The figure with a transparent ground, equal for equal figures.

    Ink, and what is black by default, becomes the page's text colour, and the colours of
    `figures.style` CSS variables, so that it can be read on light and dark. Texts stay texts.

    Args:
        figure: Drawn already.
        name: Put before every id, so that several figures on a page do not clash.
        description: For those who do not see it.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    svg = buffer.getvalue()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", lambda tag: _of_the_page(tag.group(), name), svg)
    width, height = figure.get_size_inches() * 72
    root = (
        f'<svg class="plot" role="img" aria-label="{escape(description)}" fill="currentColor" '
        f'viewBox="0 0 {width:g} {height:g}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return Markup(re.sub(r"<svg.*?>", lambda _: root, svg, count=1, flags=re.DOTALL).strip())


def _of_the_page(tag: str, name: str) -> str:
    """A tag with the ids of this figure and the page's colours; texts between tags stay."""
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag)
    for color, variable in _COLORS.items():
        tag = re.sub(rf"{color}\b", variable, tag, flags=re.IGNORECASE)
    return tag


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
