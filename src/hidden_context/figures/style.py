"""How figures look, on screen and on paper: fonts, lines, colours and sizes, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

StyleName: TypeAlias = Literal["screen", "paper"]
"""screen: larger, with titles. paper: one or two columns of a journal, 8 pt, thin lines."""

INK = "#000000"
"""Text, axes and what has no colour of its own."""
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#aa5fa0"
SKY, OCHRE, GREY = "#3aa0dc", "#b08000", "#808080"
"""Distinct for colour-blind readers (after Okabe and Ito 2008); markers and lines differ too."""
COLOR_NAMES = {
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    PURPLE: "purple",
    SKY: "sky",
    OCHRE: "ochre",
    GREY: "grey",
}
"""By which a page may choose other shades for a dark background."""


@dataclass(frozen=True)
class FigureStyle:
    """Sizes in inches, fonts and lines in points; those of the screen unless given."""

    font_size: float = 10
    title_size: float = 11
    line_width: float = 1.6
    axes_line_width: float = 0.8
    marker_size: float = 5
    panel_inches: tuple[float, float] = (4.6, 3.3)
    """Of a figure of one panel: width and height."""
    full_width: float = 10.5
    """Of a figure with several panels in a row."""
    panels_per_row: int = 3
    row_inches: float = 3.1
    """Height of a row of panels."""
    has_titles: bool = True
    """Whether a figure of one panel has a title; on paper its caption says what it is."""


STYLES: dict[StyleName, FigureStyle] = {
    "screen": FigureStyle(),
    "paper": FigureStyle(
        font_size=8,
        title_size=8,
        line_width=0.9,
        axes_line_width=0.5,
        marker_size=3.5,
        panel_inches=(3.25, 2.5),
        full_width=6.75,
        panels_per_row=2,
        row_inches=2.5,
        has_titles=False,
    ),
}


def settings(style: FigureStyle) -> dict[str, Any]:
    """The same as settings of matplotlib; fonts are embedded as TrueType, which editors ask for."""
    sizes = ("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    return {
        **dict.fromkeys(sizes, style.font_size),
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],  # of matplotlib, so figures are alike everywhere
        "axes.titlesize": style.title_size,
        "axes.linewidth": style.axes_line_width,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "text.parse_math": False,  # names of data may hold dollar signs
        "lines.linewidth": style.line_width,
        "lines.markersize": style.marker_size,
        "xtick.major.width": style.axes_line_width,
        "ytick.major.width": style.axes_line_width,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "legend.borderaxespad": 0.2,
        "legend.handletextpad": 0.5,
        "figure.dpi": 200,
        "savefig.dpi": 300 if not style.has_titles else 200,
        "pdf.fonttype": 42,
    }


@contextmanager
def in_style(style: FigureStyle) -> Iterator[None]:
    """Draw and save what is drawn and saved inside in this style."""
    import matplotlib  # slow to import for --help

    with matplotlib.rc_context(settings(style)):
        yield
