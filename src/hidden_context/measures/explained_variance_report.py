"""An r² that can be quoted: with its scale, interval, size of data and stopping rule."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.distributions.base import check_choice
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_weighted
from hidden_context.measures.explained_variance import each_prompt, pooled, within_prompts
from hidden_context.measures.population_rank import rank
from hidden_context.measures.prompts import PromptLabels

SCALES = ("pooled", "within_prompt", "each_prompt", "rank")


@dataclass(frozen=True)
class ExplainedVarianceReport:
    """One r², with what it depends on besides the model."""

    value: float
    """r² in [0, 1]; 1 means that no hidden context was found."""
    low: float
    high: float
    """Ends of the percentile interval over resampled prompts."""
    level: float
    """Nominal coverage of the interval, which leaves out how r² varies between trainings."""
    scale: str
    """pooled, within_prompt, each_prompt or rank."""
    num_responses: int
    """Responses that count: within prompts, those of prompts with at least two."""
    num_prompts: int
    stopping_rule: str
    """When training stopped, in words. r² grows with training."""
    matched_size: int | None
    """Training comparisons, where the data were cut to the size of another set; else None."""


def explained_variance_report(
    family: Family,
    raw: ArrayLike,
    prompts: PromptLabels,
    *,
    scale: str,
    stopping_rule: str,
    matched_size: int | None = None,
    compared_within: PromptLabels | None = None,
    resampling: Resampling = RESAMPLING,
) -> ExplainedVarianceReport:
    """Measure r² on one scale, with an interval over prompts.

    Args:
        family: Reads the outputs.
        raw: Raw outputs of n responses, shape `(n, num_outputs)`.
        prompts: The prompt of each response, shape `(n,)`.
        scale: `pooled` (`preferences.explained_variance`), `within_prompt`, `each_prompt` or
            `rank`; see the functions of these names.
        stopping_rule: Such as "best held-out loss of 3 epochs"; not empty.
        matched_size: See `ExplainedVarianceReport`.
        compared_within: Labels, shape `(n,)`, of what responses were compared within, if not their
            prompts; contexts that responses share are centred by them (not on the rank scale).
        resampling: See `Resampling`. Memory of `rank`: n times the number of prompts.

    Raises:
        UserError: The scale is unknown, no stopping rule is given, the family is scalar, the
            lengths differ, or there are fewer than 2 prompts (with two responses, if within).
    """
    check_choice("scale", scale, SCALES)
    if not stopping_rule.strip():
        raise UserError("stopping_rule is empty; say when training stopped, for r² depends on it.")
    outputs: np.ndarray[Any, Any] = np.asarray(raw, dtype=np.float64)
    if scale == "rank":
        at, groups = rank(family, outputs, prompts)
    else:
        by_weights = {
            "pooled": pooled,
            "within_prompt": within_prompts,
            "each_prompt": each_prompt,
        }[scale]
        within = prompts if compared_within is None else compared_within
        at, groups = by_weights(family.decode(outputs).centered(np.asarray(within)), prompts)
    interval = bootstrap_weighted(at, groups.num_prompts, resampling=resampling)
    return ExplainedVarianceReport(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        level=interval.level,
        scale=scale,
        num_responses=int(groups.num_rows.sum()),
        num_prompts=groups.num_prompts,
        stopping_rule=stopping_rule,
        matched_size=matched_size,
    )
