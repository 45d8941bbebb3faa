"""The figures of the synthetic experiments, drawn from saved curves and nothing else."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias
from zipfile import BadZipFile

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hidden_context.errors import UserError
from hidden_context.figures.style import BLUE, INK, ORANGE, STYLES, FigureStyle, in_style

Curves: TypeAlias = Mapping[str, np.ndarray]
"""Arrays by name, as `evaluate.exact_curves` and `evaluate.curves` describe them."""
Panel: TypeAlias = Callable[[Axes, Curves], None]

MASS_COLORS = LinearSegmentedColormap.from_list("mass", ["#FFFFFF", "#7FB4D6", BLUE, "#062B45"])
NUM_CONTOURS = 10
UNIT_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BARS_PER_AXIS = 5
"""Small bar charts along each axis of a 2-D state."""
NUM_BARS = 8
"""Of a small chart, of equally many cells each: the bins of categorical, wide enough to see."""


def read_curves(path: Path) -> Curves:
    """Load the arrays that a figure is drawn from.

    Raises:
        UserError: The file is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; run once with redraw off.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); run once with redraw off.") from error


def draw(curves: Curves, style: FigureStyle = STYLES["screen"]) -> Figure:
    """The figure of one environment: a panel for each thing to see, for every trained family."""
    panels = panels_of(curves)
    columns = style.panels_per_row
    rows = math.ceil(len(panels) / columns)
    with in_style(style):
        size = (style.full_width, style.row_inches * rows)
        figure = Figure(figsize=size, layout="constrained")
        for number, (title, panel) in enumerate(panels, start=1):
            axes = figure.add_subplot(rows, columns, number)
            axes.set_title(title)
            panel(axes, curves)
    return figure


def panels_of(curves: Curves) -> list[tuple[str, Panel]]:
    """Title and drawing of each panel; the families without one of their own come last."""
    if str(curves["env"]) == "1d":
        panels: list[tuple[str, Panel]] = [
            ("Ordinary preference learning", _utility_panel),
            ("DPL: mean and variance", _band_panel),
        ]
        whole_distribution = _heat_map
    else:
        panels = [
            ("Expected utility", partial(_contours, key="exact/expected_utility", label="E[u]")),
            (
                "Borda count",
                partial(_contours, key="exact/borda_count", label="probability to be preferred"),
            ),
            ("Ordinary learned utility", partial(_contours, key="base/mean", label="utility")),
            ("DPL: mean", partial(_contours, key="mean_and_variance/mean", label="utility")),
            (
                "DPL: standard deviation",
                partial(_contours, key="mean_and_variance/std", label="utility"),
            ),
        ]
        whole_distribution = _bar_charts
    names = [key.removesuffix("/mass") for key in curves if key.endswith("/mass")]
    return panels + [
        (f"DPL: {name.replace('_', ' ')}", partial(whole_distribution, name=name))
        for name in names
        if name not in ("base", "mean_and_variance")
    ]


def _utility_panel(axes: Axes, curves: Curves) -> None:
    """Learned utility, moved and stretched to the mean and spread that the Borda count has."""
    state, borda = curves["states"][:, 0], curves["exact/borda_count"]
    learned = curves["base/mean"]
    learned = borda.mean() + (learned - learned.mean()) * borda.std() / max(learned.std(), 1e-12)
    jump = np.flatnonzero(np.abs(np.diff(borda)) > 0.1) + 1
    broken = np.insert(borda, jump, np.nan)
    at = np.insert(state, jump, np.nan)
    axes.plot(
        state, curves["exact/expected_utility"], color=ORANGE, ls="--", label="expected utility"
    )
    thick = 1.8 * matplotlib.rcParams["lines.linewidth"]
    axes.plot(at, broken, color=BLUE, ls=":", lw=thick, label="Borda count")
    axes.plot(state, learned, color=INK, label="learned utility, rescaled")
    axes.set(xlabel="state a", ylabel="utility, Borda count", xlim=(0, 1))
    axes.legend(loc="lower right")


def _band_panel(axes: Axes, curves: Curves) -> None:
    """The axis ends one range of the means beyond them: the std grows without bound in training."""
    state = curves["states"][:, 0]
    mean, std = curves["mean_and_variance/mean"], curves["mean_and_variance/std"]
    low, high = mean - std, mean + std
    label = f"mean ± std (std up to {std.max():.2g})"
    axes.fill_between(state, low, high, color=BLUE, alpha=0.3, lw=0, label=label)
    axes.plot(state, mean, color=INK, label="mean")
    margin = float(np.ptp(mean)) or 1.0
    axes.set(xlabel="state a", ylabel="learned utility", xlim=(0, 1))
    axes.set_ylim(max(low.min(), mean.min() - margin), min(high.max(), mean.max() + margin))
    axes.legend(loc="upper left")


def _heat_map(axes: Axes, curves: Curves, *, name: str) -> None:
    edges, mass = curves[f"{name}/edges"], curves[f"{name}/mass"]
    density = mass / np.diff(edges)
    # Colours end at the 98 % quantile: one certain state would leave the others pale.
    image = axes.pcolormesh(
        np.linspace(0, 1, len(mass) + 1),
        edges,
        density.T,
        cmap=MASS_COLORS,
        vmin=0,
        vmax=max(float(np.quantile(density, 0.98)), 1e-12),
        rasterized=True,
    )
    axes.set(xlabel="state a", ylabel="learned utility")
    axes.figure.colorbar(image, ax=axes, label="probability density", extend="max")


def _contours(axes: Axes, curves: Curves, *, key: str, label: str) -> None:
    states, values = curves["states"], curves[key]
    side = round(len(states) ** 0.5)
    levels = MaxNLocator(NUM_CONTOURS).tick_values(values.min(), values.max())
    # The states are centres of cells: half a cell is extrapolated up to the border.
    x, y, z = (
        np.pad(part.reshape(side, side), 1, mode="reflect", reflect_type="odd")
        for part in (*states.T, values)
    )
    z = np.clip(z, levels[0], levels[-1])
    filled = axes.contourf(x, y, z, levels=levels, cmap="cividis")
    axes.contour(x, y, z, levels=levels, colors="white", linewidths=0.5, linestyles="solid")
    _square(axes)
    axes.figure.colorbar(filled, ax=axes, label=label, shrink=0.8)


def _bar_charts(axes: Axes, curves: Curves, *, name: str) -> None:
    """A small bar chart of the learned distribution at each of a few states, utility rightward."""
    states, cells = curves["states"], curves[f"{name}/mass"]
    mass = cells.reshape(len(cells), NUM_BARS, -1).sum(-1)
    side, size = round(len(states) ** 0.5), 1 / BARS_PER_AXIS
    middles = (np.arange(BARS_PER_AXIS) + 0.5) * side / BARS_PER_AXIS
    shown = [int(i) * side + int(j) for i in middles for j in middles]
    heights = mass[shown] / mass[shown].max() * 0.84 * size
    offsets = (np.arange(NUM_BARS + 1) / NUM_BARS - 0.5) * 0.8 * size
    for state, height in zip(states[shown], heights, strict=True):
        x, y = (np.floor(state / size) + 0.5) * size
        floor = y - 0.42 * size
        axes.stairs(floor + height, x + offsets, baseline=floor, fill=True, color=BLUE)
        axes.plot(x + offsets[[0, -1]], [floor, floor], color=INK, lw=0.6)
    _square(axes)
    axes.set_xlabel("x (within a chart: learned utility)")


def _square(axes: Axes) -> None:
    axes.set(xlabel="x", ylabel="y", xticks=UNIT_TICKS, yticks=UNIT_TICKS)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
