"""Answers that are given without a look."""

import numpy as np
import pytest
import torch

from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.items.fit import fit_items
from hidden_context.items.votes import ItemComparisons
from hidden_context.likelihood.learned import LAPSES, LearnedLikelihood
from hidden_context.likelihood.outcomes import (
    OutcomeModel,
    Outcomes,
    log_prob_of_grade,
    outcome_model_from_dict,
)

BASE = make_family("base")
MODELS = [
    OutcomeModel(lapse=0.2),
    OutcomeModel("half", (0.4,), lapse=0.2),
    OutcomeModel("threshold", (0.3, 0.8), lapse=0.2),
    OutcomeModel("davidson", davidson=0.7, lapse=0.2),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_answers_have_chances_that_sum_to_one_and_none_is_below_its_share_of_lapses(model):
    first, second = BASE.decode(np.array([[0.0], [3.0], [60.0]])), BASE.decode(np.zeros((3, 1)))
    grades = [
        grade
        for grade in range(-model.num_grades, model.num_grades + 1)
        if grade or model.ties != "half"
    ]
    log_prob = [log_prob_of_grade(first, second, grade, model) for grade in grades]
    prob = np.exp(np.stack(log_prob))
    np.testing.assert_allclose(prob.sum(0), 1)
    assert prob.min() == pytest.approx(0.2 / len(grades))


def test_a_lapse_is_kept_in_records_and_records_without_one_are_read():
    for model in (*MODELS, OutcomeModel()):
        assert outcome_model_from_dict(model.to_dict()) == model
    assert "lapse" not in OutcomeModel().to_dict()
    assert str(MODELS[0]) == "ties by half, lapse 0.2"


@pytest.mark.parametrize("lapse", [-0.1, 1.0])
def test_a_share_that_cannot_be_is_refused(lapse):
    with pytest.raises(UserError, match="lapse"):
        OutcomeModel(lapse=lapse)


def test_a_learned_lapse_stays_within_its_ends_wherever_an_optimiser_goes():
    likelihood = LearnedLikelihood(BASE, OutcomeModel(lapse=0.05), learn_outcomes=True)
    (parameter,) = likelihood.parameters()
    sides = BASE.decode(torch.tensor([[1.0]])), BASE.decode(torch.tensor([[0.0]]))
    for far in (100.0, -200.0, float("inf"), -float("inf")):
        parameter.data.fill_(far)
        parameter.grad = None
        model = likelihood()[1]
        assert 0 < float(model.lapse) < 1
        log_prob_of_grade(*sides, 1, model).sum().backward()
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())


def test_a_lapse_is_learned_for_each_copy():
    likelihood = LearnedLikelihood(
        BASE, OutcomeModel(lapse=0.05), learn_outcomes=True, num_copies=3
    )
    assert likelihood.learns_outcomes
    torch.testing.assert_close(torch.as_tensor(likelihood()[1].lapse), torch.full((3,), 0.05))
    assert not LearnedLikelihood(BASE, OutcomeModel(), learn_outcomes=True).learns_outcomes


def test_a_list_of_items_shows_how_many_answers_were_random():
    """Exact shares of all pairs of 8 items of which 10 % are random: the lapse is found."""
    utility = np.linspace(-3, 3, 8)
    first, second = np.triu_indices(8, 1)
    won = 0.05 + 0.9 / (1 + np.exp(utility[second] - utility[first]))
    shares = np.stack([1 - won, 0 * won, won], axis=1)
    votes = ItemComparisons(first, second, Outcomes(shares, np.ones(len(first))))
    fit = fit_items(votes, "base", outcome_model=OutcomeModel(lapse=0.02), learn_outcomes=True)
    assert fit.outcome_model.lapse == pytest.approx(0.1, abs=1e-3)
    raw = fit.raw[:, 0]
    np.testing.assert_allclose(raw - raw.mean(), utility, atol=0.02)


@pytest.mark.parametrize("lapse", [0.0, LAPSES[0], 0.3, LAPSES[1]])
@pytest.mark.parametrize("ahead", [-900.0, -60.0, -1.0, 0.0, 1.0, 60.0])
def test_chances_of_answers_and_their_slopes_are_right_at_the_ends_of_a_lapse(lapse, ahead):
    """At a lapse of 0 the slope is E/P - 1, for chances E without and P with a look."""
    utility = torch.tensor([[ahead]], dtype=torch.float64, requires_grad=True)
    share = torch.tensor(lapse, dtype=torch.float64, requires_grad=True)
    model = OutcomeModel(lapse=share)  # pyrefly: ignore
    log_prob = log_prob_of_grade(BASE.decode(utility), BASE.decode(0 * utility), 1, model)
    log_prob.sum().backward()
    with np.errstate(divide="ignore"):
        right = np.logaddexp(np.log1p(-lapse) - np.logaddexp(0, -ahead), np.log(lapse / 2))
    assert log_prob.item() == pytest.approx(right)
    assert utility.grad is not None
    assert share.grad is not None
    assert bool(utility.grad.isfinite())
    assert bool(share.grad.isfinite())
    prob = np.exp(-np.logaddexp(0, -ahead))
    total = (1 - lapse) * prob + lapse / 2
    if total > 1e-200:
        assert share.grad.item() == pytest.approx((0.5 - prob) / total, rel=1e-6)
        assert utility.grad.item() == pytest.approx(
            (1 - lapse) * prob * (1 - prob) / total, rel=1e-6, abs=1e-15
        )
