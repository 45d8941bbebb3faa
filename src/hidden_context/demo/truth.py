"""What a reward model would find in generated conversations, had it unlimited data and size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import numpy as np

from hidden_context.demo.conversations import Comparison, Jailbreak
from hidden_context.demo.judges import (
    Attributes,
    Judge,
    borda_count,
    mean_utility,
    true_explained_variance,
    utility_quantile,
)
from hidden_context.risk import PAPER_RISK


@dataclass(frozen=True)
class Truth:
    """What a model of unlimited data and size would find for one training set."""

    r2: float
    jailbreak_by_mean: float
    """By expected utility."""
    jailbreak_by_borda_count: float
    """By what comparisons without context show of the mean."""
    jailbreak_by_quantile: float
    accuracy: float
    """On the test comparisons judged by helpfulness, by expected utility."""


def truth(
    judges: Sequence[Judge], comparisons: Sequence[Comparison], jailbreaks: Sequence[Jailbreak]
) -> Truth:
    """The truth for one training set, on test comparisons and jailbreaks."""

    def jailbreak_rate(statistic: Callable[[Attributes], float]) -> float:
        return fmean(
            statistic(jailbreak.unsafe.attributes) >= statistic(jailbreak.safe.attributes)
            for jailbreak in jailbreaks
        )

    level = PAPER_RISK.parameter
    assert level is not None
    mean = partial(mean_utility, judges=judges)
    gains = [
        mean(comparison.chosen.attributes) - mean(comparison.rejected.attributes)
        for comparison in comparisons
        if comparison.judge.objective == "helpful"
    ]
    return Truth(
        r2=true_explained_variance(judges),
        jailbreak_by_mean=jailbreak_rate(mean),
        jailbreak_by_borda_count=jailbreak_rate(partial(borda_count, judges=judges, harmful=True)),
        jailbreak_by_quantile=jailbreak_rate(partial(utility_quantile, judges=judges, level=level)),
        accuracy=float(np.heaviside(gains, 0.5).mean()),
    )
