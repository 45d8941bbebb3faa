"""What the page says first of judges: are they as good as one more person, whose side is theirs?"""

from collections.abc import Callable, Sequence

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


def answer_about_judges(audit: JudgeAudit) -> Answer:
    """Whether each agrees as well as one more person would; then what else people should know."""
    judges = audit.judges
    told = {judge.name: _as_good(judge) for judge in judges}
    people = f"{audit.counts['people']} people" if audit.counts.get("people") else "people"
    read = f"{audit.counts['votes']:,} votes of {people} on {audit.counts['pairs']:,} pairs. "
    findings = (
        _finding("Does it take sides?", SIDES, judges, _takes_sides, worst="yes"),
        _finding(SURE, SURE, judges, _means_what_it_says, worst="no"),
        _finding(SPLITS, SPLITS, judges, _knows_splits, worst="no"),
        _finding("Does length sway it more than people?", SWAYED, judges, _by_length, worst="yes"),
        _finding("Does the order sway it?", SWAYED, judges, _by_order, worst="yes"),
    )
    return Answer(
        _together([verdict for verdict, _ in told.values()], worst="no"),
        _sentence(judges, told),
        read + " ".join(text for _, text in told.values()),
        tuple(each for each in findings if each is not None),
    )


def _sentence(judges: Sequence[AuditedJudge], told: dict[str, Told]) -> str:
    """One of all judges; of one alone with its numbers."""
    names = {
        verdict: " and ".join(name for name in told if told[name][0] == verdict)
        for verdict in ("yes", "no", "cannot tell")
    }
    several = len(judges) > 1
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
    if not several and with_ceiling:
        own, person = (
            judges[0].measures[f"{who}_and_majority"].value for who in ("judge", "person")
        )
        sentence += f" ({own:.2f} against {person:.2f})"
    begins = names["yes"] or names["no"]  # with a name, which stays as it is
    return f"{sentence if begins else sentence[0].upper() + sentence[1:]}."


def _as_good(judge: AuditedJudge) -> Told:
    found = judge.measures
    if "judge_and_person" not in found:
        return "cannot tell", f"{judge.name} agrees with {found['agreement']} of the votes."
    own, person = found["judge_and_majority"], found["person_and_majority"]
    gap = found["judge_and_person"]
    text = (
        f"{judge.name} agrees with the majority of the others in {own.value:.3f} of the cases, "
        f"one more person in {person.value:.3f}; difference {gap.signed()}."
    )
    return _verdict(gap.against(0), above="yes", below="no"), text


def _takes_sides(judge: AuditedJudge) -> Told | None:
    """By a lean that is told from 0, of all groups and people."""
    leans = [*judge.sides.groups, *judge.sides.people]
    if not leans:
        return None
    most = max(leans, key=lambda one: (_is_named(one.p_value), abs(one.lean.value)))
    named = sum(_is_named(one.p_value) for one in leans)
    what = "groups" if judge.sides.groups else "people"
    most_text = (
        f"{'towards' if most.lean.value > 0 else 'against'} {most.name} {most.lean.signed()}"
    )
    if not named:
        return (
            "cannot tell",
            f"of none of {len(leans)} {what} that these votes show; most {most_text}",
        )
    return "yes", f"its lean is clear for {named} of {len(leans)} {what}, most {most_text}"


def _is_named(p_value: float | None) -> bool:
    return p_value is not None and p_value < SIGNIFICANT


def _means_what_it_says(judge: AuditedJudge) -> Told:
    found, gap = judge.measures, judge.measures["overconfidence"]
    text = (
        f"it is {found['confidence'].value:.3f} sure, and {found['agreement'].value:.3f} of the "
        f"votes agree; difference {gap.signed()}"
    )
    return _verdict(gap.against(0), above="no", below="no"), text


def _knows_splits(judge: AuditedJudge) -> Told | None:
    if "surer_where_agreed" not in judge.measures:
        return None
    gap = judge.measures["surer_where_agreed"]
    text = f"|2P - 1| is {gap.signed()} more where two people agree than where they do not"
    return _verdict(gap.against(0), above="yes", below="no"), text


def _by_length(judge: AuditedJudge) -> Told | None:
    if "length_bias" not in judge.measures:
        return None
    gap = judge.measures["length_bias"]
    text = f"a response e times as long gets {gap.signed()} log-odds more from it than from people"
    return _verdict(gap.against(0), above="yes", below="yes"), text


def _by_order(judge: AuditedJudge) -> Told | None:
    if "position_bias" not in judge.measures:
        return None
    gap = judge.measures["position_bias"]
    text = f"the response shown first wins {gap.signed()} more often than by people's votes"
    return _verdict(gap.against(0), above="yes", below="yes"), text


def _verdict(side: str, *, above: Verdict, below: Verdict) -> Verdict:
    verdicts: dict[str, Verdict] = {"above": above, "below": below}
    return verdicts.get(side, "cannot tell")


def _finding(
    question: str,
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
    if len(judges) == 1:
        ((_, text),) = told.values()
        text = f"{text[0].upper()}{text[1:]}."
    else:
        text = " ".join(f"{name}: {said}." for name, (_, said) in told.items())
    verdict = _together([verdict for verdict, _ in told.values()], worst=worst)
    return Finding(question, verdict, text, section)


def _together(verdicts: Sequence[Verdict], *, worst: Verdict) -> Verdict:
    """The worst that is among them, then that nothing can be told."""
    best: Verdict = "yes" if worst == "no" else "no"
    order: tuple[Verdict, ...] = (worst, "cannot tell", best)
    return next(each for each in order if each in verdicts)
