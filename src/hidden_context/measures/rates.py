"""Rates with an interval that allows for prompts with several comparisons, and for votes."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, weights_or_ones
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.prompts import PromptLabels, group_prompts


def wilson(
    values: ArrayLike, prompts: PromptLabels, *, weights: ArrayLike | None = None
) -> Estimate:
    """Weighted mean of values in [0, 1], with Wilson's 95 % interval at the effective sample size.

    Rows of one prompt are not independent. The variance v of the mean p of values y is that between
    prompts,

        v = m/(m - 1) Σ_prompts (Σ_rows w (y - p))² / (Σ w)²,

    and p(1 - p)/v is the number of independent rows that would say as much (Kish 1965); it takes
    the place of n in Wilson's interval (1927), with the t quantile of m - 1 degrees of freedom
    (Korn and Graubard 1998). v is at least what independent rows of these weights and values have,

        Σ w² · Σ w (y - p)² / (Σ w)³,

    so that of successes and failures it counts no more rows than (Σ w)² / Σ w² (Kish), whatever the
    few rows that hold most of the weight happen to say. Where all values are equal, v says nothing
    and the prompts count by their weight, (Σ W)² / Σ W². With one row a prompt and weights of 1 it
    is Wilson's interval of n - 1 rows. One prompt says nothing of others: its interval is [0, 1].

    A value is 1 for a success, ½ for a tie, or a share of votes; a weight w, such as votes, is 1 if
    not given.

    Raises:
        UserError: The lengths differ, a value is not finite, a weight is negative, or all are 0.
    """
    success = finite_vector("values", values)
    n = len(success)
    weight = weights_or_ones(weights, n)
    groups = group_prompts(prompts, num_rows=n)
    of_prompt = groups.sums(weight)
    total, m = float(weight.sum()), int((of_prompt > 0).sum())
    if m == 0:
        raise UserError(f"the {n} weights are all 0; give votes of at least one row.")
    p = min(max(float(weight @ success) / total, 0.0), 1.0)
    how = f"Wilson, {m} prompts"
    if m == 1:
        return Estimate(p, 0.0, 1.0, how)
    residuals = groups.sums(weight * (success - p))
    variance = float(residuals @ residuals) / total**2 * m / (m - 1)
    if variance * total**2 > 1e-12 * total:
        of_rows = float(weight @ weight) * float(weight @ (success - p) ** 2) / total**3
        effective = p * (1 - p) / max(variance, of_rows)
    else:
        effective = total**2 / float((of_prompt**2).sum())
    t = float(stdtrit(m - 1, 0.975))
    center = (p * effective + t * t / 2) / (effective + t * t)
    half_width = t / (effective + t * t) * (effective * p * (1 - p) + t * t / 4) ** 0.5
    low, high = max(0.0, center - half_width), min(1.0, center + half_width)
    return Estimate(p, min(low, p), max(high, p), how)  # rounding alone could leave p out


def rate_of_higher(
    first: np.ndarray,
    second: np.ndarray,
    prompts: PromptLabels,
    *,
    win_share: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Rate:
    """How often `first` is the higher: the accuracy of a reward, or a jailbreak rate.

    Rewards of n responses, and of those that they are compared with, have shape `(n,)`; those of
    several trainings, `(trainings, n)`, are averaged. With the share of votes for `first`, 1 if
    not given, a success is a vote for the higher; weights are the votes of each comparison.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    n = first.shape[1]
    share = np.ones(n) if win_share is None else np.asarray(win_share, np.float64)
    weight = weights_or_ones(weights, n)
    agreement = agreement_of(first, second, share).mean(0)
    tie = (first == second).mean(0)
    estimate = wilson(agreement, prompts, weights=weight)
    return Rate(
        **vars(estimate),
        published=float(weight @ (agreement + tie / 2) / weight.sum()),
        ties=int((first == second).sum()),
        n=n,
    )


def agreement_of(first: np.ndarray, second: np.ndarray, win_share: np.ndarray) -> np.ndarray:
    """Share of each comparison's votes for the response of the higher reward, a tie one half."""
    ahead = (first > second) + 0.5 * (first == second)  # -inf is a reward, and ties with itself
    return win_share * ahead + (1 - win_share) * (1 - ahead)
