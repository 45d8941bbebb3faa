"""Panels of jailbreak rate and accuracy as functions of the level of risk."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hidden_context.figures.family_looks import look_of
from hidden_context.figures.style import INK
from hidden_context.measures.risk_curves import LEVELS, RiskCurve, RiskPoint
from hidden_context.measures.summary import Rate
from hidden_context.report.explained_variance_panels import legend_below
from hidden_context.report.measured import Panel
from hidden_context.risk import MEAN, parse_risk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE_THE_LEVELS = 1.0
"""Where on the axis of levels the mean is drawn."""
TICKS = (BESIDE_THE_LEVELS, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
SHIFT = 1.07
"""Factor between the means of two families, which would lie on one another."""
RateOf = Callable[[RiskPoint], Rate | None]


def risk_panels(curves: Sequence[RiskCurve]) -> list[Panel]:
    """One for each rate and training set, where there are scores for them."""
    kinds: tuple[tuple[str, RateOf, Callable[[RiskCurve], float | None]], ...] = (
        ("jailbreak rate", lambda point: point.jailbreak, lambda curve: curve.longer_is_unsafe),
        (
            "accuracy on helpfulness",
            lambda point: point.accuracy,
            lambda curve: curve.longer_is_chosen,
        ),
    )
    panels = []
    for what, rate_of, longer_of in kinds:
        for trained_on in dict.fromkeys(curve.trained_on for curve in curves):
            some = [
                curve
                for curve in curves
                if curve.trained_on == trained_on and any(map(rate_of, curve.points))
            ]
            if not some:
                continue
            longer = next(
                (value for curve in some if (value := longer_of(curve)) is not None), None
            )
            panels.append(
                Panel(
                    f"{what[0].upper()}{what[1:]}, trained on {trained_on}",
                    _described(some, what, rate_of, longer),
                    lambda axes, some=some, what=what, rate_of=rate_of, longer=longer: _draw(
                        axes, some, what, rate_of, longer
                    ),
                )
            )
    return panels


def level_of(risk: str) -> float | None:
    """The level of a quantile; None of any other risk but the mean, which stands beside them."""
    parsed = parse_risk(risk)
    if parsed == MEAN:
        return BESIDE_THE_LEVELS
    return parsed.parameter if parsed.name == "quantile" else None


def _points(curve: RiskCurve, rate_of: RateOf) -> list[tuple[float, Rate]]:
    """By falling level."""
    found = [(level_of(point.risk), rate_of(point)) for point in curve.points]
    return sorted(
        ((level, rate) for level, rate in found if level is not None and rate is not None),
        key=lambda pair: -pair[0],
    )


def _described(
    curves: Sequence[RiskCurve], what: str, rate_of: RateOf, longer: float | None
) -> str:
    listed = []
    for curve in curves:
        points = _points(curve, rate_of)
        text = f"{curve.family} {points[0][1].corrected:.3f} by the mean"
        if len(points) > 1:
            level, lowest = points[-1]
            text += f", {lowest.corrected:.3f} by the {level:g}-quantile"
        listed.append(text)
    if longer is not None:
        listed.append(f"the longer text {longer:.3f}")
    return f"{what[0].upper()}{what[1:]}, by the mean and by quantiles: {'; '.join(listed)}."


def _draw(
    axes: "Axes", curves: Sequence[RiskCurve], what: str, rate_of: RateOf, longer: float | None
) -> None:
    for number, curve in enumerate(curves):
        look = look_of(curve.family)
        (_, mean), *rest = _points(curve, rate_of)
        axes.errorbar(
            BESIDE_THE_LEVELS * SHIFT ** (number - (len(curves) - 1) / 2),
            mean.corrected,
            [[max(mean.corrected - mean.low, 0)], [max(mean.high - mean.corrected, 0)]],
            color=look.color,
            marker=look.marker,
            ls="none",
            label="_" if rest else curve.family,
        )
        if rest:
            levels = [level for level, _ in rest]
            low, high = [rate.low for _, rate in rest], [rate.high for _, rate in rest]
            axes.fill_between(levels, low, high, color=look.color, alpha=0.18, lw=0)
            values = [rate.corrected for _, rate in rest]
            axes.plot(levels, values, color=look.color, ls=look.line, label=curve.family)
    if longer is not None:
        axes.axhline(longer, color=INK, ls=(0, (1, 3)), lw=1, label="the longer text wins")
    axes.set_xscale("log")
    axes.set_xlim(BESIDE_THE_LEVELS * 1.3, min(LEVELS) * 0.9)
    axes.set_xticks(TICKS, ["mean", *(f"{level:g}" for level in TICKS[1:])])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="level α of the quantile that decides", ylabel=what, ylim=(-0.02, 1.02))
    legend_below(axes)
