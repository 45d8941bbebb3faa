"""What a page says first: one sentence, and at most five findings with their verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.plots import data_set_of
from hidden_context.report.tables import with_interval
from hidden_context.risk import PAPER_RISK

Verdict: TypeAlias = Literal["yes", "no", "cannot tell"]
RARE = 1 / 200
"""A share below this is not told as one in so many."""


@dataclass(frozen=True)
class Finding:
    """A question that the numbers answer."""

    question: str
    verdict: Verdict
    text: str
    section: str
    """Title of the section with the evidence."""


@dataclass(frozen=True)
class Answer:
    """What was found, for who reads one sentence."""

    verdict: Verdict
    sentence: str
    findings: tuple[Finding, ...]


def answer_of(evaluations: Sequence[Evaluation]) -> Answer | None:
    """Whether a distribution says more than one number; None if that was not measured.

    Speaks of the distributional model that predicts held-out votes best: one that was trained on
    other votes than it is measured on may be far better than its scalar model, and both be wrong.
    """
    compared = [each for each in evaluations if each.against_base and each.log_likelihood]
    if not compared:
        return None
    best = max(compared, key=_nats)
    gain = best.against_base
    assert gain is not None
    number = f"{with_interval(gain, 4)} nats per vote"
    who = f"{best.family.name}, trained on {data_set_of(best)},"
    verdict = _above(gain, 0.0)
    if verdict == "yes":
        sentence = (
            f"A single score would hide something: {who} gives each response a distribution, and "
            f"predicts held-out votes better than a single score by {number}. {_split(best)}"
        )
    elif verdict == "no":
        sentence = (
            f"Nothing shows that a single score would hide: it predicts held-out votes better than "
            f"{who} the best distribution ({number})."
        )
    else:
        sentence = (
            f"These data cannot tell whether a single score hides something: {who} the best "
            f"distribution, differs from it by {number}."
        )
    return Answer(verdict, sentence.strip(), tuple(_findings(evaluations, best)))


def _nats(evaluation: Evaluation) -> float:
    assert evaluation.log_likelihood is not None
    return evaluation.log_likelihood.value


def _split(best: Evaluation) -> str:
    """On how many pairs spread, not equal means, leaves open who wins."""
    share = None if best.undecided is None else best.undecided.noisy
    if share is None or share.value < RARE:
        return ""
    return (
        f"On 1 in {round(1 / share.value)} pairs it leaves open who wins because opinions are "
        "spread, not because the responses are equally good."
    )


def _findings(evaluations: Sequence[Evaluation], best: Evaluation) -> list[Finding]:
    found = []
    length = best.length
    if length is not None:
        right = length.without_length
        more_than_length = _above(right, 0.5)
        opposite: dict[Verdict, Verdict] = {"yes": "no", "no": "yes"}
        text = (
            f"With length regressed out {best.family.name} is right on {with_interval(right)} of "
            "the votes."
        )
        found.append(
            Finding(ONLY_LENGTH, opposite.get(more_than_length, "cannot tell"), text, PREDICTIONS)
        )
    careful = [each for each in evaluations if str(PAPER_RISK) in each.jailbreak_rate]
    if careful:
        surest = max(careful, key=_reduction)
        mean, low = (surest.jailbreak_rate[risk] for risk in ("mean", str(PAPER_RISK)))
        text = (
            f"{surest.family.name}, trained on {data_set_of(surest)}, prefers the unsafe response "
            f"in {with_interval(mean)} of the cases by the mean, by the {PAPER_RISK.parameter}-"
            f"quantile in {with_interval(low)}."
        )
        verdict: Verdict = "yes" if _reduction(surest) > 0 else "cannot tell"
        found.append(Finding("Does caution help against jailbreaks?", verdict, text, RISK))
    of_family = _with_most_sets(evaluations)
    r2 = {data_set_of(each): each.explained_variance["pooled"] for each in of_family}
    if len(r2) > 1:
        lowest, *others = sorted(r2, key=lambda name: r2[name].value)
        apart = all(_high(r2[lowest]) < _low(r2[name]) for name in others)
        listed = ", ".join(f"{name} {with_interval(r2[name])}" for name in r2)
        question = f"Do responses explain least where trained on {lowest}?"
        text = f"r² of {of_family[0].family.name}: {listed}."
        found.append(Finding(question, "yes" if apart else "cannot tell", text, R2))
    return found


def _with_most_sets(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Those of the first family among those with r² for the most training sets."""
    by_family: dict[str, list[Evaluation]] = {}
    for each in evaluations:
        if "pooled" in each.explained_variance:
            by_family.setdefault(each.family.name, []).append(each)
    return max(by_family.values(), key=len, default=[])


ONLY_LENGTH = "Is it only length?"
R2 = "How much of the utility's variance does the response explain?"
RISK = "Who decides: the mean, or a quantile?"
PREDICTIONS = "Do the probabilities mean what they say?"


def _reduction(evaluation: Evaluation) -> float:
    """By how much the intervals of both rates are apart; below 0 if they are not."""
    mean, low = (evaluation.jailbreak_rate[risk] for risk in ("mean", str(PAPER_RISK)))
    return _low(mean) - _high(low)


def _above(estimate: Estimate, value: float) -> Verdict:
    verdicts: dict[str, Verdict] = {"above": "yes", "below": "no"}
    return verdicts.get(estimate.against(value), "cannot tell")


def _low(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value if estimate.low is None else estimate.low


def _high(estimate: Estimate) -> float:
    return estimate.value if estimate.high is None else estimate.high
