"""What comparisons leave open of items: the mean and the directions of each, by their information.

With forms of slope s, factors of precision π and Σ the covariance of a person's coordinates f given
all of hers, B⁻¹ = π − π s Σ sᵀ π is the marginal precision of her comparisons: what is not known of
her tells nothing of an item. Of one person the information on the means of items i and j is
C = aᵢᵀ B⁻¹ aⱼ (aᵢ is 1 where i is first, −1 where it is second), on their directions C f̂ f̂ᵀ, and of
one item (Σ aᵢᵀ π s)(Σ aᵢᵀ π s)ᵀ besides: that of a normal with the factors' variances (Mardia and
Marshall 1984), of which the last term between two items is left out, for safety.

Neither a shift of all items nor a turn of the directions changes any utility but that of all items
alike, so both are held fixed.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from hidden_context.people.ballots import Ballots
from hidden_context.people.person import Person

LARGEST = 3000
"""Unknowns of all items whose joint information is inverted. Of more, each item is taken alone,
the others as known: then most have few comparisons, and the prior is what there is."""
FIXED = 1e6
"""Information on what is held fixed, over the largest there is."""


def item_covariance(
    chunks: Sequence[Ballots], people: Sequence[Person], mean_ridge: float, ridge: float
) -> np.ndarray:
    """Covariance of the mean and directions of each item.

    Args:
        chunks: What people said.
        people: What is known of them.
        mean_ridge: Information on the mean that is there without comparisons.
        ridge: On each direction.

    Returns:
        Shape `(items, 1 + r, 1 + r)`.
    """
    directions = people[0].model.directions
    items, size = len(directions), 1 + directions.shape[1]
    own = np.zeros((items, size, size))
    own += np.diag([mean_ridge, *[ridge] * (size - 1)])
    is_joint = items * size <= LARGEST
    between = np.zeros((items, items, size, size) if is_joint else 0)
    for part in _of_kinds(chunks, people):
        _add(own, between, directions, *part)
    if not is_joint:
        return np.linalg.inv(own)
    each = np.arange(items)
    between[each, each] += own
    information = between.transpose(0, 2, 1, 3).reshape(items * size, -1)
    fixed = np.linalg.qr(_free(directions).T)[0]
    information += FIXED * np.diag(information).max() * fixed @ fixed.T
    covariance = np.linalg.inv(information).reshape(items, size, items, size)
    return covariance[each, :, each, :]


def _of_kinds(chunks: Sequence[Ballots], people: Sequence[Person]) -> Iterator[tuple]:
    """First and second items, precisions, means and covariances, and the kind's probability."""
    for chunk, person in zip(chunks, people, strict=True):
        means, covariances = person.of_kinds
        for kind in range(person.kind_probs.shape[1]):
            who = np.flatnonzero(person.kind_probs[:, kind] > 0)
            if len(who):
                yield (
                    chunk.first[who],
                    chunk.second[who],
                    person.posterior.precision[who, kind],
                    means[who, kind],
                    covariances[who, kind],
                    person.kind_probs[who, kind],
                )


def _add(
    own: np.ndarray,
    between: np.ndarray,
    directions: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    precision: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    probs: np.ndarray,
) -> None:
    """Add what some people of one kind tell of each item alone, and between items."""
    items, size = directions.shape
    rows = np.arange(len(first))[:, None]
    pulls = precision[..., None] * (directions[first] - directions[second])
    whole, of_items = np.zeros((len(first), items)), np.zeros((len(first), items, size))
    for numbers, sign in ((first, 1.0), (second, -1.0)):
        np.add.at(whole, (rows, numbers), precision)
        np.add.at(of_items, (rows, numbers), sign * pulls)
    known = np.concatenate([np.ones((len(mean), 1)), mean], axis=1)
    across = of_items @ covariance
    own[:, 1:, 1:] += np.einsum("v,via,vib->iab", probs, across, across)
    if not between.size:
        left = probs[:, None] * (whole - (across * of_items).sum(-1)).clip(0)
        own += np.einsum("vi,va,vb->iab", left, known, known)
        return
    own += np.einsum("vi,va,vb->iab", probs[:, None] * whole, known, known)
    squares = probs[:, None, None] * known[:, :, None] * known[:, None]
    both = -precision[..., None, None] * squares[:, None]
    np.add.at(between, (first, second), both)
    np.add.at(between, (second, first), both)
    root = of_items @ np.linalg.cholesky(covariance)
    spread = np.sqrt(probs)[:, None, None, None] * root[..., None] * known[:, None, None]
    spread = spread.transpose(0, 2, 1, 3).reshape(-1, items * (1 + size))
    joint = (spread.T @ spread).reshape(items, 1 + size, items, 1 + size)
    between -= joint.transpose(0, 2, 1, 3)


def _free(directions: np.ndarray) -> np.ndarray:
    """Changes of all means and directions that no utility shows, one a row."""
    items, size = directions.shape
    shifts = np.tile(np.eye(1 + size), (items, 1)).T
    turns = []
    for one, other in combinations(range(size), 2):
        turn = np.zeros((items, 1 + size))
        turn[:, 1 + one], turn[:, 1 + other] = directions[:, other], -directions[:, one]
        turns.append(turn.ravel())
    return np.concatenate([shifts, *[turn[None] for turn in turns]])
