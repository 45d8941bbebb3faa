"""What a feature of responses does to verdicts: logistic regression without intercept."""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from hidden_context.judging.two_way import Clusters, Measured, measure

STEEPEST = 50.0
"""Largest log-odds that the largest difference may have: where all votes agree, no β is best."""


def logistic_slope(difference: np.ndarray, share: np.ndarray, weight: np.ndarray) -> float:
    """β that makes Σ w [y log σ(βx) + (1 - y) log σ(-βx)] largest: log-odds a unit of x.

    Without intercept, because a swap of the two responses swaps both signs. 0 where all x are 0;
    at most `STEEPEST` over the largest |x|.

    Args:
        difference: x, of the first response less of the second, shape `(n,)`.
        share: y, of votes for the first, ties half, in [0, 1], shape `(n,)`.
        weight: w, shape `(n,)`.
    """
    largest = float(np.abs(difference).max(initial=0.0))
    if largest == 0:
        return 0.0
    x = difference / largest

    def score(beta: float) -> float:
        return float((weight * x) @ (share - expit(beta * x)))

    if score(-STEEPEST) <= 0 or score(STEEPEST) >= 0:
        return float(np.copysign(STEEPEST / largest, score(0.0)))
    root: Any = brentq(score, -STEEPEST, STEEPEST, xtol=1e-10)
    return float(root) / largest


def slopes(
    difference: np.ndarray, judge: np.ndarray, people: np.ndarray, weight: np.ndarray, at: Clusters
) -> Measured:
    """β of the judge, of the people, and the judge's less the people's; see `logistic_slope`.

    Left-out clusters move β by one step of Newton. `judge` and `people` are shares for the first,
    shape `(n,)`.
    """
    betas, columns = [], []
    for share in (judge, people):
        beta = logistic_slope(difference, share, weight)
        prob = expit(beta * difference)
        betas.append(beta)
        columns.append(weight * difference * (share - prob))
        columns.append(weight * difference**2 * prob * (1 - prob))

    def statistic(sums: np.ndarray) -> np.ndarray:
        own, common = (betas[k] + sums[:, 2 * k] / sums[:, 2 * k + 1] for k in (0, 1))
        return np.stack([own, common, own - common], axis=1)

    return measure(statistic, columns, at)
