"""The audit finds spread where there is some, and none where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import LOG_STD, MEAN, simulated_pairs

from hidden_context.audits.audit import fit_families
from hidden_context.audits.family_fit import fit_family
from hidden_context.audits.folds import make_partitions
from hidden_context.audits.group_heads import between_labels
from hidden_context.audits.plan import Plan
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation

NUM_PAIRS = 2500


def audited(*, spread: bool):
    pairs = simulated_pairs(NUM_PAIRS, spread=spread)
    plan = Plan((make_family("base"), make_family("mean_and_variance")), 3, 1, 0, "half", 0)
    fits = fit_families(pairs, plan)
    fit, baseline = fits["mean_and_variance"], fits["base"]
    measures = ("likelihood", "explained_variance")
    evaluation = evaluate(
        fit.scores, baseline=baseline.scores, measures=measures, scales=("pooled",)
    )
    return pairs, fit, evaluation


def gain_of(evaluation: Evaluation):
    assert evaluation.against_base is not None
    return evaluation.against_base


def test_spread_that_differs_between_texts_predicts_better_and_is_recovered():
    pairs, fit, evaluation = audited(spread=True)
    assert gain_of(evaluation).low > 0
    utility = fit.scores[0].family.decode(fit.scores[0].by_row[:, 0])
    vectors = pairs.vectors[pairs.first].numpy() * len(MEAN) ** 0.5
    for learned, true in ((utility.mean, vectors @ MEAN), (np.log(utility.std), vectors @ LOG_STD)):
        # three heads of two thousand noisy comparisons, and softplus for exp: strong, not exact
        assert np.corrcoef(learned, true)[0, 1] > 0.8


def test_equal_spread_gains_nothing_over_the_scalar_family():
    _, _, evaluation = audited(spread=False)
    # logit against probit differ by .0177 at most in P, so by less than .003 nats in the mean
    assert gain_of(evaluation).value < 0.003
    true = (MEAN**2).sum() / ((MEAN**2).sum() + 1)
    assert evaluation.explained_variance["pooled"].value == pytest.approx(true, abs=0.1)


@pytest.mark.parametrize("apart", [2.0, 0.0])
def test_variance_between_two_groups_is_found_if_they_differ_and_not_if_their_names_are_shuffled(
    apart: float,
):
    """Groups whose utilities differ by `apart` in one coordinate, deviation 1 in both.

    D differs between the groups by apart·Δx with Δx ~ N(0, 2), so between is apart²/2 in the mean,
    and within is 2: a share of one half for apart = 2.
    """
    num_pairs = NUM_PAIRS // 2
    rng = np.random.default_rng(0)
    pairs = simulated_pairs(num_pairs, spread=False)
    group = rng.integers(0, 2, num_pairs)
    x = np.stack([pairs.vectors[rows].numpy() for rows in (pairs.first, pairs.second)])
    x *= len(MEAN) ** 0.5
    of_group = MEAN + apart * np.outer([-0.5, 0.5], np.eye(len(MEAN))[5])
    difference = ((x[0] - x[1]) * of_group[group]).sum(1)
    won = rng.normal(size=num_pairs) * 2**0.5 < difference
    shares = np.stack([~won, np.zeros(num_pairs), won], axis=1).astype(np.float32)
    pairs = replace(pairs, outcomes=Outcomes(shares, np.ones(num_pairs, np.float32)))
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    fit, scalar = (
        fit_family(make_family(name), pairs, partitions, ties="half")
        for name in ("mean_and_variance", "base")
    )
    between = between_labels(fit, scalar, group, by="group", seed=0)
    assert between is not None
    assert between.shuffled is not None
    assert between.num_labels == 2
    true = apart**2 / (apart**2 + 4)
    # r² of heads fitted to twice as many comparisons is known within .1 too (above)
    assert between.share.value == pytest.approx(true, abs=0.1)
    assert between.shuffled.value < 0.1
    found = between.gain.low > 0 and between.p_value == 1 / 20
    assert found == (apart > 0)
    assert np.mean(between.shuffled_gains) < 0
