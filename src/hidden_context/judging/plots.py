"""Judges drawn on the Axes of matplotlib: certainty against votes, leans, the ceiling."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hidden_context.figures.style import BLUE, GREEN, GREY, INK, OCHRE, ORANGE, PURPLE, SKY
from hidden_context.judging.result import AuditedJudge
from hidden_context.judging.sides import Lean
from hidden_context.measures.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = (BLUE, ORANGE, GREEN, PURPLE, OCHRE, SKY)
MARKERS = "os^DvP"
MOST_LEANS = 12
"""Groups or people of a figure; of more, those at both ends."""


def draw_certainty(axes: "Axes", judges: Sequence[AuditedJudge]) -> None:
    """Share of votes for what each judge prefers, by how sure it is."""
    axes.plot([0.5, 1], [0.5, 1], color=GREY, lw=1, ls="--", label="means what it says")
    most = max(part.num_votes for judge in judges for part in judge.bins)
    for number, judge in enumerate(judges):
        look = _look(number)
        axes.plot([], [], label=judge.name, **look)
        for part in judge.bins:
            size = 3 + 6 * (part.num_votes / most) ** 0.5
            x = part.confidence + 0.006 * (number - (len(judges) - 1) / 2)
            axes.errorbar(x, part.agreement.value, _arms(part.agreement), ms=size, **look)
    axes.axhline(0.5, color=GREY, lw=0.8, ls=":")
    axes.set(xlim=(0.48, 1.02), ylim=(0, 1.02))
    axes.set(xlabel="how sure the judge is", ylabel="share of votes that agree")
    _legend(axes)


def draw_ceiling(axes: "Axes", judges: Sequence[AuditedJudge]) -> None:
    """Agreement with the majority of the others: one more person, and each judge."""
    places = []
    for number, judge in enumerate(judges):
        person, own = (judge.measures[f"{who}_and_majority"] for who in ("person", "judge"))
        label = "one more person" if number == 0 else "_"
        axes.errorbar(
            number - 0.12, person.value, _arms(person), color=INK, marker="o", label=label
        )
        axes.errorbar(number + 0.12, own.value, _arms(own), **_look(number))
        places.append(judge.name)
    axes.axhline(0.5, color=GREY, lw=0.8, ls=":")
    axes.set(xticks=range(len(places)), xticklabels=places, xlim=(-0.6, len(places) - 0.4))
    axes.set(ylim=(0, 1.02), ylabel="agreement with the majority of the others")
    _legend(axes)


def draw_leans(axes: "Axes", leans: Sequence[Lean]) -> None:
    """Leans of one judge to groups or people, those most leant to above."""
    shown = shown_leans(leans)
    for place, one in enumerate(reversed(shown)):
        named = one.p_value is not None and one.p_value < 0.05
        fill = ORANGE if named else "none"
        mark: dict[str, Any] = {"color": ORANGE if named else BLUE, "marker": "o"}
        ends = _arms(one.lean)
        axes.errorbar(one.lean.value, place, xerr=ends, markerfacecolor=fill, **mark)
    axes.axvline(0, color=GREY, lw=1, ls="--")
    names = [one.name if len(one.name) <= 18 else f"{one.name[:17]}…" for one in reversed(shown)]
    axes.set_yticks(range(len(shown)), names)
    axes.locator_params(axis="x", nbins=4)  # leans of four digits would meet
    axes.set(ylim=(-0.7, len(shown) - 0.3), xlabel="agreement beyond that of a follower of all")


def shown_leans(leans: Sequence[Lean]) -> list[Lean]:
    """All, or of many those at both ends, in order."""
    ordered = sorted(leans, key=lambda one: -one.lean.value)
    half = MOST_LEANS // 2
    return ordered if len(ordered) <= MOST_LEANS else [*ordered[:half], *ordered[-half:]]


def _look(number: int) -> dict[str, Any]:
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "ls": "none",
    }


def _arms(estimate: Estimate) -> list[list[float]] | None:
    if estimate.low is None or estimate.high is None:
        return None
    return [[estimate.value - estimate.low], [estimate.high - estimate.value]]


def _legend(axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=2, columnspacing=0.8)
