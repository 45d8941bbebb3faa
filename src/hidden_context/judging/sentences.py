"""What was found of a judge, as questions and answers."""

from collections.abc import Iterator

from hidden_context.judging.agreement import MEASURES
from hidden_context.judging.result import AuditedJudge
from hidden_context.judging.sides import Lean

SIGNIFICANT = 0.05
"""Below it a lean is named; adjusted for all that are compared."""
SCALES = {
    "scores": "P(a ≻ b) = σ({scale:.3g} · difference of scores), fitted to these votes. ",
    "distributions": "P(a ≻ b) is the model's own. ",
    "verdicts": "P(a ≻ b) is the share of its verdicts. ",
}


def sentences_of(judge: AuditedJudge) -> tuple[tuple[str, str], ...]:
    """Questions and answers; those that the data cannot answer say why."""
    return tuple(
        (question, answer)
        for question, answer in (
            ("Does it agree with people as well as another person?", _ceiling(judge)),
            ("Do its probabilities mean what they say?", _calibration(judge)),
            ("Does it know where people split?", _splits(judge)),
            ("Ties?", _ties(judge)),
            ("Does the order of the responses sway it?", _position(judge)),
            ("Does length sway it?", " ".join(_slope(judge, "length"))),
            *(
                (f"Does {feature} sway it?", " ".join(_slope(judge, feature)))
                for feature in _features(judge)
            ),
            ("Whose side does it take?", " ".join(_sides(judge))),
            ("Borda count or expected utility?", _borda(judge)),
            ("What would it choose of many?", " ".join(_choices(judge))),
        )
        if answer
    )


def _ceiling(judge: AuditedJudge) -> str:
    found = judge.measures
    text = f"It agrees with {found['agreement']} of the votes, ties half."
    if "judge_and_person" not in found:
        return f"{text} No two people voted on one pair, so how often people agree is not known."
    person, own = found["person_and_majority"], found["judge_and_majority"]
    gap = found["judge_and_person"]
    verdict = gap.verdict(
        "It agrees better than another person does",
        "Another person agrees better",
        "These data cannot tell it from another person",
    )
    return (
        f"{text} Of the majority of the others, ties aside, one more person reaches {person}, the "
        f"judge {own} of the same. {verdict}: {gap.signed()}."
    )


def _calibration(judge: AuditedJudge) -> str:
    found = judge.measures
    gap = found["overconfidence"]
    verdict = gap.verdict(
        "It is surer than it should be",
        "It is less sure than it could be",
        "On average it is as sure as it should be",
    )
    how = SCALES[judge.kind].format(scale=judge.scale)
    return (
        f"{how}{verdict}: it gives what it prefers {found['confidence'].value:.3f}, and "
        f"{found['agreement'].value:.3f} of the votes agree; difference {gap.signed()}."
    )


def _splits(judge: AuditedJudge) -> str:
    found = judge.measures
    if "surer_where_agreed" not in found:
        return (
            "No pairs have votes that agree and votes that differ, so there is nothing to compare."
        )
    gap = found["surer_where_agreed"]
    verdict = gap.verdict(
        "Yes: it is surer where two people agree",
        "No, the reverse: it is surer where two people contradict one another",
        "Not that these data show",
    )
    return (
        f"{verdict}: |2P - 1| is {found['sure_where_agreed'].value:.3f} where two people agree and "
        f"{found['sure_where_split'].value:.3f} where they do not; difference {gap.signed()}."
    )


def _ties(judge: AuditedJudge) -> str:
    found = judge.measures
    text = f"People call {found['ties_of_people']} ties, the judge {found['ties_of_judge']}."
    if "surer_off_ties" not in found:
        return text
    gap = found["surer_off_ties"]
    verdict = gap.verdict(
        "It is less sure where people call a tie",
        "It is surer where people call a tie",
        "It does not tell these pairs from others, as far as the data show",
    )
    return f"{text} {verdict}: |2P - 1| is {gap.signed()} more at other votes."


def _position(judge: AuditedJudge) -> str:
    found = judge.measures
    if "position_bias" not in found:
        seen = judge.kind == "verdicts"
        return (
            "The data do not say which response was shown first."
            if seen
            else ("It scores each response alone, so it sees no order.")
        )
    gap = found["position_bias"]
    verdict = gap.verdict(
        "Yes, towards the first",
        "Yes, towards the second",
        "Not that these data show",
    )
    return (
        f"{verdict}: {found['first_shown_judge']} of its verdicts and "
        f"{found['first_shown_people']} of people's votes on the same pairs are for the response "
        f"shown first; difference {gap.signed()}."
    )


def _features(judge: AuditedJudge) -> list[str]:
    named = [name.removesuffix("_bias") for name in judge.measures if name not in MEASURES]
    return [name for name in dict.fromkeys(named) if f"{name}_bias" in judge.measures]


def _slope(judge: AuditedJudge, feature: str) -> Iterator[str]:
    found = judge.measures
    if f"{feature}_bias" not in found:
        return
    gap = found[f"{feature}_bias"]
    unit = "a response e times as long" if feature == "length" else f"a unit more of {feature}"
    verdict = gap.verdict(
        "Yes, it favours more of it than people do",
        "Yes, it favours less of it than people do",
        "No more than people, as far as these data show",
    )
    yield f"{verdict}: it gives {unit} {found[f'{feature}_judge'].signed()} log-odds, people"
    yield f"{found[f'{feature}_people'].signed()}; difference {gap.signed()}."


def _sides(judge: AuditedJudge) -> Iterator[str]:
    sides = judge.sides
    if sides.groups:
        found = [one for one in sides.groups if _is_named(one)]
        towards = sorted((one for one in found if one.lean.value > 0), key=_by_lean)
        if towards:
            yield f"It takes the side of {' and of '.join(map(_lean, towards))}."
        away = sorted((one for one in found if one.lean.value < 0), key=_by_lean)[::-1]
        if away and len(sides.groups) > 2:
            yield f"It is against {' and '.join(map(_lean, away))}."
        if not found:
            most = max(sides.groups, key=lambda one: one.lean.value)
            yield f"Of no group that these data show; most of {_lean(most)}."
    if sides.people:
        named = [one for one in sides.people if _is_named(one)]
        yield (
            f"From {len(named)} of {len(sides.people)} people it differs from a follower of all"
            + (f" ({', '.join(map(_lean, named[:5]))})" if named else "")
            + "."
        )
        if sides.people_left_out:
            yield f"{sides.people_left_out} have too few votes to tell."
        if sides.people_std is not None:
            yield f"Beside noise, the standard deviation of leans is {sides.people_std:.3f}."
    for name, lean in judge.traits.items():
        more = lean.verdict("more", "less", "neither more nor less")
        yield (
            f"It agrees {more} with people of a higher {name}: {lean.signed()} a standard "
            "deviation."
        )
    yield from sides.notes


def _by_lean(one: Lean) -> float:
    return -one.lean.value


def _is_named(one: Lean) -> bool:
    return one.p_value is not None and one.p_value < SIGNIFICANT


def _lean(one: Lean) -> str:
    p_value = "" if one.p_value is None else f", p = {one.p_value:.3g}"
    return (
        f"{one.name} (agrees with {one.agreement.value:.3f} of their votes, a follower of all "
        f"would with {one.following:.3f}; lean {one.lean.signed()}{p_value})"
    )


def _borda(judge: AuditedJudge) -> str:
    found = judge.borda_or_utility
    if found is None:
        return ""
    if found.for_borda is None:
        return "No pair is ordered differently by the two."
    cannot_tell = "These data cannot tell"
    verdict = cannot_tell
    if not found.notes:
        verdict = found.for_borda.verdict(
            "Borda count", "Expected utility", cannot_tell, reference=0.5
        )
    return " ".join(
        (
            f"{verdict}: on the {found.num_pairs} pairs ({found.share_of_pairs:.3f} of all) that "
            f"the two order differently it gives the Borda side {found.for_borda}.",
            *found.notes,
        )
    )


def _choices(judge: AuditedJudge) -> Iterator[str]:
    for choice in judge.choices:
        gap = choice.judge_and_other_half
        verdict = gap.verdict("better than", "worse than", "neither surely better nor worse than")
        yield (
            f"By {choice.rule} its choice scores {choice.judge.value:.3f} with half of the people, "
            f"the choice of the other half {choice.other_half.value:.3f}, any response "
            f"{choice.any_response:.3f} ({choice.num_prompts} prompts): "
            f"{verdict} people's, {gap.signed()}."
        )
