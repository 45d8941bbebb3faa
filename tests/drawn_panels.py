"""Panels drawn for tests, and the numbers that matplotlib holds of them."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from page_samples import audit_of

from hidden_context.audits.result import read_audit
from hidden_context.distributions import make_family
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.risk_levels import CURVES
from hidden_context.report.results import Panel

SETS = ("helpful", "harmless", "both")
"""Training sets of the evaluations below."""


@cache
def audited() -> tuple[Evaluation, ...]:
    """Three families on each of three sets; of the scalar one there is no r²."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.json"
        path.write_text(json.dumps(audit_of(SETS)))
        return tuple(each for of in read_audit(path).sets for each in of.evaluations)


def evaluation_of(family: str, trained_on: str = "a", **measures: Any) -> Evaluation:
    return Evaluation(make_family(family), trained_on=trained_on, **measures)


def with_r2(
    family: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    trained_on: str = "a",
    **measures: Any,
) -> Evaluation:
    """r² over all responses."""
    estimates = {"pooled": Estimate(value, low, high)}
    return evaluation_of(family, trained_on, explained_variance=estimates, **measures)


def drawn(panel: Panel) -> Any:
    """The Axes; what they hold has no types of use here."""
    axes = Figure().add_subplot()
    panel.draw(axes)
    return axes


def marks(axes: Any) -> list[tuple[float, float, float, float]]:
    """x, value, low and high of every mark with a bar."""
    listed = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        parts: Any = container.lines
        line, _, bars = parts
        (segment,) = bars[0].get_segments()
        x, y = np.ravel(line.get_data()).tolist()
        listed.append((x, y, *sorted(segment[:, 1].tolist())))
    return listed


def lines_of(axes: Any) -> list[Any]:
    """Those that show data: the legend's have none."""
    return [line for line in axes.lines if len(line.get_xdata()) > 0]


def legend_of(axes: Any) -> list[str]:
    (legend,) = axes.figure.legends
    return [text.get_text() for text in legend.get_texts()]


def rate_of(value: float) -> Rate:
    return Rate(value, value - 0.1, value + 0.05, published=value, n=50)


def along_risks(family: str, *, trained_on: str = "both", start: float = 0.3) -> Evaluation:
    risks = ["mean"] if family == "base" else ["mean", *map(str, CURVES["quantile"])]
    return evaluation_of(
        family,
        trained_on,
        jailbreak_rate={risk: rate_of(start + 0.01 * k) for k, risk in enumerate(risks)},
        helpfulness_accuracy={risk: rate_of(0.9 - 0.02 * k) for k, risk in enumerate(risks)},
        longer_is_unsafe=Rate(0.45),
        longer_is_helpful=Rate(0.55),
    )


BY_RISK = (
    along_risks("base", start=0.25),
    along_risks("mean_and_variance"),
    along_risks("categorical"),
)
