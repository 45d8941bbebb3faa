"""r² of several trainings of one family, such as the folds and seeds of a cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hidden_context.distributions import Family
from hidden_context.distributions.base import check_choice
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_weighted
from hidden_context.measures.explained_variance import (
    ByWeights,
    each_prompt,
    pooled,
    within_prompts,
)
from hidden_context.measures.explained_variance_report import SCALES, ExplainedVarianceReport
from hidden_context.measures.population_rank import rank

MOST_RESPONSES_RANKED = 500
"""Of one training; all pairs are compared, so time grows with the square."""


@dataclass(frozen=True, eq=False)
class Training:
    """What one training says of responses that it did not see."""

    raw: np.ndarray
    """Raw outputs, shape `(k, num_outputs)`."""
    prompt: np.ndarray
    """Number of each response's prompt, from 0, shape `(k,)`."""
    compared_within: np.ndarray
    """Number of each response's comparison, shape `(k,)`."""


def explained_variance_of_trainings(
    family: Family,
    trainings: Sequence[Training],
    *,
    scale: str,
    stopping_rule: str,
    matched_size: int | None = None,
    resampling: Resampling = RESAMPLING,
) -> ExplainedVarianceReport:
    """Mean over trainings of each one's r², with an interval over prompts.

    Each training has a scale and origin of its own, so responses of two are never pooled; prompts
    are resampled for all of them together, and a training none of whose prompts is drawn is left
    out of that resample. Of one training it is `explained_variance_report`, but
    for the rank scale of more than `MOST_RESPONSES_RANKED` responses: of these a sample.

    Args:
        family: Reads the outputs.
        trainings: At least one.
        scale: See `explained_variance_report`.
        stopping_rule: When training stopped, in words.
        matched_size: See `ExplainedVarianceReport`.
        resampling: See `Resampling`.
    """
    numbers = np.unique(np.concatenate([each.prompt for each in trainings]))
    statistics = []
    num_responses = 0
    for each in trainings:
        at, prompts, counted = _statistic(family, each, scale)
        statistics.append((at, np.searchsorted(numbers, prompts)))
        num_responses += counted

    def mean(weights: np.ndarray) -> np.ndarray:
        total, count = np.zeros(len(weights)), np.zeros(len(weights))
        for at, columns in statistics:
            own = weights[:, columns]
            drawn = own.any(1)
            total[drawn] += at(own[drawn])
            count += drawn
        return total / count

    interval = bootstrap_weighted(mean, len(numbers), resampling=resampling)
    return ExplainedVarianceReport(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        level=interval.level,
        scale=scale,
        num_responses=num_responses,
        num_prompts=len(numbers),
        stopping_rule=stopping_rule,
        matched_size=matched_size,
    )


def explained_variance_value(family: Family, trainings: Sequence[Training], scale: str) -> float:
    """The value of `explained_variance_of_trainings`, without an interval."""
    values = []
    for each in trainings:
        at, prompts, _ = _statistic(family, each, scale)
        values.append(at(np.ones((1, len(prompts))))[0])
    return float(np.mean(values))


def _statistic(family: Family, training: Training, scale: str) -> tuple[ByWeights, np.ndarray, int]:
    """r² by weights of prompts, the prompts' numbers, and how many responses count."""
    check_choice("scale", scale, SCALES)
    raw: np.ndarray[Any, Any] = np.asarray(training.raw, np.float64)
    prompt, within = training.prompt, training.compared_within
    if scale == "rank":
        kept = _sample(len(prompt))
        at, groups = rank(family, raw[kept], prompt[kept])
        return at, np.unique(prompt[kept]), len(kept)
    by_weights = {"pooled": pooled, "within_prompt": within_prompts, "each_prompt": each_prompt}
    at, groups = by_weights[scale](family.decode(raw).centered(within), prompt)
    numbers, counts = np.unique(prompt, return_counts=True)
    if scale != "pooled":
        numbers = numbers[counts >= 2]
    return at, numbers, int(groups.num_rows.sum())


def _sample(num_responses: int) -> np.ndarray:
    """Indices drawn at random, at most `MOST_RESPONSES_RANKED`, in order.

    Not of whole prompts: a few prompts with many responses each would then be all.
    """
    order = np.random.default_rng(0).permutation(num_responses)
    return np.sort(order[:MOST_RESPONSES_RANKED])
