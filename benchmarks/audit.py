"""Seconds and peak memory of an audit's heads on cached states: what cross-validation costs.

python benchmarks/audit.py [--num_pairs 4000] [--width 768]

The states are random, for time does not depend on what they hold. The peer fits the scalar family
alone, one fold, seed and ridge after another, by scikit-learn's logistic regression at its default
tolerance. Seconds of processors stand beside, which a busy machine does not change.
"""

import argparse
import resource
import sys
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from hidden_context.audits.crossfit import RIDGES, cross_fit
from hidden_context.audits.folds import make_partitions
from hidden_context.audits.heads import Pairs
from hidden_context.audits.vectors import find_axes, make_vectors
from hidden_context.distributions import Family, make_family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

FAMILIES = ("base", "mean_and_variance", "categorical")
NUM_FOLDS, NUM_SEEDS = 5, 3


def make_pairs(num_pairs: int, width: int) -> Pairs:
    """Comparisons by a noisy scalar utility of random states, two to a prompt."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2 * num_pairs, width)).astype(np.float32)
    utility = states @ rng.normal(size=width) * (2 / width**0.5)
    first, second = np.arange(num_pairs), np.arange(num_pairs) + num_pairs
    won = rng.random(num_pairs) < 1 / (1 + np.exp(utility[second] - utility[first]))
    shares = np.stack([~won, np.zeros(num_pairs), won], axis=1).astype(np.float32)
    vectors = make_vectors(
        states, find_axes(states, first, second), np.arange(len(states)), memory=2**33
    )
    outcomes = Outcomes(shares, np.ones(num_pairs, np.float32))
    return Pairs(vectors, first, second, outcomes, first // 2)


def seconds(pairs: Pairs, family: Family) -> np.ndarray:
    """Of all folds, seeds and ridges of one family; and of processors."""
    started = _now()
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=NUM_SEEDS, seed=0)
    cross_fit(family, pairs, partitions, outcome_model=OutcomeModel())
    return _now() - started


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def peer_seconds(pairs: Pairs) -> np.ndarray:
    """Of as many heads of the scalar family, one by one."""
    started = _now()
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=NUM_SEEDS, seed=0)
    difference = (pairs.vectors[pairs.first] - pairs.vectors[pairs.second]).numpy()
    won = pairs.outcomes.shares[:, 2] > 0
    for fold in partitions.fold.T:
        for held_out in range(NUM_FOLDS):
            also = (held_out + 1) % NUM_FOLDS
            for ridge in RIDGES:
                seen = (fold != held_out) & (fold != also)
                model = LogisticRegression(C=1 / ridge, fit_intercept=False)
                model.fit(difference[seen], won[seen])
    return _now() - started


def main(argv: list[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num_pairs", type=int, default=4000)
    parser.add_argument("--width", type=int, default=768)
    arguments = parser.parse_args(argv)
    pairs = make_pairs(arguments.num_pairs, arguments.width)
    print("## Audit\n")
    print(
        f"{arguments.num_pairs} pairs, width {arguments.width}, {NUM_FOLDS} folds, "
        f"{NUM_SEEDS} seeds, {len(RIDGES)} ridges\n"
    )
    print("| family | seconds | of processors |\n|---|---|---|")
    found = {name: seconds(pairs, make_family(name)) for name in FAMILIES}
    for name, (taken, used) in found.items():
        print(f"| {name} | {taken:.2f} | {used:.2f} |")
    taken, used = np.sum([*found.values()], axis=0)
    print(f"| all | {taken:.1f} (wanted: at most 20) | {used:.1f} |")
    taken, used = peer_seconds(pairs)
    times, times_used = (taken, used) / found["base"]
    print(
        f"| peer: scikit-learn, base alone | {taken:.2f} ({times:.1f} times) | {used:.2f} "
        f"({times_used:.1f} times) |"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
