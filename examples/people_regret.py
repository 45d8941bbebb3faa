"""Regret of best-of-8 for a person, by how many of her comparisons are known, on simulated people.

python examples/people_regret.py --figure docs/people-regret.png

400 people with correlated normal utilities of ten items are fitted to; of 400 others the best of
eight items is chosen by what is known of each. Regret is the utility to her of her best item less
that of the chosen one, in units of the noise of a comparison.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from hidden_context.figures.style import BLUE, GREY, STYLES, in_style
from hidden_context.people import Ballots
from hidden_context.people.fit import fit
from hidden_context.people.source import Source

NUMBERS = (0, 1, 3, 5, 10, 20, 40)
PEOPLE, ITEMS, COMPARISONS = 800, 10, 40


def simulate(seed: int) -> tuple[np.ndarray, Ballots]:
    """Utilities, shape `(people, items)`, and random comparisons of each person."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(ITEMS, 4)) * 0.6
    utilities = 0.8 * rng.normal(size=ITEMS) + rng.normal(size=(PEOPLE, 4)) @ root.T
    utilities += 0.8 * rng.normal(size=utilities.shape)
    first = rng.integers(ITEMS, size=(PEOPLE, COMPARISONS))
    second = (first + rng.integers(1, ITEMS, size=first.shape)) % ITEMS
    ahead = np.take_along_axis(utilities, first, 1) - np.take_along_axis(utilities, second, 1)
    won = ahead + rng.logistic(size=ahead.shape) > 0
    shares = np.eye(3)[np.where(won, 2, 0)]
    items, people = tuple(range(ITEMS)), tuple(range(PEOPLE))
    return utilities, Ballots(first, second, shares, np.ones(first.shape), items, people)


def regrets_of(seed: int) -> np.ndarray:
    """Mean regret at each of `NUMBERS`."""
    utilities, ballots = simulate(seed)
    half = PEOPLE // 2
    people = fit(Source(ballots.selected(np.arange(half))), num_directions=9)
    others, truth = ballots.selected(np.arange(half, PEOPLE)), utilities[half:]
    eight = np.random.default_rng(seed).permuted(np.tile(np.arange(ITEMS), (half, 1)), axis=1)
    eight = eight[:, :8]
    hers = np.take_along_axis(truth, eight, 1)
    regrets = []
    for number in NUMBERS:
        given = np.arange(COMPARISONS) < np.full((half, 1), number)
        found = people.infer_all(others.kept(given)).utility.mean
        chosen = np.take_along_axis(found, eight, 1).argmax(1)
        regrets.append((hers.max(1) - np.take_along_axis(hers, chosen[:, None], 1)[:, 0]).mean())
    return np.array(regrets)


def main() -> None:
    """Simulate, print, draw."""
    parser = argparse.ArgumentParser(description="Regret of best-of-8 for a person.")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    regrets = np.stack([regrets_of(seed) for seed in range(3)])
    for number, column in zip(NUMBERS, regrets.T, strict=True):
        print(f"| {number} | {column.mean():.3f} ({column.min():.3f} to {column.max():.3f}) |")
    if given.figure is None:
        return
    with in_style(STYLES["screen"]):
        figure, axes = plt.subplots(figsize=STYLES["screen"].panel_inches, layout="constrained")
        places = np.arange(len(NUMBERS))
        for line in regrets:
            axes.plot(places, line, color=GREY, linewidth=0.8)
        axes.plot(places, regrets.mean(0), "o-", color=BLUE)
        axes.set_xticks(places, [str(number) for number in NUMBERS])
        axes.set_ylim(0)
        axes.set_xlabel("comparisons of a person that are known")
        axes.set_ylabel("regret of best-of-8, units of noise")
        figure.savefig(given.figure)


if __name__ == "__main__":
    main()
