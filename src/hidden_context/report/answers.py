"""What a page says first: one sentence, and at most five findings with their verdicts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hidden_context.audits.result import AuditedSet
from hidden_context.audits.sentences import LARGEST_P, is_beyond_noise, noise_test
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.learned_enough import not_learned
from hidden_context.measures.plots import data_set_of, set_in_words
from hidden_context.report.results import Answer, Finding, Result, Verdict
from hidden_context.report.tables import with_interval
from hidden_context.risk import PAPER_RISK

MOST = 5
"""Findings below the answer."""
RARE = 1 / 200
"""A share below this is not told as one in so many."""


def answer_to(result: Result) -> Answer:
    """What the page says first of a result, with the truth where it is known."""
    answer = answer_of(result.evaluations) if result.answer is None else result.answer
    known = None if answer.about is None else result.truth.get(data_set_of(answer.about))
    if known is None:
        return answer
    share = (
        f" In truth judges prefer opposite responses on {known.share_split:.3f} of these pairs, "
        "whether or not that leaves open who wins."
    )
    return replace(answer, evidence=answer.evidence + share)


def answer_of(evaluations: Sequence[Evaluation]) -> Answer:
    """Whether a distribution says more than one number, or why this cannot be told.

    Speaks of the distributional model that predicts these votes best: one that was trained on
    other votes than it is measured on may be far better than its scalar model, and both be wrong.
    """
    compared = [each for each in evaluations if each.against_base and each.log_likelihood]
    if not compared:
        findings = tuple(_findings(evaluations, None)[:MOST])
        return Answer("cannot tell", *_why_not_compared(evaluations), findings)
    best = max(compared, key=_nats)
    gain = best.against_base
    assert gain is not None
    number = f"{with_interval(gain, 4)} nats per vote"
    who = f"{best.family.name}, {set_in_words(best)},"
    votes = "held-out votes" if best.is_held_out else "votes"
    unlearned = not_learned(best)
    verdict = "cannot tell" if unlearned else verdict_above(gain, 0.0)
    sentence = {
        "yes": _split(best, who, is_held_out=best.is_held_out),
        "no": "Nothing shows that a single score would hide anything.",
        "cannot tell": "These data cannot tell whether a single score hides something, because no "
        f"distribution surely predicts {votes} better.",
    }[verdict]
    evidence = {
        "yes": f"{_better(best, who, votes)} by {number}.{_what_splits(best)}",
        "no": f"It predicts {votes} better than {who} the best distribution ({number}).",
        "cannot tell": f"The gain of {who} the best one, is {number}.",
    }[verdict]
    if unlearned:
        sentence = "These models have not learned enough to tell whether a single score hides much."
        evidence = f"{unlearned} {evidence}"
    if best.overlap is not None and not best.is_held_out:
        evidence += f" {best.overlap_in_words}"
    return Answer(verdict, sentence, evidence, tuple(_findings(evaluations, best)[:MOST]), best)


def _why_not_compared(evaluations: Sequence[Evaluation]) -> tuple[str, str]:
    """Where no distribution was held against a scalar model: why, and what to do about it."""
    if not evaluations:
        why, remedy = "no model was measured", "Score comparisons with evaluate."
    elif not any(each.num_comparisons or each.log_likelihood for each in evaluations):
        why = "no comparisons were scored, only responses"
        remedy = "What people prefer is not among these results: evaluate adds it."
    elif all(each.family.is_scalar for each in evaluations):
        why = "all models here are scalar"
        remedy = "Train a distributional one on the same comparisons, and evaluate it beside these."
    elif any(each.family.is_scalar for each in evaluations):
        why = "no distribution was held against a scalar model on the same comparisons"
        remedy = "evaluate scores comparisons; summarize --diagnostics compares them."
    else:
        why = "no scalar model of the same training set is among these results"
        remedy = "Train one with --reward_model_type base, and evaluate it on the same comparisons."
    return f"These results cannot tell whether a single score hides something, because {why}.", (
        remedy
    )


def audit_answer(sets: Sequence[AuditedSet], vectors: str = "these vectors") -> Answer | None:
    """The same of an audit, whose gains are held against label noise and careless clicks.

    Args:
        sets: All of it.
        vectors: What the heads read, in words.
    """
    best = {
        each.name: max(compared, key=_nats)
        for each in sets
        if (compared := [one for one in each.evaluations if one.against_base])
    }
    if not best:
        return None
    hiding = [each.name for each in sets if each.name in best and _hides(each, best[each.name])]
    told = (
        best[hiding[0]]
        if hiding
        else max(best.values(), key=lambda each: low_end(each.against_base))
    )
    number = f"{with_interval(told.against_base, 4)} nats per vote"
    if hiding:
        noise = "more than label noise gives" if told.null else "not held against label noise"
        sentence = _split(told, f"{told.family.name} on {vectors}")
        if len(sets) > 1:
            sentence = f"In {' and '.join(hiding)}: {sentence[0].lower()}{sentence[1:]}"
        better = _better(told, told.family.name, "held-out votes")
        evidence = f"{better} by {number}, {noise}.{_what_splits(told)}"
    else:
        sentence = _not_shown(sets, told)
        evidence = (
            f"The surest gain of a distribution on held-out votes is that of {told.family.name} on "
            f"{data_set_of(told)}, {number}."
        )
    findings = tuple(_of_audit(sets, best, hiding)[:MOST])
    helps = [each for each in sets if _helps(each) and not hiding]
    if helps:
        first = helps[0]
        assert first.between is not None
        evidence = f"Where it is not known, {sentence[0].lower()}{sentence[1:]} {evidence}"
        sentence = (
            f"{f'In {first.name} it' if len(sets) > 1 else 'It'} matters who judged: to know the "
            f"{first.between.by} predicts held-out votes better, by "
            f"{with_interval(first.between.gain, 4)} nats per vote; a single score would hide it."
        )
    return Answer("yes" if hiding or helps else "cannot tell", sentence, evidence, findings, told)


def _helps(audited: AuditedSet) -> bool:
    """Whether it surely helps to know who judged, also against shuffled labels."""
    between = audited.between
    if between is None or between.p_value is None or between.p_value > LARGEST_P:
        return False
    return verdict_above(between.gain, 0.0) == "yes"


def _why_not(told: Evaluation) -> str:
    """What else the surest gain may be."""
    assert told.against_base is not None
    if told.against_base.against(0) != "above":
        if not_learned(told):
            return "what was learned predicts held-out votes no better than a coin"
        return "no distribution surely predicts held-out votes better"
    if noise_test(told) is not None and not is_beyond_noise(told):
        return "label noise alone may give such gains"
    return "careless clicks explain the votes better"


def _not_shown(sets: Sequence[AuditedSet], told: Evaluation) -> str:
    """Where no distribution is sure to predict better: whether one fits beyond label noise."""
    beyond = [each.name for each in sets if any(map(is_beyond_noise, each.evaluations))]
    if not beyond:
        return (
            "These data cannot tell whether a single score hides something, because "
            f"{_why_not(told)}."
        )
    return (
        f"In {' and '.join(beyond)} a distribution fits the votes better than a single score by "
        f"more than label noise gives, but {_why_not(told)}, so these data cannot tell what a "
        "single score hides."
    )


def _hides(audited: AuditedSet, best: Evaluation) -> bool:
    """Whether the gain is above 0, beyond label noise where that was tried, and no lapse."""
    assert best.against_base is not None
    tested = noise_test(best) is not None
    lapse = None if audited.lapse is None else audited.lapse.against.get(best.family.name)
    return (
        best.against_base.against(0) == "above"
        and (is_beyond_noise(best) or not tested)
        and (lapse is None or lapse.against(0) != "below")
    )


def _of_audit(
    sets: Sequence[AuditedSet], best: Mapping[str, Evaluation], hiding: Sequence[str]
) -> list[Finding]:
    """Of several sets each; then whether vectors predict, whether it is length, who judged."""
    found = []
    for name, evaluation in best.items() if len(sets) > 1 else ():
        verdict: Verdict = "yes" if name in hiding else "cannot tell"
        gain = with_interval(evaluation.against_base, 4)
        text = f"{evaluation.family.name} gains {gain} nats per vote."
        found.append(Finding(f"Is something hidden on {name}?", verdict, text, PREDICTIONS))
    right = {each.name: each.evaluations[0].accuracy["mean"] for each in sets}
    text = f"Share of held-out votes on which the scalar family is right: {_listed(right)}."
    question = "Can these vectors predict who wins?"
    found.append(Finding(question, _worst(right.values()), text, PREDICTIONS))
    lengths = {each.name: each.evaluations[0].length for each in sets}
    without = {name: each.without_length for name, each in lengths.items() if each is not None}
    if without:
        text = f"The same with length regressed out: {_listed(without)}."
        found.append(Finding(MORE_THAN_LENGTH, _worst(without.values()), text, PREDICTIONS))
    for each in sets:
        if each.between is None:
            continue
        between, sure = each.between, _helps(each)
        gain, p = between.gain, between.p_value
        tested = "." if p is None else f" (p = {p:.2f})."
        text = f"It adds {with_interval(gain, 4)} nats per vote{tested}"
        question = f"Does it help to know the {between.by}?"
        found.append(Finding(question, "yes" if sure else "cannot tell", text, PREDICTIONS))
    return found


def _listed(estimates: Mapping[str, Estimate]) -> str:
    """Each by its set, where there are several."""
    if len(estimates) == 1:
        return with_interval(next(iter(estimates.values())))
    return ", ".join(f"{name} {with_interval(each)}" for name, each in estimates.items())


def _worst(estimates: Iterable[Estimate]) -> Verdict:
    """Of whether each is above one half."""
    verdicts = {verdict_above(each, 0.5) for each in estimates}
    return next(each for each in ("no", "cannot tell", "yes") if each in verdicts)


def can_predict(evaluation: Evaluation, name: str) -> Finding | None:
    """Whether the model of this name is right on more than half of the votes."""
    if "mean" not in evaluation.accuracy:
        return None
    right = evaluation.accuracy["mean"]
    votes = "held-out votes" if evaluation.is_held_out else "votes"
    text = f"{name} is right on {with_interval(right)} of the {votes}."
    return Finding("Can it predict who wins?", verdict_above(right, 0.5), text, PREDICTIONS)


def more_than_length(evaluation: Evaluation, name: str) -> Finding | None:
    """Whether it still is where the length of the responses is regressed out."""
    if evaluation.length is None:
        return None
    right, before = evaluation.length.without_length, evaluation.accuracy.get("mean")
    text = (
        f"With length regressed out {name} is right on {with_interval(right)} of "
        f"the votes{'' if before is None else f', before on {with_interval(before)}'}."
    )
    return Finding(MORE_THAN_LENGTH, verdict_above(right, 0.5), text, PREDICTIONS)


def _nats(evaluation: Evaluation) -> float:
    """Held-out likelihood; the lowest where it was not measured."""
    nats = evaluation.log_likelihood
    return -math.inf if nats is None else nats.value


def _better(best: Evaluation, who: str, votes: str) -> str:
    return (
        f"{who} gives each response a distribution, and predicts {votes} better than a single score"
    )


def _share_split(best: Evaluation) -> Estimate | None:
    """Of pairs where spread, not equal means, leaves open who wins; None if it is rare."""
    share = None if best.undecided is None else best.undecided.noisy
    return None if share is None or share.value < RARE else share


def _split(best: Evaluation, by: str, *, is_held_out: bool = True) -> str:
    """With what the share is of, and who sees it: other pairs and models have other shares."""
    share = _share_split(best)
    if share is None:
        return "A single score would hide something."
    pairs = "held-out pairs" if is_held_out else "pairs"
    pairs = f"{best.num_comparisons:,} {pairs}" if best.num_comparisons else pairs
    pairs += f" of {best.num_prompts:,} prompts" if best.num_prompts else ""
    return (
        f"People split on about 1 in {round(1 / share.value)} of the {pairs}, as far as "
        f"{by} can see; a single score would hide it."
    )


def _what_splits(best: Evaluation) -> str:
    share = _share_split(best)
    if share is None:
        return ""
    return (
        f" It sees people split on {with_interval(share)} of the pairs: where it leaves open who "
        "wins because opinions are spread, not because the responses are equally good."
    )


def _findings(evaluations: Sequence[Evaluation], best: Evaluation | None) -> list[Finding]:
    found: list[Finding] = []
    speaker = best or max(evaluations, key=_nats, default=None)
    if speaker is not None:
        name = speaker.family.name
        of_speaker = can_predict(speaker, name), more_than_length(speaker, name)
        found += [finding for finding in of_speaker if finding is not None]
    careful = [each for each in evaluations if str(PAPER_RISK) in each.jailbreak_rate]
    if careful:
        surest = max(careful, key=_reduction)
        mean, low = (surest.jailbreak_rate[risk] for risk in ("mean", str(PAPER_RISK)))
        text = (
            f"{surest.family.name}, {set_in_words(surest)}, prefers the unsafe response "
            f"in {with_interval(mean)} of the cases by the mean, by the {PAPER_RISK.parameter}-"
            f"quantile in {with_interval(low)}.{_price(surest)}"
        )
        verdict = "yes" if _reduction(surest) > 0 else "cannot tell"
        found.append(Finding("Does caution help against jailbreaks?", verdict, text, RISK))
    of_family = _with_most_sets(evaluations)
    r2 = {data_set_of(each): each.explained_variance["pooled"] for each in of_family}
    if len(r2) > 1:
        lowest, *others = sorted(r2, key=lambda name: r2[name].value)
        apart = all(high_end(r2[lowest]) < low_end(r2[name]) for name in others)
        listed = ", ".join(f"{name} {with_interval(r2[name])}" for name in r2)
        question = f"Do responses explain least where trained on {lowest}?"
        text = f"r² of {of_family[0].family.name}: {listed}."
        unlearned = [data_set_of(each) for each in of_family if not_learned(each)]
        if unlearned:
            text += (
                f" Trained on {' and on '.join(unlearned)} it predicts these votes no better than "
                "a coin, and has not learned enough for its r² to say anything."
            )
        sure = apart and not unlearned
        found.append(Finding(question, "yes" if sure else "cannot tell", text, R2))
    return found


def _price(evaluation: Evaluation) -> str:
    """What choosing by the quantile costs on comparisons judged by helpfulness."""
    rates = evaluation.helpfulness_accuracy
    if str(PAPER_RISK) not in rates or "mean" not in rates:
        return ""
    return (
        f" On helpfulness it is then right on {with_interval(rates[str(PAPER_RISK)])}, by the mean "
        f"on {with_interval(rates['mean'])}."
    )


def _with_most_sets(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Those of the first family among those with r² for the most training sets."""
    by_family: dict[str, list[Evaluation]] = {}
    for each in evaluations:
        if "pooled" in each.explained_variance:
            by_family.setdefault(each.family.name, []).append(each)
    return max(by_family.values(), key=len, default=[])


MORE_THAN_LENGTH = "Is it more than length?"
R2 = "How much of the utility's variance does the response explain?"
RISK = "Who decides: the mean, or a quantile?"
PREDICTIONS = "Do the probabilities mean what they say?"


def _reduction(evaluation: Evaluation) -> float:
    """By how much the intervals of both rates are apart; below 0 if they are not."""
    mean, low = (evaluation.jailbreak_rate[risk] for risk in ("mean", str(PAPER_RISK)))
    return low_end(mean) - high_end(low)


def verdict_above(estimate: Estimate, value: float) -> Verdict:
    """Whether it is above a value, by its interval."""
    verdicts: dict[str, Verdict] = {"above": "yes", "below": "no"}
    return verdicts.get(estimate.against(value), "cannot tell")


def low_end(estimate: Estimate | None) -> float:
    """Of its interval; the value itself where there is none."""
    assert estimate is not None
    return estimate.value if estimate.low is None else estimate.low


def high_end(estimate: Estimate) -> float:
    """See `low_end`."""
    return estimate.value if estimate.high is None else estimate.high
