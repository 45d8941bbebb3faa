"""judges.json to what the page shows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from hidden_context.judging import plots
from hidden_context.judging.result import AuditedJudge, JudgeAudit, meaning_of
from hidden_context.judging.result import read_judges as read_audit_of_judges
from hidden_context.judging.sides import Lean
from hidden_context.report.judge_answers import (
    AS_GOOD,
    SIDES,
    SPLITS,
    SURE,
    SWAYED,
    answer_about_judges,
)
from hidden_context.report.results import Panel, Result, Run, Section, Table, made_by
from hidden_context.report.tables import with_interval


def read_judges(file: Path) -> Result:
    """Read judges held against people.

    Raises:
        UserError: The file is damaged, of another version, or holds something else.
    """
    return judges_to_result(read_audit_of_judges(file), source=str(file))


def judges_to_result(audit: JudgeAudit, *, source: str) -> Result:
    """Judges as the page shows them."""
    return Result(
        title=f"Judges of {Path(audit.source).name}",
        source=source,
        answer=answer_about_judges(audit),
        sentences=audit.sentences,
        sections=tuple(_sections(audit.judges)),
        runs=tuple(
            Run(
                name=judge.name,
                family=judge.kind,
                data_set=Path(audit.source).name,
                settings={
                    "read": {"how": judge.account},
                    "counts": dict(audit.counts),
                    "made by": made_by(audit.made_by),
                },
            )
            for judge in audit.judges
        ),
    )


NUMBERS: Mapping[str, tuple[str, ...]] = {
    AS_GOOD: ("agreement", "person_and_majority", "judge_and_majority", "judge_and_person"),
    SURE: ("confidence", "overconfidence"),
    SPLITS: (
        "sure_where_split",
        "sure_where_agreed",
        "surer_where_agreed",
        "ties_of_people",
        "ties_of_judge",
        "sure_at_ties",
        "surer_off_ties",
    ),
}
"""Measures that answer each question; all others say what sways a judge."""


def _sections(judges: Sequence[AuditedJudge]) -> Iterator[Section]:
    """One for each question, with its figure and its numbers."""
    panels = {AS_GOOD: _of_ceiling(judges), SURE: [_of_certainty(judges)], SIDES: _of_leans(judges)}
    names = list(dict.fromkeys(name for judge in judges for name in judge.measures))
    placed = {name for of in NUMBERS.values() for name in of}
    measures = {**NUMBERS, SWAYED: tuple(name for name in names if name not in placed), SIDES: ()}
    for question, of_question in measures.items():
        table = _numbers(judges, [name for name in names if name in of_question])
        yield Section(question, EXPLAINED.get(question, ""), tuple(panels.get(question, ())), table)


EXPLAINED: Mapping[str, str] = {
    AS_GOOD: "Each vote, and the judge, is held against the majority of the other votes on its "
    "pair; ties aside. Intervals, here and below, are 95 % intervals, clustered by person and "
    "prompt as far as the data name them.",
    SURE: "On the dashes a judge's probabilities mean what they say.",
    SIDES: "How much more of their votes the judge agrees with than one that follows all people as "
    "strongly. Full marks differ from 0 (p < .05, adjusted for all).",
}


def _numbers(judges: Sequence[AuditedJudge], names: Sequence[str]) -> tuple[tuple[str, Table], ...]:
    """A row for each measure, a column for each judge."""
    rows = [
        (
            name.replace("_", " "),
            meaning_of(name),
            *(with_interval(judge.measures.get(name)) for judge in judges),
        )
        for name in names
    ]
    headers = ("measure", "what it is", *(judge.name for judge in judges))
    return (("", Table(headers, tuple(rows))),) if rows else ()


def _of_certainty(judges: Sequence[AuditedJudge]) -> Panel:
    said = "; ".join(
        f"{judge.name} {judge.measures['confidence'].value:.3f} sure, "
        f"{judge.measures['agreement'].value:.3f} of the votes agree"
        for judge in judges
    )
    caption = "Share of people's votes (ties half) for what a judge prefers, by how sure it is."
    draw = partial(plots.draw_certainty, judges=judges)
    return Panel("How sure, and how right", f"{caption} On average: {said}.", draw, caption)


def _of_ceiling(judges: Sequence[AuditedJudge]) -> list[Panel]:
    with_ceiling = [judge for judge in judges if "judge_and_majority" in judge.measures]
    if not with_ceiling:
        return []
    said = "; ".join(
        f"{judge.name} {judge.measures['judge_and_majority'].value:.3f}, a person "
        f"{judge.measures['person_and_majority'].value:.3f}"
        for judge in with_ceiling
    )
    caption = "Agreement with the majority of the other votes on a pair, ties aside."
    draw = partial(plots.draw_ceiling, judges=with_ceiling)
    return [Panel("As good as one more person", f"{caption} {said}.", draw, caption)]


def _of_leans(judges: Sequence[AuditedJudge]) -> list[Panel]:
    return [
        Panel(
            f"Leans of {judge.name} to {what}",
            _in_words(leans),
            partial(plots.draw_leans, leans=leans),
            _how_many(leans),
        )
        for judge in judges
        for what, leans in (("groups", judge.sides.groups), ("people", judge.sides.people))
        if leans
    ]


def _how_many(leans: tuple[Lean, ...]) -> str:
    few = len(plots.shown_leans(leans)) < len(leans)
    return f"Of {len(leans)}, those at both ends." if few else f"All {len(leans)}."


def _in_words(leans: tuple[Lean, ...]) -> str:
    shown = plots.shown_leans(leans)
    ends = ", ".join(f"{one.name} {one.lean.value:+.3f}" for one in (shown[0], shown[-1]))
    return f"{_how_many(leans)} From {ends}."
