"""Comparisons that a model cannot decide: are the means close, or is the spread wide?"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.distributions.normal import NormalUtility
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.moments import moments_of_pairs

WITHIN = 0.1
"""P(a ≻ b) from .4 to .6 is undecided."""


@dataclass(frozen=True)
class Undecided:
    """Shares of the comparisons, which add up to 1."""

    near_tie: Estimate
    """Undecided, and would be at the typical spread too: the mean utilities are close."""
    noisy: Estimate
    """Undecided because the spread is wide: at the typical one the means would decide."""
    decided: Estimate
    """P(a ≻ b) is further from one half than `WITHIN`."""


def undecided_kinds(
    family: Family, chosen: ArrayLike, rejected: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Which comparisons are near-ties, and which noisy: two vectors of 0 and 1, shape `(n,)`.

    Let Δ be the difference of the means, s the standard deviation of the difference of the two
    utilities and p = P(a ≻ b). A comparison is undecided where |p - ½| ≤ `WITHIN`. Of these it is a
    near-tie where |Δ| ≤ κ s̃, with s̃ the median of s over all comparisons and κ the Δ/s at which p
    is ½ + `WITHIN`; else noisy. For `mean_and_variance` κ is by its own link (Φ⁻¹(.6) = .253 for
    `probit`, .238 for `logit`, .162 for `paper`) and s by its correlation, so that none is noisy
    where all s are equal. The other families have no such κ: the normal law's, .253, is an
    approximation, and s is that of independent utilities. No common affine map of the utilities,
    and no shift of a prompt, moves this; a scale of single prompts does.

    From raw outputs of both responses, shape `(n, num_outputs)` each, whichever is chosen.

    Raises:
        UserError: The family is scalar, whose undecided comparisons are all near-ties.
    """
    both = np.stack([np.asarray(chosen, np.float64), np.asarray(rejected, np.float64)])
    mean, variance = moments_of_pairs(family, both)
    first, second = map(family.decode, both)
    log_prob = np.asarray(first.log_prob_preferred_to(second), np.float64)
    is_undecided = np.abs(np.exp(log_prob) - 0.5) <= WITHIN
    if isinstance(first, NormalUtility):
        spread, kappa = (
            np.asarray(first.std_of_difference(second)),
            first.inverse_link(0.5 + WITHIN),
        )
    else:
        spread, kappa = np.sqrt(variance.sum(0)), NormalDist().inv_cdf(0.5 + WITHIN)
    is_close = np.abs(mean[0] - mean[1]) <= kappa * np.median(spread)
    return (is_undecided & is_close).astype(float), (is_undecided & ~is_close).astype(float)
