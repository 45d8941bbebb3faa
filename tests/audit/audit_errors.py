"""How often an audit errs, and what it can find: worlds of 30 items of which everything is known.

python tests/audit/audit_errors.py ties mixture --num_comparisons 2000 --num_worlds 20

`bradley_terry` (one population), `ties` (the same, ties by threshold) and `lapse` (a tenth of the
answers random) have no hidden context, nor has `one_spread` (normal noise, the same for all items,
where that of the scalar family is logistic); `mixture` is an even one of two populations, with
utilities of deviation 1, `strong_mixture` of deviation 2; `normal` has normal utilities with a
spread of their own, whose r² is known; `annotators` are eight of different tastes in two random
groups.
"""

import argparse
import sys
import time
from dataclasses import replace

import numpy as np
import torch

from hidden_context.audits.corrected_r2 import corrected
from hidden_context.audits.family_fit import fit_family
from hidden_context.audits.fitted_gain import fitted_gains
from hidden_context.audits.folds import make_partitions
from hidden_context.audits.group_heads import LabelledVectors, gains, shuffled
from hidden_context.audits.heads import Pairs
from hidden_context.audits.lapse import fit_again, lapse_of
from hidden_context.audits.null_fits import answer_sets, tuned_by
from hidden_context.audits.refits import with_refitted_intervals
from hidden_context.audits.sentences import LARGEST_P
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import Outcomes, default_outcome_model
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.parametric_bootstrap import (
    detectable_gains,
    max_statistic_tests,
    parametric_bootstrap,
)

NUM_ITEMS, NUM_FOLDS, NUM_ANNOTATORS = 30, 3, 8
NUM_DRAWS = 19
THRESHOLD, LAPSE = 0.5, 0.1
WORLDS = (
    "bradley_terry",
    "ties",
    "lapse",
    "one_spread",
    "mixture",
    "strong_mixture",
    "normal",
    "annotators",
)
NUM_JUDGES = {"mixture": 2, "strong_mixture": 2, "annotators": NUM_ANNOTATORS}


def draw_pairs(world: str, n: int, seed: int) -> tuple[Pairs, np.ndarray, float]:
    """Comparisons of items, who judged each, and the true r² of the items."""
    rng = np.random.default_rng(seed)
    tastes = rng.normal(size=(NUM_ANNOTATORS, NUM_ITEMS)) * (2 if world == "strong_mixture" else 1)
    std = np.exp(rng.normal(size=NUM_ITEMS) / 2)
    first = rng.integers(0, NUM_ITEMS, n)
    second = (first + rng.integers(1, NUM_ITEMS, n)) % NUM_ITEMS
    judge = rng.integers(0, NUM_JUDGES.get(world, 1), n)
    ahead = tastes[judge, first] - tastes[judge, second]
    if world == "one_spread":
        std = np.ones(NUM_ITEMS)
    if world in ("normal", "one_spread"):
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


def of_null(pairs: Pairs, families: list[str], seed: int) -> dict[str, float]:
    """Whether hidden context is found by each family."""
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=1, seed=0)
    base = fit_family(make_family("base"), pairs, partitions, ties="threshold")
    to_choose_by, shares = answer_sets(
        base, num_votes=np.ones(len(pairs)), num_draws=NUM_DRAWS, seed=seed
    )
    models, ridges = {}, {}
    for name in ("base", *families):
        family = make_family(name)
        start = default_outcome_model(family, 1, ties=base.fitted.start.ties)
        models[name] = (family, start)
        own = replace(base, fitted=replace(base.fitted, family=family, start=start))
        ridges[name] = float(tuned_by(own, to_choose_by).ridge[0, 0])
    of_families = fitted_gains(models, pairs, shares, partitions, ridges=ridges)
    alone = {
        name: parametric_bootstrap(name, gained[0], gained[1:], tail="upper")
        for name, gained in of_families.items()
    }
    detectable = detectable_gains({name: each.draws for name, each in alone.items()})
    figures = {f"ridge of {name}": ridge for name, ridge in ridges.items()}
    for name, test in max_statistic_tests(alone).items():
        assert test.p_value is not None
        figures[f"p of {name}"] = test.p_value
        figures[f"found by {name}"] = test.p_value <= LARGEST_P
        above = float(test.observed - np.mean(test.draws))
        figures[f"gain above the draws', {name}"] = above
        figures[f"the same in their deviations, {name}"] = above / float(np.std(test.draws, ddof=1))
        figures[f"detectable gain, {name}"] = detectable[name]
    figures["found by any"] = any(figures[f"found by {name}"] for name in families)
    return figures


def of_lapse(pairs: Pairs, family: str) -> dict[str, float]:
    """What is said of careless clicks."""
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=1, seed=0)
    fits = {
        name: fit_family(make_family(name), pairs, partitions, ties="threshold")
        for name in ("base", family)
    }
    said = lapse_of(fits, fit_again(fits["base"], ties="threshold", lapse=True))
    compared = evaluate(
        fits[family].scores, baseline=fits["base"].scores, risks=(), measures=("likelihood",)
    )
    assert compared.against_base is not None
    against = said.against[family].against(0)
    return {
        "lapse": said.share,
        "gain of lapses": said.gain.value,
        "lapses predict better": said.gain.against(0) == "above",
        f"gain of {family}": compared.against_base.value,
        f"{family} predicts better": compared.against_base.against(0) == "above",
        "better than lapses": against == "above",
        "lapses are better than it": against == "below",
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
    """Whether intervals of pooled r² hold that of the items."""
    partitions = make_partitions(pairs.prompt, num_folds=NUM_FOLDS, num_seeds=1, seed=0)
    fit = fit_family(make_family(family), pairs, partitions, ties="half")
    found = evaluate(fit.scores, measures=("explained_variance",), scales=("pooled",))
    held = found.explained_variance
    intervals = {
        "fits held": held,
        "refits": with_refitted_intervals(fit, held, annotator=None, seed=seed),
        "corrected": corrected(
            fit.fitted,
            held,
            num_votes=np.ones(len(pairs)),
            seed=seed,
        ),
    }
    figures = {}
    for name, by_scale in intervals.items():
        r2 = by_scale["pooled"]
        assert r2.low is not None
        assert r2.high is not None
        figures[f"error, {name}"] = r2.value - true
        figures[f"size of error, {name}"] = abs(r2.value - true)
        figures[f"covered, {name}"] = r2.low <= true <= r2.high
        figures[f"width, {name}"] = r2.high - r2.low
    return figures


def main(argv: list[str] | None = None) -> int:
    """Print the mean of every figure over worlds."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", nargs="+", choices=WORLDS)
    parser.add_argument("--num_comparisons", type=int, nargs="+", default=[2000])
    parser.add_argument("--num_worlds", type=int, default=20)
    parser.add_argument("--first_world", type=int, default=0)
    parser.add_argument("--lapses", action="store_true", help="what is said of careless clicks too")
    parser.add_argument("--families", nargs="+", default=["mean_and_variance"])
    arguments = parser.parse_args(argv)
    for world in arguments.world:
        for n in arguments.num_comparisons:
            started, rows = time.perf_counter(), []
            for seed in range(arguments.first_world, arguments.first_world + arguments.num_worlds):
                pairs, judge, r2 = draw_pairs(world, n, seed)
                if world == "annotators":
                    rows.append(of_groups(pairs, judge, seed))
                elif world == "normal":
                    rows.append(of_r2(pairs, r2, arguments.families[0], seed))
                else:
                    rows.append(of_null(pairs, arguments.families, seed))
                    if arguments.lapses:
                        rows[-1] |= of_lapse(pairs, arguments.families[0])
            table = pd.DataFrame(rows).astype(float)
            took = time.perf_counter() - started
            print(f"## {world}, {n} comparisons, {len(table)} worlds, {took:.0f} s\n")
            print(table.mean().round(4).to_string(), flush=True)
            for name in table.columns[table.columns.str.startswith("p")]:
                print(f"{name}:", *sorted(table[name].round(2).tolist()), "\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
