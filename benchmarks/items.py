"""Utilities of a list of items: ours, evalica, arena-rank and choix on the same arrays.

python benchmarks/items.py
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the peer that computes with jax

import numpy as np
from tabulate import tabulate
from timing import interleaved, ratio

from hidden_context.items import ItemComparisons, fit_items

TIE_SHARE = 0.2
SAME = 1e-6
"""Largest difference of a utility between ours and a peer's."""
PEERS = {"evalica": "evalica", "arena-rank": "arena_rank", "choix": "choix"}
WANTED = {  # seconds of ours, by size and variant
    (200, 2_000_000, "base"): 0.8,
    (200, 2_000_000, "mean_and_variance"): 2.0,
    (100, 100_000, "base"): 0.1,
}
RIDGE = 1.0
"""Of mean_and_variance, which with ties at random need not have a maximum without."""
SIZES = ((100, 100_000), (200, 2_000_000), (5_000, 200_000))


@dataclass(frozen=True)
class Votes:
    """Bradley–Terry items, normal with deviation 1, and one comparison in five a tie at random."""

    num_items: int
    first: np.ndarray
    second: np.ndarray
    win: np.ndarray
    """1, ½ or 0."""


def draw(num_items: int, num_comparisons: int) -> Votes:
    """Uniform pairs; the same for everybody."""
    rng = np.random.default_rng(0)
    utility = rng.normal(size=num_items)
    first = rng.integers(num_items, size=num_comparisons)
    second = (first + rng.integers(1, num_items, size=num_comparisons)) % num_items
    prob = 1 / (1 + np.exp(utility[second] - utility[first]))
    win = (rng.random(num_comparisons) < prob).astype(float)
    win[rng.random(num_comparisons) < TIE_SHARE] = 0.5
    return Votes(num_items, first, second, win)


def ours(votes: Votes, family: str, *, intervals: bool) -> np.ndarray:
    """Read the arrays, fit, and give the ends of intervals if they are wanted."""
    comparisons = ItemComparisons.decided(votes.first, votes.second, votes.win)
    ridge = 0.0 if family == "base" else RIDGE
    fit = fit_items(comparisons, family, ridge=ridge, check_spread=False)
    assert fit.converged
    return fit.moments()[0].value if intervals else np.asarray(fit.utility.mean)


def evalica(votes: Votes) -> np.ndarray:
    """Without intervals, which it does not have; a thousand rounds at most."""
    import evalica as peer  # pyrefly: ignore[missing-import]

    kinds = np.array([peer.Winner.Y, peer.Winner.Draw, peer.Winner.X], dtype=object)
    winners = kinds[(votes.win * 2).astype(int)].tolist()
    found = peer.bradley_terry(
        votes.first.tolist(), votes.second.tolist(), winners, tolerance=1e-10, limit=1000
    )
    return centered(np.log(found.scores.sort_index().to_numpy()))


def arena_rank(votes: Votes) -> np.ndarray:
    """With sandwich intervals."""
    import pandas as pd
    from arena_rank.models.bradley_terry import (  # pyrefly: ignore[missing-import]
        BradleyTerry,
    )
    from arena_rank.utils.data_utils import PairDataset  # pyrefly: ignore[missing-import]

    names = np.array(["tie", "model_a", "model_b"], dtype=object)
    said = names[np.where(votes.win == 0.5, 0, 2 - votes.win).astype(int)]
    table = pd.DataFrame({"model_a": votes.first, "model_b": votes.second, "winner": said})
    data = PairDataset.from_pandas(table)
    model = BradleyTerry(n_competitors=len(data.competitors), ftol=1e-14, gtol=1e-12)
    model.compute_ratings_and_cis(data)
    by_name = np.empty(votes.num_items)
    by_name[np.asarray(data.competitors, dtype=int)] = np.asarray(model.params["ratings"])
    return centered(by_name)


def choix(votes: Votes) -> np.ndarray:
    """By its iterations on a matrix of wins, ties as halves; without intervals."""
    import choix as peer  # pyrefly: ignore[missing-import]

    size = votes.num_items
    wins = np.bincount(votes.first * size + votes.second, votes.win, size * size)
    losses = np.bincount(votes.second * size + votes.first, 1 - votes.win, size * size)
    return centered(peer.ilsr_pairwise_dense((wins + losses).reshape(size, size), tol=1e-10))


def centered(utility: np.ndarray) -> np.ndarray:
    """With mean 0."""
    return utility - utility.mean()


def variants(votes: Votes) -> dict[str, Callable[[], np.ndarray]]:
    """What is timed; peers that are installed."""
    large = votes.num_items > 1000
    every: dict[str, Callable[[], np.ndarray]] = {
        "base": lambda: ours(votes, "base", intervals=False)
    }
    if not large:
        every["base, intervals"] = lambda: ours(votes, "base", intervals=True)
        every["mean_and_variance, ridge 1, intervals"] = lambda: ours(
            votes, "mean_and_variance", intervals=True
        )
    peers = {"evalica": evalica, "arena-rank": arena_rank, "choix": choix}
    for name, peer in peers.items():
        if importlib.util.find_spec(PEERS[name]) and not (large and name == "choix"):
            every[name] = lambda peer=peer: peer(votes)
    return every


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, of wall and of processor, and what was computed."""
    started, used = time.perf_counter(), time.process_time()
    found = run()
    return time.perf_counter() - started, (time.process_time() - used, found)


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    absent = [name for name, module in PEERS.items() if not importlib.util.find_spec(module)]
    print(
        f"## Lists of items\n\nTies at random, as halves: {TIE_SHARE:.0%}. From arrays in memory."
    )
    if absent:
        print(f"\nNot installed here, and so not compared: {', '.join(absent)}.")
    for num_items, num_comparisons in SIZES:
        votes = draw(num_items, num_comparisons)
        print(f"\n{num_comparisons:,} comparisons of {num_items:,} items:\n")
        print(table(votes, repetitions))
        sys.stdout.flush()


def table(votes: Votes, repetitions: int) -> str:
    """Seconds and ratios; every peer's utilities are compared with ours first."""
    every = variants(votes)
    first, found, processor = {}, {}, {name: [] for name in every}
    for name, run in every.items():
        first[name], (_, found[name]) = timed(run)
    for name in set(every) & set(PEERS):
        gap = np.abs(centered(found[name]) - centered(found["base"])).max()
        if gap > SAME:
            print(f"{name}: utilities differ from ours by {gap:.1e}, more than {SAME:g}.\n")

    def seconds(name: str) -> float:
        wall, (used, _) = timed(every[name])
        processor[name].append(used)
        return wall

    runs = interleaved({name: lambda _, name=name: seconds(name) for name in every}, repetitions)
    rows = []
    for name, times in runs.items():
        middle = statistics.median(times)
        low_high = ratio(runs, name, "base")
        wanted = WANTED.get((votes.num_items, len(votes.first), name.split(",")[0]))
        is_target = wanted is not None and "interval" in name
        state = "" if not is_target else "reached" if middle <= wanted else "missed"
        rows.append(
            [
                name,
                f"{first[name]:.2f}",
                f"{middle:.3f}",
                f"{statistics.median(processor[name]):.3f}",
                f"{low_high[0]:.2f} ({low_high[1]:.2f} to {low_high[2]:.2f})",
                f"{wanted:g}" if is_target else "",
                state,
            ]
        )
    headers = ["variant", "first call, s", "s", "processor, s", "times base (range)"]
    return tabulate(rows, [*headers, "at most, s", ""], tablefmt="pipe", disable_numparse=True)


if __name__ == "__main__":
    main()
