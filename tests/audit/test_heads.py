import numpy as np
import pytest
import torch
from simulated_pairs import WIDTH, simulated_pairs
from sklearn.linear_model import LogisticRegression

from hidden_context.audits.folds import Partitions
from hidden_context.audits.heads import NOT_HELD_OUT, HeadSet, fit, relabelled
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes


def head_set_of(
    num_pairs: int, ridges: list[float], held_out: int = NOT_HELD_OUT, seed: int = 0
) -> HeadSet:
    fold = (np.arange(num_pairs) // 2 % 5)[:, None].astype(np.int8)
    return HeadSet(
        Partitions(fold, (seed,), num_folds=5),
        seed=np.zeros(len(ridges), int),
        held_out=np.tile([held_out, NOT_HELD_OUT], (len(ridges), 1)),
        ridge=np.array(ridges),
    )


@pytest.mark.parametrize("held_out", [NOT_HELD_OUT, 2])
def test_a_scalar_head_is_logistic_regression_with_the_same_prior(held_out):
    pairs = simulated_pairs(600, spread=False)
    ridges = [1.0, 30.0]
    head_set = head_set_of(600, ridges, held_out)
    *_, heads = fit(
        make_family("base"),
        pairs,
        head_set,
        outcome_model=OutcomeModel(),
        checkpoints=[300],
    )
    seen = head_set.fitted_to(np.arange(600))[:, 0]
    difference = (pairs.vectors[pairs.first] - pairs.vectors[pairs.second]).numpy()[seen]
    won = pairs.outcomes.shares[seen, 2] > 0
    for number, ridge in enumerate(ridges):
        peer = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-8).fit(difference, won)
        found = heads.weight[:, number, 0].numpy()
        np.testing.assert_allclose(found, peer.coef_[0], atol=2e-3)


@pytest.mark.parametrize("name", ["base", "mean_and_variance", "categorical"])
def test_a_head_is_the_same_alone_and_among_others(name):
    pairs = simulated_pairs(200, spread=True)
    arguments = {"outcome_model": OutcomeModel(), "checkpoints": [20]}
    (together,) = fit(
        make_family(name), pairs, head_set_of(200, [1.0, 10.0, 100.0], seed=3), **arguments
    )
    (alone,) = fit(make_family(name), pairs, head_set_of(200, [10.0], seed=3), **arguments)
    torch.testing.assert_close(together.weight[:, [1]], alone.weight, atol=1e-5, rtol=1e-4)


def test_every_head_learns_its_own_threshold():
    pairs = simulated_pairs(300, spread=False)
    shares = pairs.outcomes.shares.copy()
    shares[::3] = [0.0, 1.0, 0.0]
    tied = type(pairs)(
        pairs.vectors,
        pairs.first,
        pairs.second,
        Outcomes(shares, pairs.outcomes.weight),
        pairs.prompt,
    )
    model = OutcomeModel("threshold", (0.5,))
    (heads,) = fit(
        make_family("base"),
        tied,
        head_set_of(300, [1.0, 300.0]),
        outcome_model=model,
        checkpoints=[150],
    )
    (threshold,) = map(torch.as_tensor, heads.outcome_model.thresholds)
    # with equal utilities P(tie) = 1 - 2σ(-δ), a third at δ = ln 2; more spread needs more
    assert threshold[1] == pytest.approx(np.log(2), abs=0.05)
    assert threshold[0] > threshold[1]


def test_other_labels_leave_the_votes_for_a_tie_as_they_are():
    outcomes = Outcomes(np.array([[0.5, 0.0, 0.5], [0.1, 0.8, 0.1], [0.0, 1.0, 0.0]]), np.ones(3))
    other = relabelled(outcomes, np.array([1.0, 0.25, 1.0]))
    np.testing.assert_allclose(other.shares, [[0, 0, 1], [0.15, 0.8, 0.05], [0, 1, 0]])


def test_heads_start_at_the_scale_that_their_family_says():
    pairs = simulated_pairs(50, spread=False)
    (heads,) = fit(
        make_family("shared_context"),
        pairs,
        head_set_of(50, [1.0] * 40),
        outcome_model=OutcomeModel(),
        checkpoints=[0],
    )
    assert heads.weight.shape[0] == WIDTH
    scale = torch.tensor(make_family("shared_context").head_scales)
    assert heads.weight.std() == pytest.approx(float(scale.mean()), rel=0.5)
