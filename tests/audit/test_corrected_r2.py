"""r² corrected for what heads that learn from few votes make of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from simulated_pairs import MEAN, simulated_pairs
from torch.nn.functional import softplus

from hidden_context.audits.corrected_r2 import (
    EVIDENCE_STEPS,
    _information,
    _likelier_ridges,
    _posterior,
    corrected,
    laplace_draws,
)
from hidden_context.audits.crossfit import cross_fit, refit
from hidden_context.audits.folds import make_partitions
from hidden_context.audits.heads import Heads
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes, log_prob_of_grade
from hidden_context.measures.evaluate import evaluate

NORMAL = make_family("mean_and_variance")


@pytest.mark.parametrize("ties", ["half", "threshold"])
def test_information_is_the_curvature_of_the_divergence_from_the_head_itself(ties):
    """-Σ P_k(θ₀) log P_k(θ) has its minimum at θ₀, and there the second derivatives."""
    pairs = simulated_pairs(6, spread=True)
    vectors = pairs.vectors[np.arange(pairs.vectors.shape[0])][:, :2]
    pairs = replace(
        pairs, vectors=vectors, outcomes=replace(pairs.outcomes, weight=np.arange(1.0, 7))
    )
    model = OutcomeModel(ties, (0.4,) if ties == "threshold" else ())
    at = torch.tensor([[0.5, -0.2], [0.8, 0.3], [0.1, 0.4]], dtype=torch.float64)
    grades = (-1, 0, 1) if ties == "threshold" else (-1, 1)
    weight = torch.arange(1.0, 7, dtype=torch.float64)

    def log_prob(flat: torch.Tensor) -> torch.Tensor:
        head = flat.unflatten(0, at.shape)
        raw = [vectors[rows].double() @ head[:2] + head[2] for rows in (pairs.first, pairs.second)]
        first, second = map(NORMAL.decode, raw)
        return torch.stack([log_prob_of_grade(first, second, grade, model) for grade in grades])

    prob = log_prob(at.flatten()).exp()

    def divergence(flat: torch.Tensor) -> torch.Tensor:
        return -(weight * prob * log_prob(flat)).sum()

    found = _information(Heads(NORMAL, model, at[:2, None], at[2:]), pairs, at)
    peer = torch.autograd.functional.hessian(divergence, at.flatten())
    torch.testing.assert_close(found, peer, rtol=1e-5, atol=1e-6)


def fitted_to(num_pairs: int, *, spread: bool):
    pairs = simulated_pairs(num_pairs, spread=spread)
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    return cross_fit(NORMAL, pairs, partitions, outcome_model=OutcomeModel())


def test_draws_are_around_the_fit_and_closer_the_more_votes_there_are(monkeypatch):
    """A comparison of three votes is three: deviations are smaller by √3, to the same seed."""
    monkeypatch.setattr("hidden_context.audits.corrected_r2.EVIDENCE_STEPS", 0)
    fitted = fitted_to(300, spread=False)
    one, three = (laplace_draws(fitted, num_votes=votes, seed=0) for votes in (1.0, 3.0))
    assert one.weight.shape == (6, 20, 2)
    centre = (3**0.5 * three.weight - one.weight) / (3**0.5 - 1)
    torch.testing.assert_close(centre, centre[:, :1].expand_as(centre), atol=1e-4, rtol=0)
    error = one.weight.std(1) / 20**0.5
    assert ((one.weight.mean(1) - centre[:, 0]).abs() < 4 * error).all()


def test_ridges_are_those_of_utilities_that_are_as_likely_as_the_votes_say():
    """Where the true ones are known: deviations of 1, weights of |MEAN|/√6 · √6 in the root of the
    mean square, and of log-deviations of 1.2 with spread, 0 without.

    500 votes find no less than some .3 of the latter, their standard error; so with spread twice as
    much is found as without at least. That of the means is within a quarter.
    """
    found = {}
    for spread in (False, True):
        fitted = fitted_to(500, spread=spread)
        ridges, centre = np.ones((7, 2)), torch.zeros(7, 2)
        for _ in range(EVIDENCE_STEPS):
            _, centre, curvature = _posterior(fitted, ridges)
            ridges[:-1] = _likelier_ridges(ridges, centre, curvature, 1.0)
        assert (ridges[-1] == 1).all()
        std, slope = softplus(centre[-1, 1]).item(), centre[-1, 1].sigmoid().item()
        found[spread] = ridges[0] ** -0.5 * np.array([1, slope]) / std
    assert found[False][0] == pytest.approx(np.linalg.norm(MEAN), rel=0.25)
    assert found[True][1] > 2 * found[False][1]
    assert found[True][1] == pytest.approx(1.2, rel=0.5)


def test_with_many_votes_there_is_little_to_correct_and_the_truth_is_held():
    """Deviation 1 and MEAN·x: r² = |MEAN|²/(|MEAN|² + 1) of all responses.

    500 votes tell it within a few hundredths; the correction is about as large.
    """
    fitted = fitted_to(500, spread=False)
    found = evaluate(
        out_of_fold(fitted), measures=("explained_variance",), scales=("pooled", "rank")
    ).explained_variance
    behind = corrected(fitted, found, num_votes=np.ones(500), seed=0)
    assert set(behind) == {"pooled", "rank"}
    true = (MEAN**2).sum() / ((MEAN**2).sum() + 1)
    pooled = behind["pooled"]
    assert pooled.low < true < pooled.high
    assert pooled.low < pooled.value < pooled.high
    assert pooled.value == pytest.approx(found["pooled"].value, abs=0.1)
    assert "20 fits to answers" in pooled.how


def test_the_error_of_heads_that_learn_too_little_is_seen():
    """Heads of the strongest ridge have an r² near 0 whatever the truth is; what they make of known
    utilities says so, and the corrected r² is near what ordinary heads find."""
    fitted = fitted_to(400, spread=False)
    shrunk = replace(
        fitted, ridge=np.full_like(fitted.ridge, 300.0), steps=np.full_like(fitted.steps, 160)
    )
    shares = fitted.pairs.outcomes.shares[None]
    scores = out_of_fold(refit(shrunk, shares=shares), shares=shares)
    measured = {"measures": ("explained_variance",), "scales": ("pooled",)}
    found = evaluate(scores, **measured).explained_variance
    behind = corrected(shrunk, found, num_votes=np.ones(400), seed=0)["pooled"]
    true = (MEAN**2).sum() / ((MEAN**2).sum() + 1)
    assert found["pooled"].value < true - 0.15
    assert abs(behind.value - true) < abs(found["pooled"].value - true) / 2
    assert behind.low < true < behind.high


def test_the_head_that_draws_are_around_is_at_rest(monkeypatch):
    """Later iterations change nothing; after 30 weights of a histogram were off by .07."""
    pairs = simulated_pairs(400, spread=True)
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    family = make_family("categorical")
    fitted = cross_fit(family, pairs, partitions, outcome_model=OutcomeModel())
    ridges = np.ones((pairs.vectors.shape[1] + 1, family.num_outputs))
    centre = _posterior(fitted, ridges)[1]
    monkeypatch.setattr("hidden_context.audits.corrected_r2.TO_REST", 3000)
    assert (_posterior(fitted, ridges)[1] - centre).norm() <= 1e-3 * centre.norm()


def test_too_many_comparisons_are_not_corrected(monkeypatch):
    monkeypatch.setattr("hidden_context.audits.corrected_r2.MOST_AT_ONCE", 50)
    fitted = fitted_to(60, spread=False)
    found = evaluate(
        out_of_fold(fitted), measures=("explained_variance",), scales=("pooled",)
    ).explained_variance
    assert corrected(fitted, found, num_votes=np.ones(60), seed=0) == {}


def test_votes_that_tie_are_drawn_with_their_threshold():
    pairs = simulated_pairs(200, spread=False)
    shares = pairs.outcomes.shares.copy()
    shares[::4] = [0, 1, 0]
    pairs = replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    start = OutcomeModel("threshold", (0.5,))
    fitted = cross_fit(NORMAL, pairs, partitions, outcome_model=start)
    drawn = laplace_draws(fitted, num_votes=1.0, seed=0)
    (edge,) = drawn.outcome_model.thresholds
    assert isinstance(edge, float)
    assert edge > 0
    found = evaluate(
        out_of_fold(fitted), measures=("explained_variance",), scales=("pooled",)
    ).explained_variance
    behind = corrected(fitted, found, num_votes=np.ones(200), seed=0)["pooled"]
    assert 0 < behind.low < behind.high < 1
