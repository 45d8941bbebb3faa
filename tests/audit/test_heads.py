from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit
from simulated_pairs import WIDTH, simulated_pairs
from sklearn.linear_model import LogisticRegression

from hidden_context.audits.folds import Partitions
from hidden_context.audits.heads import HeadsToFit, fit
from hidden_context.audits.scalar_heads import fit_scalar
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes


def heads_to_fit(
    num_pairs: int, ridges: list[float], held_out: tuple[int, ...] = (), seed: int = 0
) -> HeadsToFit:
    fold = (np.arange(num_pairs) // 2 % 5)[:, None].astype(np.int8)
    return HeadsToFit(
        Partitions(fold, (seed,), num_folds=5),
        seed=np.zeros(len(ridges), int),
        held_out=np.tile(np.array(held_out, int), (len(ridges), 1)),
        ridge=np.array(ridges),
    )


@pytest.mark.parametrize("held_out", [(), (2,)])
@pytest.mark.parametrize("by", ["batches", "second order"])
def test_a_scalar_head_is_logistic_regression_with_the_same_prior(held_out, by):
    pairs = simulated_pairs(600, spread=False)
    ridges = [1.0, 30.0]
    to_fit = heads_to_fit(600, ridges, held_out)
    base, plain = make_family("base"), OutcomeModel()
    if by == "batches":
        (heads,) = fit(base, pairs, to_fit, outcome_model=plain, checkpoints=[300])
    else:
        heads = fit_scalar(base, pairs, to_fit, outcome_model=plain)
    seen = to_fit.fitted_to(np.arange(600))[:, 0]
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
        make_family(name), pairs, heads_to_fit(200, [1.0, 10.0, 100.0], seed=3), **arguments
    )
    (alone,) = fit(make_family(name), pairs, heads_to_fit(200, [10.0], seed=3), **arguments)
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
        heads_to_fit(300, [1.0, 300.0]),
        outcome_model=model,
        checkpoints=[150],
    )
    (threshold,) = map(torch.as_tensor, heads.outcome_model.thresholds)
    # with equal utilities P(tie) = 1 - 2σ(-δ), a third at δ = ln 2; more spread needs more
    assert threshold[1] == pytest.approx(np.log(2), abs=0.05)
    assert threshold[0] > threshold[1]


def test_ties_and_a_lapse_are_found_by_second_order_steps_as_by_any_other():
    """An independent minimiser of the same loss, scipy's, of one head with a ridge."""
    pairs = simulated_pairs(300, spread=False)
    shares = pairs.outcomes.shares.copy()
    shares[::7] = shares[::7, ::-1]  # some answers that no utility explains
    shares[::5] = [0.0, 1.0, 0.0]
    pairs = replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))
    model = OutcomeModel("threshold", (0.5,), lapse=0.05)
    heads = fit_scalar(
        make_family("base"), pairs, heads_to_fit(300, [1.0, 5.0]), outcome_model=model
    )
    difference = (pairs.vectors[pairs.first] - pairs.vectors[pairs.second]).numpy()

    def loss(at: np.ndarray) -> float:
        ahead, edge, lapse = difference @ at[:WIDTH], np.exp(at[-2]), expit(at[-1])
        won, lost = expit(ahead - edge), expit(-ahead - edge)
        prob = np.stack([lost, 1 - won - lost, won], axis=1) * (1 - lapse) + lapse / 3
        return -(shares * np.log(prob)).sum() / 300 + 5 * (at[:WIDTH] ** 2).sum() / 600

    peer = minimize(loss, np.full(WIDTH + 2, -0.5), tol=1e-9)
    np.testing.assert_allclose(heads.weight[:, 1, 0], peer.x[:WIDTH], atol=5e-3)
    (edge,) = map(torch.as_tensor, heads.outcome_model.thresholds)
    lapse = torch.as_tensor(heads.outcome_model.lapse)
    assert edge[1] == pytest.approx(np.exp(peer.x[-2]), abs=5e-3)
    assert lapse[1] == pytest.approx(expit(peer.x[-1]), abs=5e-3)


def test_heads_start_at_the_scale_that_their_family_says():
    pairs = simulated_pairs(50, spread=False)
    (heads,) = fit(
        make_family("shared_context"),
        pairs,
        heads_to_fit(50, [1.0] * 40),
        outcome_model=OutcomeModel(),
        checkpoints=[0],
    )
    assert heads.weight.shape[0] == WIDTH
    scale = torch.tensor(make_family("shared_context").head_scales)
    assert heads.weight.std() == pytest.approx(float(scale.mean()), rel=0.5)
