"""A fit of items as the page shows it: whether one number an item is enough, and which is best."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.items.figure import MOST_SHOWN, draw_utilities, shortened
from hidden_context.items.fit import ItemFit
from hidden_context.measures.estimate import Estimate
from hidden_context.report.answers import verdict_above
from hidden_context.report.panel_figures import drawable
from hidden_context.report.results import Answer, Finding, Panel, Result, Run, Section, Table
from hidden_context.report.tables import decimal, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOW_MUCH = "How much is each liked?"
BY_RULES = "Which would each rule choose?"
LONGEST_NAME = 24
"""Characters of an item beside the axis."""
MOST_ROWS = 30
"""Items of a table, the best first."""
RULES = {
    "borda": "Borda count",
    "copeland": "Copeland",
    "maximin": "maximin",
    "expected_utility": "expected utility",
}


def items_to_result(fit: ItemFit, *, source: str) -> Result:
    """Items as the page shows them."""
    return Result(
        title=f"{len(fit.raw)} items",
        source=source,
        command="hidden-context items",
        answer=answer_about_items(fit),
        sections=(
            Section(HOW_MUCH, _explained(fit), (_panel(fit),), (("", _table(fit)),)),
            Section(
                BY_RULES,
                "Scores by rules of choice; more is better. Where they name several, people differ "
                "in a way that matters to who is chosen.",
                (),
                (("", _choices(fit)),),
            ),
        ),
        runs=(
            Run(
                name=source,
                family=fit.family.name,
                data_set=f"{len(fit.raw)} items",
                settings={
                    "fit": {
                        "family": fit.family.to_dict(),
                        "ridge": fit.ridge,
                        "converged": fit.converged,
                        "intervals": fit.uncertainty.how,
                    }
                },
            ),
        ),
        notes=fit.warnings,
    )


def answer_about_items(fit: ItemFit) -> Answer:
    """Whether spreads of their own predict held-out votes better, and what may be said of it."""
    findings = tuple(each for each in (_is_best(fit), _rules_agree(fit), _is_settled(fit)) if each)
    held_out = fit.held_out
    gain = None if held_out is None else held_out.gains().get(fit.family.name)
    hides = "one number an item hides something"
    if held_out is None or gain is None:
        why = (
            "family base has no spread"
            if fit.family.is_scalar
            else "the ridge was given, so no votes were held out"
        )
        return Answer("cannot tell", f"This fit cannot tell whether {hides}: {why}.", "", findings)
    evidence = (
        f"{fit.family.name} against one number an item, on held-out "
        f"{held_out.fits[0].held_out}: {gain.signed(4)} nats a vote."
    )
    tails = fit.spread_check is not None and fit.spread_check.explained_by_tails
    if gain.against(0) == "above" and not tails:
        sentence = "People split more on some of these items than one number for each can say."
        return Answer("yes", sentence, evidence, findings)
    why = (
        "votes by chance may explain the gain of a spread"
        if gain.against(0) == "above"
        else "a spread of its own for each does not surely predict held-out votes better"
    )
    sentence = f"These votes cannot tell whether {hides}, because {why}."
    return Answer("cannot tell", sentence, evidence, findings)


def _is_best(fit: ItemFit) -> Finding | None:
    """Of the two with the largest shares of wins: whether the first is preferred."""
    share, between = fit.preferences[1].value, fit.preferences[0]
    known = np.flatnonzero(np.isfinite(share))
    if len(known) < 2:
        return None
    best, second = known[np.argsort(-share[known], kind="stable")[:2]]
    value, low, high = (
        float(end[best, second]) for end in (between.value, between.low, between.high)
    )
    prob = Estimate(value, low, high)
    first, other = (shortened(fit.names[k]) for k in (best, second))
    text = f"“{first}” is preferred to “{other}”, the next, with probability {with_interval(prob)}."
    return Finding("Is one surely the best?", verdict_above(prob, 0.5), text, HOW_MUCH)


def _rules_agree(fit: ItemFit) -> Finding:
    table = fit.choices()
    rules = [rule for rule in RULES if rule in table and table[rule].notna().any()]
    chosen = {RULES[rule]: shortened(table["item"][table[rule].idxmax()]) for rule in rules}
    if len(set(chosen.values())) == 1:
        text = f"“{next(iter(chosen.values()))}” by {', '.join(chosen)}."
        return Finding("Do all rules choose the same?", "yes", text, BY_RULES)
    text = "; ".join(f"{rule}: “{item}”" for rule, item in chosen.items())
    return Finding("Do all rules choose the same?", "no", f"{text}.", BY_RULES)


def _is_settled(fit: ItemFit) -> Finding | None:
    """Said where votes leave the fit open, or it has not come to its end."""
    if fit.converged:
        return None
    text = "Votes leave the utilities of some items open, or the fit did not come to its end."
    return Finding("Do the votes settle the utilities?", "no", text, HOW_MUCH)


def _explained(fit: ItemFit) -> str:
    if fit.has_free_levels:
        return "Marks are shares of wins, with 95 % intervals."
    return (
        "Marks are mean utilities, thick lines their 95 % intervals, thin ones a standard "
        "deviation of utility to each side. Utilities have no zero of their own: "
        "0 is the mean of the list."
    )


def _panel(fit: ItemFit) -> Panel:
    table = fit.to_frame(intervals=False)
    rows = min(len(table), MOST_SHOWN + 1)
    first, last = (shortened(table["item"].iloc[k]) for k in (0, -1))
    return Panel(
        "Items, the best first",
        f"{len(table)} items, from {first} to {last}.",
        partial(_draw, fit=fit),
        inches=(4.6, 1.0 + 0.2 * rows),
    )


def _draw(axes: "Axes", *, fit: ItemFit) -> None:
    """As `ItemFit.plot_utilities`, in the width of a page, which says what the marks are."""
    draw_utilities(fit, axes)
    names = [drawable(label.get_text(), LONGEST_NAME) for label in axes.get_yticklabels()]
    axes.set_yticks(axes.get_yticks(), names)
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()


def _table(fit: ItemFit) -> Table:
    table = fit.to_frame()
    names = [name for name in ("mean", "std", "win_share") if name in table]
    rows = [
        (
            shortened(row["item"]),
            *(with_interval(_estimate(row, name)) for name in names),
        )
        for row in table.head(MOST_ROWS).to_dict("records")
    ]
    headers = {"mean": "mean utility", "std": "spread", "win_share": "share of wins"}
    return Table(("item", *(headers[name] for name in names)), tuple(rows))


def _estimate(row: dict[Any, Any], name: str) -> Estimate | None:
    given = (row.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
    value, low, high = (None if np.isnan(each) else float(each) for each in given)
    return None if value is None else Estimate(value, low, high)


def _choices(fit: ItemFit) -> Table:
    table = fit.choices()
    rules = [rule for rule in RULES if rule in table]
    rows = [
        (shortened(row["item"]), *(decimal(None if np.isnan(row[r]) else row[r]) for r in rules))
        for row in table.head(MOST_ROWS).to_dict("records")
    ]
    return Table(("item", *(RULES[rule] for rule in rules)), tuple(rows))
