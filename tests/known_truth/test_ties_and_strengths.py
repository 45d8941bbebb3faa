"""Ties and strengths of preference: what made them is found again.

Data are drawn from utilities and noise or published formulas, not from what is tested. Margins
are 4 standard errors, from the inverse of the observed information (second derivatives of the
total log-likelihood at the fit), by the delta method.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from simulated_items import draw_pairs
from torch import Tensor

from hidden_context.distributions import Family, Normal, Point
from hidden_context.distributions.special import softplus
from hidden_context.items import ItemComparisons, ItemFit, fit_items
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

NUM_ITEMS = 20
NUM_COMPARISONS = 20_000
MEAN = np.random.default_rng(0).normal(size=NUM_ITEMS)
STD = np.exp(0.3 * np.random.default_rng(1).normal(size=NUM_ITEMS))
FAMILIES: dict[str, Family] = {"base": Point(), "mean_and_variance": Normal()}

each_family = pytest.mark.parametrize("name", list(FAMILIES))
Statistic = Callable[[Tensor, Tensor], Tensor]
"""Of the raw outputs and the parameters of the outcome model."""


def comparisons_of(
    first: np.ndarray, second: np.ndarray, grade: np.ndarray, num_grades: int
) -> ItemComparisons:
    shares = np.eye(2 * num_grades + 1)[grade + num_grades]
    return ItemComparisons(first, second, Outcomes(shares, np.ones(len(grade))))


def graded(name: str, model: OutcomeModel) -> ItemComparisons:
    """Differences of drawn utilities, or of points with logistic noise, cut at the edges."""
    rng = np.random.default_rng(2)
    first, second = draw_pairs(NUM_ITEMS, NUM_COMPARISONS, rng)
    if name == "base":
        ahead = MEAN[first] - MEAN[second] + rng.logistic(size=len(first))
    else:
        ahead = rng.normal(MEAN[first], STD[first]) - rng.normal(MEAN[second], STD[second])
    passed = np.searchsorted(model.edges, np.abs(ahead))
    grade = np.sign(ahead).astype(int) * passed
    return comparisons_of(first, second, grade, model.num_grades)


def with_davidsons_ties(name: str, tie_strength: float) -> ItemComparisons:
    """A comparison is a tie with odds ν √(p q) to 1; else p decides."""
    rng = np.random.default_rng(2)
    first, second = draw_pairs(NUM_ITEMS, NUM_COMPARISONS, rng)
    ahead = MEAN[first] - MEAN[second]
    if name == "base":
        prob = scipy.stats.logistic.cdf(ahead)
    else:
        prob = scipy.stats.norm.cdf(ahead / np.hypot(STD[first], STD[second]))
    wins = rng.random(len(first)) < prob
    odds = tie_strength * np.sqrt(prob * (1 - prob))
    tie = rng.random(len(first)) < odds / (1 + odds)
    return comparisons_of(first, second, np.where(tie, 0, np.where(wins, 1, -1)), 1)


def fitted(name: str, start: OutcomeModel, comparisons: ItemComparisons) -> ItemFit:
    return fit_items(
        comparisons,
        FAMILIES[name],
        check_spread=False,
        outcome_model=start,
        learn_outcomes=True,
        max_iterations=200,
    )


def estimate(
    fit: ItemFit, comparisons: ItemComparisons, statistic: Statistic
) -> tuple[np.ndarray, np.ndarray]:
    """A vector of statistics of the fit, and their standard errors.

    Directions that change no probability, a shift and for normals a scale, have no information and
    no influence on the statistics; the pseudo-inverse leaves them out.
    """
    summed = comparisons.summed()
    total = float(comparisons.outcomes.weight.sum()) / len(summed)
    outcomes = Outcomes(
        torch.from_numpy(summed.outcomes.shares), torch.from_numpy(total * summed.outcomes.weight)
    )
    model, num_raw = fit.outcome_model, fit.raw.size
    davidson = model.ties == "davidson"
    numbers = [model.davidson] if davidson else list(model.thresholds)
    at = torch.cat([torch.tensor(fit.raw).flatten(), torch.tensor(numbers, dtype=torch.float64)])

    def parts(values: Tensor) -> tuple[Tensor, Tensor]:
        return values[:num_raw].reshape(fit.raw.shape), values[num_raw:]

    def negative_log_likelihood(values: Tensor) -> Tensor:
        raw, numbers = parts(values)
        varied: Any = (
            OutcomeModel("davidson", davidson=numbers[0])  # pyrefly: ignore
            if davidson
            else OutcomeModel(model.ties, tuple(numbers))  # pyrefly: ignore
        )
        responses = [raw[summed.first], raw[summed.second]]
        return -log_likelihood(fit.family, responses, outcomes, varied).sum()

    information = torch.autograd.functional.hessian(negative_log_likelihood, at).numpy()
    covariance = np.linalg.pinv(information, rcond=1e-7, hermitian=True)
    slopes = torch.autograd.functional.jacobian(lambda values: statistic(*parts(values)), at)
    slopes = slopes.numpy()
    variance = np.einsum("ij,jk,ik->i", slopes, covariance, slopes)
    return statistic(*parts(at)).numpy(), np.sqrt(variance)


def itself(raw: Tensor, numbers: Tensor) -> Tensor:
    return numbers


def over_spread(raw: Tensor, numbers: Tensor) -> Tensor:
    """Thresholds over the standard deviation of all utilities, which no common scale changes."""
    return numbers / (raw[:, 0].var(correction=0) + (softplus(raw[:, 1]) ** 2).mean()).sqrt()


STARTS = {
    "a tie and two wins": (OutcomeModel("threshold", (0.4,)), OutcomeModel("threshold", (1.0,))),
    "three strengths": (OutcomeModel("half", (0.7, 1.6)), OutcomeModel("half", (0.3, 3.0))),
    "ties and three strengths": (
        OutcomeModel("threshold", (0.2, 0.9, 2.0)),
        OutcomeModel("threshold", (0.5, 1.0, 1.5)),
    ),
}
"""The truth, and where the fit starts."""


@each_family
@pytest.mark.parametrize("what", list(STARTS))
def test_thresholds_are_found(name: str, what: str):
    truth, start = STARTS[what]
    comparisons = graded(name, truth)
    fit = fitted(name, start, comparisons)
    statistic = itself if name == "base" else over_spread
    found, standard_error = estimate(fit, comparisons, statistic)
    expected = np.array(truth.thresholds)
    if name != "base":
        expected = expected / np.sqrt(MEAN.var() + (STD**2).mean())
    assert (standard_error < 0.05 * expected).all()  # so that the test says something
    assert (np.abs(found - expected) < 4 * standard_error).all()


@each_family
def test_the_tie_strength_of_davidson_is_found(name: str):
    comparisons = with_davidsons_ties(name, 0.8)
    fit = fitted(name, OutcomeModel("davidson", davidson=2.0), comparisons)
    found, standard_error = estimate(fit, comparisons, itself)
    assert standard_error[0] < 0.05 * 0.8
    assert abs(found[0] - 0.8) < 4 * standard_error[0]


@each_family
def test_ties_by_threshold_are_not_davidsons(name: str):
    """Each kind fits its own data better: the models differ, so the tests above can fail.

    By 7 to 28 nats over the 20,000 comparisons, with as many parameters.
    """
    for comparisons, right in (
        (graded(name, OutcomeModel("threshold", (0.4,))), "threshold"),
        (with_davidsons_ties(name, 0.8), "davidson"),
    ):
        loss = {
            model.ties: -fitted(name, model, comparisons).log_likelihood(comparisons).sum()
            for model in (OutcomeModel("threshold", (0.5,)), OutcomeModel("davidson"))
        }
        assert min(loss, key=lambda ties: loss[ties]) == right
