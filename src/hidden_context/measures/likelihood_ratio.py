"""Does the distribution pay? Held-out log-likelihood of a distributional against a scalar model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.measures.bootstrap import (
    RESAMPLING,
    Interval,
    Resampling,
    bootstrap_ratio,
)
from hidden_context.measures.checks import log_probabilities
from hidden_context.measures.prompts import PromptLabels


@dataclass(frozen=True)
class LikelihoodRatio:
    """Mean log-likelihood ratio, nats per comparison; above 0 where the distribution is better."""

    interval: Interval
    num_comparisons: int

    @property
    def verdict(self) -> str:
        """The finding in words: better, worse, or that these data cannot tell."""
        found = self.interval
        ends = f"{found.level:.0%} interval {found.low:+.4f} to {found.high:+.4f}"
        if found.low > 0:
            return f"better by {found.value:.4f} nats per comparison ({ends})"
        if found.high < 0:
            return f"worse by {-found.value:.4f} nats per comparison ({ends})"
        return f"cannot tell from these data ({found.value:+.4f} nats per comparison, {ends})"


def likelihood_ratio(
    distributional: ArrayLike,
    scalar: ArrayLike,
    prompts: PromptLabels,
    *,
    votes: ArrayLike | None = None,
    resampling: Resampling = RESAMPLING,
) -> LikelihoodRatio:
    """Mean of log P_distributional - log P_scalar over held-out comparisons, paired.

    Invariant to all that leaves the two likelihoods as they are. Its expectation is the difference
    of the two models' Kullback–Leibler divergences from the truth.

    Args:
        distributional: log P(chosen ≻ rejected) of the one model, nats, shape `(n,)`.
        scalar: The same of the other for the same comparisons, none of them trained on.
        prompts: The prompt of each comparison, shape `(n,)`.
        votes: By which both are multiplied already, shape `(n,)`; one each if not given.
        resampling: See `Resampling`; prompts are resampled, both models together.

    Raises:
        UserError: The lengths differ, a value is above 0 or not finite, or there are fewer than 2
            prompts.
    """
    first = log_probabilities("distributional", distributional)
    second = log_probabilities("scalar", scalar, len(first))
    counts = np.ones(len(first)) if votes is None else votes
    interval = bootstrap_ratio(first - second, counts, prompts, resampling=resampling)
    return LikelihoodRatio(interval, len(first))
