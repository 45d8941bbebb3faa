"""What comparisons tell of one person: expectation propagation, for many people at one time.

A person's utilities are linear in r normal coordinates f ~ N(0, I), so each comparison is a
likelihood of one linear form of f. Expectation propagation (Minka 2001; Rasmussen and Williams
2006, section 3.6) replaces it by a normal factor that gives the form's exact mean and variance in
the presence of all others. These likelihoods are log-concave, so each factor has a variance that is
positive and the iteration is stable. For one comparison the result is exact but for quadrature.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.polynomial.hermite import hermgauss

from hidden_context.errors import UserError

NUM_NODES = 32
"""Of quadrature: one comparison is integrated to 1e-6."""
DAMPING = (0.8, 0.4, 0.2)
"""Share of the way to its new value that a factor goes in a sweep: less after 20 sweeps, and after
60, since factors of like forms, that all move at one time, may go too far and come back."""
TOLERANCE = 1e-6
"""Largest change of a factor's natural parameters, over 1 + its precision, where sweeps end."""
MOST_SWEEPS = 100
LARGEST_CHANGE = 1e-3
"""That is left after `MOST_SWEEPS`: where people differ without bounds, quadrature is not exact to
more digits."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Normal approximations of the coordinates of V people."""

    mean: np.ndarray
    """Shape `(V, r)`."""
    covariance: np.ndarray
    """Shape `(V, r, r)`."""
    log_evidence: np.ndarray
    """log P(comparisons of the person) in nats, shape `(V,)`."""
    precision: np.ndarray
    """Of each factor, shape `(V, N)`."""
    shift: np.ndarray
    """Of each factor: precision times mean, shape `(V, N)`."""

    def linear_forms(self, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances of slopes · f, shape `(V, Q)`, for slopes of shape `(V, Q, r)`."""
        mean = (slopes @ self.mean[:, :, None])[..., 0]
        return mean, ((slopes @ self.covariance) * slopes).sum(-1)

    def moved(self, center: np.ndarray, root: np.ndarray) -> "Posterior":
        """Of center + root · f, if this is of f; the factors stay those of the forms of f."""
        mean = center + self.mean @ root.T
        return replace(self, mean=mean, covariance=root @ self.covariance @ root.T)

    def selected(self, people: np.ndarray) -> "Posterior":
        """Those of some people, by their numbers."""
        return Posterior(**{name: values[people] for name, values in vars(self).items()})

    def impossible(self) -> "Posterior":
        """With no evidence of anybody."""
        return replace(self, log_evidence=np.full(len(self.mean), -np.inf))

    def updated(self, people: np.ndarray, found: "Posterior") -> "Posterior":
        """With what was found of some people; the others are not possible any more."""
        new = {name: values.copy() for name, values in vars(self.impossible()).items()}
        for name, values in new.items():
            values[people] = getattr(found, name)
        return Posterior(**new)

    @staticmethod
    def joined(parts: "Sequence[Posterior]") -> "Posterior":
        """One after the other, without their factors."""
        mean, covariance, evidence = (
            np.concatenate([getattr(one, name) for one in parts])
            for name in ("mean", "covariance", "log_evidence")
        )
        none = np.zeros((len(mean), 0))
        return Posterior(mean, covariance, evidence, none, none)


def log_probabilities(ahead: np.ndarray, threshold: float) -> list[np.ndarray]:
    """log P of the second, of a tie and of the first, in nats, each of the shape of `ahead`.

    Bradley–Terry with ties where neither is ahead by more than the threshold, noise included (Rao
    and Kupper 1967); without a threshold there are no ties, and a tie counts as half a win and half
    a loss.
    """
    first, second = -_softplus(threshold - ahead), -_softplus(threshold + ahead)
    if threshold == 0:
        return [second, (first + second) / 2, first]
    return [second, first + second + np.log(np.expm1(2 * threshold)), first]


def _softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp x), three times as fast as `np.logaddexp`."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@cache
def _rule(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log-weights of Gauss–Hermite quadrature."""
    nodes, weights = hermgauss(number)
    return nodes, np.log(weights / np.sqrt(np.pi))


def infer(
    offset: np.ndarray,
    slopes: np.ndarray,
    shares: np.ndarray,
    weight: np.ndarray,
    threshold: float,
    start: Posterior | None = None,
    tolerance: float = TOLERANCE,
    num_nodes: int = NUM_NODES,
) -> Posterior:
    """Coordinates given comparisons whose differences of utility are offset + slopes · f.

    Args:
        offset: Shape `(V, N)`.
        slopes: Shape `(V, N, r)`.
        shares: Of each outcome, shape `(V, N, 3)`; see `Ballots`.
        weight: Shape `(V, N)`; 0 where there is no comparison.
        threshold: Of ties, in units of utility.
        start: Factors to start from.
        tolerance: See `TOLERANCE`.
        num_nodes: Of quadrature.

    Raises:
        UserError: The sweeps do not come to an end.
    """
    seen = weight > 0
    zero = np.zeros(offset.shape)
    precision, shift = (zero, zero) if start is None else (start.precision, start.shift)
    change = np.inf
    for sweep in range(MOST_SWEEPS):
        mean, covariance, _ = _joint(slopes, precision, shift)
        now = Posterior(mean, covariance, zero, precision, shift)
        form_mean, form_variance = now.linear_forms(slopes)
        moves = seen & (form_variance > 1e-12)  # else all items of the pair are one
        safe = np.where(moves, form_variance, 1.0)
        cavity_variance = 1 / (1 / safe - precision)
        cavity_mean = cavity_variance * (form_mean / safe - shift)
        log_mass, tilted_mean, tilted_variance = _tilted(
            offset, cavity_mean, cavity_variance, shares, weight, threshold, num_nodes
        )
        new_precision = np.where(moves, 1 / tilted_variance - 1 / cavity_variance, 0).clip(0)
        new_shift = np.where(
            moves, tilted_mean / tilted_variance - cavity_mean / cavity_variance, 0
        )
        steps = new_precision - precision, new_shift - shift
        change = max(float((np.abs(step) / (1 + precision)).max()) for step in steps)
        damping = DAMPING[(sweep >= 20) + (sweep >= 60)]
        precision, shift = precision + damping * steps[0], shift + damping * steps[1]
        if change < tolerance:
            break
    if change > LARGEST_CHANGE:
        raise UserError(
            f"utilities of a person were not found in {MOST_SWEEPS} sweeps (change {change:.2g})."
        )
    mean, covariance, log_of_forms = _joint(slopes, precision, shift)
    normal = -0.5 * np.log1p(new_precision * cavity_variance) + 0.5 * (
        (new_shift + cavity_mean / cavity_variance) ** 2 / (new_precision + 1 / cavity_variance)
        - cavity_mean**2 / cavity_variance
    )
    fixed = weight * (shares * np.stack(log_probabilities(offset, threshold), -1)).sum(-1)
    factors = np.where(moves, log_mass - normal, np.where(seen, fixed, 0)).sum(1)
    return Posterior(mean, covariance, factors + log_of_forms, precision, shift)


def _joint(
    slopes: np.ndarray, precision: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance of the coordinates, and log of the factors' integral over N(0, I)."""
    total = np.eye(slopes.shape[2]) + (slopes.transpose(0, 2, 1) * precision[:, None]) @ slopes
    covariance = np.linalg.inv(total)
    pull = (slopes * shift[..., None]).sum(1)
    mean = (covariance @ pull[..., None])[..., 0]
    log_integral = 0.5 * ((pull * mean).sum(1) - np.linalg.slogdet(total)[1])
    return mean, covariance, log_integral


def _tilted(
    offset: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    shares: np.ndarray,
    weight: np.ndarray,
    threshold: float,
    num_nodes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log mass, mean and variance of the likelihood times a normal, by Gauss–Hermite quadrature."""
    nodes, log_weights = _rule(num_nodes)
    form = mean[..., None] + np.sqrt(2 * variance)[..., None] * nodes
    log = log_weights + weight[..., None] * sum(
        shares[..., grade, None] * values
        for grade, values in enumerate(log_probabilities(offset[..., None] + form, threshold))
    )
    largest = log.max(-1, keepdims=True)
    density = np.exp(log - largest)
    mass = density.sum(-1)
    density /= mass[..., None]
    tilted_mean = (density * form).sum(-1)
    tilted_variance = (density * (form - tilted_mean[..., None]) ** 2).sum(-1)
    return np.log(mass) + largest[..., 0], tilted_mean, tilted_variance


def verdict_moments(mean: np.ndarray, variance: np.ndarray, threshold: float) -> np.ndarray:
    """Moments of a verdict W (1 first, ½ tie, 0 second) where a difference of utilities is normal.

    Returns E[W], E[E[W | difference]²] and E[W²], shape `(3, *shape of mean)`.
    """
    nodes, log_weights = _rule(NUM_NODES)
    ahead = mean[..., None] + np.sqrt(2 * variance)[..., None] * nodes
    _, tie, first = (np.exp(log) for log in log_probabilities(ahead, threshold))
    if threshold == 0:
        tie = np.zeros_like(tie)
    expected = first + tie / 2
    moments = np.stack([expected, expected**2, first + tie / 4])
    return (moments * np.exp(log_weights)).sum(-1)


def outcome_probabilities(mean: np.ndarray, variance: np.ndarray, threshold: float) -> np.ndarray:
    """P of the three outcomes where a difference of utilities is normal; see `log_probabilities`.

    Shape `(3, *shape of mean)`.
    """
    nodes, log_weights = _rule(NUM_NODES)
    ahead = mean[..., None] + np.sqrt(2 * variance)[..., None] * nodes
    log = np.stack(log_probabilities(ahead, threshold))
    return np.exp(log + log_weights).sum(-1)
