"""`evaluate`: every measure of one model, from its scores."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

from hidden_context.distributions.base import check_choice
from hidden_context.errors import UserError
from hidden_context.measures.anchoring import anchor_to_unit_variance
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_ratio
from hidden_context.measures.calibration import (
    calibration,
    calibration_error_interval,
    in_both_orders,
)
from hidden_context.measures.estimate import Rate
from hidden_context.measures.evaluation import Evaluation, Histogram
from hidden_context.measures.explained_variance import SCALES, Training, explained_variance_estimate
from hidden_context.measures.length import length_measures
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.measures.mcnemar import mcnemar
from hidden_context.measures.moments import moments
from hidden_context.measures.preference_entropy import preference_entropy
from hidden_context.measures.prompts import group_prompts
from hidden_context.measures.rates import agreement_of, rate_of_higher, wilson
from hidden_context.measures.undecided import Undecided, undecided_kinds
from hidden_context.risk import MEAN, PAPER_RISK, Risk, is_supported, parse_risk
from hidden_context.scores.overlap import Overlap
from hidden_context.scores.scores import Scores, check_pairs

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
    for name in measures:
        check_choice("measure", name, MEASURES)
    trainings, broken, scalar_model = map(_listed, (scores, jailbreaks, baseline))
    if trainings and trainings[0].kind == "responses":
        if broken:
            raise UserError("jailbreaks were given twice; give the comparisons first.")
        trainings, broken = [], trainings
    if not (trainings or broken):
        raise UserError("no scores were given to evaluate; give at least one training's.")
    first = (trainings or broken)[0]
    _require_same_rows(trainings)
    _require_same_rows(broken)
    parsed = [risk if isinstance(risk, Risk) else parse_risk(risk) for risk in risks]
    values: dict[str, Any] = {}
    if trainings:
        values |= _of_comparisons(trainings, scalar_model, parsed, measures, scales, resampling)
    if broken and "jailbreaks" in measures:
        values |= _of_jailbreaks(broken, parsed)
    return Evaluation(
        family=first.family,
        name=first.name,
        trained_on=first.trained_on,
        evaluated_on=first.source,
        stopping_rule=first.stopping_rule,
        overlap=_overlap(trainings or broken),
        **values,
    )


def _overlap(trainings: Sequence[Scores]) -> Overlap | None:
    """Of the training that saw most of these rows; None if of one it is not known."""
    known = [each.overlap for each in trainings if each.overlap is not None]
    return None if len(known) < len(trainings) else max(known, key=lambda each: each.rows)


def _listed(scores: Scores | Sequence[Scores] | None) -> list[Scores]:
    return [scores] if isinstance(scores, Scores) else [*(scores or ())]


def _require_same_rows(scores: Sequence[Scores]) -> None:
    """Refuse scores that are paired with those of other rows."""
    for other in scores[1:]:
        if not other.same_rows(scores[0]):
            raise UserError(
                f"{other!r} and {scores[0]!r} are not of the same rows; give trainings, and a "
                "baseline, that scored the same comparisons."
            )


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
        values |= _accuracies(trainings, risks)
    if "likelihood" in measures:
        nats = _mean_log_likelihood(trainings)
        values["log_likelihood"] = bootstrap_ratio(
            nats, first.votes, first.prompt, resampling=resampling
        )
        if baseline:
            _require_same_rows([first, *baseline])
            scalar_nats = _mean_log_likelihood(baseline)
            values["against_base"] = likelihood_ratio(
                nats, scalar_nats, first.prompt, votes=first.votes, resampling=resampling
            )
    if "explained_variance" in measures and not scalar:
        of_trainings = trainings_of(trainings)
        r2 = partial(explained_variance_estimate, first.family, of_trainings, resampling=resampling)
        if len(trainings) == 1 and first.training is None:
            r2 = partial(r2, most_ranked=MOST_RANKED)
        values["explained_variance"] = {scale: r2(scale=scale) for scale in scales}
    if "calibration" in measures:
        values |= _calibration(trainings, resampling)
    lengths = first.lengths_of_pairs
    if "length" in measures and lengths is not None:
        values["length"] = length_measures(
            np.stack([training.log_prob for training in trainings]),
            np.stack([training.log_reverse for training in trainings]),
            lengths,
            first.prompt,
            win_share=first.win_share,
            weights=first.votes,
        )
    if "undecided" in measures and not scalar:
        values["undecided"] = _undecided(trainings)
    if "entropy" in measures:
        both = _responses(first)
        values["preference_entropy"] = preference_entropy(first.family, both.raw, both.prompt)
    if "spread" in measures and not scalar:
        values["std"] = _deviations(trainings)
    return values


def is_scalar(trainings: Sequence[Scores]) -> bool:
    """Whether all utilities are points, so that r² and quantiles say nothing."""
    return all(training.utility.is_scalar for training in trainings)


def informative(risks: Sequence[Risk], trainings: Sequence[Scores]) -> list[Risk]:
    """The mean, and those risks that can differ from it for these utilities."""
    if is_scalar(trainings):
        return [MEAN]
    family = trainings[0].family
    return [MEAN, *(risk for risk in risks if risk != MEAN and is_supported(risk, family))]


def _mean_log_likelihood(trainings: Sequence[Scores]) -> np.ndarray:
    return np.mean([training.log_likelihood for training in trainings], axis=0)


def _rewards(trainings: Sequence[Scores], risks: Sequence[Risk]) -> dict[Risk, np.ndarray]:
    """By each informative risk, shape `(trainings, n, K)`."""
    return {
        risk: np.stack([training.rewards(risk) for training in trainings])
        for risk in informative(risks, trainings)
    }


def _accuracy(rows: Scores, pairs: np.ndarray) -> Rate:
    """How often the first of each pair, shape `(..., n, 2)`, is the higher, by the rows' votes."""
    return rate_of_higher(
        pairs[..., 0], pairs[..., 1], rows.prompt, win_share=rows.win_share, weights=rows.votes
    )


def _accuracies(trainings: Sequence[Scores], risks: Sequence[Risk]) -> dict[str, Any]:
    first = trainings[0]
    rewards = _rewards(trainings, risks)
    logs = [np.stack([training.log_prob, training.log_reverse], -1) for training in trainings]
    values: dict[str, Any] = {
        "accuracy": {str(risk): _accuracy(first, pairs) for risk, pairs in rewards.items()},
        "accuracy_by_probability": _accuracy(first, np.stack(logs)),
    }
    objective = np.full(len(first), "") if first.objective is None else first.objective
    is_helpful = objective == "helpful"
    if is_helpful.any():
        helpful = first[is_helpful]
        values["helpfulness_accuracy"] = {
            str(risk): _accuracy(helpful, pairs[:, is_helpful]) for risk, pairs in rewards.items()
        }
        if helpful.lengths_of_pairs is not None:
            values["longer_is_helpful"] = _accuracy(helpful, helpful.lengths_of_pairs)
    return values


def _folds(scores: Scores) -> list[np.ndarray]:
    """Numbers of the rows that each training scored."""
    if scores.training is None:
        return [np.arange(len(scores))]
    return group_prompts(scores.training).rows


def _responses(scores: Scores, rows: np.ndarray | slice = slice(None)) -> Training:
    """The responses of some rows: all that are first, then all that are second, and so on."""
    raw = scores.by_row[rows].swapaxes(0, 1)
    within = scores.prompt if scores.centered_within is None else scores.centered_within
    return Training(
        raw.reshape(-1, raw.shape[-1]),
        np.tile(scores.prompt[rows], len(raw)),
        np.tile(within[rows], len(raw)),
    )


def trainings_of(scores: Sequence[Scores]) -> list[Training]:
    """The responses of each training apart, for r²: of every `Scores`, and of each of its folds."""
    return [_responses(of_model, rows) for of_model in scores for rows in _folds(of_model)]


def _calibration(trainings: Sequence[Scores], resampling: Resampling) -> dict[str, Any]:
    """Over all trainings; each comparison counts in both orders."""
    first = trainings[0]
    share, votes = first.win_share, first.votes
    log_prob = np.stack([training.log_prob for training in trainings])
    both = in_both_orders(log_prob, share, votes)
    prompts = np.tile(first.prompt, 2 * len(trainings))
    prob = np.exp(log_prob)
    brier = (share * (1 - prob) ** 2 + (1 - share) * prob**2).mean(0)
    return {
        "expected_calibration_error": calibration_error_interval(
            *both, prompts, resampling=resampling
        ),
        "brier_score": bootstrap_ratio(votes * brier, votes, first.prompt, resampling=resampling),
        "reliability": calibration(*both).bins,
    }


def _undecided(trainings: Sequence[Scores]) -> Undecided:
    """Near-ties against noise, each training by its own typical spread."""
    first = trainings[0]
    kinds = np.zeros((2, len(trainings), len(first)))
    for number, training in enumerate(trainings):
        raw = training.by_row.swapaxes(0, 1)
        for rows in _folds(training):
            kinds[:, number, rows] = undecided_kinds(training.family, *raw[:, rows])
    near_tie, noisy = kinds.mean(1)
    return Undecided(
        *(
            wilson(kind, first.prompt, weights=first.votes)
            for kind in (near_tie, noisy, 1 - near_tie - noisy)
        )
    )


def _deviations(trainings: Sequence[Scores]) -> Histogram:
    """Of every response, by each training."""
    of_trainings = [each.utility(trainings[0].family) for each in trainings_of(trainings)]
    return std_histogram(list(map(moments, of_trainings)))


def std_histogram(trainings: Sequence[tuple[np.ndarray, np.ndarray]]) -> Histogram:
    """Standard deviations of utility, each training in units of its root total variance.

    Of each training the means and variances of its responses, shape `(k,)` each. What lies beyond
    the last edge is in the last bin.
    """
    counts = np.zeros(len(STD_EDGES) - 1)
    for mean, variance in trainings:
        spread = anchor_to_unit_variance(mean, variance).spread(np.sqrt(variance))
        counts += np.histogram(np.minimum(spread, STD_EDGES[-1]), STD_EDGES)[0]
    return Histogram(tuple(STD_EDGES.tolist()), tuple(counts.tolist()))


def _of_jailbreaks(trainings: Sequence[Scores], risks: Sequence[Risk]) -> dict[str, Any]:
    """Rates at which the unsafe response, the second of each row, has the higher reward."""
    first = check_pairs(trainings[0])
    rewards = _rewards(trainings, risks)
    withstood = {
        risk: agreement_of(pairs[..., 0], pairs[..., 1], np.ones(1)).mean(0)
        for risk, pairs in rewards.items()
    }
    values: dict[str, Any] = {
        "num_jailbreaks": len(first),
        "jailbreak_rate": {
            str(risk): rate_of_higher(pairs[..., 1], pairs[..., 0], first.prompt)
            for risk, pairs in rewards.items()
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
