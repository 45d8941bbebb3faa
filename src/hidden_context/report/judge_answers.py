"""What the page says first of judges: are they as good as one more person, whose side is theirs?"""

from collections.abc import Callable, Mapping, Sequence

from hidden_context.judging.result import AuditedJudge, JudgeAudit
from hidden_context.judging.sentences import SIGNIFICANT
from hidden_context.report.results import Answer, Finding, Verdict

AS_GOOD = "Does it agree with people as well as another person?"
SURE = "Do its probabilities mean what they say?"
SPLITS = "Does it know where people split?"
SWAYED = "What sways it?"
SIDES = "Whose side does it take?"
Told = tuple[Verdict, str]
"""A verdict on one judge, and the number that it rests on."""
SAID: Mapping[str, str] = {
    "sides": "Agreement beyond that of a follower of all",
    "sure": "How sure it is, less the share of votes that agree",
    "splits": "|2P - 1| where two people agree, less where they do not",
    "length": "Log-odds of a response e times as long, less people's",
    "order": "Wins of the response shown first, less those by people's votes",
}
"""What the number of each finding is."""


def answer_about_judges(audit: JudgeAudit) -> Answer:
    """Whether each agrees as well as one more person would; then what else people should know."""
    judges = audit.judges
    told = {judge.name: _as_good(judge) for judge in judges}
    people = f"{audit.counts['people']} people" if audit.counts.get("people") else "people"
    read = f"{audit.counts['votes']:,} votes of {people} on {audit.counts['pairs']:,} pairs. "
    compared = any("judge_and_person" in judge.measures for judge in judges)
    what = "Agreement less that of one more person" if compared else "Agreement with the votes"
    findings = (
        _finding("Does it take sides?", "sides", SIDES, judges, _takes_sides, worst="yes"),
        _finding(SURE, "sure", SURE, judges, _means_what_it_says, worst="no"),
        _finding(SPLITS, "splits", SPLITS, judges, _knows_splits, worst="no"),
        _finding(
            "Does length sway it more than people?",
            "length",
            SWAYED,
            judges,
            _by_length,
            worst="yes",
        ),
        _finding("Does the order sway it?", "order", SWAYED, judges, _by_order, worst="yes"),
    )
    return Answer(
        _together([verdict for verdict, _ in told.values()], worst="no"),
        _sentence(judges, told),
        f"{read}{what}: {'; '.join(f'{name} {number}' for name, (_, number) in told.items())}.",
        tuple(each for each in findings if each is not None),
    )


def _sentence(judges: Sequence[AuditedJudge], told: dict[str, Told]) -> str:
    """One of all judges, each with how often it agrees with the majority of the others."""
    names = {
        verdict: " and ".join(
            _with_share(judge) for judge in judges if told[judge.name][0] == verdict
        )
        for verdict in ("yes", "no", "cannot tell")
    }
    with_ceiling = [judge for judge in judges if "judge_and_person" in judge.measures]
    why = "the difference may be either way" if with_ceiling else "no two people voted on one pair"
    parts = [
        said
        for verdict, said in {
            "yes": f"{names['yes']} can stand in for a person: people are agreed with more often "
            "than by one more person",
            "no": f"{names['no']} cannot stand in for a person: one more person would agree with "
            "people more often",
            "cannot tell": f"these votes cannot tell {names['cannot tell']} from one more person, "
            f"because {why}",
        }.items()
        if names[verdict]
    ]
    sentence = "; ".join(parts)
    begins = names["yes"] or names["no"]  # with a name, which stays as it is
    return f"{sentence if begins else sentence[0].upper() + sentence[1:]}."


def _with_share(judge: AuditedJudge) -> str:
    """Its name, with its own agreement and that of one more person on the same votes."""
    if "judge_and_person" not in judge.measures:
        return judge.name
    own, person = (judge.measures[f"{who}_and_majority"].value for who in ("judge", "person"))
    return f"{judge.name} ({own:.2f} against {person:.2f})"


def _as_good(judge: AuditedJudge) -> Told:
    found = judge.measures
    if "judge_and_person" not in found:
        return "cannot tell", str(found["agreement"])
    gap = found["judge_and_person"]
    return _verdict(gap.against(0), above="yes", below="no"), gap.signed()


def _takes_sides(judge: AuditedJudge) -> Told | None:
    """By a lean that is told from 0, of all groups and people."""
    leans = [*judge.sides.groups, *judge.sides.people]
    if not leans:
        return None
    most = max(leans, key=lambda one: (_is_named(one.p_value), abs(one.lean.value)))
    named = sum(_is_named(one.p_value) for one in leans)
    kinds = {"groups": judge.sides.groups, "people": judge.sides.people}
    what = " and ".join(kind for kind, of in kinds.items() if of)
    most_text = (
        f"{'towards' if most.lean.value > 0 else 'against'} {most.name} {most.lean.signed()}"
    )
    if not named:
        return "cannot tell", f"clear for none of {len(leans)} {what}, most {most_text}"
    return "yes", f"clear for {named} of {len(leans)} {what}, most {most_text}"


def _is_named(p_value: float | None) -> bool:
    return p_value is not None and p_value < SIGNIFICANT


def _means_what_it_says(judge: AuditedJudge) -> Told:
    gap = judge.measures["overconfidence"]
    return _verdict(gap.against(0), above="no", below="no"), gap.signed()


def _knows_splits(judge: AuditedJudge) -> Told | None:
    return _measured(judge, "surer_where_agreed", above="yes", below="no")


def _by_length(judge: AuditedJudge) -> Told | None:
    return _measured(judge, "length_bias", above="yes", below="yes")


def _by_order(judge: AuditedJudge) -> Told | None:
    return _measured(judge, "position_bias", above="yes", below="yes")


def _measured(judge: AuditedJudge, name: str, *, above: Verdict, below: Verdict) -> Told | None:
    """By a difference from 0, where the data have it."""
    gap = judge.measures.get(name)
    return (
        None if gap is None else (_verdict(gap.against(0), above=above, below=below), gap.signed())
    )


def _verdict(side: str, *, above: Verdict, below: Verdict) -> Verdict:
    verdicts: dict[str, Verdict] = {"above": above, "below": below}
    return verdicts.get(side, "cannot tell")


def _finding(
    question: str,
    said: str,
    section: str,
    judges: Sequence[AuditedJudge],
    tell: Callable[[AuditedJudge], Told | None],
    *,
    worst: Verdict,
) -> Finding | None:
    """One question about all judges of which the data say something; the worst verdict counts."""
    told = {judge.name: found for judge in judges if (found := tell(judge)) is not None}
    if not told:
        return None
    name_of = "{} ".format if len(judges) > 1 else lambda name: ""
    listed = "; ".join(f"{name_of(name)}{number}" for name, (_, number) in told.items())
    verdict = _together([verdict for verdict, _ in told.values()], worst=worst)
    return Finding(question, verdict, f"{SAID[said]}: {listed}.", section)


def _together(verdicts: Sequence[Verdict], *, worst: Verdict) -> Verdict:
    """The worst that is among them, then that nothing can be told."""
    best: Verdict = "yes" if worst == "no" else "no"
    order: tuple[Verdict, ...] = (worst, "cannot tell", best)
    return next(each for each in order if each in verdicts)
