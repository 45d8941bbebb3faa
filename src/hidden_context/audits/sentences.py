"""One plain sentence for each question, written from the numbers of one audited set."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from hidden_context.audits.result import AuditedSet, BetweenGroups, Lapse
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.length import LengthMeasures
from hidden_context.measures.undecided import Undecided

CANNOT_TELL = "cannot tell from these data"
LARGEST_P = 0.05
"""Of a finding."""
FEWEST_SHUFFLINGS = 19
"""With fewer p is above it whatever the data are."""


def sentences_of(audited: AuditedSet) -> tuple[tuple[str, str], ...]:
    """Questions and answers; what was not measured is not asked."""
    scalar, *others = audited.evaluations
    answers = [("Can these vectors predict who wins?", _predicts(scalar))]
    for evaluation in others:
        name = evaluation.family.name
        if evaluation.against_base is not None:
            question = f"Is there more than a scalar family and label noise ({name})?"
            answers.append((question, more_than_noise(evaluation, evaluation.against_base)))
        if evaluation.explained_variance:
            question = f"How much of the variance in utility do responses explain ({name})?"
            answers.append((question, _r2(evaluation, others)))
        if evaluation.undecided is not None:
            answers.append((f"Near-ties or noise ({name})?", _undecided(evaluation.undecided)))
    if audited.lapse is not None:
        answers.append(("Is it careless clicks?", careless(audited.lapse, others)))
    answers.append(("Do probabilities mean what they say?", _calibrated(audited.evaluations)))
    if scalar.length is not None:
        answers.append(("Is it length?", _length(scalar, scalar.length)))
    if audited.longer_is_unsafe is not None:
        answers.append(
            ("Do jailbreaks win?", _jailbreaks(audited.evaluations, audited.longer_is_unsafe))
        )
    if audited.between is not None:
        question = f"Does who judged explain it ({audited.between.by})?"
        answers.append((question, _between(audited.between)))
    return tuple(answers)


def _predicts(scalar: Evaluation) -> str:
    accuracy = scalar.accuracy["mean"]
    verdict = {
        "above": "Better than a coin",
        "below": "Worse than a coin, so what was learned of some prompts misleads on others",
        "cannot tell": f"{CANNOT_TELL.capitalize()}, so no other figure here means much",
    }[accuracy.against(0.5)]
    return (
        f"{verdict}: the scalar family is right on {accuracy} of the held-out votes, "
        f"with {scalar.log_likelihood} nats per vote (a coin: -0.693)."
    )


def more_than_noise(evaluation: Evaluation, gain: Estimate) -> str:
    """One verdict from the gain over the scalar family and, where there are draws, its test."""
    name, figures = evaluation.family.name, {each.figure: each for each in evaluation.null}
    low, high = _ends(gain)
    how = (
        f"{name} predicts held-out votes by {gain.value:+.4f} nats per vote ({low:+.4f} to "
        f"{high:+.4f}) better than the scalar family"
    )
    side = gain.against(0)
    if "against_base" not in figures:
        return {
            "above": f"It predicts better: {how}.",
            "below": f"Not seen: {how}, so worse.",
            "cannot tell": f"{CANNOT_TELL.capitalize()}: {how}.",
        }[side] + " It was not held against label noise."
    test = figures["against_base"]
    draws = np.array(test.draws)
    as_large = int((draws >= test.observed).sum())
    found = is_beyond_noise(evaluation)
    verdict = {
        (True, "above"): "Yes",
        (True, "cannot tell"): "Perhaps, but too little to predict better",
        (True, "below"): "Perhaps, but it predicts worse",
        (False, "above"): "Label noise may be all",
        (False, "cannot tell"): CANNOT_TELL.capitalize(),
        (False, "below"): CANNOT_TELL.capitalize(),
    }[found, side]
    text = (
        f"{verdict}: {how}. Of {len(draws)} sets of votes drawn from the scalar family, refitted "
        f"alike, {as_large or 'none'} gain as much (in one partition {test.observed:+.4f}; drawn "
        f"{draws.mean():+.4f}, from {draws.min():+.4f} to {draws.max():+.4f}; p = "
        f"{test.p_value:.2f})"
    )
    if "r2_pooled" in figures:
        r2 = figures["r2_pooled"]
        lower = sum(draw <= r2.observed for draw in r2.draws)
        text += f", and {lower or 'none'} have so low an r² (p = {r2.p_value:.2f})"
    return (
        f"{text}. A true gain {detectable_gain(draws):.4f} above that of the drawn ones would be "
        "found four times in five."
    )


def detectable_gain(draws: Sequence[float] | np.ndarray) -> float:
    """The gain over the mean of the draws that a test at 5 % finds with a power of 80 %.

    (z.95 + z.80) standard deviations of the draws, the alternative as spread as the null.
    """
    return (NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.8)) * float(np.std(draws, ddof=1))


def careless(lapse: Lapse, others: Sequence[Evaluation]) -> str:
    """Which of hidden context and random votes the data support, by each family."""
    low, high = _ends(lapse.gain)
    verdicts = []
    for evaluation in others:
        against = lapse.against.get(evaluation.family.name)
        if against is not None:
            ends = _ends(against)
            verdicts.append(
                f"{_explanation(lapse, evaluation, against)} ({evaluation.family.name} by "
                f"{against.value:+.4f}, {ends[0]:+.4f} to {ends[1]:+.4f}, better than it)"
            )
    text = (
        f"A scalar family some of whose votes are random takes {lapse.share:.1%} of them for "
        f"such, and predicts by {lapse.gain.value:+.4f} nats per vote ({low:+.4f} to {high:+.4f}) "
        "better than without."
    )
    return " ".join([text, *(f"{verdict.capitalize()}." for verdict in verdicts)])


def _explanation(lapse: Lapse, evaluation: Evaluation, against: Estimate) -> str:
    if against.against(0) == "above":
        return "hidden context explains more than random votes"
    if against.against(0) == "below" and lapse.gain.against(0) == "above":
        return "random votes explain more than hidden context"
    if against.against(0) == "below":
        return "the scalar family predicts better, and needs no random votes"
    gains = (evaluation.against_base, lapse.gain)
    better = any(gain is not None and gain.against(0) == "above" for gain in gains)
    if better or is_beyond_noise(evaluation):
        return f"{CANNOT_TELL} which of the two it is"
    return "there is nothing that either would have to explain"


def is_beyond_noise(evaluation: Evaluation) -> bool:
    """Whether the gain over the scalar family is more than label noise makes it."""
    tests = [each.p_value for each in evaluation.null if each.figure == "against_base"]
    return any(p is not None and p <= LARGEST_P for p in tests)


def _r2(evaluation: Evaluation, others: Sequence[Evaluation]) -> str:
    """With, of every family but the first, why it is not to be held against that of others."""
    r2, matched = evaluation.explained_variance, evaluation.matched_explained_variance
    text = (
        f"r² of responses like these, by heads on these vectors, is {_on_scales(r2)} "
        f"(intervals: {r2['pooled'].how}; training: {evaluation.stopping_rule})."
    )
    if matched and matched["pooled"].value != r2["pooled"].value:
        text += (
            f" With {evaluation.matched_size} training comparisons, as the smallest of the sets "
            f"has: {matched['pooled']}, {matched['within_prompt']} and {matched['rank']}."
        )
    if evaluation is not next(each for each in others if each.explained_variance):
        text += " Families have scales of their own: their r² do not compare with one another."
    return text


def _on_scales(r2: Mapping[str, Estimate]) -> str:
    return (
        f"{r2['pooled']} over all responses, {r2['within_prompt']} within prompts and "
        f"{r2['rank']} on the scale of ranks"
    )


def _undecided(undecided: Undecided) -> str:
    return (
        f"Of the comparisons {undecided.near_tie} are near-ties (the means are close) "
        f"and {undecided.noisy} noisy (the means are apart, but the spread is wide); "
        "the rest are decided, P outside 0.4 to 0.6."
    )


def _calibrated(evaluations: Sequence[Evaluation]) -> str:
    listed = "; ".join(
        f"{evaluation.family.name} {evaluation.expected_calibration_error} "
        f"and {evaluation.brier_score}"
        for evaluation in evaluations
    )
    return f"Expected calibration error and Brier score (a coin: 0.25): {listed}."


def _length(scalar: Evaluation, length: LengthMeasures) -> str:
    return (
        f'"The longer response wins" is right on {length.longer_wins} of the votes, '
        f"the scalar family on {scalar.accuracy['mean']}, and on "
        f"{length.without_length} once length is regressed out of it."
    )


def _jailbreaks(evaluations: Sequence[Evaluation], longer_is_unsafe: Estimate) -> str:
    listed = "; ".join(
        f"{evaluation.family.name} by {_decider(risk)} {evaluation.jailbreak_rate[risk]}, and "
        f"{without_length} once length is regressed out"
        for evaluation in evaluations
        for risk, without_length in evaluation.jailbreak_rate_without_length.items()
    )
    return (
        f"The unsafe response is preferred at these rates: {listed}. "
        f'"The longer response wins": {longer_is_unsafe}.'
    )


def _decider(risk: str) -> str:
    name, _, level = risk.partition(":")
    return f"the {level}-quantile" if level else f"the {name}"


def _between(between: BetweenGroups) -> str:
    gain, by, p = between.gain, between.by, between.p_value
    low, high = _ends(gain)
    num = len(between.shuffled_gains)
    if p is None or num < FEWEST_SHUFFLINGS:
        verdict = f"No test, for {by}s can be shuffled in {num} other ways only"
    elif gain.against(0) == "above" and p <= LARGEST_P:
        verdict = "It does"
    else:
        verdict = CANNOT_TELL.capitalize() if gain.value > 0 else "Not so that it helps"
    text = (
        f"{verdict}: knowing which of {between.num_labels} {by}s judged "
        f"({between.num_comparisons} comparisons) changes the held-out likelihood of the scalar "
        f"family by {gain.value:+.4f} nats per vote ({low:+.4f} to {high:+.4f})"
    )
    if p is not None and num:
        as_large = round(p * (1 + num)) - 1
        text += (
            f", as much as {as_large or 'none'} of {num} shufflings of {by}s among "
            f"{between.shuffled_over} (p = {p:.2f})"
        )
    text += (
        f"; {between.share} of the learned variance of a difference in utility lies between them "
        f"({between.family})"
    )
    text += "." if between.shuffled is None else f", and {between.shuffled} with them shuffled."
    if between.num_labels_left_out:
        text += f" {between.num_labels_left_out} further {by}s are too rare, and left out."
    return text


def _ends(estimate: Estimate) -> tuple[float, float]:
    """Of the interval; the value itself where there is none."""
    low, high = estimate.low, estimate.high
    return estimate.value if low is None else low, estimate.value if high is None else high
