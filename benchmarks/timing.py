"""Interleaved runs of ours and the peers, and what is said of them."""

import statistics
from collections.abc import Callable, Mapping

from tabulate import tabulate

Runs = dict[str, list[float]]
"""Seconds of each variant, one entry a repetition."""


def interleaved(variants: Mapping[str, Callable[[int], float]], repetitions: int) -> Runs:
    """Run each variant once a repetition, in an order that turns.

    Args:
        variants: By name; called with the number of the repetition, each returns its seconds.
        repetitions: How many.
    """
    runs: Runs = {name: [] for name in variants}
    names = list(variants)
    for repetition in range(repetitions):
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            runs[name].append(variants[name](repetition))
    return runs


def ratio(runs: Runs, peer: str, ours: str) -> tuple[float, float, float]:
    """Median, smallest and largest ratio of peer to ours within a repetition."""
    ratios = [theirs / own for theirs, own in zip(runs[peer], runs[ours], strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def report(runs: Runs, ours: str, wanted: Mapping[str, float], *, unit: str, per: float) -> str:
    """A Markdown table: medians, ratios with their spread, and whether what is wanted is reached.

    Args:
        runs: From `interleaved`.
        ours: The variant that the others are compared with.
        wanted: The least ratio of some of the others.
        unit: What `per` is.
        per: Units of work a run.
    """
    rows = []
    for name, seconds in runs.items():
        row = [name, f"{statistics.median(seconds) / per * 1000:.4g}"]
        if name != ours:
            middle, low, high = ratio(runs, name, ours)
            row.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            if name in wanted:
                row += [f"{wanted[name]:g}", verdict(middle, wanted[name])]
        rows.append(row)
    headers = ["variant", f"ms a {unit}", f"times the time of {ours} (range)", "wanted", ""]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def verdict(found: float, wanted: float) -> str:
    """Whether a ratio is as large as wanted."""
    return "reached" if found >= wanted else f"missed by {100 * (1 - found / wanted):.1f} %"
