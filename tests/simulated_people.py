"""People whose utilities are known, and what they say of items."""

import numpy as np
from scipy.special import expit

from hidden_context.people import Ballots


def drawn(
    utilities: np.ndarray, count: int, rng: np.random.Generator, threshold: float = 0.0
) -> Ballots:
    """Random comparisons of each person by her utilities, shape `(people, items)`."""
    people, items = utilities.shape
    first = rng.integers(items, size=(people, count))
    second = (first + rng.integers(1, items, size=(people, count))) % items
    ahead = np.take_along_axis(utilities, first, 1) - np.take_along_axis(utilities, second, 1)
    uniform = rng.random((people, count))
    wins, losses = expit(ahead - threshold), expit(-ahead - threshold)
    grade = np.where(uniform < wins, 2, np.where(uniform < wins + losses, 0, 1))
    names = tuple(range(people))
    return Ballots(
        first, second, np.eye(3)[grade], np.ones((people, count)), tuple(range(items)), names
    )
