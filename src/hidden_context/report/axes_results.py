"""Axes as the page shows them: sentences, figures, and the pairs on which sides disagree."""

from functools import partial
from pathlib import Path

from hidden_context.axes.axes import Axes, Axis, read_axes
from hidden_context.axes.plots import draw_effects
from hidden_context.report.results import Panel, Result, Run, Section, Table, made_by
from hidden_context.report.shown_text import BEGINNING
from hidden_context.report.tables import decimal

HEADERS = ("row", "prompt", "has more of it", "has less", "votes of those for it", "against it")


def read_axes_result(file: Path) -> Result:
    """Read an `axes.json`; see `read_axes`."""
    return axes_to_result(read_axes(file), source=str(file))


def axes_to_result(found: Axes, *, source: str) -> Result:
    """Axes as the page shows them."""
    return Result(
        title=f"What {found.contexts_name} differ in",
        source=source,
        sentences={found.source: found.sentences},
        runs=(
            Run(
                name=found.source,
                family="axes",
                data_set=found.by,
                settings={
                    "counts": found.counts,
                    "search": found.config,
                    "largest spreads": {
                        each.name: f"{decimal(each.statistic, 1)}, p = {decimal(each.p)}"
                        for each in found.tested[:20]
                    },
                    "made by": made_by(found.made_by),
                },
            ),
        ),
        sections=(
            Section(
                "How far apart are they?",
                "A mark for each, with what is not known of it.",
                tuple(_panel(axis, found.by) for axis in found.axes),
            ),
        ),
        pairs={axis.called or axis.name: _pairs(axis) for axis in found.axes if axis.exemplars},
    )


def _panel(axis: Axis, by: str) -> Panel:
    text = (
        f"{axis.effect_name.capitalize()}, in each {by}, with 95 % intervals; below 0, "
        f"“{axis.less}” is preferred. Dashed: the average, {decimal(axis.average, 2)}."
    )
    return Panel(axis.called or axis.name, text, partial(draw_effects, axis=axis))


def _pairs(axis: Axis) -> Table:
    rows = [
        (
            str(each.row),
            *(_beginning(text) for text in (each.prompt, each.more, each.less)),
            *(
                f"{for_more:g} of {votes:g} for the first, {decimal(prob, 2)} expected"
                for (for_more, votes), prob in (
                    (each.votes_for, each.prob_by_those_for),
                    (each.votes_against, each.prob_by_those_against),
                )
            ),
        )
        for each in axis.exemplars
    ]
    return Table(HEADERS, tuple(rows))


def _beginning(text: str) -> str:
    return text if len(text) <= BEGINNING else f"{text[:BEGINNING].rstrip()} …"
