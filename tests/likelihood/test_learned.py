"""Thresholds, ν and correlation as parameters: they start as given and stay in range."""

import math

import pytest
import torch

from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.errors import UserError
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import OutcomeModel

THRESHOLDS = OutcomeModel("threshold", (0.1, 0.25, 0.8))


@pytest.mark.parametrize("family", [Point(), Categorical()], ids=repr)
def test_what_is_learned_starts_as_given(family: Point | Categorical):
    for model in (THRESHOLDS, OutcomeModel("davidson", davidson=0.7)):
        learned = LearnedLikelihood(family, model, learn_outcomes=True)
        assert list(learned.parameters())
        _, found = learned.fitted()
        assert found.thresholds == pytest.approx(model.thresholds)
        assert found.davidson == pytest.approx(model.davidson)
    start, _ = LearnedLikelihood(Normal(correlation=0.4), options=["correlation"]).fitted()
    assert start.to_dict()["correlation"] == pytest.approx(0.4)


@pytest.mark.parametrize("family", [Point(), Categorical()], ids=repr)
def test_thresholds_stay_rising_positive_and_possible_whatever_the_parameters(
    family: Point | Categorical,
):
    learned = LearnedLikelihood(family, THRESHOLDS, learn_outcomes=True).double()
    for raw in ([-3.0, 0.0, 3.0], [3.0, 3.0, 3.0], [-20.0, -20.0, -20.0], [-200.0, -200.0, 1.0]):
        with torch.no_grad():
            next(learned.parameters()).copy_(torch.tensor(raw))
        thresholds = learned.fitted()[1].thresholds
        assert 0 < thresholds[0] < thresholds[1] < thresholds[2] < family.largest_margin


def test_what_is_given_is_not_a_parameter():
    fixed = LearnedLikelihood(Normal(correlation=0.3), THRESHOLDS)
    assert not list(fixed.parameters())
    assert fixed() == (Normal(correlation=0.3), THRESHOLDS)
    assert not list(LearnedLikelihood(Point(), learn_outcomes=True).parameters())  # no thresholds


def test_an_option_that_cannot_be_learned_is_refused():
    with pytest.raises(UserError, match=r"scale_penalty of family .* cannot be .*correlation"):
        LearnedLikelihood(Normal(), options=["scale_penalty"])
    with pytest.raises(UserError, match=r"correlation of family base .*none"):
        LearnedLikelihood(Point(), options=["correlation"])


def test_gradients_reach_every_parameter():
    learned = LearnedLikelihood(
        Normal(correlation=0.2), THRESHOLDS, learn_outcomes=True, options=["correlation"]
    )
    family, model = learned()
    first, second = (family.decode(torch.tensor(raw)) for raw in ([0.3, 0.1], [1.0, -1.0]))
    first.log_prob_preferred_to(second, model.thresholds[2]).backward()
    for parameter in learned.parameters():
        assert parameter.grad is not None
        assert math.isfinite(float(parameter.grad.abs().sum()))
        assert float(parameter.grad.abs().sum()) > 0


def test_copies_of_thresholds_are_learned_one_by_one():
    likelihood = LearnedLikelihood(
        Point(), OutcomeModel("threshold", (0.5,)), learn_outcomes=True, num_copies=3
    )
    _, model = likelihood()
    (threshold,) = map(torch.as_tensor, model.thresholds)
    torch.testing.assert_close(threshold, torch.full((3,), 0.5))
    (gradient,) = torch.autograd.grad(threshold[1], list(likelihood.parameters()))
    assert (gradient.flatten() != 0).tolist() == [False, True, False]


FAR = (-1e30, -300.0, -30.0, 0.0, 30.0, 300.0, 1e30)


@pytest.mark.parametrize("raw", FAR)
@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("family", [Point(), Categorical()], ids=repr)
def test_what_is_learned_can_be_a_model_and_has_finite_slopes_wherever_an_optimiser_goes(
    family: Point | Categorical, double: bool, raw: float
):
    for model in (THRESHOLDS, OutcomeModel("davidson", lapse=0.05)):
        learned = LearnedLikelihood(family, model, learn_outcomes=True)
        learned = learned.double() if double else learned
        for parameter in learned.parameters():
            parameter.data.fill_(raw)
        assert learned.fitted()[1].num_grades == model.num_grades  # refused if it could not be
        _logarithms(learned).backward()
        for parameter in learned.parameters():
            assert bool(parameter.grad.isfinite().all())  # pyrefly: ignore


def _logarithms(learned: LearnedLikelihood) -> torch.Tensor:
    """The sum of those of the numbers that an outcome model has."""
    _, model = learned()
    numbers = (*model.thresholds, model.davidson, model.lapse)
    return sum(torch.as_tensor(each).log() for each in numbers if each)  # pyrefly: ignore


@pytest.mark.parametrize("far", [-12.0, -3.0, 0.0, 12.0])
@pytest.mark.parametrize("model", [THRESHOLDS, OutcomeModel("davidson", lapse=0.05)], ids=str)
def test_slopes_of_what_is_learned_are_those_of_differences(model: OutcomeModel, far: float):
    learned = LearnedLikelihood(Point(), model, learn_outcomes=True).double()
    for parameter in learned.parameters():
        parameter.data.fill_(far)
    _logarithms(learned).backward()
    for parameter in learned.parameters():
        values = []
        for step in (1e-5, -1e-5):
            parameter.data.fill_(far + step)
            values.append(_logarithms(learned).item())
        parameter.data.fill_(far)
        assert parameter.grad is not None
        slope = (values[0] - values[1]) / 2e-5
        assert parameter.grad.sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_thresholds_may_start_anywhere_that_a_family_reaches():
    for given in ((1e-7, 0.2), (40.0, 700.0)):
        found = LearnedLikelihood(Point(), OutcomeModel("threshold", given), learn_outcomes=True)
        assert found.fitted()[1].thresholds == pytest.approx(given, rel=1e-4, abs=3e-4)
    with pytest.raises(UserError, match="never exceeded by family categorical"):
        LearnedLikelihood(Categorical(), OutcomeModel("threshold", (3.0,)), learn_outcomes=True)


def test_a_correlation_of_one_is_a_start_like_any_other():
    start, _ = LearnedLikelihood(Normal(correlation=0.9995), options=["correlation"]).fitted()
    assert start.to_dict()["correlation"] == pytest.approx(0.998, abs=1e-3)
