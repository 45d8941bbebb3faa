"""A run's scored comparisons to its measures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hidden_context.likelihood.loss import is_scalar
from hidden_context.measures.anchoring import anchor_to_unit_variance
from hidden_context.measures.calibration import calibration, in_both_orders
from hidden_context.measures.diagnosis import diagnose
from hidden_context.measures.matched_size import match_sizes
from hidden_context.report.measured import Estimate, Histogram, Measured
from hidden_context.scores.score_files import ScoredComparisons

MOST_MEASURED = 2**13
"""Comparisons of a run that are measured: r² on the scale of ranks takes the square in time."""
STD_EDGES = np.linspace(0, 2, 41)
"""Standard deviations in units of the root of the total variance, as in an audit."""


def at_most(scored: ScoredComparisons) -> ScoredComparisons:
    """At most about `MOST_MEASURED` comparisons, of whole prompts."""
    if len(scored.prompt) <= MOST_MEASURED:
        return scored
    rows = match_sizes({"all": scored.prompt, "some": np.arange(MOST_MEASURED)})["all"]
    keep = np.zeros(len(scored.prompt), bool)
    keep[rows] = True
    return replace(
        scored,
        chosen=scored.chosen[keep],
        rejected=scored.rejected[keep],
        is_helpful=scored.is_helpful[keep],
        lengths=scored.lengths[keep],
        prompt=scored.prompt[keep],
        outcomes=scored.votes_of(keep),
    )


def measure(
    comparisons: Sequence[ScoredComparisons], scored: ScoredComparisons, name: str
) -> Measured:
    """The measures of `summarize --diagnostics`, and what figures need besides.

    Args:
        comparisons: All runs, among them the scalar one to compare with.
        scored: The run.
        name: What it is called.

    Raises:
        UserError: See `diagnose`.
    """
    found = diagnose(comparisons, scored)
    chosen, rejected = map(scored.family.decode, (scored.chosen, scored.rejected))
    log_prob = np.asarray(chosen.log_prob_preferred_to(rejected), np.float64)
    against = found.against_base.interval if found.against_base else None
    return Measured(
        data_set=scored.trained_on,
        family=name,
        stopping_rule=found.stopping_rule,
        explained_variance={
            each.scale: Estimate(each.value, each.low, each.high)
            for each in found.explained_variance
        },
        log_likelihood=_estimate(found.log_likelihood),
        against_base=_estimate(against) if against else None,
        expected_calibration_error=Estimate(found.expected_calibration_error),
        brier_score=Estimate(found.brier_score),
        accuracy=Estimate(found.length.model) if found.length else None,
        longer_wins=Estimate(found.length.longer_wins) if found.length else None,
        without_length=Estimate(found.length.without_length) if found.length else None,
        reliability=calibration(*in_both_orders(log_prob, scored.outcomes)).bins,
        deviations=_deviations(scored),
    )


def _estimate(found: Any) -> Estimate:
    return Estimate(found.value, found.low, found.high)


def _deviations(scored: ScoredComparisons) -> Histogram | None:
    raw = np.concatenate([scored.chosen, scored.rejected]).astype(np.float64)
    utility = scored.family.decode(raw)
    if is_scalar(utility):
        return None
    utility = utility.centered(np.tile(scored.prompt, 2))
    std = np.sqrt(np.asarray(utility.variance))
    scale = anchor_to_unit_variance(np.asarray(utility.mean), std**2)
    counts, _ = np.histogram(np.minimum(scale.spread(std), STD_EDGES[-1]), STD_EDGES)
    return Histogram(tuple(STD_EDGES.tolist()), tuple(counts.astype(float).tolist()))
