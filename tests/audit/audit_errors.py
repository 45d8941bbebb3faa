"""How often an audit errs, and what it can find: worlds of 30 items of which everything is known.

python tests/audit/audit_errors.py ties mixture --num_comparisons 2000 --num_worlds 20

`bradley_terry` (one population), `ties` (the same, ties by threshold) and `lapse` (a tenth of the
answers random) have no hidden context; `mixture` is an even one of two populations; `normal` has
normal utilities with a spread of their own, whose r² is known; `annotators` are eight of different
tastes in two random groups.
"""

import argparse
import sys

import numpy as np
import torch

from hidden_context.audits.family_fit import FamilyFit, fit_family
from hidden_context.audits.folds import make_partitions
from hidden_context.audits.group_heads import LabelledVectors, gains, shuffled
from hidden_context.audits.heads import Pairs
from hidden_context.audits.lapse import fit_again, lapse_of
from hidden_context.audits.null_fits import null_figures
from hidden_context.audits.refits import with_refitted_intervals
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.evaluate import evaluate

NUM_ITEMS, NUM_FOLDS, NUM_ANNOTATORS = 30, 3, 8
THRESHOLD, LAPSE = 0.5, 0.1
WORLDS = ("bradley_terry", "ties", "lapse", "mixture", "normal", "annotators")


def draw_pairs(world: str, n: int, seed: int) -> tuple[Pairs, np.ndarray, float]:
    """Comparisons of items, who judged each, and the true r² of the items."""
    rng = np.random.default_rng(seed)
    tastes = rng.normal(size=(NUM_ANNOTATORS, NUM_ITEMS))
    std = np.exp(rng.normal(size=NUM_ITEMS) / 2)
    first = rng.integers(0, NUM_ITEMS, n)
    second = (first + rng.integers(1, NUM_ITEMS, n)) % NUM_ITEMS
    judge = rng.integers(0, {"mixture": 2, "annotators": NUM_ANNOTATORS}.get(world, 1), n)
    ahead = tastes[judge, first] - tastes[judge, second]
    if world == "normal":
        ahead = ahead + rng.normal(size=n) * np.hypot(std[first], std[second])
    else:
        ahead = ahead + rng.logistic(size=n)
    edge = THRESHOLD if world == "ties" else 0.0
    shares = np.stack([ahead < -edge, abs(ahead) <= edge, ahead > edge], axis=1).astype(np.float32)
    if world == "lapse":
        at_random = rng.random(n) < LAPSE
        shares[at_random] = np.eye(3)[2 * rng.integers(0, 2, at_random.sum())]
    outcomes = Outcomes(shares, np.ones(n, np.float32))
    explained = tastes[0].var()
    r2 = explained / (explained + (std**2).mean())
    return Pairs(torch.eye(NUM_ITEMS), first, second, outcomes, np.arange(n)), judge, r2


def of_null(pairs: Pairs, family: str, seed: int) -> dict[str, float]:
    """Whether hidden context was found, and what was said of lapses."""
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=1, seed=0)
    fits: dict[str, FamilyFit] = {
        name: fit_family(make_family(name), pairs, partitions, ties="threshold")
        for name in ("base", family)
    }
    said = lapse_of(fits, fit_again(fits["base"], ties="threshold", lapse=True))
    scores = fits[family].scores
    gain = evaluate(
        scores, baseline=fits["base"].scores, risks=(), measures=("likelihood",)
    ).against_base
    null = null_figures(fits, fits["base"], num_votes=np.ones(len(pairs)), num_draws=19, seed=seed)
    figures = {each.figure: each for each in null[family]}
    assert gain is not None
    return {
        "p": figures["against_base"].p_value or np.nan,
        "p of r2": figures["r2_pooled"].p_value or np.nan,
        "p <= .05": (figures["against_base"].p_value or 1) <= 0.05,
        "p of r2 <= .05": (figures["r2_pooled"].p_value or 1) <= 0.05,
        "gain": gain.value,
        "gain above 0": gain.against(0) == "above",
        "lapse": said.share,
        "better than lapse": said.against[family].against(0) == "above",
        "lapse is better": said.against[family].against(0) == "below",
    }


def of_groups(pairs: Pairs, annotator: np.ndarray, seed: int) -> dict[str, float]:
    """Whether two random groups of annotators get credit."""
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=1, seed=0)
    base = fit_family(make_family("base"), pairs, partitions, ties="half")
    group = np.random.default_rng(seed).permutation(np.arange(NUM_ANNOTATORS) % 2)[annotator]
    _, others = shuffled(group, pairs.prompt, annotator, seed=seed)
    vectors = LabelledVectors(pairs.vectors, 2)
    gain, *of_shuffled = gains(base, [group, *others], vectors, [pairs.prompt, annotator])
    p = (1 + sum(each.value >= gain.value for each in of_shuffled)) / (1 + len(others))
    above = gain.against(0) == "above"
    return {"p": p, "gain": gain.value, "gain above 0": above, "it does": above and p <= 0.05}


def of_r2(pairs: Pairs, true: float, family: str, seed: int) -> dict[str, float]:
    """Whether the interval of pooled r² holds that of the items."""
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=1, seed=0)
    fit = fit_family(make_family(family), pairs, partitions, ties="half")
    found = evaluate(fit.scores, measures=("explained_variance",), scales=("pooled",))
    held = found.explained_variance["pooled"]
    again = with_refitted_intervals(fit, {"pooled": held}, annotator=None, seed=seed)["pooled"]

    def covers(low: float | None, high: float | None) -> bool:
        return low is not None and high is not None and low <= true <= high

    return {
        "bias": held.value - true,
        "covered with fits held": covers(held.low, held.high),
        "covered by refits": covers(again.low, again.high),
        "width of refits": (again.high or 0.0) - (again.low or 0.0),
    }


def main(argv: list[str] | None = None) -> int:
    """Print the mean of every figure over worlds."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", nargs="+", choices=WORLDS)
    parser.add_argument("--num_comparisons", type=int, nargs="+", default=[2000])
    parser.add_argument("--num_worlds", type=int, default=20)
    parser.add_argument("--first_world", type=int, default=0)
    parser.add_argument("--family", default="mean_and_variance")
    arguments = parser.parse_args(argv)
    for world in arguments.world:
        for n in arguments.num_comparisons:
            rows = []
            for seed in range(arguments.first_world, arguments.first_world + arguments.num_worlds):
                pairs, judge, r2 = draw_pairs(world, n, seed)
                if world == "annotators":
                    rows.append(of_groups(pairs, judge, seed))
                elif world == "normal":
                    rows.append(of_r2(pairs, r2, arguments.family, seed))
                else:
                    rows.append(of_null(pairs, arguments.family, seed))
            table = pd.DataFrame(rows).astype(float)
            print(f"## {world}, {n} comparisons, {len(table)} worlds, {arguments.family}\n")
            print(table.mean().round(4).to_string(), flush=True)
            if "p" in table:
                print("p:", *np.sort(table["p"].to_numpy().round(2)), "\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
