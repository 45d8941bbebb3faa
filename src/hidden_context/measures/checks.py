"""What every diagnostic refuses: nothing to measure, numbers that are none, lengths that differ."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.errors import UserError

ROUNDING = 1e-5
"""How far float32 may carry a probability above 1, or its logarithm above 0."""


def finite_vector(what: str, values: ArrayLike, length: int | None = None) -> np.ndarray:
    """`values`, called `what` in messages, as a float64 vector, shape `(n,)`.

    Raises:
        UserError: There are no values, not `length` of them, they are no vector, or not finite.
    """
    vector: np.ndarray[Any, Any] = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise UserError(f"{what} has shape {vector.shape}; give one number each, at least one.")
    if length is not None and len(vector) != length:
        raise UserError(f"{what} has {len(vector)} values; expected {length}, one for each row.")
    if not np.isfinite(vector).all():
        bad = int((~np.isfinite(vector)).sum())
        raise UserError(f"{what} has {bad} values that are not finite; leave those rows out.")
    return vector


def probabilities(what: str, values: ArrayLike) -> np.ndarray:
    """`values` as a vector of probabilities, shape `(n,)`.

    Raises:
        UserError: As `finite_vector`, or a value is outside [0, 1].
    """
    vector = finite_vector(what, values)
    if vector.min() < 0 or vector.max() > 1 + ROUNDING:
        raise UserError(
            f"{what} reaches from {vector.min():.3g} to {vector.max():.3g}; "
            "give probabilities in [0, 1], not their logarithms."
        )
    return np.minimum(vector, 1.0)


def log_probabilities(what: str, values: ArrayLike, length: int | None = None) -> np.ndarray:
    """`values` as a vector of log-probabilities in nats, shape `(n,)`.

    Raises:
        UserError: As `finite_vector`, or a value is above 0.
    """
    vector = finite_vector(what, values, length)
    if vector.max() > ROUNDING:
        raise UserError(f"{what} is as high as {vector.max():.3g}; give log P in nats, at most 0.")
    return np.minimum(vector, 0.0)


def not_negative(what: str, values: ArrayLike, length: int | None = None) -> np.ndarray:
    """`values` as a vector of numbers that are not negative, such as counts or variances.

    Raises:
        UserError: As `finite_vector`, or a value is negative.
    """
    vector = finite_vector(what, values, length)
    if vector.min() < 0:
        raise UserError(f"{what} is as low as {vector.min():.3g}; expected 0 or more.")
    return vector


def weights_or_ones(weights: ArrayLike | None, length: int) -> np.ndarray:
    """Weights of n rows, such as votes, not negative, shape `(n,)`; 1 each if not given.

    Raises:
        UserError: See `not_negative`.
    """
    return np.ones(length) if weights is None else not_negative("weights", weights, length)
