"""Panels of how predictions fare: reliability curves, and the standard deviations learned."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hidden_context.figures.family_looks import look_of
from hidden_context.figures.style import GREY
from hidden_context.report.explained_variance_panels import legend_below
from hidden_context.report.measured import Measured, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEAST_AREA, MOST_AREA = 4, 150
"""Of a mark, square points: without votes, and what all votes would add."""


def reliability_panels(measured: Sequence[Measured]) -> list[Panel]:
    """One for each data set: predicted against observed shares of votes."""
    panels = []
    for data_set, some in _by_set([each for each in measured if each.reliability]):
        errors = "; ".join(
            f"{each.family} {each.expected_calibration_error.value:.3f}"
            for each in some
            if each.expected_calibration_error is not None
        )
        panels.append(
            Panel(
                f"Reliability, {data_set}",
                "Share of votes for the first response where the model predicts a probability; on "
                "the diagonal it means what it says. The area of a mark grows with its votes."
                + (f" Expected calibration error: {errors}." if errors else ""),
                lambda axes, some=some: _reliability(axes, some),
            )
        )
    return panels


def deviation_panels(measured: Sequence[Measured]) -> list[Panel]:
    """One for each data set: histograms of standard deviations."""
    panels = []
    for data_set, some in _by_set([each for each in measured if each.deviations]):
        medians = "; ".join(f"{each.family} {_median(each):.2f}" for each in some)
        panels.append(
            Panel(
                f"Learned standard deviations, {data_set}",
                "Shares of the responses; all that lie beyond the right end are in the last bin. "
                f"Median: {medians}.",
                lambda axes, some=some: _deviations(axes, some),
            )
        )
    return panels


def _by_set(measured: Sequence[Measured]) -> list[tuple[str, list[Measured]]]:
    sets = dict.fromkeys(each.data_set for each in measured)
    return [(name, [each for each in measured if each.data_set == name]) for name in sets]


def _reliability(axes: "Axes", measured: Sequence[Measured]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    for each in measured:
        look = look_of(each.family)
        predicted = [found.predicted for found in each.reliability]
        observed = [found.observed for found in each.reliability]
        axes.plot(predicted, observed, color=look.color, ls=look.line, lw=1, label=each.family)
        votes = np.array([found.num_votes for found in each.reliability])
        sizes = LEAST_AREA + MOST_AREA * votes / (votes.sum() or 1)
        axes.scatter(predicted, observed, sizes, look.color, marker=look.marker, clip_on=False)
    axes.set(xlabel="predicted P(first preferred)", ylabel="share of votes", xlim=(0, 1))
    axes.set(ylim=(0, 1))
    legend_below(axes)


def _deviations(axes: "Axes", measured: Sequence[Measured]) -> None:
    for each in measured:
        assert each.deviations is not None
        look = look_of(each.family)
        counts = np.asarray(each.deviations.counts)
        shares = counts / max(counts.sum(), 1)
        axes.stairs(shares, each.deviations.edges, color=look.color, ls=look.line, lw=1.6)
        axes.plot([], [], color=look.color, ls=look.line, label=each.family)
    axes.set(xlabel="standard deviation / root of the total variance", ylabel="share of responses")
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    legend_below(axes)


def _median(measured: Measured) -> float:
    """By linear interpolation within its bin."""
    assert measured.deviations is not None
    cumulative = np.concatenate([[0], np.cumsum(measured.deviations.counts)])
    return float(np.interp(cumulative[-1] / 2, cumulative, measured.deviations.edges))
