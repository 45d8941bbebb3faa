"""One plain sentence for each question, written from the numbers of one audited set."""

from collections.abc import Mapping, Sequence

from hidden_context.audits.result import AuditedSet, BetweenGroups
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.length import LengthMeasures
from hidden_context.measures.undecided import Undecided

CANNOT_TELL = "cannot tell from these data"


def sentences_of(audited: AuditedSet) -> tuple[tuple[str, str], ...]:
    """Questions and answers; what was not measured is not asked."""
    scalar, *others = audited.evaluations
    answers = [("Can these vectors predict who wins?", _predicts(scalar))]
    for evaluation in others:
        name = evaluation.family.name
        if evaluation.against_base is not None:
            question = f"Does {name} predict better than the scalar family?"
            answers.append((question, _against_base(name, evaluation.against_base)))
        if evaluation.explained_variance:
            question = f"How much of the variance in utility do responses explain ({name})?"
            answers.append((question, _r2(evaluation)))
        if any(figure.figure == "r2_rank" for figure in evaluation.null):
            answers.append((f"Would label noise alone look like this ({name})?", _null(evaluation)))
        if evaluation.undecided is not None:
            answers.append((f"Near-ties or noise ({name})?", _undecided(evaluation.undecided)))
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


def _against_base(name: str, gain: Estimate) -> str:
    low, high = _ends(gain)
    side = gain.against(0)
    if side == "cannot tell":
        return (
            f"{CANNOT_TELL.capitalize()}: {name} differs from the scalar family by "
            f"{gain.value:+.4f} nats per vote ({low:+.4f} to {high:+.4f})."
        )
    how = "better" if side == "above" else "worse"
    low, high = sorted((abs(low), abs(high)))
    return (
        f"The family {name} predicts held-out votes {how} than the scalar one by "
        f"{abs(gain.value):.4f} nats per vote ({low:.4f} to {high:.4f})."
    )


def _r2(evaluation: Evaluation) -> str:
    r2, matched = evaluation.explained_variance, evaluation.matched_explained_variance
    text = f"r² is {_on_scales(r2)} (training: {evaluation.stopping_rule})."
    if matched and matched["pooled"].value != r2["pooled"].value:
        text += (
            f" With {evaluation.matched_size} training comparisons, as the smallest of the sets "
            f"has: {matched['pooled']}, {matched['within_prompt']} and {matched['rank']}."
        )
    return text


def _on_scales(r2: Mapping[str, Estimate]) -> str:
    return (
        f"{r2['pooled']} over all responses, {r2['within_prompt']} within prompts and "
        f"{r2['rank']} on the scale of ranks"
    )


def _null(evaluation: Evaluation) -> str:
    (figure,) = (figure for figure in evaluation.null if figure.figure == "r2_rank")
    draws, observed, p_value = figure.draws, figure.observed, figure.p_value
    assert p_value is not None  # r² has a side that speaks for hidden context
    mean = sum(draws) / len(draws)
    num_as_low = round(p_value * (1 + len(draws))) - 1
    verdict = "Hardly" if p_value <= 0.1 else CANNOT_TELL.capitalize()
    return (
        f"{'No' if num_as_low == 0 else verdict}: {num_as_low or 'none'} of {len(draws)} sets of "
        "labels simulated from the scalar family gave so low an r² on the scale of ranks "
        f"({observed:.3f}; simulated {mean:.3f}, from {min(draws):.3f} to {max(draws):.3f}; "
        f"p = {p_value:.2f})."
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
    gain, by = between.gain, between.by
    low, high = _ends(gain)
    verdict = {
        "above": "It does",
        "below": "Not so that it helps",
        "cannot tell": CANNOT_TELL.capitalize(),
    }[gain.against(0)]
    text = (
        f"{verdict}: knowing which of {between.num_labels} {by}s judged "
        f"({between.num_comparisons} comparisons) changes the held-out likelihood by "
        f"{gain.value:+.4f} nats per vote ({low:+.4f} to {high:+.4f}), and {between.share} of the "
        f"learned variance of a difference in utility lies between them ({between.family}). With "
        f"their names shuffled it is {between.shuffled}."
    )
    if between.num_labels_left_out:
        text += f" {between.num_labels_left_out} further {by}s are too rare, and left out."
    return text


def _ends(estimate: Estimate) -> tuple[float, float]:
    """Of the interval; the value itself where there is none."""
    low, high = estimate.low, estimate.high
    return estimate.value if low is None else low, estimate.value if high is None else high
