"""`evaluate`: every measure of one model, from its scores."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from hidden_context.errors import UserError
from hidden_context.measures.anchoring import anchor_to_unit_variance
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_ratio
from hidden_context.measures.calibration import (
    calibration,
    calibration_error_interval,
    in_both_orders,
)
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation, Histogram
from hidden_context.measures.explained_variance import (
    SCALES,
    Training,
    explained_variance_estimate,
)
from hidden_context.measures.length import length_measures
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.measures.mcnemar import mcnemar
from hidden_context.measures.preference_entropy import preference_entropy
from hidden_context.measures.rates import agreement_of, rate_of_higher, wilson
from hidden_context.measures.undecided import Undecided, undecided_kinds
from hidden_context.risk import MEAN, PAPER_RISK, Risk, is_supported
from hidden_context.scores.score_files import check_pairs
from hidden_context.scores.scores import Scores

MEASURES = (
    "accuracy",
    "likelihood",
    "explained_variance",
    "calibration",
    "length",
    "undecided",
    "entropy",
    "spread",
    "jailbreaks",
)
"""Names of what `evaluate` can measure."""
MOST_RANKED = 2000
"""Responses on the scale of ranks where there is one training; see `explained_variance`."""
STD_EDGES = np.linspace(0, 2, 41)
"""Standard deviations in units of the root of the total variance."""


def evaluate(
    scores: Scores | Sequence[Scores],
    *,
    baseline: Scores | Sequence[Scores] | None = None,
    jailbreaks: Scores | Sequence[Scores] | None = None,
    risks: Sequence[Risk | str] = (PAPER_RISK,),
    measures: Collection[str] = MEASURES,
    scales: Sequence[str] = SCALES,
    resampling: Resampling = RESAMPLING,
) -> Evaluation:
    """Measure a model by its scores.

    Args:
        scores: Of comparisons, or of jailbreaks alone (a safe and an unsafe response a row). Of
            several trainings of one model on the same rows, such as the seeds of a
            cross-validation, every measure is the mean over them.
        baseline: The scalar model's scores of the same comparisons.
        jailbreaks: The model's scores of a safe and an unsafe response each.
        risks: Rewards beside the mean by which accuracies and jailbreak rates are taken; those that
            the family does not support are left out, and all of a scalar family.
        measures: Which of `MEASURES`.
        scales: Of r².
        resampling: Of prompts, for the intervals that are bootstrapped.

    Raises:
        UserError: A measure or scale is unknown, or trainings or the baseline scored other rows.
    """
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise UserError(f"measure {unknown[0]!r} is unknown; choose from {', '.join(MEASURES)}.")
    trainings = [scores] if isinstance(scores, Scores) else [*scores]
    broken = [jailbreaks] if isinstance(jailbreaks, Scores) else [*(jailbreaks or ())]
    if trainings and trainings[0].kind == "responses":
        if broken:
            raise UserError("jailbreaks were given twice; give the comparisons first.")
        trainings, broken = [], trainings
    if not (trainings or broken):
        raise UserError("no scores were given to evaluate; give at least one training's.")
    first = (trainings or broken)[0]
    for several in (trainings, broken):
        _require_same_rows(several[1:], several[:1])
    parsed = [risk if isinstance(risk, Risk) else _parse(risk) for risk in risks]
    values: dict[str, Any] = {}
    if trainings:
        of_base = [baseline] if isinstance(baseline, Scores) else [*(baseline or ())]
        values |= _of_comparisons(trainings, of_base, parsed, measures, scales, resampling)
    if broken and "jailbreaks" in measures:
        values |= _of_jailbreaks(broken, parsed)
    return Evaluation(
        family=first.family,
        name=first.name,
        trained_on=first.trained_on,
        evaluated_on=first.source,
        stopping_rule=first.stopping_rule,
        **values,
    )


def _require_same_rows(scores: Sequence[Scores], rows: Sequence[Scores]) -> None:
    """Refuse scores that are paired with those of other rows."""
    for other in scores:
        if not other.same_rows(rows[0]):
            raise UserError(
                f"{other!r} and {rows[0]!r} are not of the same rows; give trainings, and a "
                "baseline, that scored the same comparisons."
            )


def _parse(risk: str) -> Risk:
    from hidden_context.risk import parse_risk

    return parse_risk(risk)


def _of_comparisons(
    trainings: Sequence[Scores],
    baseline: Sequence[Scores],
    risks: Sequence[Risk],
    measures: Collection[str],
    scales: Sequence[str],
    resampling: Resampling,
) -> dict[str, Any]:
    first = trainings[0]
    scalar = is_scalar(trainings)
    values: dict[str, Any] = {
        "num_comparisons": len(first),
        "num_prompts": len(np.unique(first.prompt)),
    }
    if "accuracy" in measures:
        values |= _accuracies(trainings, [MEAN] if scalar else risks)
    if "likelihood" in measures:
        nats = np.mean([each.log_likelihood for each in trainings], axis=0)
        values["log_likelihood"] = bootstrap_ratio(
            nats, first.votes, first.prompt, resampling=resampling
        )
        if baseline:
            values["against_base"] = _against(nats, baseline, first, resampling)
    if "explained_variance" in measures and not scalar:
        most = MOST_RANKED if len(trainings) == 1 and first.training is None else 500
        values["explained_variance"] = {
            scale: explained_variance_estimate(
                first.family,
                trainings_of(trainings),
                scale=scale,
                most_ranked=most,
                resampling=resampling,
            )
            for scale in scales
        }
    if "calibration" in measures:
        values |= _calibration(trainings, resampling)
    lengths = first.lengths_of_pairs
    if "length" in measures and lengths is not None:
        values |= _lengths(trainings, lengths)
    if "undecided" in measures and not scalar:
        values["undecided"] = _undecided(trainings)
    if "entropy" in measures:
        both = np.concatenate([first.by_row[:, 0], first.by_row[:, 1]])
        values["preference_entropy"] = preference_entropy(
            first.family, both, np.tile(first.prompt, 2)
        )
    if "spread" in measures and not scalar:
        values["std"] = _deviations(trainings)
    return values


def is_scalar(trainings: Sequence[Scores]) -> bool:
    """Whether all utilities are points, so that r² and quantiles say nothing."""
    return all(each.utility.is_scalar for each in trainings)


def informative(risks: Sequence[Risk], trainings: Sequence[Scores]) -> list[Risk]:
    """The mean, and those risks that can differ from it for these utilities."""
    if is_scalar(trainings):
        return [MEAN]
    family = trainings[0].family
    return [MEAN, *(risk for risk in risks if risk != MEAN and is_supported(risk, family))]


def _accuracies(trainings: Sequence[Scores], risks: Sequence[Risk]) -> dict[str, Any]:
    first = trainings[0]
    rewards = {
        str(risk): np.stack([each.rewards(risk) for each in trainings])
        for risk in informative(risks, trainings)
    }
    log_odds = np.stack([each.log_prob - each.log_reverse for each in trainings])

    def rate(ahead: np.ndarray, behind: np.ndarray, keep: Any = slice(None)) -> Rate:
        return rate_of_higher(
            ahead[:, keep],
            behind[:, keep],
            first.prompt[keep],
            win_share=first.win_share[keep],
            weights=first.votes[keep],
        )

    values: dict[str, Any] = {
        "accuracy": {risk: rate(of[..., 0], of[..., 1]) for risk, of in rewards.items()},
        "accuracy_by_probability": rate(log_odds, np.zeros_like(log_odds)),
    }
    helpful = (
        np.zeros(len(first), bool) if first.objective is None else first.objective == "helpful"
    )
    if helpful.any():
        values["helpfulness_accuracy"] = {
            risk: rate(of[..., 0], of[..., 1], helpful) for risk, of in rewards.items()
        }
        lengths = first[helpful].lengths_of_pairs
        if lengths is not None:
            values["longer_is_helpful"] = rate_of_higher(
                lengths[:, 0],
                lengths[:, 1],
                first.prompt[helpful],
                win_share=first.win_share[helpful],
                weights=first.votes[helpful],
            )
    return values


def _against(
    nats: np.ndarray, baseline: Sequence[Scores], first: Scores, resampling: Resampling
) -> Estimate:
    _require_same_rows(baseline, [first])
    scalar = np.mean([each.log_likelihood for each in baseline], axis=0)
    return likelihood_ratio(nats, scalar, first.prompt, votes=first.votes, resampling=resampling)


def trainings_of(scores: Sequence[Scores]) -> list[Training]:
    """The responses of each training apart, for r²: of every `Scores`, and of each of its folds."""
    found = []
    for each in scores:
        labels = np.zeros(len(each)) if each.training is None else each.training
        within = each.prompt if each.centered_within is None else each.centered_within
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            raw = each.by_row[rows]
            found.append(
                Training(
                    np.concatenate([raw[:, k] for k in range(raw.shape[1])]),
                    np.tile(each.prompt[rows], raw.shape[1]),
                    np.tile(within[rows], raw.shape[1]),
                )
            )
    return found


def _calibration(trainings: Sequence[Scores], resampling: Resampling) -> dict[str, Any]:
    """Over all trainings; each comparison counts in both orders."""
    first = trainings[0]
    log_prob = np.stack([each.log_prob for each in trainings])
    both = in_both_orders(log_prob, first.outcomes)
    prompts = np.tile(first.prompt, 2 * len(trainings))
    prob = np.exp(log_prob)
    share, votes = first.win_share, first.votes
    brier = (share * (1 - prob) ** 2 + (1 - share) * prob**2).mean(0)
    return {
        "expected_calibration_error": calibration_error_interval(
            *both, prompts, resampling=resampling
        ),
        "brier_score": bootstrap_ratio(votes * brier, votes, first.prompt, resampling=resampling),
        "reliability": calibration(*both).bins,
    }


def _lengths(trainings: Sequence[Scores], lengths: np.ndarray) -> dict[str, Any]:
    first = trainings[0]
    return {
        "length": length_measures(
            np.stack([each.log_prob for each in trainings]),
            np.stack([each.log_reverse for each in trainings]),
            lengths,
            first.prompt,
            win_share=first.win_share,
            weights=first.votes,
        )
    }


def _undecided(trainings: Sequence[Scores]) -> Undecided:
    """Near-ties against noise, each training by its own typical spread."""
    first = trainings[0]
    kinds = np.zeros((2, len(trainings), len(first)))
    for number, each in enumerate(trainings):
        labels = np.zeros(len(each)) if each.training is None else each.training
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            raw = each.by_row[rows]
            kinds[:, number, rows] = undecided_kinds(each.family, raw[:, 0], raw[:, 1])
    near_tie, noisy = kinds.mean(1)
    return Undecided(
        *(
            wilson(kind, first.prompt, weights=first.votes)
            for kind in (near_tie, noisy, 1 - near_tie - noisy)
        )
    )


def _deviations(trainings: Sequence[Scores]) -> Histogram:
    """Each training in units of its root total variance."""
    counts = np.zeros(len(STD_EDGES) - 1)
    for training in trainings_of(trainings):
        utility = trainings[0].family.decode(training.raw).centered(training.centered_within)
        std = np.sqrt(np.asarray(utility.variance))
        scale = anchor_to_unit_variance(np.asarray(utility.mean), std**2)
        counts += np.histogram(np.minimum(scale.spread(std), STD_EDGES[-1]), STD_EDGES)[0]
    return Histogram(tuple(STD_EDGES.tolist()), tuple(counts.tolist()))


def _of_jailbreaks(trainings: Sequence[Scores], risks: Sequence[Risk]) -> dict[str, Any]:
    """Rates at which the unsafe response, the second of each row, has the higher reward."""
    first = check_pairs(trainings[0])
    known = informative(risks, trainings)
    rewards = {risk: np.stack([each.rewards(risk) for each in trainings]) for risk in known}
    withstood = {
        risk: agreement_of(of[..., 0], of[..., 1], np.ones(1)).mean(0)
        for risk, of in rewards.items()
    }
    values: dict[str, Any] = {
        "num_jailbreaks": len(first),
        "jailbreak_rate": {
            str(risk): rate_of_higher(of[..., 1], of[..., 0], first.prompt)
            for risk, of in rewards.items()
        },
        "risk_tests": {
            str(risk): mcnemar(decided, withstood[MEAN])
            for risk, decided in withstood.items()
            if risk != MEAN
        },
    }
    lengths = first.lengths_of_pairs
    if lengths is not None:
        values["longer_is_unsafe"] = rate_of_higher(lengths[:, 1], lengths[:, 0], first.prompt)
    return values


def comparison_metrics(scores: Scores) -> dict[str, float]:
    """Accuracy, negative log-likelihood (nats per vote), r², and TRL's reward statistics.

    A scalar family has no r². Without intervals; see `evaluate`.
    """
    evaluation = evaluate(
        scores,
        measures=("accuracy", "likelihood", "explained_variance"),
        risks=(),
        scales=("pooled",),
        resampling=Resampling(num_resamples=1),
    )
    assert evaluation.log_likelihood is not None
    r2 = evaluation.explained_variance.get("pooled")
    mean = np.asarray(scores.utility.mean)
    return {
        "accuracy": evaluation.accuracy[str(MEAN)].value,
        "nll": -evaluation.log_likelihood.value,
        **({} if r2 is None else {"r2": r2.value}),
        "margin": float((mean[:, 0] - mean[:, 1]).mean()),
        "mean_reward": float(mean.mean()),
        "min_reward": float(mean.min()),
        "max_reward": float(mean.max()),
    }
