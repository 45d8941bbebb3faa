"""`PeopleFindings` as a chapter of the page: people on two axes, what lies at their ends, ties."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hidden_context.audits.sentences import LARGEST_P
from hidden_context.figures.style import BLUE, GREEN, GREY, INK, OCHRE, ORANGE, PURPLE, SKY
from hidden_context.people.findings import Axis, PeopleFindings
from hidden_context.people.held_out import HeldOut
from hidden_context.people.sentences import (
    HELD_OUT,
    Z,
    answers,
    held_out_rows,
    item_shown,
    once_compared,
    shown,
    what_is_learned,
)
from hidden_context.report.results import (
    Answer,
    Finding,
    Panel,
    Result,
    Section,
    Table,
)
from hidden_context.report.tables import decimal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = (BLUE, ORANGE, GREEN, PURPLE, OCHRE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
REST = "all others"
WHO = "Who differs from whom?"
MOST_PEOPLE = 300
"""With intervals; of more people they would hide each other."""
AT_ENDS = 5
"""Items at each end of an axis."""


def people_to_result(found: PeopleFindings) -> Result:
    """A chapter of the page."""
    sections = (_map(found), _ends(found), _held_out(found), _ties(found))
    return Result(
        title="People",
        source=found.source,
        command="hidden-context people",
        answer=answer_about_people(found),
        sentences={found.source: tuple(answers(found))},
        sections=tuple(section for section in sections if section is not None),
        notes=found.notes,
    )


def answer_about_people(found: PeopleFindings) -> Answer:
    """Whether people differ, by held-out comparisons of theirs; then by how much, and who."""
    findings: list[Finding] = []
    if found.axes:
        known = int((np.abs(found.axes[0].position) > Z * found.axes[0].std).sum())
        text = f"Of {known} of {len(found.counts)} people the interval on axis 1 leaves the middle."
        differ = found.verdict in ("yes", "not tried")
        verdict = "yes" if known and differ else "cannot tell"
        if not differ:
            text += " Held-out people do not bear out that people differ on it."
        findings.append(Finding("Can single people be told apart?", verdict, text, WHO))
    if found.agreement is not None:
        p = found.agreement.p_value
        index = found.agreement.adjusted_rand
        text = f"Clusters of people agree with them: adjusted Rand index {index:.2f}, p = {p:.3f}"
        text += f"{found.agreement.of_so_few}."
        question = f"Are they the groups of {found.column}?"
        findings.append(Finding(question, "yes" if p <= LARGEST_P else "cannot tell", text, WHO))
    if found.verdict == "cannot tell" and found.is_of_items_compared_once:
        return Answer(
            "cannot tell",
            "These comparisons cannot tell whether people differ: most responses were compared "
            "once.",
            once_compared(found),
            tuple(findings),
        )
    if found.verdict == "not tried":
        return Answer(
            "cannot tell",
            "Whether people differ was not tried on held-out people.",
            "The number of directions was given.",
            tuple(findings),
        )
    if not found.people.directions.shape[1]:
        return Answer(
            "no",
            "Nothing shows that people differ: one set of utilities predicts everybody as well.",
            f"Of {len(found.counts)} people, each held out once.",
            tuple(findings),
        )
    last = found.held_out[-1]
    sentence = {
        "yes": f"People differ: {last.number} comparisons of somebody tell what she would say of "
        "others, better than what people say on average does.",
        "no": "Nothing shows that people differ: what they say on average tells more of somebody "
        f"than {last.number} comparisons of hers do.",
        "cannot tell": "These data cannot tell whether people differ, because nothing shows that "
        f"{last.number} comparisons of somebody help to predict her others.",
    }[found.verdict]
    evidence = (
        f"{last.num_people} people, each held out once, {last.num_votes} votes. "
        f"{what_is_learned(found)}"
    )
    return Answer(found.verdict, sentence, evidence, tuple(findings))


def _map(found: PeopleFindings) -> Section | None:
    if not found.axes:
        return None
    explanation = (
        "Each mark is a person, where she is expected on the axes that divide people most; lines "
        "are 95 % intervals: what her comparisons leave open. The unit is the standard deviation "
        "of people. Somebody of whom nothing is known is at 0 ± 2."
    )
    if len(found.known.people) > MOST_PEOPLE:
        explanation += f" Intervals are drawn of {MOST_PEOPLE} people, drawn at random."
    first, second = found.axes[0], found.axes[1] if len(found.axes) > 1 else None
    title = "People on one axis" if second is None else "People on two axes"
    by = f", by {found.column}" if found.colors else ""
    words = (
        f"{len(found.counts)} people; the standard deviation of what is expected of them is "
        f"{first.position.std():.2f} on axis 1."
    )
    return Section(
        WHO,
        explanation,
        (Panel(title + by, words, partial(draw_people, found=found, first=first, second=second)),),
        (("People farthest from the middle of axis 1", _people_table(found)),),
    )


def kinds_of_people(found: PeopleFindings) -> list[tuple[str, np.ndarray]]:
    """The most frequent values of the column, and who has them; the rest together."""
    if found.colors is None:
        return [("", np.ones(len(found.counts), bool))]
    values, counts = np.unique(found.colors, return_counts=True)
    most = values[np.argsort(-counts, kind="stable")][: len(COLORS)]
    kinds = [(str(value), np.array(found.colors) == value) for value in most]
    rest = ~np.isin(found.colors, most)
    return [*kinds, (REST, rest)] if rest.any() else kinds


def draw_people(axes: "Axes", *, found: PeopleFindings, first: Axis, second: Axis | None) -> None:
    """Marks with intervals; with one axis people are in its order from bottom to top."""
    x, x_std = first.position, first.std
    if second is None:
        order = np.argsort(np.argsort(x, kind="stable"), kind="stable")
        y, y_std = order.astype(float), None
        axes.set_yticks([])
        axes.set_ylabel("people, in this order")
    else:
        y, y_std = second.position, second.std
        axes.set_ylabel("axis 2, standard deviations of people")
        axes.axhline(0, color=GREY, linewidth=0.6)
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_xlabel("axis 1, standard deviations of people")
    chosen = np.random.default_rng(0).permutation(len(x))[:MOST_PEOPLE]
    drawn = np.isin(np.arange(len(x)), chosen)
    for number, (name, members) in enumerate(kinds_of_people(found)):
        color = GREY if name == REST else COLORS[number % len(COLORS)]
        marker = MARKERS[number % len(MARKERS)]
        bars = members & drawn
        axes.errorbar(
            x[bars],
            y[bars],
            xerr=Z * x_std[bars],
            yerr=None if y_std is None else Z * y_std[bars],
            fmt="none",
            ecolor=color,
            elinewidth=0.5,
            alpha=0.35,
        )
        axes.scatter(x[members], y[members], s=12, color=color, marker=marker, label=name or None)
    if found.colors is not None:
        axes.figure.legend(loc="outside lower center", ncols=3)


def _people_table(found: PeopleFindings) -> Table:
    headers = ["person", "comparisons", "axis 1 (95 %)"]
    headers += ["axis 2 (95 %)"] * (len(found.axes) > 1)
    headers += ["calls even pairs a tie"] * (len(found.people.thresholds) > 1)
    headers += [found.column] * (found.colors is not None)
    rows = []
    for k in np.argsort(-np.abs(found.axes[0].position), kind="stable")[:10]:
        row = [shown(found.known.people[k]), str(found.counts[k])]
        row += [_interval(axis, k) for axis in found.axes[:2]]
        row += [decimal(float(found.tie_habit[k]), 2)] * (len(found.people.thresholds) > 1)
        row += [] if found.colors is None else [found.colors[k]]
        rows.append(tuple(row))
    return Table(tuple(headers), tuple(rows))


def _interval(axis: Axis, k: int) -> str:
    low, high = axis.position[k] - Z * axis.std[k], axis.position[k] + Z * axis.std[k]
    return f"{decimal(axis.position[k], 2)} ({decimal(low, 2)} to {decimal(high, 2)})"


def _ends(found: PeopleFindings) -> Section | None:
    if not found.axes:
        return None
    tables = []
    for number, axis in enumerate(found.axes[:2], start=1):
        high, low = axis.ends(AT_ENDS)
        rows = [
            (end, item_shown(found.people, k), decimal(float(axis.loadings[k]), 2))
            for end, of_end in (("high", high), ("low", low[::-1]))
            for k in of_end
        ]
        caption = f"Axis {number}: {axis.share:.2f} of the variance between people"
        headers = ("end", "item", "utility more, one deviation up")
        tables.append((caption, Table(headers, tuple(rows))))
    return Section(
        "Along what do they differ?",
        "Items at the ends of each axis: what people high on it like more than others do, and what "
        "they like less. Axes are ordered by the differences that they make between the responses "
        "that were compared; their direction has no meaning.",
        (),
        tuple(tables),
    )


def _held_out(found: PeopleFindings) -> Section | None:
    if not found.held_out:
        return None
    rows = found.held_out
    words = (
        f"{rows[0].num_votes} votes of {rows[0].num_people} held-out people, the same for every n. "
        f"With {rows[-1].number} known comparisons {rows[-1].loss.value:.3f} nats a vote, without "
        f"any {rows[0].loss.value:.3f}."
    )
    return Section(
        "How soon is a person known?",
        "Everybody is held out once: the model is fitted to the others, is given n of her "
        "comparisons, and predicts others of hers. Intervals are over people.",
        (
            Panel(
                "What knowing her comparisons gains",
                words,
                partial(draw_held_out, rows=rows),
                "Above 0 her comparisons tell more of her others than what people say on average.",
            ),
        ),
        (("The same in numbers", Table(HELD_OUT, tuple(held_out_rows(found)))),),
    )


def draw_held_out(axes: "Axes", *, rows: Sequence[HeldOut]) -> None:
    """What is gained over the population, with intervals, at even distances."""
    places = np.arange(len(rows))
    value, low, high = (
        np.array([getattr(row.gain, name) for row in rows], float)
        for name in ("value", "low", "high")
    )
    errors = np.stack([value - low, high - value])
    axes.errorbar(places, value, yerr=errors, fmt="o-", color=BLUE, capsize=2, clip_on=False)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xticks(places, [str(row.number) for row in rows])
    axes.set_xlabel("comparisons of a person that are known")
    axes.set_ylabel("nats a vote better than the population")


def _ties(found: PeopleFindings) -> Section | None:
    if len(found.people.thresholds) < 2:
        return None
    spread = np.quantile(found.tie_habit, [0.1, 0.9])
    words = (
        f"Of even pairs a tenth of people call {spread[0]:.2f} a tie, or less, and a tenth "
        f"{spread[1]:.2f} or more."
    )
    panel = Panel("Habits of ties", words, partial(draw_ties, habit=found.tie_habit))
    return Section(
        "Who says “equally good”?",
        "How often a person calls two responses equal that are equal to her, as far as her "
        "comparisons tell.",
        (panel,),
    )


def draw_ties(axes: "Axes", *, habit: np.ndarray) -> None:
    """A histogram of people."""
    axes.hist(habit, bins=np.linspace(0, 1, 21).tolist(), color=BLUE, alpha=0.75)
    axes.set_xlabel("share of even pairs called a tie")
    axes.set_ylabel("people")
