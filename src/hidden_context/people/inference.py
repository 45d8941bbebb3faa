"""What comparisons tell of one person: expectation propagation, for many people at one time.

A person's utilities are linear in r normal coordinates f ~ N(0, I), so each comparison is a
likelihood of one linear form of f. Expectation propagation (Minka 2001; Rasmussen and Williams
2006, section 3.6) replaces it by a normal factor that gives the form's exact mean and variance in
the presence of all others. These likelihoods are log-concave, so each factor has a variance that is
positive and the iteration is stable. For one comparison the result is exact but for quadrature.

Where utilities of items are not known exactly, a difference of two has a variance besides, which
no comparison of this person makes smaller: each likelihood is integrated over it first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite import hermgauss

from hidden_context.errors import UserError

NUM_NODES = 32
"""Of Gauss–Hermite quadrature: forms of standard deviation up to `WIDE` are integrated to 1e-6."""
WIDE = 2.0
"""Standard deviation of a form, in units of the noise of a comparison, above which the likelihood
is a step between two such nodes, and the trapezoid rule is taken."""
STEP = 1.2
"""Of the trapezoid rule, in units of the noise: its error is exp(−2π²/1.2) (Trefethen and Weideman
2014, theorem 5.1, poles of the logistic at ±iπ)."""
FARTHEST_NODE = 8.5
"""Standard deviations from the mean, where the trapezoid rule ends."""
MOST_NODES = 1024
"""Enough for standard deviations up to 72; beyond that the likelihood is a step within 1/500."""
DAMPING = (1.0, 0.5, 0.2)
"""Share of the way to its new value that a factor goes in a sweep: less after 20 sweeps, and after
60, since factors of like forms, that all move at one time, may go too far and come back."""
TOLERANCE = 1e-6
"""Largest change of a factor's natural parameters, over 1 + its precision, where sweeps end."""
MOST_SWEEPS = 100
LARGEST_CHANGE = 1e-3
"""That is left after `MOST_SWEEPS`: where people differ without bounds, quadrature is not exact to
more digits."""


LEAST_VARIANCE = 1e-6
"""Of a form: where it is 0, as of two items that are one, its likelihood is that at its offset."""
LOST = 0.1
"""Change after `MOST_SWEEPS` at which nothing was found."""
LEAST_SHARE = 1e-8
"""Of a variance that one comparison leaves, or that the others have: less is rounding, on a step of
the climb that went too far, where utilities are a thousand times the noise."""
FARTHEST = 600.0
"""Difference of utilities beyond which its exponential is not taken."""
MOST_CELLS = 2**12
"""Comparisons of people that are computed at one time, so that their quadrature stays in the
processor's cache."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Normal approximations of the coordinates of people, or of each person by each kind.

    `…` is `(V,)`, or `(V, kinds)`.
    """

    mean: np.ndarray
    """Shape `(…, r)`."""
    covariance: np.ndarray
    """Shape `(…, r, r)`."""
    log_evidence: np.ndarray
    """log P(comparisons of the person) in nats, shape `…`."""
    precision: np.ndarray
    """Of each factor, shape `(…, N)`."""
    shift: np.ndarray
    """Of each factor: precision times mean, shape `(…, N)`."""

    def __getitem__(self, rows: object) -> "Posterior":
        """Those of some people, or some kinds of some people."""
        return Posterior(**{name: values[rows] for name, values in vars(self).items()})

    def placed(self, rows: tuple[np.ndarray, np.ndarray], found: "Posterior") -> "Posterior":
        """With what was found of some kinds of some people; other kinds are not possible."""
        new = {name: values.copy() for name, values in vars(self).items()}
        new["log_evidence"][:] = -np.inf
        for name, values in new.items():
            values[rows] = getattr(found, name)
        return Posterior(**new)

    @staticmethod
    def of_nobody(people: int, kinds: int, comparisons: int, directions: int) -> "Posterior":
        """Nothing is known, and no kind is possible."""
        none = np.zeros((people, kinds, comparisons))
        return Posterior(
            np.zeros((people, kinds, directions)),
            np.tile(np.eye(directions), (people, kinds, 1, 1)),
            np.full((people, kinds), -np.inf),
            none,
            none,
        )

    @staticmethod
    def joined(parts: "Sequence[Posterior]") -> "Posterior":
        """One after the other, without their factors."""
        mean, covariance, evidence = (
            np.concatenate([getattr(one, name) for one in parts])
            for name in ("mean", "covariance", "log_evidence")
        )
        none = np.zeros((*evidence.shape, 0))
        return Posterior(mean, covariance, evidence, none, none)


def log_probabilities(ahead: np.ndarray, threshold: float | np.ndarray) -> list[np.ndarray]:
    """log P of the second, of a tie and of the first, in nats, each of the shape of `ahead`.

    Bradley–Terry with ties where neither is ahead by more than the threshold, noise included (Rao
    and Kupper 1967); without a threshold there are no ties, and a tie counts as half a win and half
    a loss.
    """
    first, second = -_softplus(threshold - ahead), -_softplus(threshold + ahead)
    if np.all(threshold == 0):
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


def _rule_for(variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (times √2 of the standard deviation) and log-weights for normals of these variances."""
    largest = np.sqrt(variance.max(initial=0.0))
    if largest <= WIDE:
        return _rule(NUM_NODES)
    return _trapezoid(min(int(2 * FARTHEST_NODE * largest / STEP) + 1, MOST_NODES))


@cache
def _trapezoid(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and log-weights of the trapezoid rule under a normal."""
    nodes = np.linspace(-FARTHEST_NODE, FARTHEST_NODE, number)
    log_weights = -(nodes**2) / 2
    return nodes / np.sqrt(2), log_weights - np.log(np.exp(log_weights).sum())


class Seen(NamedTuple):
    """What is given of comparisons in `infer`; each of its arrays begins with the rows."""

    offset: np.ndarray
    slopes: np.ndarray
    shares: np.ndarray
    weight: np.ndarray
    threshold: np.ndarray
    extra: np.ndarray

    def rows(self, rows: np.ndarray | slice) -> "Seen":
        """Some of them."""
        return Seen(*(values[rows] for values in self))


def infer(
    offset: np.ndarray,
    slopes: np.ndarray,
    shares: np.ndarray,
    weight: np.ndarray,
    threshold: np.ndarray | float,
    extra: np.ndarray | float = 0.0,
    *,
    start: Posterior | None = None,
    tolerance: float = TOLERANCE,
    num_nodes: int | None = None,
    must_settle: bool = True,
) -> Posterior:
    """Coordinates given comparisons whose differences of utility are offset + slopes · f.

    Args:
        offset: Shape `(V, N)`.
        slopes: Shape `(V, N, r)`.
        shares: Of each outcome, shape `(V, N, 3)`; see `Ballots`.
        weight: Shape `(V, N)`; 0 where there is no comparison.
        threshold: Of ties, in units of utility, one or shape `(V,)`.
        extra: Variance of each difference besides, that no other comparison shares, `(V, N)`.
        start: Factors to start from.
        tolerance: See `TOLERANCE`.
        num_nodes: Of quadrature; None for as many as wide forms need.
        must_settle: Whether factors that still move after `MOST_SWEEPS` are an error; if not, the
            evidence is not a number where they move by more than `LOST`.

    Raises:
        UserError: The sweeps do not come to an end.
    """
    people, number = offset.shape
    seen = Seen(
        offset,
        slopes,
        shares,
        weight,
        np.broadcast_to(threshold, people),
        np.broadcast_to(extra, offset.shape),
    )
    zero = np.zeros(offset.shape)
    precision, shift = (zero, zero) if start is None else (start.precision, start.shift)
    at_once = max(1, MOST_CELLS // max(number, 1))
    found = []
    for at in range(0, people, at_once):
        part = slice(at, at + at_once)
        how = tolerance, num_nodes, must_settle
        found.append(_settled(seen.rows(part), precision[part], shift[part], *how))
    names = vars(found[0])
    return Posterior(**{name: np.concatenate([vars(one)[name] for one in found]) for name in names})


def _settled(
    seen: Seen,
    precision: np.ndarray,
    shift: np.ndarray,
    tolerance: float,
    num_nodes: int | None,
    must_settle: bool,
) -> Posterior:
    """Sweeps over the factors of some people until none moves; who has settled is left out."""
    precision, shift = precision.copy(), shift.copy()
    log_mass = np.zeros(len(precision))
    moving, part, changes = np.arange(len(precision)), seen, np.full(len(precision), np.inf)
    for sweep in range(MOST_SWEEPS):
        new, mass = _swept(part, precision[moving], shift[moving], num_nodes)
        steps = new[0] - precision[moving], new[1] - shift[moving]
        size = [np.abs(step) / (1 + precision[moving]) for step in steps]
        change = np.maximum(*size).max(1, initial=0)
        damping = DAMPING[(sweep >= 20) + (sweep >= 60)]
        precision[moving] += damping * steps[0]
        shift[moving] += damping * steps[1]
        log_mass[moving], changes[moving] = mass, change
        still = change >= tolerance
        if not still.any():
            break
        if 4 * still.sum() < 3 * len(moving):
            moving, part = moving[still], part.rows(still)
    if must_settle and changes.max(initial=0) > LARGEST_CHANGE:
        raise UserError(
            f"utilities of a person were not found in {MOST_SWEEPS} sweeps (change "
            f"{changes.max():.2g})."
        )
    mean, covariance, log_of_forms = _joint(seen.slopes, precision, shift)
    evidence = np.where(changes > LOST, np.nan, log_mass + log_of_forms)
    return Posterior(mean, covariance, evidence, precision, shift)


def _swept(
    seen: Seen, precision: np.ndarray, shift: np.ndarray, num_nodes: int | None
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """New precision and shift of all factors, and the log of their constants, by person."""
    mean, covariance, _ = _joint(seen.slopes, precision, shift)
    form_mean = (seen.slopes @ mean[:, :, None])[..., 0]
    form_variance = ((seen.slopes @ covariance) * seen.slopes).sum(-1)
    given = seen.weight > 0
    # a form that cannot move has a factor all the same: its precision is the information on offset
    form_variance = np.where(given, np.maximum(form_variance, LEAST_VARIANCE), 1.0)
    others = np.maximum(1 / form_variance - precision, LEAST_SHARE / form_variance)
    variance = 1 / others  # of the cavity
    mean = variance * (form_mean / form_variance - shift)
    whole = variance + seen.extra
    log_mass, tilted_mean, tilted_variance = _tilted(seen, mean, whole, num_nodes)
    part = variance / whole
    tilted_mean = mean + part * (tilted_mean - mean)
    tilted_variance = variance - part * (variance - part * tilted_variance)
    new_precision = np.where(given, 1 / tilted_variance - 1 / variance, 0.0).clip(0)
    new_shift = np.where(given, tilted_mean / tilted_variance - mean / variance, 0.0)
    both = 1 + new_precision * variance
    normal = (2 * new_shift * mean + new_shift**2 * variance - new_precision * mean**2) / both
    log_constants = log_mass - (normal - np.log(both)) / 2
    return (new_precision, new_shift), np.where(given, log_constants, 0.0).sum(1)


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
    seen: Seen, mean: np.ndarray, variance: np.ndarray, num_nodes: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log mass, mean and variance of the likelihood times a normal, by quadrature."""
    there = np.where(seen.weight > 0, variance, 0.0)
    nodes, log_weights = _rule_for(there) if num_nodes is None else _rule(num_nodes)
    scale = np.sqrt(2 * variance)
    ahead = (seen.offset + mean)[..., None] + scale[..., None] * nodes
    votes = seen.shares * seen.weight[..., None]
    powers = np.stack([nodes**power for power in range(3)], axis=1)
    are_single = bool(((votes == 0) | (votes == 1)).all())
    if are_single and ((seen.threshold > 0).all() or not votes[..., 1].any()):
        density, log_largest = _of_one_vote(ahead, votes, seen.threshold)
        powers = np.exp(log_weights)[:, None] * powers
    else:
        log = log_weights + sum(
            votes[..., grade, None] * values
            for grade, values in enumerate(log_probabilities(ahead, seen.threshold[:, None, None]))
        )
        log_largest = log.max(-1)
        density = np.exp(log - log_largest[..., None])
    mass, first, second = np.moveaxis(density @ powers, -1, 0)
    first, second = first / mass, second / mass
    share = np.maximum(2 * (second - first**2), LEAST_SHARE)
    return np.log(mass) + log_largest, mean + scale * first, variance * share


def _of_one_vote(
    ahead: np.ndarray, votes: np.ndarray, threshold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The likelihood of single votes, and the log of what it is to be multiplied by.

    As in `log_probabilities`, by one exponential.
    """
    sign = np.where(votes[..., 0] == 1, 1.0, -1.0)[..., None]
    against = np.exp(np.clip(sign * ahead, -FARTHEST, FARTHEST))
    edge = np.exp(threshold)[:, None, None]
    density = 1 / (1 + edge * against)
    is_tie = votes[..., 1] == 1
    if is_tie.any():
        density[is_tie] *= (against / (against + edge))[is_tie]
    density[votes.sum(-1) == 0] = 1.0
    of_ties = np.log(np.expm1(2 * threshold), where=threshold > 0, out=np.zeros_like(threshold))
    return density, np.where(is_tie, of_ties[:, None], 0.0)


def verdict_moments(mean: np.ndarray, variance: np.ndarray, threshold: float) -> np.ndarray:
    """Moments of a verdict W (1 first, ½ tie, 0 second) where a difference of utilities is normal.

    Returns E[W], E[E[W | difference]²] and E[W²], shape `(3, *shape of mean)`.
    """
    nodes, log_weights = _rule_for(variance)
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
    nodes, log_weights = _rule_for(variance)
    ahead = mean[..., None] + np.sqrt(2 * variance)[..., None] * nodes
    log = np.stack(log_probabilities(ahead, threshold))
    return np.exp(log + log_weights).sum(-1)
