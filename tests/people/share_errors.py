"""How far the share of disagreement is from the true one, and whether two intervals would hold it.

PYTHONPATH=tests python tests/people/share_errors.py 16 --redrawn 6

draws worlds of normal people who differ in two directions (ten items, random pairs), fits with two
directions, and prints the mean error of the share, how often the interval of a jackknife by fifths
of people holds the truth, and, with `--redrawn`, the same of one by answers drawn again from the
fit, by whose mean error the share is corrected. What came out is in docs/people.md.
"""

import argparse
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit, stdtrit
from simulated_people import drawn

from hidden_context.people.ballots import Ballots
from hidden_context.people.findings import find
from hidden_context.people.fit import ROUGH, fit
from hidden_context.people.people import Clusters, People
from hidden_context.people.source import Source

NUM_ITEMS, NUM_FOLDS = 10, 5
WORLDS = ((60, 20, 0.7), (60, 20, 1.4))
"""People, comparisons of each, and standard deviation of an item's two directions, in units of the
noise of a comparison."""


def world(people: int, count: int, spread: float, seed: int) -> tuple[Ballots, float]:
    """What people say, and the true share of disagreement of people of their kind."""
    rng = np.random.default_rng(seed)
    mean, directions = rng.normal(size=NUM_ITEMS), spread * rng.normal(size=(NUM_ITEMS, 2))
    ballots = drawn(mean + rng.normal(size=(people, 2)) @ directions.T, count, rng)
    one = Clusters.one(2)
    truth = People(ballots.items, mean, directions, np.zeros(1), np.ones(1), one, people)
    return ballots, share(truth, ballots)


def share(people: People, ballots: Ballots) -> float:
    """Of disagreement, on the pairs that were compared."""
    return find(people, ballots, source="").disagreement


def without_each_fifth(ballots: Ballots) -> list[float]:
    """Shares of fits without a fifth of people each."""
    fold = np.random.default_rng(0).permutation(np.arange(len(ballots)) % NUM_FOLDS)
    rests = [Source(ballots.selected(fold != number)) for number in range(NUM_FOLDS)]
    return [share(fit(rest, num_directions=2, tolerance=ROUGH), ballots) for rest in rests]


def redrawn(people: People, ballots: Ballots, rng: np.random.Generator) -> Ballots:
    """What as many new people would say of the same pairs, and items as far as they are known."""
    assert people.item_covariance is not None
    of_items = np.concatenate([people.mean[:, None], people.directions], axis=1)
    loose = [rng.multivariate_normal(np.zeros(3), of) for of in people.item_covariance]
    place = rng.normal(size=(len(ballots), 2))
    utilities = (of_items + loose)[:, 0] + place @ (of_items + loose)[:, 1:].T
    ahead = np.take_along_axis(utilities, ballots.first, 1)
    ahead = ahead - np.take_along_axis(utilities, ballots.second, 1)
    wins = rng.random(ahead.shape) < expit(ahead)
    return replace(ballots, shares=np.eye(3)[np.where(wins, 2, 0)])


def holds(center: float, arm: float, truth: float) -> bool:
    """Whether an interval of the logit does."""
    return bool(abs(center - logit(truth)) < arm)


def main() -> None:
    """Print a line for each kind of world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("num_worlds", type=int)
    parser.add_argument("--redrawn", type=int, default=0, help="sets of answers drawn again")
    given = parser.parse_args()
    for size in WORLDS:
        rows = []
        for seed in range(given.num_worlds):
            ballots, truth = world(*size, seed)
            people = fit(Source(ballots), num_directions=2)
            found, rng = share(people, ballots), np.random.default_rng(seed)
            left = logit(without_each_fifth(ballots))
            error = np.sqrt((NUM_FOLDS - 1) * left.var())
            row = [truth, found - truth]
            row += [holds(logit(found), stdtrit(NUM_FOLDS - 1, 0.975) * error, truth)]
            if given.redrawn:
                sets = [redrawn(people, ballots, rng) for _ in range(given.redrawn)]
                again = [
                    share(fit(Source(of), num_directions=2, tolerance=ROUGH), of) for of in sets
                ]
                off = logit(again) - logit(found)
                arm = stdtrit(len(off) - 1, 0.975) * off.std(ddof=1) * (1 + 1 / len(off)) ** 0.5
                center = logit(found) - off.mean()
                row += [expit(center) - truth, holds(center, arm, truth)]
            rows.append(row)
        means = np.mean(rows, axis=0).round(3).tolist()
        names = ("truth", "error", "jackknife holds", "error, redrawn", "redrawn holds")
        said = ", ".join(f"{name} {mean}" for name, mean in zip(names, means, strict=False))
        print(f"{size[0]} people, {size[1]} each, spread {size[2]}: {said}", flush=True)


if __name__ == "__main__":
    main()
