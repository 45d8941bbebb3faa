"""The share of disagreement, and its interval, by answers drawn anew and fitted again.

The share of a fit errs: what chance gives people to differ by counts as disagreement where they
hardly differ, and large differences are drawn together. How far is found by drawing answers of new
people to the same pairs from the fitted distribution, with what people differ by made smaller or
larger, down to nothing, and fitting each set again. The curve of the share that is found against
the true one is then read backwards from the share that was found: at its mean for the value, and
between its quantiles for the interval (Neyman 1937; the parametric bootstrap as a test, inverted:
Davison and Hinkley 1997, section 5.6). Ends may therefore be 0.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import t

from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.people.ballots import Ballots
from hidden_context.people.fit import fit_again
from hidden_context.people.people import People
from hidden_context.people.source import Source
from hidden_context.progress import progress_bar

SCALES = (0.0, 0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
"""Of the directions, in units of those that were fitted."""
DRAWS = 3
"""Sets of answers of each scale."""
WIDER = 1.6
"""By which the largest scale grows, where shares as large as the interval's end were not drawn."""
MOST_WIDENED = 3
"""Times that it does."""
LEVEL = 0.95
POWERS = (0, 2, 4, 6)
"""Of the curve, in angles: how people lie on the axes has no sign, so it is even."""
GRID = 1000
"""Shares that are looked at, from 0 to the largest drawn."""


def fitted_share(people: People, ballots: Ballots) -> float:
    """Share of the variance of verdicts, on the pairs compared, between people, as fitted."""
    seen, number = ballots.weight > 0, len(ballots.items)
    both = ballots.first[seen], ballots.second[seen]
    pairs, counts = np.unique(np.minimum(*both) * number + np.maximum(*both), return_counts=True)
    first, second = np.divmod(pairs, number)
    variances = people.posterior_of_nobody().variances(first[None], second[None])[:, 0]
    between, within = variances @ counts
    return float(between / (between + within)) if between > 0 else 0.0


def share_of_disagreement(
    people: People, votes: Any, *, seed: int = 0, progress: bool = False
) -> Estimate:
    """The share of disagreement on the pairs that were compared, with a 95 % interval.

    Args:
        people: Where they differ in no direction there is no interval.
        votes: What they were fitted to: a `Source`, `Ballots`, or what `People.read` reads.
        seed: Of the answers that are drawn.
        progress: Show how far it is.

    Raises:
        UserError: The votes cannot be read, or name items that are not known.
    """
    source = votes if isinstance(votes, Source) else _read(people, votes)
    people = _placed(people, source)
    found = fitted_share(people, source.ballots)
    if not people.directions.shape[1]:
        return Estimate(found)
    rng, scales = np.random.default_rng(seed), SCALES
    true, again = np.zeros(0), np.zeros(0)
    for _ in range(1 + MOST_WIDENED):
        with progress_bar(
            len(scales) * DRAWS, "fitting to answers drawn anew", unit="fit", shown=progress
        ) as bar:
            for scale in np.repeat(scales, DRAWS):
                world = _world(people, float(scale), rng)
                ballots = answered(world, source.ballots, rng)
                refitted = fit_again(people, replace(source, ballots=ballots))
                true = np.append(true, fitted_share(world, ballots))
                again = np.append(again, fitted_share(refitted, ballots))
                bar.update()
        value, low, high = read_backwards(true, again, found)
        if high < 1:
            break
        scales = (scales[-1] * WIDER,)
    how = (
        f"{len(true)} fits to answers that new people of smaller and larger differences would give"
    )
    return Estimate(value, low, high, how, LEVEL)


def _read(people: People, votes: Any) -> Source:
    """As the people read comparisons."""
    ballots, texts = votes if isinstance(votes, Ballots) else people.read(votes), people.texts
    if texts is None:
        if ballots.items != people.items:
            raise UserError(
                "these ballots are of other items than the people, or in another order; give those "
                "that the people were fitted to."
            )
        return Source(ballots)
    assert ballots.texts is not None
    vectors = texts.axes(texts.reader.states(ballots.texts)).astype(np.float64)
    return Source(ballots, texts.reader, texts.axes, vectors)


def _placed(people: People, source: Source) -> People:
    """With the texts of the source as items, where people were fitted to texts."""
    if people.texts is None:
        return people
    assert source.vectors is not None
    return replace(
        people,
        items=source.ballots.items,
        mean=source.vectors @ people.texts.mean,
        directions=source.vectors @ people.texts.directions,
    )


def _world(people: People, scale: float, rng: np.random.Generator) -> People:
    """People who may be the true ones, as far as is known, with their differences scaled."""
    mean, directions = people.mean, people.directions
    if people.item_covariance is not None:
        roots = np.linalg.cholesky(people.item_covariance)
        loose = (roots @ rng.normal(size=(*roots.shape[:2], 1)))[..., 0]
        mean, directions = mean + loose[:, 0], directions + loose[:, 1:]
    return replace(people, mean=mean, directions=scale * directions, item_covariance=None)


def answered(people: People, ballots: Ballots, rng: np.random.Generator) -> Ballots:
    """What as many new people would say of the same pairs."""
    number, clusters = len(ballots), people.clusters
    threshold = rng.choice(people.thresholds, size=(number, 1), p=people.threshold_shares)
    cluster = rng.choice(len(clusters), size=number, p=clusters.shares)
    drawn = rng.normal(size=(number, people.directions.shape[1], 1))
    place = clusters.centers[cluster] + (clusters.roots[cluster] @ drawn)[..., 0]
    utilities = people.mean + place @ people.directions.T
    first, second = (np.take_along_axis(utilities, of, 1) for of in (ballots.first, ballots.second))
    ahead = first - second + rng.logistic(size=first.shape)
    grade = np.where(ahead > threshold, 2, np.where(ahead < -threshold, 0, 1))
    return replace(ballots, shares=np.eye(3)[grade])


def read_backwards(
    true: Sequence[float] | np.ndarray, again: Sequence[float] | np.ndarray, found: float
) -> tuple[float, float, float]:
    """The true share at which `found` is expected, and those at which it is not surprising.

    Shares are taken as angles, arcsin √, of about the same spread wherever they lie. Where less is
    found than is expected of people who do not differ, the interval is that of what is expected.

    Args:
        true: Shares from which answers were drawn.
        again: What was found of each.
        found: What was found of the answers that were given.

    Returns:
        Value, lower and upper end; the last is 1 where it lies above all that was drawn.
    """
    tried = np.linspace(0, max(true), GRID)
    curve = _terms(np.asarray(true))
    angles = _angle(np.asarray(again))
    inverse = np.linalg.pinv(curve)
    weights = inverse @ angles
    left = len(angles) - len(POWERS)
    variance = ((angles - curve @ weights) ** 2).sum() / left
    grid = _terms(tried)
    expected = np.maximum.accumulate(grid @ weights)
    arm = t.ppf((1 + LEVEL) / 2, left) * np.sqrt(variance * (1 + ((grid @ inverse) ** 2).sum(1)))
    angle = max(float(_angle(np.array(found))), expected[0])
    value = tried[np.abs(expected - angle).argmin()]
    below, above = expected + arm < angle, expected - arm > angle
    low = tried[np.flatnonzero(below)[-1]] if below.any() else 0.0
    high = tried[np.flatnonzero(above)[0]] if above.any() else 1.0
    return float(value), float(low), float(high)


def _angle(share: np.ndarray) -> np.ndarray:
    return np.arcsin(np.sqrt(share.clip(0, 1)))


def _terms(share: np.ndarray) -> np.ndarray:
    return np.stack([_angle(share) ** power for power in POWERS], 1)
