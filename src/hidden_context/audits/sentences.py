"""One plain sentence for each question, written from the numbers of one audited set."""

from collections.abc import Mapping, Sequence

import numpy as np

from hidden_context.audits.result import (
    FEWEST_PROMPTS,
    FITTED_GAIN,
    AuditedSet,
    BetweenGroups,
    Lapse,
)
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.learned_enough import not_learned
from hidden_context.measures.length import LengthMeasures
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap, detectable_gains
from hidden_context.measures.undecided import Undecided

CANNOT_TELL = "cannot tell from these data"
BEYOND_NOISE = "Is there more than a scalar family and label noise?"
CARELESS = "Is it careless clicks?"
WHO_JUDGED = "Does who judged explain it?"
LARGEST_P = 0.05
"""Of a finding."""
SMALLEST_SHOWN = 5e-5
"""Nats per vote: less is rounding, as where the texts leave a family nothing to explain."""
FEWEST_SHUFFLINGS = 19
"""With fewer p is above it whatever the data are."""


def sentences_of(audited: AuditedSet) -> tuple[tuple[str, str], ...]:
    """Questions and answers; there is none of what was not measured."""
    scalar, *others = audited.evaluations
    answers = [("Can these vectors predict who wins?", _predicts(scalar, audited.counts))]
    detectable = _detectable(others)
    for evaluation in others:
        name, gain = evaluation.family.name, evaluation.against_base
        if gain is not None:
            question = f"Is there more than a scalar family and label noise ({name})?"
            answers.append((question, more_than_noise(evaluation, gain, detectable.get(name))))
        if evaluation.explained_variance:
            question = f"How much of the variance in utility do responses explain ({name})?"
            answers.append((question, _r2(evaluation, others)))
        if evaluation.undecided is not None:
            answers.append((f"Near-ties or noise ({name})?", _undecided(evaluation.undecided)))
    if audited.lapse is not None:
        learned = scalar.accuracy["mean"].against(0.5) == "above"
        answers.append((CARELESS, careless(audited.lapse, others, learned=learned)))
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
    elif WHO_JUDGED not in audited.unanswered and audited.counts.get("labels", 0) > 1:
        answers.append(
            (
                WHO_JUDGED,
                f"This was not tested: of the {audited.counts['labels']} who judged, fewer than "
                f"two did so on {FEWEST_PROMPTS} prompts or more. The commands axes and people "
                "need fewer.",
            )
        )
    for question, why in audited.unanswered.items():
        answers.append((question, f"This could not be answered: {why}"))
    return tuple(answers)


def _predicts(scalar: Evaluation, counts: Mapping[str, int]) -> str:
    accuracy = scalar.accuracy["mean"]
    verdict = {
        "above": "Better than a coin",
        "below": "Worse than a coin, so what was learned of some prompts misleads on others",
        "cannot tell": f"{CANNOT_TELL.capitalize()}, so no other figure here means much",
    }[accuracy.against(0.5)]
    return (
        f"{verdict}: the scalar family is right on {accuracy} of the held-out votes, "
        f"with {scalar.log_likelihood} nats per vote "
        + ("(of which ties are part)." if counts.get("with_ties") else "(a coin: -0.693).")
    )


def more_than_noise(evaluation: Evaluation, gain: Estimate, detectable: float | None) -> str:
    """One verdict from the gain over the scalar family and, where there are draws, its test."""
    name, test = evaluation.family.name, noise_test(evaluation)
    how = f"{name} predicts held-out votes {_better(gain, 'the scalar family')}"
    side = gain.against(0)
    if test is None:
        return {
            "above": f"It predicts better: {how}.",
            "below": f"Not seen: {how}.",
            "cannot tell": f"{CANNOT_TELL.capitalize()}: {how}.",
        }[side] + " It was not held against label noise."
    verdict = {
        (True, "above"): "Yes",
        (True, "cannot tell"): "Yes, but too little to predict better",
        (True, "below"): "Yes, but a distribution does not predict better",
        (False, "above"): "Label noise may be all",
        (False, "cannot tell"): CANNOT_TELL.capitalize(),
        (False, "below"): CANNOT_TELL.capitalize(),
    }[is_beyond_noise(evaluation), side]
    return f"{verdict}: {how}. {_of_test(evaluation, test)}{_of_power(test, detectable)}"


def _of_test(evaluation: Evaluation, test: ParametricBootstrap) -> str:
    draws = np.array(test.draws)
    as_large = int((draws >= test.observed).sum())
    fitted = test.figure == FITTED_GAIN
    what = "Fitted to all votes it is likelier" if fitted else "In one partition it is better"
    text = (
        f"{what} by {test.observed:+.4f}; of {len(draws)} sets of votes drawn from the scalar "
        f"family, and fitted alike, {as_large or 'none'} gain as much ({draws.mean():+.4f} in the "
        f"mean, from {draws.min():+.4f} to {draws.max():+.4f}; p = {test.p_value:.2f}"
    )
    text += ", corrected for several families)" if test.p_value != _rank(as_large, test) else ")"
    for r2 in (each for each in evaluation.null if each.figure == "r2_pooled"):
        lower = sum(draw <= r2.observed for draw in r2.draws)
        text += f", and {lower or 'none'} have so low an r² (p = {r2.p_value:.2f})"
    return f"{text}."


def _rank(as_large: int, test: ParametricBootstrap) -> float:
    return (1 + as_large) / (1 + len(test.draws))


def _of_power(test: ParametricBootstrap, detectable: float | None) -> str:
    if detectable is None or detectable < SMALLEST_SHOWN:
        return ""
    return (
        f" A true gain of {detectable:.4f} nats per vote would be found about four times in five."
    )


def _detectable(others: Sequence[Evaluation]) -> dict[str, float]:
    """The true gain of each tested family that is found with a power of 80 %, nats per vote.

    Fitted to all votes a family gains as much more in the mean as its true gain is.
    """
    tests = {each.family.name: noise_test(each) for each in others}
    draws = {
        name: test.draws
        for name, test in tests.items()
        if test is not None and test.figure == FITTED_GAIN and len(test.draws) >= FEWEST_SHUFFLINGS
    }
    return detectable_gains(draws, size=LARGEST_P) if draws else {}


def careless(lapse: Lapse, others: Sequence[Evaluation], *, learned: bool = True) -> str:
    """Which of hidden context and random votes the data support, by each family.

    Where the scalar family has not `learned` to predict, any share of random votes fits as well.
    """
    verdicts: dict[str, list[str]] = {}
    for evaluation in others:
        against = lapse.against.get(evaluation.family.name)
        if against is not None:
            verdict = _explanation(lapse, evaluation, against).capitalize()
            how = f"{evaluation.family.name} predicts {_better(against, 'it')}"
            verdicts.setdefault(verdict, []).append(how)
    plain = _better(lapse.gain, "the plain one")
    if learned:
        text = (
            f"A scalar family some of whose votes are random takes {lapse.share:.1%} of them for "
            f"such, and predicts {plain}."
        )
    else:
        text = (
            "How many votes are random cannot be told, as the scalar family predicts no better "
            f"than a coin; with a share of them it predicts {plain}."
        )
    said = (f"{verdict} ({'; '.join(how)})." for verdict, how in verdicts.items())
    return " ".join([text, *said])


def _explanation(lapse: Lapse, evaluation: Evaluation, against: Estimate) -> str:
    if against.against(0) == "above" and noise_test(evaluation) and not is_beyond_noise(evaluation):
        return "label noise may be all, without random votes"
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
    test = noise_test(evaluation)
    return test is not None and test.p_value is not None and test.p_value <= LARGEST_P


def noise_test(evaluation: Evaluation) -> ParametricBootstrap | None:
    """Of the gain over the scalar family, against label noise; in older files of held-out votes."""
    by_figure = {each.figure: each for each in evaluation.null}
    return by_figure.get(FITTED_GAIN, by_figure.get("against_base"))


def _r2(evaluation: Evaluation, others: Sequence[Evaluation]) -> str:
    """With, of every family but the first, why it is not to be held against that of others."""
    r2, matched = evaluation.explained_variance, evaluation.matched_explained_variance
    text = (
        f"r² of responses like these, by heads on these vectors, is {_on_scales(r2)} "
        f"(intervals: {r2['pooled'].how}; training: {evaluation.stopping_rule})."
    )
    if behind_votes := evaluation.corrected_explained_variance:
        text += (
            " Corrected for how heads that learn from so many votes err, that of the utilities "
            f"behind the votes is {_on_scales(behind_votes)}."
        )
    if matched and matched["pooled"].value != r2["pooled"].value:
        text += (
            f" With {evaluation.matched_size} training comparisons, as the smallest of the sets "
            f"has: {matched['pooled']}, {matched['within_prompt']} and {matched['rank']}."
        )
    if evaluation is not next(each for each in others if each.explained_variance):
        text += " Families have scales of their own: their r² do not compare with one another."
    unlearned = "" if is_beyond_noise(evaluation) else not_learned(evaluation)
    return f"{text} {unlearned}".rstrip()


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
        out = between.num_labels_left_out
        text += f" {out} further {by}{' is' if out == 1 else 's are'} too rare, and left out."
    return text


def _better(gain: Estimate, other: str) -> str:
    """That it is better than another by so many nats per vote, or worse, or that this is open."""
    low, high = _ends(gain)
    if gain.against(0) == "below":
        return f"worse than {other} by {-gain.value:.4f} ({-high:.4f} to {-low:.4f}) nats per vote"
    if gain.against(0) == "above":
        return f"better than {other} by {gain.value:.4f} ({low:.4f} to {high:.4f}) nats per vote"
    return (
        f"neither surely better nor worse than {other} ({gain.value:+.4f}, {low:+.4f} to "
        f"{high:+.4f} nats per vote)"
    )


def _ends(estimate: Estimate) -> tuple[float, float]:
    """Of the interval; the value itself where there is none."""
    low, high = estimate.low, estimate.high
    return estimate.value if low is None else low, estimate.value if high is None else high
