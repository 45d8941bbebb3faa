"""The audit finds spread where there is some, and none where there is none."""

import numpy as np
import pytest
from simulated_pairs import LOG_STD, MEAN, simulated_pairs

from hidden_context.audit.audited_set import Plan, audit_set
from hidden_context.distributions import make_family

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
    vectors = pairs.vectors.states[pairs.first] * len(MEAN) ** 0.5
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
