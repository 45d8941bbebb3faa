"""What a distribution costs: a training step of each family against the scalar one.

python benchmarks/families.py
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence

from tabulate import tabulate
from timing import interleaved, ratio, verdict
from training import OURS, make_trainer, random_batches, train
from transformers.utils import logging as transformers_logging
from workload import Pair, make_pairs

from hidden_context.distributions import FAMILIES

BATCH_SIZE = 8
STEPS = 5
"""Timed steps of a repetition; one more comes before them."""
MOST = 1.05
"""Largest ratio of a family's time to that of the scalar one that is wanted."""


def seconds(family: str, batches: Sequence[list[Pair]]) -> float:
    """Time of the steps after the first."""
    pairs = [pair for batch in batches for pair in batch]
    with tempfile.TemporaryDirectory() as folder:
        return train(make_trainer(OURS, pairs, BATCH_SIZE, folder, family))[0]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    repetitions = parser.parse_args().repetitions
    transformers_logging.set_verbosity_error()
    pairs, source = make_pairs()
    batches = random_batches(pairs, BATCH_SIZE)
    seconds("base", batches[: STEPS + 1])  # warm

    def run(family: str, repetition: int) -> float:
        first = repetition * (STEPS + 1)
        return seconds(family, batches[first : first + STEPS + 1])

    runs = interleaved(
        {family: lambda number, family=family: run(family, number) for family in FAMILIES},
        repetitions,
    )
    rows = []
    for family, times in runs.items():
        middle, low, high = ratio(runs, family, "base")
        row = [family, f"{statistics.median(times) / STEPS * 1000:.4g}"]
        row.append("" if family == "base" else f"{middle:.3f} ({low:.3f} to {high:.3f})")
        row.append("" if family == "base" else verdict(MOST, middle))
        rows.append(row)
    print(
        f"## Cost of the families\n\nBatch {BATCH_SIZE}, on {source}; {repetitions} repetitions.\n"
    )
    headers = ["family", "ms a step", "ratio to base (range)", f"at most {MOST}"]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
