"""Effects of a feature in each context, drawn on the Axes of matplotlib."""

from typing import TYPE_CHECKING

import numpy as np

from hidden_context.figures.style import GREY, INK

if TYPE_CHECKING:
    import matplotlib.axes

    from hidden_context.axes.axes import Axis

MOST_NAMES = 12
"""Contexts that are named on the axis."""


def draw_effects(axes: "matplotlib.axes.Axes", axis: "Axis") -> None:
    """A mark with its interval for each context, the lowest effect first."""
    ordered = sorted(axis.effects.items(), key=lambda item: item[1].value)
    value, low, high = (
        np.array([getattr(effect, name) for _, effect in ordered], float)
        for name in ("value", "low", "high")
    )
    places = np.arange(len(ordered))
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.axvline(axis.average, color=GREY, linestyle="--", linewidth=0.8)
    axes.errorbar(
        value,
        places,
        xerr=[value - low, high - value],
        fmt="o",
        color=INK,
        ecolor=GREY,
        markersize=3,
        elinewidth=0.8,
    )
    axes.set_xlabel(axis.effect_name)
    names = [name for name, _ in ordered] if len(ordered) <= MOST_NAMES else []
    axes.set_yticks(places[: len(names)], names)
