"""Panels as figures: inline in a page, and as PNG and PDF files."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from hidden_context.figures.style import STYLES, FigureStyle, in_style
from hidden_context.records import atomic_write
from hidden_context.report.drawable_names import TITLE, drawable, make_names_drawable
from hidden_context.report.inline_svg import inline_svg
from hidden_context.report.measured import Panel

UNDATED = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
"""Kinds of files, and what would make equal figures differ."""
LONGEST_NAME = 100
"""Characters; file systems allow 255 bytes."""


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
        stem = file_name(panel.title)
        taken = {path.stem for path in written}
        number = next(k for k in range(1, len(panels) + 2) if _numbered(stem, k) not in taken)
        with in_style(style):
            figure = figure_of(panel, style, has_title=style.has_titles)
            for kind in UNDATED:
                path = folder / f"{_numbered(stem, number)}.{kind}"
                with atomic_write(path) as file:
                    figure.savefig(file, format=kind, metadata=UNDATED[kind])
                written.append(path)
    return written


def file_name(title: str) -> str:
    """Letters, digits and underscores."""
    plain = title.lower().replace("²", "2")
    return re.sub(r"[^a-z0-9]+", "_", plain)[:LONGEST_NAME].strip("_") or "figure"


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}_{number}"


def figure_of(panel: Panel, style: FigureStyle, *, has_title: bool) -> Figure:
    """One panel; to be drawn and saved in the same style."""
    figure = Figure(figsize=style.panel_inches, layout="constrained")
    axes = figure.add_subplot()
    panel.draw(axes)
    make_names_drawable(axes)
    if has_title:
        axes.set_title(drawable(panel.title, TITLE))
    return figure
