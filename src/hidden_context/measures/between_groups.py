"""How much of what is learned as hidden context is who judged: variance between known groups."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_ratio
from hidden_context.measures.checks import not_negative, weights_or_ones
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.moments import moments_of_pairs
from hidden_context.measures.prompts import PromptLabels


def between_groups(
    family: Family,
    first: ArrayLike,
    second: ArrayLike,
    shares: ArrayLike,
    prompts: PromptLabels,
    *,
    weights: ArrayLike | None = None,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Share of the variance of a difference in utility that lies between groups, in [0, 1].

    For comparison i and group g with share π_g let D_gi be the difference of the mean utilities and
    W_gi the sum of both variances, as the model of that group has them. By the law of total
    variance over a judge drawn at random,

        between_i = Σ_g π_g (D_gi - D̄_i)²,  within_i = Σ_g π_g W_gi,

    and the share is Σ_i between_i / Σ_i (between_i + within_i). Differences, because comparisons
    within a group fix its utilities only up to a shift of each prompt. Invariant to that shift, and
    to a scale common to all groups; *not* to a scale of each group.

    Groups that are learned from few comparisons differ by chance: hold the share against the one
    that the same data have when their labels are shuffled.

    Args:
        family: Reads the outputs.
        first: Raw outputs of the first response under each group, `(groups, n, num_outputs)`.
        second: Of the second, same shape.
        shares: π, not negative, shape `(groups,)`; divided by their sum.
        prompts: The prompt of each comparison, shape `(n,)`: what is resampled.
        weights: How much each comparison counts, shape `(n,)`; alike if not given.
        resampling: See `Resampling`.

    Raises:
        UserError: The family is scalar, which has nothing within groups; the shapes differ; or see
            `bootstrap_ratio`.
    """
    a: np.ndarray[Any, Any] = np.asarray(first, np.float64)
    b: np.ndarray[Any, Any] = np.asarray(second, np.float64)
    if a.ndim != 3 or a.shape != b.shape:
        raise UserError(
            f"outputs have shapes {a.shape} and {b.shape}; expected (groups, n, num_outputs) twice."
        )
    num_groups, n, _ = a.shape
    share = not_negative("shares", shares, num_groups)
    share = share / share.sum()
    counts = weights_or_ones(weights, n)
    of_group = [moments_of_pairs(family, pairs) for pairs in np.stack([a, b], axis=1)]
    mean, variance = np.stack(of_group, axis=1)
    difference = mean[:, 0] - mean[:, 1]
    between = counts * (share @ (difference - share @ difference) ** 2)
    within = counts * (share @ variance.sum(1))
    return bootstrap_ratio(between, between + within, prompts, resampling=resampling)
