"""Votes, ties and strengths: probabilities against closed forms, likelihoods against sums."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from hidden_context.distributions import FAMILIES, Family, Normal, Point, make_family
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import log_likelihood as observation_log_likelihood
from hidden_context.likelihood.loss import loss_of_observations, preference_loss
from hidden_context.likelihood.outcomes import (
    OutcomeModel,
    Outcomes,
    default_outcome_model,
    log_likelihood,
    log_prob_of_grade,
    normalize_weights,
    outcome_model_from_dict,
    with_num_grades,
)

every_family = pytest.mark.parametrize("name", list(FAMILIES))


def utilities(family: Family, n: int = 7, *, scale: float = 1.0) -> list[Any]:
    rng = np.random.default_rng(0)
    return [family.decode(scale * rng.normal(size=(n, family.num_outputs))) for _ in range(2)]


def models(family: Family) -> list[OutcomeModel]:
    unit = min(1.0, family.largest_margin / 4)
    return [
        OutcomeModel(),
        OutcomeModel("half", (0.5 * unit, 2 * unit)),
        OutcomeModel("threshold", (0.4 * unit,)),
        OutcomeModel("threshold", (0.1 * unit, unit, 3 * unit)),
        OutcomeModel("davidson", davidson=0.7),
    ]


@every_family
def test_grades_are_all_that_can_happen(name: str):
    family = make_family(name)
    first, second = utilities(family)
    for model in models(family):
        grades = range(-model.num_grades, model.num_grades + 1)
        if model.ties == "half":
            grades = [grade for grade in grades if grade]
        total = sum(np.exp(log_prob_of_grade(first, second, grade, model)) for grade in grades)
        np.testing.assert_allclose(total, 1.0, rtol=1e-9)


@every_family
def test_grades_are_mirrored_when_the_responses_change_places(name: str):
    family = make_family(name)
    first, second = utilities(family)
    for model in models(family):
        for grade in range(model.num_grades + 1):
            np.testing.assert_allclose(
                log_prob_of_grade(first, second, grade, model),
                log_prob_of_grade(second, first, -grade, model),
                rtol=1e-9,
            )


def test_ties_by_threshold_are_rao_and_kuppers_for_base():
    """P(tie) = (θ² - 1) e^(u+v) / ((e^u + θ e^v) (θ e^u + e^v)), θ = e^δ (1967)."""
    first, second = utilities(Point())
    delta = 0.7
    u, v, theta = np.exp(first.mean), np.exp(second.mean), math.exp(delta)
    expected = (theta**2 - 1) * u * v / ((u + theta * v) * (theta * u + v))
    model = OutcomeModel("threshold", (delta,))
    np.testing.assert_allclose(np.exp(log_prob_of_grade(first, second, 0, model)), expected)


def test_ties_of_davidson_are_his_for_base():
    """P(tie) = ν √(uv) / (u + v + ν √(uv)) (1970)."""
    first, second = utilities(Point())
    u, v, nu = np.exp(first.mean), np.exp(second.mean), 0.8
    expected = nu * np.sqrt(u * v) / (u + v + nu * np.sqrt(u * v))
    model = OutcomeModel("davidson", davidson=nu)
    np.testing.assert_allclose(np.exp(log_prob_of_grade(first, second, 0, model)), expected)


def test_strengths_are_the_ordered_probit_for_normal_utilities():
    first, second = utilities(Normal())
    edges = [0.3, 1.1, 2.5]
    difference = scipy.stats.norm(first.mean - second.mean, np.hypot(first.std, second.std))
    model = OutcomeModel("threshold", tuple(edges))
    bounds = [-math.inf, *(-edge for edge in reversed(edges)), *edges, math.inf]
    for grade, (low, high) in zip(range(-3, 4), itertools.pairwise(bounds), strict=True):
        expected = difference.cdf(high) - difference.cdf(low)
        np.testing.assert_allclose(
            np.exp(log_prob_of_grade(first, second, grade, model)), expected, rtol=1e-9, atol=1e-15
        )


@pytest.mark.parametrize("gap", [-30.0, -8.0, 0.0, 8.0, 30.0])
def test_ties_between_far_utilities_are_rare_and_not_impossible(gap: float):
    """In float32, where 1 - P(win) - P(loss) is 0, against the integral of the normal density."""
    raw = torch.tensor([[gap, 0.0], [0.0, 0.0]], requires_grad=True)
    first, second = Normal().decode(raw[0]), Normal().decode(raw[1])
    log_prob = log_prob_of_grade(first, second, 0, OutcomeModel("threshold", (0.5,)))
    spread = math.hypot(math.log(2), math.log(2))
    near = (abs(gap) - 0.5) / spread, (abs(gap) + 0.5) / spread
    upper, lower = scipy.stats.norm.logsf(near[0]), scipy.stats.norm.logsf(near[1])
    assert log_prob.item() == pytest.approx(upper + math.log1p(-math.exp(lower - upper)), rel=1e-4)
    (gradient,) = torch.autograd.grad(log_prob, raw)
    assert gradient.isfinite().all()


@every_family
@pytest.mark.parametrize("size", [25.0, 1000.0])
def test_loss_and_gradient_are_finite_at_extreme_outputs(name: str, size: float):
    family = make_family(name)
    rng = np.random.default_rng(0)
    for model in models(family):
        shares = torch.full((8, 2 * model.num_grades + 1), 1.0)
        outcomes = Outcomes(shares / shares.sum(-1, keepdim=True), torch.ones(8))
        signs = rng.choice([-size, size], (2, 8, family.num_outputs))
        raw = torch.tensor(signs, dtype=torch.float32, requires_grad=True)
        loss = preference_loss(family, raw[0], raw[1], outcomes, model)
        loss.backward()
        if not (family.largest_margin < math.inf and model.thresholds):  # may be impossible there
            assert loss.isfinite()
            assert raw.grad is not None
            assert raw.grad.isfinite().all()


@every_family
def test_gradients_are_those_of_finite_differences(name: str):
    family = make_family(name)
    rng = np.random.default_rng(0)
    for model in models(family):
        shares = rng.dirichlet(np.ones(2 * model.num_grades + 1), 4)
        outcomes = Outcomes(torch.from_numpy(shares), torch.ones(4, dtype=torch.float64))
        raw = [
            torch.tensor(rng.normal(size=(4, family.num_outputs)), requires_grad=True)
            for _ in range(2)
        ]
        assert torch.autograd.gradcheck(
            lambda a, b, outcomes=outcomes, model=model: preference_loss(
                family, a, b, outcomes, model
            ),
            raw,
            fast_mode=True,
        )


# Likelihoods of votes


@every_family
def test_votes_have_the_mean_likelihood_of_one_vote_each(name: str):
    family = make_family(name)
    first, second = utilities(family, n=1)
    model = models(family)[3]
    votes = np.array([3, 0, 2, 1, 4, 1, 0.0])
    together = Outcomes(votes[None] / votes.sum(), np.ones(1))
    each = sum(
        count * log_prob_of_grade(first, second, grade, model)
        for grade, count in zip(range(-3, 4), votes, strict=True)
    )
    np.testing.assert_allclose(
        log_likelihood(first, second, together, model), each / votes.sum(), rtol=1e-9
    )


@every_family
def test_a_soft_label_is_the_expectation_of_hard_ones(name: str):
    family = make_family(name)
    first, second = utilities(family)
    soft = Outcomes(np.tile([0.3, 0.0, 0.7], (7, 1)), np.ones(7))
    expected = 0.7 * first.log_prob_preferred_to(second) + 0.3 * second.log_prob_preferred_to(first)
    np.testing.assert_allclose(log_likelihood(first, second, soft, OutcomeModel()), expected)


@every_family
def test_a_tie_by_half_is_half_a_win_and_half_a_loss(name: str):
    family = make_family(name)
    first, second = utilities(family)
    tie, even = (
        Outcomes(np.tile(shares, (7, 1)), np.ones(7)) for shares in ([0, 1.0, 0], [0.5, 0, 0.5])
    )
    found, expected = (
        log_likelihood(first, second, outcomes, OutcomeModel()) for outcomes in (tie, even)
    )
    np.testing.assert_array_equal(found, expected)


@every_family
def test_no_outcomes_are_wins_of_the_first(name: str):
    family = make_family(name)
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(2, 5, family.num_outputs))
    wins = Outcomes(np.tile([0.0, 0.0, 1.0], (5, 1)), np.ones(5))
    np.testing.assert_array_equal(
        observation_log_likelihood(family, list(raw)),
        observation_log_likelihood(family, list(raw), wins),
    )


def test_weights_multiply_and_are_one_on_average():
    first, second = utilities(Point(), n=3)
    weight = normalize_weights(np.array([1.0, 0.0, 5.0]))
    assert weight.mean() == 1.0
    shares = np.tile([0.0, 0.0, 1.0], (3, 1))
    found = log_likelihood(first, second, Outcomes(shares, weight), OutcomeModel())
    np.testing.assert_allclose(found, weight * first.log_prob_preferred_to(second))


# Rankings


@every_family
def test_observations_of_any_size_are_as_likely_as_apart(name: str):
    family = make_family(name)
    sizes = [2, 4, 2, 3]
    raw = torch.from_numpy(np.random.default_rng(0).normal(size=(11, family.num_outputs)))
    weight = torch.tensor([0.5, 1.0, 2.0, 0.5], dtype=torch.float64)
    shares = torch.tensor([[0.2, 0.3, 0.5]] * 4, dtype=torch.float64)
    model = OutcomeModel("davidson")
    expected, start = 0.0, 0
    for index, size in enumerate(sizes):
        responses = list(raw[start : start + size, None])
        outcome = Outcomes(shares[[index]], weight[[index]])
        expected = expected - observation_log_likelihood(family, responses, outcome, model).sum()
        start += size
    found = loss_of_observations(
        family, raw, sizes, Outcomes(shares, weight), model, regularize=False
    )
    torch.testing.assert_close(found, torch.as_tensor(expected) / 4)


def test_a_ranking_by_base_is_plackett_and_luces():
    utility = np.array([0.3, -1.0, 2.0, 0.0])
    strength = np.exp(utility)
    expected = sum(math.log(strength[i] / strength[i:].sum()) for i in range(4))
    found = observation_log_likelihood(Point(), list(utility[:, None]))
    assert found == pytest.approx(expected)
    total = sum(
        math.exp(observation_log_likelihood(Point(), list(utility[list(order), None])))
        for order in itertools.permutations(range(4))
    )
    assert total == pytest.approx(1.0)


def test_a_ranking_without_a_closed_form_is_all_its_pairs():
    raw = np.random.default_rng(0).normal(size=(4, 1, 2))
    pairs = [
        observation_log_likelihood(Normal(), [raw[i], raw[j]])
        for i, j in itertools.combinations(range(4), 2)
    ]
    found = observation_log_likelihood(Normal(), list(raw))
    np.testing.assert_allclose(found, 2 / 4 * sum(pairs))


# Models are data


def test_a_model_survives_its_file():
    for model in models(Point()):
        assert outcome_model_from_dict(model.to_dict()) == model


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ties": "coin"}, ["'coin'", "half", "threshold", "davidson"]),
        ({"thresholds": (2.0, 1.0)}, ["2, 1", "out of order"]),
        ({"thresholds": (0.0,)}, ["out of order", "positive"]),
        ({"thresholds": (math.inf,)}, ["finite"]),
        ({"ties": "threshold"}, ["need a first threshold"]),
        ({"ties": "davidson", "thresholds": (1.0,)}, ["no grades"]),
        ({"davidson": 0.0}, ["ν is 0;", "positive"]),
    ],
)
def test_an_unusable_model_is_refused_with_what_would_do(arguments: Any, words: list[str]):
    with pytest.raises(UserError) as refusal:
        OutcomeModel(**arguments)
    for word in words:
        assert word in str(refusal.value)


@every_family
def test_the_default_model_has_a_threshold_for_each_strength(name: str):
    family = make_family(name)
    for num_grades in (1, 3):
        for ties in ("half", "threshold"):
            model = default_outcome_model(family, num_grades, ties=ties)
            assert model.num_grades == num_grades
            assert model.edges[-1] < family.largest_margin


def test_thresholds_that_do_not_go_with_the_data_are_refused():
    with pytest.raises(UserError, match=r"1 thresholds were given; .* 3 strength.* need 2"):
        default_outcome_model(Point(), 3, ties="half", thresholds=[1.0])
    with pytest.raises(UserError, match="do not go with 2 strengths"):
        default_outcome_model(Point(), 2, ties="davidson")
    with pytest.raises(UserError, match="never exceeded by family categorical"):
        default_outcome_model(make_family("categorical"), 1, ties="threshold", thresholds=[1.0])


def test_grades_are_added_or_made_one_for_a_model_with_others():
    graded = Outcomes(np.array([[0.1, 0.2, 0.3, 0.3, 0.1]]), np.ones(1))
    np.testing.assert_allclose(with_num_grades(graded, 1).shares, [[0.3, 0.3, 0.4]])
    wider = with_num_grades(graded, 3).shares
    np.testing.assert_allclose(wider, [[0, 0.1, 0.2, 0.3, 0.3, 0.1, 0]])
    first, second = utilities(Point(), 1)
    with pytest.raises(UserError, match="2 strengths of preference, but the outcome model has 3"):
        log_likelihood(first, second, graded, OutcomeModel("half", (1.0, 2.0)))
    with pytest.raises(UserError, match="3 strengths of preference, but the outcome model has 2"):
        with_num_grades(dataclasses.replace(graded, shares=wider), 2)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]):
    with pytest.raises(UserError, match="weights must be finite"):
        normalize_weights(np.array(weights))
