"""Figures of matplotlib as SVG that stands in a page: its colours and names are the page's."""

import io
import re

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hidden_context.figures.style import COLOR_NAMES, INK

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""A date would make two equal pages differ."""
_COLORS = {INK: "currentColor", **{hex_: f"var(--{name})" for hex_, name in COLOR_NAMES.items()}}


def inline_svg(figure: Figure, *, name: str, description: str) -> Markup:
    """The figure with a transparent ground, equal for equal figures.

    Ink, and what is black by default, becomes the page's text colour, and the colours of
    `figure_style` CSS variables, so that it can be read on light and dark. Texts stay texts.

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
