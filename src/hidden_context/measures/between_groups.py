"""How much of what is learned as hidden context is who judged: variance between known groups."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_of_sums
from hidden_context.measures.checks import not_negative
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.explained_variance import refuse_points
from hidden_context.measures.prompts import PromptLabels, group_prompts


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
        prompts: The prompt of each comparison, shape `(n,)`.
        weights: How much each comparison counts, shape `(n,)`; alike if not given.
        resampling: Of prompts.

    Raises:
        UserError: The family is scalar, which has nothing within groups; the shapes differ; or see
            `bootstrap_of_sums`.
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
    counts = np.ones(n) if weights is None else not_negative("weights", weights, n)
    utility = family.decode(np.concatenate([a, b], axis=1).reshape(2 * num_groups * n, -1))
    refuse_points(utility)
    pair_of = np.tile(np.arange(n), 2) + n * np.arange(num_groups)[:, None]
    utility = utility.centered(pair_of.ravel())
    mean, variance = (
        np.asarray(each, np.float64).reshape(num_groups, 2, n)
        for each in (utility.mean, utility.variance)
    )
    difference = mean[:, 0] - mean[:, 1]
    between = counts * (share @ (difference - share @ difference) ** 2)
    within = counts * (share @ variance.sum(1))
    groups = group_prompts(prompts, num_rows=n)
    sums = np.stack([groups.sums(between), groups.sums(between + within)])
    return bootstrap_of_sums(lambda of: of[:, 0] / of[:, 1], sums, resampling=resampling)
