"""How sure a model is of its answers: P(chosen ≻ rejected) against what is right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hidden_context.distributions import Family
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_mean
from hidden_context.measures.calibration import (
    ReliabilityBin,
    calibration,
    calibration_error_interval,
    in_both_orders,
)
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.prompts import PromptLabels
from hidden_context.measures.rates import agreement_of, wilson

SURE = 0.9
"""P of what a model decides from which it is called sure."""


@dataclass(frozen=True)
class Confidence:
    """Of every chosen response against every rejected one of its row; rows count alike.

    The model decides for the response that has P ≥ ½ to be preferred, by its own distributions, and
    is as sure as that P, from ½ to 1. P = ½ is half right.
    """

    num_pairs: int
    accuracy: Estimate
    """Share of right decisions."""
    expected_calibration_error: Estimate
    brier_score: Estimate
    """Mean (1 - P(chosen ≻ rejected))², in [0, 1]; ¼ if P is always ½."""
    reliability: tuple[ReliabilityBin, ...]
    """Each pair in both orders."""
    sure_where_right: Estimate | None
    """Mean P of right decisions; None if there are none."""
    sure_where_wrong: Estimate | None
    """The same of wrong ones: near ½ for a model that knows what it does not know."""
    wrong_and_sure: Estimate | None
    """Share of the wrong decisions of which the model was sure: P ≥ .9."""
    accuracy_of_surer_half: Estimate
    """On the half of the pairs of which the model is surest."""


def confidence(
    family: Family,
    raw: np.ndarray,
    sizes: np.ndarray,
    num_chosen: Sequence[int],
    prompts: PromptLabels,
    *,
    resampling: Resampling = RESAMPLING,
) -> Confidence:
    """Measure it for n rows.

    Args:
        family: How outputs are read.
        raw: Raw outputs, `(responses, num_outputs)`, row after row, the chosen responses first.
        sizes: Responses of each row, shape `(n,)`.
        num_chosen: How many of them are chosen, shape `(n,)`.
        prompts: Label of each row's prompt, shape `(n,)`.
        resampling: For the intervals of calibration.
    """
    chosen, rejected, row = pairs_of(sizes, num_chosen)
    first, second = (family.decode(raw[side].astype(np.float64)) for side in (chosen, rejected))
    log_prob = np.minimum(np.asarray(first.log_prob_preferred_to(second), np.float64), 0.0)
    log_reverse = np.minimum(np.asarray(second.log_prob_preferred_to(first), np.float64), 0.0)
    prob = np.exp(log_prob)
    decided = np.exp(np.maximum(log_prob, log_reverse))
    right = agreement_of(log_prob, log_reverse, np.ones(1))
    label = np.unique(np.asarray(prompts), return_inverse=True)[1][row]
    weight = 1.0 / np.bincount(row)[row]
    surer = np.zeros(len(row), bool)
    surer[np.argsort(-decided, kind="stable")[: (len(row) + 1) // 2]] = True
    both = in_both_orders(log_prob, np.ones(len(row)), weight)
    twice = np.tile(label, 2)

    def mean(values: np.ndarray, weights: np.ndarray) -> Estimate | None:
        return wilson(values, label, weights=weights) if weights.any() else None

    return Confidence(
        num_pairs=len(row),
        accuracy=wilson(right, label, weights=weight),
        expected_calibration_error=calibration_error_interval(*both, twice, resampling=resampling),
        brier_score=bootstrap_mean((1 - prob) ** 2, label, weights=weight, resampling=resampling),
        reliability=calibration(*both).bins,
        sure_where_right=mean(decided, weight * right),
        sure_where_wrong=mean(decided, weight * (1 - right)),
        wrong_and_sure=mean((decided >= SURE).astype(float), weight * (1 - right)),
        accuracy_of_surer_half=wilson(right, label, weights=weight * surer),
    )


def pairs_of(
    sizes: np.ndarray, num_chosen: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every chosen response with every rejected one of its row: numbers of both, and of the row."""
    chosen, rejected, row = [], [], []
    starts = np.cumsum(sizes) - sizes
    for number, (start, size, right) in enumerate(zip(starts, sizes, num_chosen, strict=True)):
        first, second = np.divmod(np.arange(right * (size - right)), size - right)
        chosen.append(start + first)
        rejected.append(start + right + second)
        row.append(np.full(len(first), number))
    return np.concatenate(chosen), np.concatenate(rejected), np.concatenate(row)
