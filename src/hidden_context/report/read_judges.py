"""judges.json to what the page shows."""

from functools import partial
from pathlib import Path

from hidden_context.judging import plots
from hidden_context.judging.result import JudgeAudit, meaning_of
from hidden_context.judging.result import read_judges as read_audit_of_judges
from hidden_context.judging.sides import Lean
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
    names = list(dict.fromkeys(name for judge in audit.judges for name in judge.measures))
    rows = [
        (
            name.replace("_", " "),
            meaning_of(name),
            *(with_interval(judge.measures.get(name)) for judge in audit.judges),
        )
        for name in names
    ]
    headers = ("measure", "what it is", *(judge.name for judge in audit.judges))
    return Result(
        title=f"Judges of {Path(audit.source).name}",
        source=source,
        sentences=audit.sentences,
        numbers=Table(headers, tuple(rows)),
        sections=(
            Section(
                "Judges against people",
                "Bars are 95 % intervals, clustered by person and prompt as far as the data name "
                "them.",
                tuple(_panels(audit)),
            ),
        ),
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


def _panels(audit: JudgeAudit) -> list[Panel]:
    judges = audit.judges
    agreement = "; ".join(
        f"{judge.name} {judge.measures['confidence'].value:.3f} sure, "
        f"{judge.measures['agreement'].value:.3f} of the votes agree"
        for judge in judges
    )
    panels = [
        Panel(
            "How sure, and how right",
            "Share of people's votes (ties half) for what the judge prefers, where it is so sure; "
            f"on the dashes its probabilities mean what they say. On average: {agreement}.",
            partial(plots.draw_certainty, judges=judges),
        )
    ]
    with_ceiling = [judge for judge in judges if "judge_and_majority" in judge.measures]
    if with_ceiling:
        text = "; ".join(
            f"{judge.name} {judge.measures['judge_and_majority'].value:.3f}, a person "
            f"{judge.measures['person_and_majority'].value:.3f}"
            for judge in with_ceiling
        )
        panels.append(
            Panel(
                "As good as another person",
                f"Agreement with the majority of the other votes on a pair, ties aside: {text}.",
                partial(plots.draw_ceiling, judges=with_ceiling),
            )
        )
    for judge in judges:
        for what, leans in (("groups", judge.sides.groups), ("people", judge.sides.people)):
            if leans:
                draw = partial(plots.draw_leans, leans=leans)
                panels.append(Panel(f"Leans of {judge.name} to {what}", _in_words(leans), draw))
    return panels


def _in_words(leans: tuple[Lean, ...]) -> str:
    shown = plots.shown_leans(leans)
    few = "" if len(shown) == len(leans) else f" Of {len(leans)}, those at both ends."
    ends = ", ".join(f"{one.name} {one.lean.value:+.3f}" for one in (shown[0], shown[-1]))
    return (
        "How much more of their votes the judge agrees with than one that follows all people as "
        f"strongly; full marks differ from 0 (p < .05, adjusted for all).{few} From {ends}."
    )
