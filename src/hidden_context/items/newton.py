"""Newton's method with damping (Levenberg 1944), and how far a fit is from its maximum.

At the maximum of a smooth function a Newton step is the distance to it up to its own square, so the
last step says how far away the fit was (`Minimum.distance`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg

from hidden_context.errors import UserError
from hidden_context.items.objective import MOST_DENSE, Objective

TOLERANCE = 1e-5
"""Largest distance of a mean or deviation from the maximum, over the standard deviation of all
utilities of the list, at which a fit has converged."""
JITTER = 1e-8
"""Share of the mean second derivative that is added to all: directions that the likelihood leaves
free have none of their own."""
ROUNDING = 1e-13
"""Share of the loss that rounding leaves uncertain: smaller gains are not looked for."""
MOST_AT_ROUNDING = 4
"""Further steps when gains are so small; gradients are more exact than the loss."""
MOST_DAMPING = 1e12
MOST_PRODUCTS = 150
"""Of second derivatives and a direction, in the search for one step."""


@dataclass(frozen=True)
class Minimum:
    """Where Newton's method stopped."""

    x: np.ndarray
    """Parameters, shape `(P,)`."""
    distance: float
    """See `TOLERANCE`; infinite where the last step was damped, so that it does not say."""
    steps: int

    @property
    def converged(self) -> bool:
        """Whether utilities are nearer than `TOLERANCE`."""
        return self.distance <= TOLERANCE


def minimize(
    objective: Objective, x: np.ndarray, *, max_steps: int, damping: float = 0.0
) -> Minimum:
    """Damped Newton steps until one is below `TOLERANCE`; that one is taken too.

    The first step is damped so much, as a share of each second derivative.

    Raises:
        UserError: The likelihood is not finite where it begins.
    """
    value, distance = objective.value(x), np.inf
    if not np.isfinite(value):
        raise UserError(
            "the likelihood is not finite; thresholds may be larger than any difference of its "
            "utilities."
        )
    at_rounding = 0
    for taken in range(1, max_steps + 1):
        gradient, solve = _solver(objective, x)
        step, new, expected = _downhill(objective, x, value, gradient, solve, damping)
        while step is None and damping < MOST_DAMPING:
            damping = max(4 * damping, 1e-4)
            step, new, expected = _downhill(objective, x, value, gradient, solve, damping)
        if step is None:
            return Minimum(x, np.inf, taken)
        distance = moved(objective, x, step) if damping < 1e-3 else np.inf
        is_rounding = expected <= ROUNDING * abs(value)
        at_rounding += is_rounding
        if is_rounding or value - new > 0.5 * expected:
            damping = damping / 10 if damping > 1e-5 and not is_rounding else 0.0
        x, value = x + step, new
        if distance <= TOLERANCE or at_rounding > MOST_AT_ROUNDING:
            return Minimum(x, distance, taken)
    return Minimum(x, distance, max_steps)


def _downhill(
    objective: Objective,
    x: np.ndarray,
    value: float,
    gradient: np.ndarray,
    solve: "Solve",
    damping: float,
) -> tuple[np.ndarray | None, float, float]:
    """A step, the value after it, and what a parabola would gain; no step if it does not gain."""
    step = solve(damping)
    if step is None:
        return None, value, 0.0
    expected = -float(gradient @ step) / 2
    new = objective.value(x + step)
    gains = expected <= ROUNDING * abs(value) or value - new >= 0.05 * expected
    return (step if gains else None), new, expected


def moved(objective: Objective, x: np.ndarray, step: np.ndarray) -> float:
    """Largest change of a mean, their level aside, or a deviation; see `TOLERANCE`."""
    (before, std), (after, new_std) = (_moments(objective, at) for at in (x, x + step))
    scale = np.sqrt(before.var() + (std**2).mean())
    level = after.mean() - before.mean()
    change = max(np.abs(after - before - level).max(), np.abs(new_std - std).max())
    return float(change / max(scale, 1e-12)) if np.isfinite(change) else np.inf


def _moments(objective: Objective, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    family, _ = objective.family_of(x)
    utility = family.decode(objective.raw_of(x)).centered(np.zeros(objective.num_items))
    return np.asarray(utility.mean), np.asarray(utility.std)


Solve = Callable[[float], np.ndarray | None]
"""From the damping to a step; none where the damped second derivatives are not positive."""


def _solver(objective: Objective, x: np.ndarray) -> tuple[np.ndarray, Solve]:
    if objective.num_parameters <= MOST_DENSE:
        gradient, matrix = objective.derivatives(x)
        size = np.abs(matrix.diagonal())
        own = size + 1e-3 * size.mean() + 1e-300
        free = JITTER * own.mean()

        def by_factors(damping: float) -> np.ndarray | None:
            try:
                return -cho_solve(cho_factor(matrix + np.diag(damping * own + free)), gradient)  # pyrefly: ignore
            except LinAlgError:
                return None

        return gradient, by_factors
    gradient, product = objective.gradient(x), objective.product(x)
    own = _diagonal(objective, x)

    def by_products(damping: float) -> np.ndarray | None:
        size = (len(x), len(x))
        damped = LinearOperator(size, lambda v: product(v.ravel()) + damping * own * v.ravel())
        jacobi = LinearOperator(size, lambda v: v.ravel() / own)
        step, unsolved = cg(damped, -gradient, rtol=1e-4, maxiter=MOST_PRODUCTS, M=jacobi)
        return None if unsolved or gradient @ step >= 0 else step

    return gradient, by_products


def _diagonal(objective: Objective, x: np.ndarray) -> np.ndarray:
    """A positive stand-in for the second derivatives of each parameter by itself.

    The sum of squares of scores has the same expectation at the maximum (Fisher 1925).
    """
    squares = (objective.votes[:, :, None] * objective.scores_by_pair(x) ** 2).sum(1)
    own = objective.gathered(squares)
    return own + objective.ridge + 1e-3 * own.mean()
