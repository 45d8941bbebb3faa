"""Families fitted to all votes of several sets of answers, and what they gain on the scalar one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_expit, log_ndtr
from simulated_pairs import WIDTH, simulated_pairs

from hidden_context.audits.fitted_gain import fit_to_all, fitted_gains
from hidden_context.audits.folds import Partitions, make_partitions
from hidden_context.audits.heads import HeadsToFit, Pairs
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

PLAIN = OutcomeModel()
NORMAL = make_family("mean_and_variance")


def in_one_fold(num_pairs: int) -> Partitions:
    return Partitions(np.zeros((num_pairs, 1), np.int8), (0,), num_folds=3)


def at_the_peer_maximum(pairs: Pairs, ridge: float) -> tuple[float, float]:
    """Nats per vote of a head of normal utilities and of the best scalar one, by scipy."""
    first, second = (pairs.vectors[rows].double().numpy() for rows in (pairs.first, pairs.second))
    sign = np.where(pairs.outcomes.shares[:, 2] > 0, 1.0, -1.0)

    def nats(at: np.ndarray) -> float:
        mean, std, bias = at[:WIDTH], at[WIDTH : 2 * WIDTH], at[-1]
        deviations = [np.logaddexp(0, x @ std + bias) for x in (first, second)]
        return log_ndtr(sign * ((first - second) @ mean) / np.hypot(*deviations)).mean()

    def with_logistic_noise(at: np.ndarray) -> float:
        return log_expit(sign * ((first - second) @ at)).mean()

    def with_normal_noise(at: np.ndarray) -> float:
        return log_ndtr(sign * ((first - second) @ at)).mean()

    def highest(of, size: int) -> float:
        def loss(at: np.ndarray) -> float:
            return -of(at) + ridge * (at**2).sum() / (2 * len(pairs))

        return of(minimize(loss, np.full(size, 0.1), tol=1e-9).x)

    scalar = max(highest(of, WIDTH) for of in (with_logistic_noise, with_normal_noise))
    return highest(nats, 2 * WIDTH + 1), scalar


@pytest.mark.parametrize("spread", [True, False])
def test_the_gain_is_that_between_the_maxima_of_an_independent_minimiser(spread: bool):
    """Within 2e-4 nats per vote: a tenth of a standard deviation of the gain without spread.

    That is √(d/2)/n with d = 6 numbers more and n = 500: .0035.
    """
    pairs, ridge = simulated_pairs(500, spread=spread), 3.0
    found = fitted_gains(
        {"base": (make_family("base"), PLAIN), "mean_and_variance": (NORMAL, PLAIN)},
        pairs,
        pairs.outcomes.shares[None],
        in_one_fold(500),
        ridges={"base": ridge},
    )
    normal, scalar = at_the_peer_maximum(pairs, ridge)
    assert set(found) == {"mean_and_variance"}
    assert found["mean_and_variance"] == pytest.approx([normal - scalar], abs=2e-4)


def test_every_set_of_answers_has_a_fit_of_its_own():
    pairs = simulated_pairs(200, spread=True)
    other = pairs.outcomes.shares[:, ::-1]
    models = {"base": (make_family("base"), PLAIN), "mean_and_variance": (NORMAL, PLAIN)}
    apart = [
        fitted_gains(models, pairs, shares[None], in_one_fold(200), ridges={"base": 1.0})[
            "mean_and_variance"
        ]
        for shares in (pairs.outcomes.shares, other)
    ]
    together = np.stack([pairs.outcomes.shares, other])
    found = fitted_gains(models, pairs, together, in_one_fold(200), ridges={"base": 1.0})[
        "mean_and_variance"
    ]
    np.testing.assert_allclose(found, np.concatenate(apart), atol=2e-5)
    # P(a ≻ b) is as well explained as P(b ≻ a), but for where the optimiser starts
    assert found[0] == pytest.approx(found[1], abs=2e-4)


def test_a_family_goes_by_the_weaker_of_its_own_ridge_and_the_scalar_ones():
    pairs = simulated_pairs(150, spread=True)
    models = {"base": (make_family("base"), PLAIN), "mean_and_variance": (NORMAL, PLAIN)}
    shares = pairs.outcomes.shares[None]

    def gain(own: float | None) -> float:
        ridges = {"base": 3.0} if own is None else {"base": 3.0, "mean_and_variance": own}
        found = fitted_gains(models, pairs, shares, in_one_fold(150), ridges=ridges)
        return float(found["mean_and_variance"][0])

    assert gain(30.0) == gain(None)
    assert gain(0.3) > gain(None)  # the weaker the ridge, the likelier the votes that were seen


def test_votes_count_by_their_weight():
    """Twice a comparison is one of weight 2: with the same ridge over the same number of heads."""
    pairs = simulated_pairs(150, spread=True)
    heavy = replace(pairs, outcomes=replace(pairs.outcomes, weight=np.full(150, 2.0, np.float32)))
    models = {"base": (make_family("base"), PLAIN), "mean_and_variance": (NORMAL, PLAIN)}
    once, twice = (
        fitted_gains(
            models, each, each.outcomes.shares[None], in_one_fold(150), ridges={"base": 2.0}
        )
        for each in (pairs, heavy)
    )
    np.testing.assert_allclose(once["mean_and_variance"], twice["mean_and_variance"], atol=1e-5)


def test_ties_have_a_threshold_in_every_head():
    pairs = simulated_pairs(300, spread=False)
    shares = pairs.outcomes.shares.copy()
    shares[::3] = [0.0, 1.0, 0.0]
    pairs = replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))
    to_fit = HeadsToFit(
        in_one_fold(300), np.zeros(2, int), np.empty((2, 0), int), np.array([1, 300.0])
    )
    heads = fit_to_all(NORMAL, pairs, to_fit, outcome_model=OutcomeModel("threshold", (0.5,)))
    (edge,) = map(torch.as_tensor, heads.outcome_model.thresholds)
    assert edge.shape == (2,)
    # with equal utilities P(tie) = 2 Φ(δ/√2σ) - 1, a third at δ = .431 √2 σ; σ = ln 2 at raw 0
    assert edge[1] == pytest.approx(0.431 * 2**0.5 * np.log(2), rel=0.1)
    assert edge[0] != edge[1]


def test_prompts_are_in_folds_that_nothing_looks_at():
    pairs = simulated_pairs(150, spread=True)
    models = {"base": (make_family("base"), PLAIN), "mean_and_variance": (NORMAL, PLAIN)}
    folds = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    shares = pairs.outcomes.shares[None]
    found, same = (
        fitted_gains(models, pairs, shares, each, ridges={"base": 1.0})["mean_and_variance"]
        for each in (folds, in_one_fold(150))
    )
    np.testing.assert_array_equal(found, same)
