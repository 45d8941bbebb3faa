"""The audit finds spread where there is some, and none where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import LOG_STD, MEAN, simulated_pairs

from hidden_context.audit.audited_set import Plan, audit_set
from hidden_context.audit.crossfit import cross_fit, make_partitions
from hidden_context.audit.family_measures import measure
from hidden_context.audit.group_heads import between_labels
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

NUM_PAIRS = 3000


def audited(*, spread: bool):
    pairs = simulated_pairs(NUM_PAIRS, spread=spread)
    plan = Plan((make_family("base"), make_family("mean_and_variance")), 5, 2, 0, "half", 0)
    return pairs, audit_set(pairs, plan, lengths=None, num_votes=np.ones(NUM_PAIRS))


def test_spread_that_differs_between_texts_predicts_better_and_is_recovered():
    pairs, found = audited(spread=True)
    assert found.figures[1]["against_base"]["low"] > 0
    ours = found.measured["mean_and_variance"]
    utility = ours.family.decode(ours.held_out.first[0].astype(np.float64))
    vectors = pairs.vectors[pairs.first].numpy() * len(MEAN) ** 0.5
    for learned, true in ((utility.mean, vectors @ MEAN), (np.log(utility.std), vectors @ LOG_STD)):
        # five heads of a few thousand noisy comparisons, and softplus for exp: strong, not exact
        assert np.corrcoef(learned, true)[0, 1] > 0.8


def test_equal_spread_gains_nothing_over_the_scalar_family():
    _, found = audited(spread=False)
    # logit against probit differ by .0177 at most in P, so by less than .003 nats in the mean
    assert found.figures[1]["against_base"]["value"] < 0.003
    reports = {each["scale"]: each for each in found.figures[1]["explained_variance"]}
    true = (MEAN**2).sum() / ((MEAN**2).sum() + 1)
    assert reports["pooled"]["value"] == pytest.approx(true, abs=0.1)


@pytest.mark.parametrize("apart", [2.0, 0.0])
def test_variance_between_two_groups_is_found_if_they_differ_and_not_if_their_names_are_shuffled(
    apart: float,
):
    """Groups whose utilities differ by `apart` in one coordinate, deviation 1 in both.

    D differs between the groups by apart·Δx with Δx ~ N(0, 2), so between is apart²/2 in the mean,
    and within is 2: a share of one half for apart = 2.
    """
    rng = np.random.default_rng(0)
    pairs = simulated_pairs(NUM_PAIRS, spread=False)
    group = rng.integers(0, 2, NUM_PAIRS)
    x = np.stack([pairs.vectors[rows].numpy() for rows in (pairs.first, pairs.second)])
    x *= len(MEAN) ** 0.5
    of_group = MEAN + apart * np.outer([-0.5, 0.5], np.eye(len(MEAN))[5])
    difference = ((x[0] - x[1]) * of_group[group]).sum(1)
    won = rng.normal(size=NUM_PAIRS) * 2**0.5 < difference
    shares = np.stack([~won, np.zeros(NUM_PAIRS), won], axis=1).astype(np.float32)
    pairs = replace(pairs, outcomes=Outcomes(shares, np.ones(NUM_PAIRS, np.float32)))
    family, model = make_family("mean_and_variance"), OutcomeModel()
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    ours = measure(cross_fit(family, pairs, partitions, outcome_model=model), pairs, partitions)
    found = between_labels(ours, pairs, partitions, group, outcome_model=model, seed=0)
    assert found is not None
    assert found["num_labels"] == 2
    true = apart**2 / (apart**2 + 4)
    # r² of heads fitted to as many comparisons is known within .1 too (above)
    assert found["share"]["value"] == pytest.approx(true, abs=0.1)
    assert found["shuffled"]["value"] < 0.1
    assert (found["gain"]["low"] > 0) == (apart > 0)
    assert found["shuffled_gain"]["low"] < 0
