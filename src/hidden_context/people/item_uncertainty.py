"""What comparisons leave open of items: the mean and the directions of each, by their information.

With forms of slope s, factors of precision π and Σ the covariance of a person's coordinates f given
all of hers, B⁻¹ = π − π s Σ sᵀ π is the marginal precision of her comparisons: what is not known of
her tells nothing of an item. The information of her comparisons on the mean of an item is
c = aᵀ B⁻¹ a (a is 1 where it is first, −1 where it is second), on its directions
c f̂ f̂ᵀ + (Σ sᵀ π a)(Σ sᵀ π a)ᵀ: that of a normal with the factors' variances (Mardia and Marshall
1984).
"""

from collections.abc import Sequence

import numpy as np

from hidden_context.people.ballots import Ballots
from hidden_context.people.person import Person

MOST_CELLS = 2**21
"""Numbers by person and item that are held at one time."""


def item_covariance(
    chunks: Sequence[Ballots], people: Sequence[Person], mean_ridge: float, ridge: float
) -> np.ndarray:
    """Covariance of the mean and directions of each item, given those of the others.

    That of a difference of two is their sum: where all pairs of I items are compared alike, it is
    I/(I − 1) of the variance of a difference with all others unknown.

    Args:
        chunks: What people said.
        people: What is known of them.
        mean_ridge: Information on the mean that is there without comparisons.
        ridge: On each direction.

    Returns:
        Shape `(items, 1 + r, 1 + r)`.
    """
    directions = people[0].model.directions
    items, size = directions.shape
    information = np.zeros((items, 1 + size, 1 + size))
    information += np.diag([mean_ridge, *[ridge] * size])
    at_once = max(1, MOST_CELLS // (items * (1 + size)))
    for chunk, person in zip(chunks, people, strict=True):
        means, covariances = person.of_kinds
        for kind in range(person.kind_probs.shape[1]):
            possible = np.flatnonzero(person.kind_probs[:, kind] > 0)
            for who in np.split(possible, range(at_once, len(possible), at_once)):
                precision, probs = (
                    person.posterior.precision[who, kind],
                    person.kind_probs[who, kind],
                )
                pairs = chunk.first[who], chunk.second[who]
                whole, pulls = _by_item(pairs, directions, precision)
                across = pulls @ covariances[who, kind]
                left = probs[:, None] * (whole - (across * pulls).sum(-1)).clip(0)
                known = np.concatenate([np.ones((len(who), 1)), means[who, kind]], axis=1)
                information += _summed(left, known[:, None], known[:, None])
                information[:, 1:, 1:] += _summed(probs[:, None], across, across)
    return np.linalg.inv(information)


def _summed(weight: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Outer products of vectors by person and item, summed over people, `(items, …, …)`."""
    weighed = weight[..., None] * one
    other = np.broadcast_to(other, (*weighed.shape[:2], other.shape[2]))
    return weighed.transpose(1, 2, 0) @ other.transpose(1, 0, 2)


def _by_item(
    pairs: tuple[np.ndarray, np.ndarray], directions: np.ndarray, precision: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each person and item, π and ± π s summed over her comparisons with it."""
    (first, second), (items, size) = pairs, directions.shape
    rows = np.arange(len(first))[:, None]
    of_forms = precision[..., None] * (directions[first] - directions[second])
    whole, pulls = np.zeros((len(first), items)), np.zeros((len(first), items, size))
    for numbers, sign in ((first, 1.0), (second, -1.0)):
        np.add.at(whole, (rows, numbers), precision)
        np.add.at(pulls, (rows, numbers), sign * of_forms)
    return whole, pulls
