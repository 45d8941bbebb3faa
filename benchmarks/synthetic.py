"""Synthetic experiments: `--pairs all` against the published loop, in time and in what is learned.

    python benchmarks/synthetic.py

Every model is trained both ways on each seed, one after the other, from the same weights and at
the same batch size and learning rate; ours takes more iterations, each much shorter. Seconds are
those of one processor (torch runs on one thread, so that cores do not matter); evaluation is not
timed. Ours has reached its aim where the published loop takes at least 6 times as long and ours is
no worse, in the median over seeds, in the expected loss and in the mean error of P(i ≻ j), both
against the exact answers.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from tabulate import tabulate
from timing import Runs, interleaved, ratio, verdict

from hidden_context.synthetic.environments import ENVIRONMENTS, Environment
from hidden_context.synthetic.evaluate import evaluate, exact_answers
from hidden_context.synthetic.models import MODEL_NAMES, build_model
from hidden_context.synthetic.settings import Experiment, Pairs
from hidden_context.synthetic.train import train

BATCH_SIZE, LR = 2048, 0.001
"""Those of the documented call."""
PUBLISHED: Pairs = "sampled"
OURS: Pairs = "all"
WANTED = 6.0
"""Least ratio of the published time to ours."""
METRICS = ("expected_loss", "probability_mean_error")


@dataclass(frozen=True)
class Variant:
    """One way to train."""

    pairs: Pairs
    num_iterations: int


@dataclass(frozen=True)
class Result:
    """Both ways, for one model: each list has an entry a seed."""

    seconds: Runs
    metrics: dict[str, dict[str, list[float]]]
    """By the name of the pairs, then of the metric."""


def timed_training(
    name: str, environment: Environment, variant: Variant, seed: int
) -> tuple[float, dict[str, float]]:
    """Processor seconds of the training, and the metrics of the trained model."""
    model = build_model(name, environment, seed=seed)
    experiment = Experiment(
        environment.name, BATCH_SIZE, LR, variant.num_iterations, variant.pairs, seed
    )
    label = f"{name}, {variant.pairs}, seed {seed}"
    start = time.process_time()
    train(model, experiment, device=torch.device("cpu"), label=label)
    seconds = time.process_time() - start
    found = evaluate(model, environment)
    return seconds, {metric: found[metric] for metric in METRICS}


def compare(name: str, environment: Environment, variants: Sequence[Variant], seeds: int) -> Result:
    """Train one model every way on every seed, in turn."""
    metrics: dict[str, dict[str, list[float]]] = {
        variant.pairs: {metric: [] for metric in METRICS} for variant in variants
    }

    def run(variant: Variant, seed: int) -> float:
        seconds, found = timed_training(name, environment, variant, seed)
        for metric, value in found.items():
            metrics[variant.pairs][metric].append(value)
        return seconds

    runs: Mapping[str, partial[float]] = {
        variant.pairs: partial(run, variant) for variant in variants
    }
    return Result(interleaved(runs, seeds), metrics)


def report(results: dict[str, Result]) -> str:
    """A Markdown table: medians over the seeds, ratios with their range, what was reached."""
    rows = []
    for name, result in results.items():
        middle, low, high = ratio(result.seconds, PUBLISHED, OURS)
        row = [name]
        row += [f"{median(result.seconds[pairs]):.3g}" for pairs in (PUBLISHED, OURS)]
        row.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
        for metric in METRICS:
            row += [f"{median(result.metrics[pairs][metric]):.4f}" for pairs in (PUBLISHED, OURS)]
        rows.append([*row, verdict(middle, WANTED), worse_in(result) or "no worse"])
    headers = ["model", "published, s", "ours, s", "ratio (range)"]
    headers += ["loss, published", "ours", "error of P, published", "ours"]
    headers += [f"{WANTED:g} times", "quality"]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def worse_in(result: Result) -> str:
    """The metrics in which the median of ours is worse, or nothing."""
    medians = {
        metric: [median(result.metrics[pairs][metric]) for pairs in (PUBLISHED, OURS)]
        for metric in METRICS
    }
    worse = [metric for metric, (published, ours) in medians.items() if ours > published]
    return f"worse in {', '.join(worse)}" if worse else ""


def main(argv: Sequence[str] | None = None) -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", nargs="*", choices=[*ENVIRONMENTS], default=["1d"])
    parser.add_argument("--iterations", type=int, default=120, help="of the published loop")
    parser.add_argument("--longer", type=float, default=3.0, help="iterations of ours per one")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    print("## Synthetic experiments")
    variants = [
        Variant(PUBLISHED, given.iterations),
        Variant(OURS, round(given.longer * given.iterations)),
    ]
    for env in given.env:
        environment = ENVIRONMENTS[env]
        results = {name: compare(name, environment, variants, given.seeds) for name in MODEL_NAMES}
        least = exact_answers(environment)["expected_loss"]
        counts = ", ".join(f"{v.pairs}: {v.num_iterations} iterations" for v in variants)
        print(f"\n{env}, {given.seeds} seeds; {counts}; least possible loss {least:.4f}\n")
        print(report(results))


if __name__ == "__main__":
    main()
