"""Two utility densities as one small inline SVG, drawn from the distribution function alone."""

import re
from itertools import groupby

import numpy as np
from markupsafe import Markup

from hidden_context.distributions import UtilityDistribution
from hidden_context.report.tables import decimal

WIDTH, HEIGHT, MARGIN, BASELINE = 320, 110, 12, 84
NUM_CELLS = 160
TAIL = 0.001
"""Share of each distribution that may lie beyond either end of the axis."""
NAMES = ("chosen", "rejected")


def axis_of(*utilities: UtilityDistribution) -> np.ndarray:
    """Edges of equal cells of an axis that holds batches of 2, shape `(NUM_CELLS + 1,)`.

    A density's sum over cells times their width is what the axis holds: at least 1 - 2 `TAIL`,
    points on its ends apart. See `UtilityDistribution.density`.
    """
    low = min(float(np.min(np.asarray(each.quantile(TAIL)))) for each in utilities)
    high = max(float(np.max(np.asarray(each.quantile(1 - TAIL)))) for each in utilities)
    margin = 0.04 * (high - low) or max(abs(low), 1.0) * 0.1
    return np.linspace(low - margin, high + margin, NUM_CELLS + 1)


def drawing(utility: UtilityDistribution, truth: UtilityDistribution | None = None) -> Markup:
    """The SVG: densities as areas, means as lines, 0.01-quantiles as triangles; points of a scalar.

    Utilities without a density, such as those in a few contexts, are bars: no area is drawn where
    there is no probability.

    Its colours are CSS classes of the page. The truth, on the scale of the model, is outlined above
    the same axis, its highest point as high as the model's.
    """
    mean = np.asarray(utility.mean, np.float64)
    low = np.asarray(utility.quantile(0.01), np.float64)
    areas = ""
    if utility.is_scalar:
        margin = 0.15 * abs(mean[0] - mean[1]) or max(abs(mean[0]), 1.0) * 0.1
        ends = float(mean.min() - margin), float(mean.max() + margin)
    else:
        drawn = [("density", utility)] + ([] if truth is None else [("truth", truth)])
        edges = axis_of(*(each for _, each in drawn))
        ends = float(edges[0]), float(edges[-1])
        areas = "".join(_shapes(kind, each, edges) for kind, each in drawn)
    lows = [None if utility.is_scalar else _x(value, ends) for value in low]
    marks = "".join(_mark(name, _x(mean[k], ends), lows[k]) for k, name in enumerate(NAMES))
    labels = "".join(
        f'<text x="{x}" y="{HEIGHT - 3}" text-anchor="{anchor}">{decimal(end, 2)}</text>'
        for x, anchor, end in ((MARGIN, "start", ends[0]), (WIDTH - MARGIN, "end", ends[1]))
    )
    axis = f'<path class="axis" d="M{MARGIN} {BASELINE}H{WIDTH - MARGIN}"/>'
    said = description(utility) + ("" if truth is None else f"; in truth {description(truth)}")
    label = f'<text x="{WIDTH / 2}" y="{HEIGHT - 3}" text-anchor="middle">utility</text>'
    return Markup(
        f'<svg class="utilities" role="img" aria-label="{said}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{areas}{axis}{marks}{labels}{label}</svg>'
    )


def description(utility: UtilityDistribution) -> str:
    """The drawing in words."""
    measures = {"utility": utility.mean}
    if not utility.is_scalar:
        measures = {"mean": utility.mean, "standard deviation": utility.std}
        measures["0.01-quantile"] = utility.quantile(0.01)
    sides = []
    for k, name in enumerate(NAMES):
        listed = [f"{what} {decimal(float(values[k]))}" for what, values in measures.items()]
        sides.append(f"{name}: {', '.join(listed)}")
    return "; ".join(sides)


def _x(value: float, ends: tuple[float, float]) -> float:
    share = (value - ends[0]) / (ends[1] - ends[0])
    return MARGIN + float(np.clip(share, 0, 1)) * (WIDTH - 2 * MARGIN)


def _shapes(kind: str, utility: UtilityDistribution, edges: np.ndarray) -> str:
    """Densities as areas; where all probability is at a few utilities, a bar at each."""
    return _areas(kind, utility, edges) if utility.atoms is None else _bars(kind, utility, edges)


def _bars(kind: str, utility: UtilityDistribution, edges: np.ndarray) -> str:
    """At each utility a bar as high as its probability, the highest at the top."""
    assert utility.atoms is not None
    at, prob = (np.asarray(each, np.float64) for each in utility.atoms)
    ends = float(edges[0]), float(edges[-1])
    heights = prob / prob.max()
    return "".join(
        f'<path class="{kind} bar {name}" d="M{_x(value, ends):.1f} {BASELINE}'
        f'V{BASELINE - height * (BASELINE - MARGIN):.1f}"/>'
        for name, utilities, tops in zip(NAMES, at, heights, strict=True)
        for value, height in zip(utilities, tops, strict=True)
    )


def _areas(kind: str, utility: UtilityDistribution, edges: np.ndarray) -> str:
    """Both densities; the highest point is at the top."""
    densities = np.asarray(utility.density(edges), np.float64)
    heights = densities / (densities.max() or 1.0)
    ends = float(edges[0]), float(edges[-1])
    return "".join(
        f'<path class="{kind} {name}" d="{_area(edges, height, ends)}"/>'
        for name, height in zip(NAMES, heights, strict=True)
    )


def _area(edges: np.ndarray, heights: np.ndarray, ends: tuple[float, float]) -> str:
    """Steps of the cells; equal neighbours are one."""
    path = f"M{_x(edges[0], ends):.1f} {BASELINE}"
    tops = [f"{BASELINE - height * (BASELINE - MARGIN):.1f}" for height in heights]
    end = 0
    for top, cells in groupby(tops):
        end += len(list(cells))
        path += f"V{top}H{_x(edges[end], ends):.1f}"
    return re.sub(r"\.0(?=[A-Z]|$)", "", f"{path}V{BASELINE}Z")


def _mark(name: str, mean: float, low: float | None) -> str:
    line = f'<path class="mean {name}" d="M{mean:.1f} {MARGIN - 6}V{BASELINE}"/>'
    if low is None:
        return f'{line}<circle class="point {name}" cx="{mean:.1f}" cy="{BASELINE}" r="5"/>'
    triangle = f"M{low:.1f} {BASELINE + 1}l-4 8h8z"
    return f'{line}<path class="low {name}" d="{triangle}"/>'
