"""Mean and variance of utility in double precision, which a measure of spread starts from."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.errors import UserError


def moments(utility: UtilityDistribution) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of n responses, shape `(n,)` each.

    Raises:
        UserError: The batch is no vector, is empty, or all its utilities are points.
    """
    refuse_points(utility)
    mean = np.asarray(utility.mean, dtype=np.float64)
    if mean.ndim != 1:
        raise UserError(f"utilities have shape {mean.shape}; give one for each response, (n,).")
    return mean, np.asarray(utility.variance, dtype=np.float64)


def moments_of_pairs(family: Family, pairs: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of both responses of n comparisons, shape `(2, n)` each.

    From raw outputs of all first, then of all second responses, `(2, n, num_outputs)`. Contexts
    that the responses share are centred within each comparison.

    Raises:
        UserError: See `moments`.
    """
    raw: np.ndarray[Any, Any] = np.asarray(pairs, np.float64)
    _, n, num_outputs = raw.shape
    utility = family.decode(raw.reshape(-1, num_outputs)).centered(np.tile(np.arange(n), 2))
    mean, variance = moments(utility)
    return mean.reshape(2, n), variance.reshape(2, n)


def refuse_points(utility: UtilityDistribution) -> None:
    """Refuse a batch whose utilities are all points, or an empty one."""
    if utility.is_scalar:
        raise UserError(
            "a scalar family has no r²: all its utilities are points, or there are none."
        )
