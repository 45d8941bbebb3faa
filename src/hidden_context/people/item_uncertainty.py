"""What comparisons leave open of items: the mean and the directions of each, by its information.

With forms of slope s, factors of precision π and Σ the covariance of a person's coordinates f given
all of hers, the marginal information of her comparisons on the mean of an item is
c = Σ π − Uᵀ Σ U, U = Σ ± π s over the comparisons with the item, and on its directions
c f̂ f̂ᵀ + (Σ U)(Σ U)ᵀ: that of a normal with the factors' variances (Mardia and Marshall 1984), in
which what is not known of the person tells nothing of the item.
"""

from collections.abc import Sequence

import numpy as np

from hidden_context.people.ballots import Ballots
from hidden_context.people.person import Person


def item_covariance(
    chunks: Sequence[Ballots], people: Sequence[Person], mean_ridge: float, ridge: float
) -> np.ndarray:
    """Covariance of the mean and directions of each item, given those of the others.

    Args:
        chunks: What people said.
        people: What is known of them.
        mean_ridge: Information on the mean that is there without comparisons.
        ridge: On each direction.

    Returns:
        Shape `(items, 1 + r, 1 + r)`.
    """
    model = people[0].model
    size = 1 + model.directions.shape[1]
    information = np.zeros((len(model.items), size, size))
    for chunk, person in zip(chunks, people, strict=True):
        means, covariances = person.of_kinds
        for kind in range(person.kind_probs.shape[1]):
            who = np.flatnonzero(person.kind_probs[:, kind] > 0)
            if len(who):
                _add(
                    information,
                    chunk.first[who],
                    chunk.second[who],
                    model.directions,
                    person.posterior.precision[who, kind],
                    means[who, kind],
                    covariances[who, kind],
                    person.kind_probs[who, kind],
                )
    prior = np.diag([mean_ridge, *[ridge] * (size - 1)])
    return np.linalg.inv(information + prior)


def _add(
    information: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    directions: np.ndarray,
    precision: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    probs: np.ndarray,
) -> None:
    """Add that of some people of one kind; `probs` is how probable the kind is of each."""
    items, size = directions.shape
    rows = np.arange(len(first))[:, None]
    pulls = precision[..., None] * (directions[first] - directions[second])
    whole, of_items = np.zeros((len(first), items)), np.zeros((len(first), items, size))
    for numbers, sign in ((first, 1.0), (second, -1.0)):
        np.add.at(whole, (rows, numbers), precision)
        np.add.at(of_items, (rows, numbers), sign * pulls)
    across = of_items @ covariance
    left = probs[:, None] * (whole - (across * of_items).sum(-1)).clip(0)
    known = np.concatenate([np.ones((len(mean), 1)), mean], axis=1)
    information += np.einsum("vi,va,vb->iab", left, known, known)
    information[:, 1:, 1:] += np.einsum("v,via,vib->iab", probs, across, across)
