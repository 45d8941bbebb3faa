"""Axes as the page shows them: sentences, figures, and the pairs on which sides disagree."""

from functools import partial
from pathlib import Path

from hidden_context.axes.axes import AVERAGE, Axes, Axis, read_axes
from hidden_context.axes.plots import draw_effects
from hidden_context.axes.sentences import MANY
from hidden_context.report.answers import MOST
from hidden_context.report.results import (
    Answer,
    Finding,
    Panel,
    Result,
    Run,
    Section,
    Table,
    made_by,
)
from hidden_context.report.shown_text import BEGINNING
from hidden_context.report.tables import decimal

HOW_FAR = "How far apart are they?"
HEADERS = (
    "row",
    "prompt",
    "has more of it",
    "has less",
    "votes of those that like it more than on average",
    "of those that like it less",
)


def read_axes_result(file: Path) -> Result:
    """Read an `axes.json`; see `read_axes`."""
    return axes_to_result(read_axes(file), source=str(file))


def axes_to_result(found: Axes, *, source: str) -> Result:
    """Axes as the page shows them."""
    return Result(
        title=f"What {found.contexts_name} differ in",
        source=source,
        answer=answer_about_axes(found),
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
                HOW_FAR,
                "A mark for each, with what is not known of it.",
                tuple(_panel(axis, found.by) for axis in found.axes),
            ),
        ),
        pairs={axis.called or axis.name: _pairs(axis) for axis in found.axes if axis.exemplars},
    )


def answer_about_axes(found: Axes) -> Answer:
    """What divides those who judged, or why the data cannot tell; then each axis."""
    who = f"{found.counts['contexts']} {found.contexts_name}"
    by_chance = f"{100 * found.config['level']:.3g} % of data in which nothing differs"
    tested = (
        f"{found.counts['features']} features were tested on {found.counts['decided']:,} "
        f"comparisons; some axis would be found by chance in at most {by_chance}."
    )
    if not found.axes:
        clearest = "" if found.stopped_p is None else f" (the clearest: p = {found.stopped_p:.3f})"
        why = f"none of {found.counts['features']} features passed the test{clearest}"
        sentence = f"These data cannot tell what {who} differ in, because {why}."
        return Answer("cannot tell", sentence, f"{tested} It is no proof that they do not.", ())
    findings = tuple(
        Finding(f"Do they differ in {_quoted(axis)}?", "yes", _apart(axis), HOW_FAR)
        for axis in found.axes[:MOST]
    )
    first = found.axes[0]
    more = len(found.axes) - 1
    others = f", and on {more} more {'axis' if more == 1 else 'axes'}" if more else ""
    sentence = f"{who} differ in {_quoted(first)} (p = {first.p:.3f}){others}"
    return Answer("yes", f"{sentence}. {_apart(first)}", tested, findings)


def _quoted(axis: Axis) -> str:
    """Its name; that of a word is in quotes already."""
    name = axis.called or axis.name
    return name if name.startswith("“") else f"“{name}”"


def _apart(axis: Axis) -> str:
    """How those who judged are divided, in shares or, where they are few, by name."""
    if axis.name == AVERAGE:
        return (
            f"Some follow what is liked on average more closely than others do (weight "
            f"{decimal(axis.average, 2)}, standard deviation {decimal(axis.spread, 2)})."
        )
    above, below = axis.sure("above"), axis.sure("below")
    if len(axis.effects) >= MANY:
        share = round(100 * axis.share_for)
        return (
            f"About {share} % prefer “{axis.more}”, {100 - share} % “{axis.less}”; of "
            f"{len(axis.effects)} the votes of {len(above)} and of {len(below)} suffice to say so."
        )
    low, high = (pick(axis.effects.items(), key=lambda item: item[1].value) for pick in (min, max))
    return (
        f"“{axis.more}” adds log odds of {high[1].signed(2)} with {high[0]} and {low[1].signed(2)} "
        f"with {low[0]}."
    )


def _panel(axis: Axis, by: str) -> Panel:
    text = (
        f"{axis.effect_name.capitalize()}, of each {by}, with 95 % intervals; below 0, "
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
