"""Mean utility against spread of a model's responses, contested ones linked to their texts."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from hidden_context.distributions import UtilityDistribution
from hidden_context.report.examples import AGREED, CONTESTED, Example, Kind
from hidden_context.report.tables import decimal
from hidden_context.scores.scores import Scores

WIDTH, HEIGHT, LEFT, BOTTOM, MARGIN = 480, 300, 54, 40, 14
MARKS = {CONTESTED: "contested", AGREED: "agreed"}
"""Classes of the kinds of examples that are marked."""
MOST = 800
"""Responses that are drawn; of more, evenly spaced ones."""


def response_map(
    scores: Scores,
    kinds: Sequence[Kind],
    anchor: str,
    truth: UtilityDistribution | None = None,
) -> Markup:
    """The SVG; marks of the examples link to them on the page.

    Means are those of the model: between prompts they compare only as far as it does.

    Args:
        scores: Of comparisons.
        kinds: Examples among them.
        anchor: What the ids of the examples begin with; see `anchor_of`.
        truth: Of the same responses, on the scale of the model, shape `(n, 2)`, drawn as diamonds.
    """
    mean, std = _places(scores.utility).T
    shown = np.unique(np.linspace(0, len(mean) - 1, min(len(mean), MOST)).astype(int))
    marked = [
        (kind, example, float(example.utility.mean[k]), float(example.utility.std[k]))
        for kind in kinds
        if kind.title in MARKS
        for example in kind.examples
        for k in range(2)
    ]
    true = np.zeros((0, 2)) if truth is None else np.unique(_places(truth).round(6), axis=0)
    x = _Axis(
        np.concatenate([mean[shown], [m for *_, m, _ in marked], true[:, 0]]), LEFT, WIDTH - MARGIN
    )
    y = _Axis(
        np.concatenate([[0.0], std[shown], [s for *_, s in marked], true[:, 1]]),
        HEIGHT - BOTTOM,
        MARGIN,
    )
    dots = "".join(
        f'<circle cx="{x(mean[k]):.1f}" cy="{y(std[k]):.1f}" r="2"/>' for k in shown.tolist()
    )
    links = "".join(
        f'<a href="#{anchor_of(anchor, kind, example)}"><title>{kind.title}: mean {decimal(m, 2)}, '
        f"standard deviation {decimal(s, 2)}</title>{_mark(MARKS[kind.title], x(m), y(s))}</a>"
        for kind, example, m, s in marked
    )
    diamonds = "".join(
        f'<path class="truth" d="M{x(m) - 5:.1f} {y(s):.1f}l5 -5 5 5 -5 5z"/>'
        for m, s in true.tolist()
    )
    ticks = "".join(
        f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
        f"{decimal(value, x.digits)}</text>"
        for value in x.ticks
    ) + "".join(
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
        f"{decimal(value, y.digits)}</text>"
        for value in y.ticks
    )
    names = (
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">mean utility</text>'
        f'<text transform="translate(12 {(HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
        "spread (standard deviation)</text>"
    )
    axes = f'<path class="axis" d="M{LEFT} {MARGIN}V{HEIGHT - BOTTOM}H{WIDTH - MARGIN}"/>'
    label = f"Mean utility against standard deviation of {len(mean)} responses"
    if truth is not None:
        off = np.abs(_places(truth) - np.stack([mean, std], 1)).mean(0)
        label += (
            f"; diamonds are the truth, from which means are {decimal(off[0])} and deviations "
            f"{decimal(off[1])} away on average"
        )
    return Markup(
        f'<svg class="map" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{axes}<g>{dots}</g>{diamonds}{links}{ticks}{names}</svg>"
    )


def _places(utility: UtilityDistribution) -> np.ndarray:
    """Mean and standard deviation of each response, shape `(responses, 2)`."""
    both = (np.asarray(values, np.float64).ravel() for values in (utility.mean, utility.std))
    return np.stack(list(both), axis=1)


def anchor_of(beginning: str, kind: Kind, example: Example) -> str:
    """The id of an example on the page."""
    return f"{beginning}-{MARKS.get(kind.title, 'other')}-{example.row}"


def _mark(name: str, x: float, y: float) -> str:
    """A circle where contested, a square where agreed."""
    if name == "contested":
        return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="6"/>'
    return f'<rect class="{name}" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>'


class _Axis:
    """From values to places, with some four round ticks."""

    def __init__(self, values: np.ndarray, start: float, end: float) -> None:
        from matplotlib.ticker import MaxNLocator

        low, high = float(values.min()), float(values.max())
        margin = 0.04 * (high - low) or 1.0
        self.low, self.high = low - margin, high + margin
        self.start, self.end = start, end
        ticks = MaxNLocator(5).tick_values(self.low, self.high)
        self.ticks = [float(tick) for tick in ticks if self.low <= tick <= self.high]
        step = f"{float(ticks[1] - ticks[0]):.9f}".rstrip("0")
        self.digits = len(step.partition(".")[2])

    def __call__(self, value: float) -> float:
        share = (float(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)
