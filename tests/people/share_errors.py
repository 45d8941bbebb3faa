"""How far the share of disagreement is from the true one, and how often its interval holds that.

PYTHONPATH=tests python tests/people/share_errors.py 40 --people 60 --count 20

draws worlds of people who differ in two directions (ten items, random pairs), normal or in two
groups, with deviations of an item's directions at which about none, .3 and .6 of the variance of a
verdict is disagreement. Each is fitted as `fit_people` does, with two directions given and the
ridge chosen; with `--choose` all is chosen, and worlds in which no direction is are counted apart.
What came out is in docs/people.md.
"""

import argparse

import numpy as np
from scipy.stats import binomtest
from simulated_people import drawn

from hidden_context.people.ballots import Ballots
from hidden_context.people.chosen import fit_people
from hidden_context.people.people import Clusters, People
from hidden_context.people.share_of_disagreement import fitted_share, share_of_disagreement
from hidden_context.people.source import Source

NUM_ITEMS = 10
SPREADS = {"normal": (0.0, 1.1, 3.0), "groups": (1.8,)}
"""Standard deviation of an item's two directions, in units of the noise of a comparison."""
SAME = np.zeros((2, 2, 2))


def world(
    people: int, count: int, spread: float, seed: int, kind: str = "normal"
) -> tuple[Ballots, float]:
    """What people say, and the true share of disagreement of people of their kind."""
    rng = np.random.default_rng(seed)
    mean, directions = rng.normal(size=NUM_ITEMS), spread * rng.normal(size=(NUM_ITEMS, 2))
    place, clusters = rng.normal(size=(people, 2)), Clusters.one(2)
    if kind == "groups":
        clusters = Clusters(np.array([[1.0, 0.0], [-1.0, 0.0]]), SAME, np.array([0.5, 0.5]))
        place = clusters.centers[rng.integers(2, size=people)]
    ballots = drawn(mean + place @ directions.T, count, rng)
    truth = People(ballots.items, mean, directions, np.zeros(1), np.ones(1), clusters, people)
    return ballots, fitted_share(truth, ballots)


def line(rows: np.ndarray) -> str:
    """Mean errors, and how many intervals hold the truth, lie above it and below it."""
    truth, fitted, value, low, high = rows.T
    above, below = low > truth + 1e-9, high < truth - 1e-9
    held = int((~above & ~below).sum())
    ends = binomtest(held, len(rows)).proportion_ci(method="exact")
    return (
        f"{len(rows)} worlds, true share {truth.mean():.3f}: fitted errs by "
        f"{(fitted - truth).mean():+.3f} (deviation {(fitted - truth).std():.3f}), value by "
        f"{(value - truth).mean():+.3f} ({(value - truth).std():.3f}); {held} intervals hold it "
        f"({ends.low:.2f} to {ends.high:.2f}), {above.sum()} lie above and {below.sum()} below, "
        f"mean width {(high - low).mean():.3f}, {(low == 0).sum()} begin at 0, "
        f"{(high == 1).sum()} end at 1"
    )


def main() -> None:
    """Print a line for each kind of world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("num_worlds", type=int)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--count", type=int, default=20, help="comparisons of each")
    parser.add_argument("--kind", choices=tuple(SPREADS), default="normal")
    parser.add_argument("--choose", action="store_true", help="directions and clusters too")
    given = parser.parse_args()
    directions = None if given.choose else 2
    for spread in SPREADS[given.kind]:
        rows, alike = [], 0
        for seed in range(given.num_worlds):
            ballots, truth = world(given.people, given.count, spread, seed, given.kind)
            source = Source(ballots)
            people = fit_people(source, num_directions=directions)
            if not people.directions.shape[1]:
                alike += 1
                continue
            found = share_of_disagreement(people, source)
            fitted = fitted_share(people, ballots)
            rows.append([truth, fitted, found.value, found.low, found.high])
        said = f"; in {alike} others no direction was chosen" if given.choose else ""
        print(f"spread {spread}: {line(np.array(rows)) if rows else 'none'}{said}", flush=True)


if __name__ == "__main__":
    main()
