"""Intervals of ratios whose rows share people and prompts: a sandwich clustered in both ways."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, not_negative
from hidden_context.measures.estimate import Estimate


def clustered_ratio(
    values: ArrayLike, weights: ArrayLike, *clusters: ArrayLike, level: float = 0.95
) -> Estimate:
    """Interval of Σ_i v_i / Σ_i w_i for rows that depend within each of one or two clusterings.

    With e_i = v_i - r w_i the variance of the ratio r is Σ_c (Σ_{i in c} e_i)² / (Σ w)² over the m
    clusters, times m/(m - 1). Of two clusterings it is the sum of both variances less that of their
    intersections (Cameron, Gelbach and Miller 2011), and at least the larger of both. Quantiles are
    Student's, of one degree of freedom less than the smaller number of clusters.

    Args:
        values: Multiplied by their weights already, shape `(n,)`.
        weights: Such as votes, shape `(n,)`.
        clusters: Labels of one or two clusterings, such as prompts and people, `(n,)` each.
        level: Nominal coverage.

    Raises:
        UserError: There are none or more than two clusterings, or values that are not finite.
    """
    rows = finite_vector("values", values)
    counts = not_negative("weights", weights, len(rows))
    if not 1 <= len(clusters) <= 2:
        raise UserError(f"{len(clusters)} clusterings were given; give one or two.")
    ratio = float(rows.sum() / counts.sum())
    residual = (rows - ratio * counts) / counts.sum()
    numbers = [np.unique(np.asarray(labels), return_inverse=True)[1] for labels in clusters]
    variances = [_variance(residual, number) for number in numbers]
    fewest = min(int(number.max()) + 1 for number in numbers)
    named = " and ".join(str(int(number.max()) + 1) for number in numbers)
    if fewest < 2:
        return Estimate(ratio, how="none: one cluster says nothing of others")
    variance = max(variances)
    if len(numbers) == 2:
        both = np.unique(np.stack(numbers), axis=1, return_inverse=True)[1].ravel()
        variance = max(variance, sum(variances) - _variance(residual, both))
    half = float(stdtrit(fewest - 1, (1 + level) / 2)) * math.sqrt(variance)
    how = f"clustered sandwich, {named} clusters"
    return Estimate(ratio, ratio - half, ratio + half, how, level)


def _variance(residual: np.ndarray, number: np.ndarray) -> float:
    sums = np.bincount(number, residual)
    return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))
