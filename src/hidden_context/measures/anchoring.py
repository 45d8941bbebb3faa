"""Fixing the scale and origin of utility, which the likelihood leaves open."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, not_negative
from hidden_context.risk import Risk


@dataclass(frozen=True)
class AffineMap:
    """utility ↦ slope · utility + intercept, with a slope above 0: no order changes."""

    slope: float
    """Ratings (or other new units) for one unit of utility."""
    intercept: float
    residual: float
    """Root mean square of what the map leaves of the ratings, in their units; 0 if it is exact."""

    def place(self, utility: ArrayLike) -> np.ndarray:
        """Means, quantiles, CVaR or samples on the new scale, any shape."""
        return self.slope * np.asarray(utility) + self.intercept

    def spread(self, std: ArrayLike) -> np.ndarray:
        """Standard deviations, or other differences of utilities, on the new scale."""
        return self.slope * np.asarray(std)

    def reward(self, utility: UtilityDistribution, risk: Risk) -> np.ndarray:
        """Rewards by a risk whose number (a θ, β or threshold) is meant on the new scale."""
        return np.asarray(risk.of_mapped(utility, self.slope, self.intercept))


def anchor_to_ratings(mean: ArrayLike, ratings: ArrayLike) -> AffineMap:
    """Least-squares map of mean utilities onto known ratings of a few responses, shape `(n,)` each.

    slope = Cov(mean, rating) / Var(mean); the line passes through both averages. One map holds for
    all prompts only as far as utilities of different prompts compare, which pairs within prompts do
    not teach: look at the residual, or anchor each prompt.

    Raises:
        UserError: The lengths differ, there are not two distinct ratings and two distinct means, or
            ratings (more is better) fall as the mean utility rises.
    """
    utility = finite_vector("mean", mean)
    known = finite_vector("ratings", ratings, len(utility))
    for what, values in (("ratings", known), ("means", utility)):
        if np.ptp(values) == 0:
            raise UserError(
                f"all {len(values)} {what} of the anchors are {values[0]:.4g}; "
                "a scale needs at least two that differ."
            )
    centred = utility - utility.mean()
    slope = float(centred @ known / (centred @ centred))
    if slope <= 0:
        raise UserError(
            f"ratings do not rise with the mean utility (slope {slope:.3g}); "
            "check that more is better in both, or choose other anchors."
        )
    intercept = float(known.mean() - slope * utility.mean())
    residual = float(np.sqrt(np.mean((known - slope * utility - intercept) ** 2)))
    return AffineMap(slope, intercept, residual)


def anchor_to_unit_variance(mean: ArrayLike, variance: ArrayLike) -> AffineMap:
    """The map to pooled mean 0 and total variance Var[mean] + E[variance] = 1; its residual is 0.

    Afterwards E[variance] is 1 - r², pooled. It depends on which responses are pooled. `mean` and
    `variance` are of n responses, shape `(n,)` each.

    Raises:
        UserError: The lengths differ, or all utilities are one number.
    """
    utility = finite_vector("mean", mean)
    total = float(utility.var() + not_negative("variance", variance, len(utility)).mean())
    if total == 0:
        raise UserError("all utilities are one number; a scale needs some that differ.")
    slope = total**-0.5
    return AffineMap(slope, float(-slope * utility.mean()), 0.0)
