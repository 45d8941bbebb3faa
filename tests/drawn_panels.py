"""Panels drawn for tests, and the numbers that matplotlib holds of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from page_samples import audit_of

from hidden_context.measures.risk_curves import CURVES, RiskCurve, RiskPoint
from hidden_context.measures.summary import Rate
from hidden_context.report.measured import (
    Measured,
    Panel,
)
from hidden_context.report.read_audit import read_audit

SETS = ("helpful", "harmless", "both")
"""Training sets of the measures below."""


def measured_by_audit(folder: Path) -> tuple[Measured, ...]:
    """Three families on each of three sets; of the scalar one there is no r²."""
    path = folder / "audit.json"
    path.write_text(json.dumps(audit_of(SETS)))
    return read_audit(path).measured


def drawn(panel: Panel) -> Any:
    """The Axes; what they hold has no types of use here."""
    axes = Figure().add_subplot()
    panel.draw(axes)
    return axes


def marks(axes: Any) -> list[tuple[float, float, float, float]]:
    """x, value, low and high of every mark with a bar."""
    found = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        parts: Any = container.lines
        line, _, bars = parts
        (segment,) = bars[0].get_segments()
        x, y = np.ravel(line.get_data()).tolist()
        found.append((x, y, *sorted(segment[:, 1].tolist())))
    return found


def lines_of(axes: Any) -> list[Any]:
    """Those that show data: the legend's have none."""
    return [line for line in axes.lines if len(line.get_xdata()) > 0]


def legend_of(axes: Any) -> list[str]:
    (legend,) = axes.figure.legends
    return [text.get_text() for text in legend.get_texts()]


def rate_of(value: float) -> Rate:
    return Rate(value, value, value - 0.1, value + 0.05, 0, 50)


def curve_of(family: str, *, trained_on: str = "both", start: float = 0.3) -> RiskCurve:
    risks = ["mean"] if family == "base" else ["mean", *map(str, CURVES["quantile"])]
    points = [
        RiskPoint(risk, rate_of(start + 0.01 * k), rate_of(0.9 - 0.02 * k))
        for k, risk in enumerate(risks)
    ]
    return RiskCurve(family, trained_on, tuple(points), 0.45, 0.55)


RISK_CURVES = (curve_of("base", start=0.25), curve_of("mean_and_variance"), curve_of("categorical"))
