"""Effects of features on who wins: common to all contexts, and of each context its own.

log odds that the first response wins = x · β + z · δ_c, with δ_c ~ N(0, diag τ²) for context c: a
logistic model with random slopes. Fitted by EM with Laplace's approximation of each context's
posterior (Breslow and Clayton 1993), which is exact but for the third order in δ.
"""

from dataclasses import dataclass

import numpy as np

RIDGE = 1.0
"""Half of it times |β|² is taken from the log-likelihood: features have a unit root mean square,
so it weighs as four comparisons that end evenly."""
MOST_ROUNDS = 60
TOLERANCE = 1e-3
"""Largest change of an effect, in nats per unit of a feature, where rounds end."""
START = 0.1
"""Of τ²."""


@dataclass(frozen=True, eq=False)
class Effects:
    """A fit."""

    common: np.ndarray
    """β, log odds per unit of each feature, shape `(features,)`."""
    own: np.ndarray
    """δ, what each context adds, posterior mean, shape `(contexts, axes)`."""
    own_std: np.ndarray
    """Posterior standard deviation, shape `(contexts, axes)`."""
    spread: np.ndarray
    """τ, standard deviation of δ over contexts, shape `(axes,)`."""
    log_odds: np.ndarray
    """Of each comparison, shape `(n,)`."""


def fit_effects(
    features: np.ndarray,
    wins: np.ndarray,
    weight: np.ndarray,
    context: np.ndarray,
    own_features: np.ndarray,
) -> Effects:
    """Fit β, δ and τ.

    Args:
        features: x, of the first response minus the second, shape `(n, features)`.
        wins: Share of votes for the first, shape `(n,)`.
        weight: Votes, shape `(n,)`.
        context: Number of who judged, shape `(n,)`; each from 0 to the largest occurs.
        own_features: z, whose effects differ between contexts, shape `(n, axes)`.
    """
    number, axes = int(context.max()) + 1, own_features.shape[1]
    order = np.argsort(context, kind="stable")
    starts = np.searchsorted(context[order], np.arange(number))
    squares = (own_features[:, :, None] * own_features[:, None, :])[order]
    common, own = np.zeros(features.shape[1]), np.zeros((number, axes))
    variance, covariance = np.full(axes, START), np.zeros((number, axes, axes))

    def of_contexts(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts, axis=0)

    def log_odds() -> np.ndarray:
        return features @ common + (own_features * own[context]).sum(1)

    for _ in range(MOST_ROUNDS):
        before = np.concatenate([common, np.sqrt(variance)])
        slope, curve = slope_and_curve(log_odds(), wins, weight)
        hessian = (features * curve[:, None]).T @ features + RIDGE * np.eye(len(common))
        common = common + np.linalg.solve(hessian, features.T @ slope - RIDGE * common)
        if axes:
            slope, curve = slope_and_curve(log_odds(), wins, weight)
            pull = of_contexts((slope[:, None] * own_features)[order]) - own / variance
            precision = of_contexts(curve[order, None, None] * squares) + np.diag(1 / variance)
            covariance = np.linalg.inv(precision)
            own = own + (covariance @ pull[:, :, None])[:, :, 0]
            variance = (own**2 + covariance.diagonal(axis1=1, axis2=2)).mean(0).clip(1e-6)
        if np.abs(np.concatenate([common, np.sqrt(variance)]) - before).max() < TOLERANCE:
            break
    std = np.sqrt(covariance.diagonal(axis1=1, axis2=2))
    return Effects(common, own, std, np.sqrt(variance), log_odds())


def slope_and_curve(
    log_odds: np.ndarray, wins: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First derivative of the log-likelihood by the log odds, and minus the second."""
    prob = 1 / (1 + np.exp(-log_odds))
    return weight * (wins - prob), weight * prob * (1 - prob)
