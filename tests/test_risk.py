"""Each risk measure against the integral that defines it, for every family."""

import dataclasses
import functools
import math
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch

from hidden_context.distributions import (
    FAMILIES,
    Categorical,
    Family,
    Mixture,
    Normal,
    Point,
    QuantileFunction,
    SharedContext,
)
from hidden_context.errors import UserError
from hidden_context.risk import (
    MEASURES,
    Risk,
    check_supported,
    is_supported,
    parse_risk,
    parse_risks,
    reward_function,
)

EXAMPLES = [measure.example for measure in MEASURES.values()]
EVERYWHERE = [text for text in EXAMPLES if text != "worst_context"]
"""Risks that every family has."""
MONOTONE = [text for text in EVERYWHERE if not text.startswith("lcb")]
"""Measures that rise, or stay, when the whole distribution moves up within its family."""

FAMILIES_TESTED = [make() for make in FAMILIES.values()]
every_family = pytest.mark.parametrize("family", FAMILIES_TESTED, ids=repr)

STEPS = np.linspace(-30, 30, 2**13)
SHARES = 1 / (1 + np.exp(-STEPS))
WEIGHTS = SHARES * (1 - SHARES) * (STEPS[1] - STEPS[0])
"""Trapezoid rule in logit(q), which follows both tails of a quantile function down to e^-30."""
SMOOTH_ERROR = 1e-6
"""Of the rule where there is neither jump nor kink: both ends of the tails."""


def make_raw(family: Family, shape: tuple[int, ...] = (3,)) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (*shape, family.num_outputs))


@functools.cache
def quantiles(family: Family, below: float = 1.0) -> np.ndarray:
    """The quantile function of `make_raw` at `below * SHARES`, shape `(len(SHARES), 3)`."""
    return np.asarray(family.decode(make_raw(family)).quantile(below * SHARES[:, None]))


def integral(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """∫₀¹ of values at `SHARES`, and how far it may be off.

    Within a step the rule is off by half a jump, or an eighth of what a slope changes by over it;
    second differences are at least either.
    """
    bends = np.abs(np.diff(values, n=2, axis=0))
    return np.tensordot(WEIGHTS, values, 1), np.tensordot(WEIGHTS[1:-1], bends, 1) + SMOOTH_ERROR


def assert_within(found: np.ndarray, expected: np.ndarray, margin: np.ndarray) -> None:
    assert (np.abs(found - expected) <= margin).all(), (found, expected, margin)


# Values


@every_family
@pytest.mark.parametrize("level", [0.05, 0.7])
def test_cvar_is_the_mean_of_the_quantiles_below_its_level(family: Family, level: float) -> None:
    found = Risk("cvar", level)(family.decode(make_raw(family)))
    assert_within(found, *integral(quantiles(family, below=level)))


@every_family
def test_mean_is_the_integral_of_the_quantile(family: Family) -> None:
    found = Risk("mean")(family.decode(make_raw(family)))
    assert_within(found, *integral(quantiles(family)))


@every_family
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_lcb_is_the_mean_less_a_number_of_standard_deviations(
    family: Family, weight: float
) -> None:
    """A deviation is off by the root of what its square is off by, if that is 0, and else less."""
    found = Risk("lcb", weight)(family.decode(make_raw(family)))
    mean, margin = integral(quantiles(family))
    variance, error = integral((quantiles(family) - mean) ** 2)
    error_of_std = error / np.maximum(variance, error) ** 0.5
    assert_within(found, mean - weight * variance**0.5, margin + weight * error_of_std)


@every_family
@pytest.mark.parametrize("risk_aversion", [0.1, 0.5, 1.0])
def test_entropic_is_the_certainty_equivalent_of_exponential_utility(
    family: Family, risk_aversion: float
) -> None:
    """Where the tail beyond e^-30 still counts for nothing: exp(-θU) moves a normal by θσ < 2.2.

    Where it is infinite, exp(-θ quantile(q)) q does not fall as q → 0.
    """
    utility = family.decode(make_raw(family))
    found = Risk("entropic", risk_aversion)(utility)
    if np.isneginf(found).any():
        logs = np.array([-300.0, -150.0])[:, None]
        farther, far = logs - risk_aversion * np.asarray(utility.quantile(np.exp(logs)))
        assert (farther >= far - 1e-9)[np.isneginf(found)].all()
        return
    moment, margin = integral(np.exp(-risk_aversion * quantiles(family)))
    assert_within(found, -np.log(moment) / risk_aversion, 2 * margin / moment / risk_aversion)


@every_family
@pytest.mark.parametrize("threshold", [-1.5, 0.0, 0.3, 0.9])
def test_prob_below_is_minus_the_share_of_quantiles_up_to_it(
    family: Family, threshold: float
) -> None:
    """A step is located to within one step of the grid, whose weight is at most `max(WEIGHTS)`."""
    found = Risk("prob_below", threshold)(family.decode(make_raw(family)))
    expected, _ = integral((quantiles(family) <= threshold).astype(float))
    np.testing.assert_allclose(found, -expected, atol=WEIGHTS.max())


@every_family
@pytest.mark.parametrize("level", [0.01, 0.5, 0.9])
def test_quantile_is_where_the_share_below_passes_its_level(family: Family, level: float) -> None:
    utility = family.decode(make_raw(family))
    found = Risk("quantile", level)(utility)
    assert (utility.cdf(found + 1e-6) >= level - 1e-9).all()
    assert (utility.cdf(found - 1e-6) <= level + 1e-9).all()


@every_family
def test_worst_context_is_of_families_whose_responses_share_contexts(family: Family) -> None:
    utility = family.decode(make_raw(family))
    risk = Risk("worst_context")
    if is_supported(risk, family):
        assert (risk(utility) <= utility.mean).all()
        np.testing.assert_array_equal(risk(utility), utility.worst_context)
    else:
        with pytest.raises(UserError, match="worst_context needs contexts"):
            risk(utility)
        with pytest.raises(UserError, match="worst_context needs contexts"):
            check_supported(risk, family)
        with pytest.raises(UserError, match="worst_context needs contexts"):
            reward_function(family, risk)


@every_family
def test_more_aversion_never_gives_a_higher_reward(family: Family) -> None:
    utility = family.decode(make_raw(family))
    for name, rising in {
        "quantile": [0.9, 0.5, 0.1, 0.01],
        "cvar": [0.9, 0.5, 0.1, 0.01],
        "lcb": [0.0, 0.5, 2.0],
        "entropic": [0.01, 0.5, 2.0],
        "prob_below": [-1.0, 0.0, 1.0],
    }.items():
        rewards = np.stack([Risk(name, parameter)(utility) for parameter in rising])
        assert (rewards[1:] <= rewards[:-1] + 1e-9).all(), name  # -inf is a reward


# The level that a KL penalty gives

BETAS = [0.05, 0.3, 1.0, 20.0]


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def discrete_problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs of `shared_context` for 7 responses: utilities in 4 contexts, and their weights."""
    outputs = np.random.default_rng(3).normal(size=(7, 8))
    return outputs, outputs[:, :4], softmax(outputs[:, 4:])


@pytest.mark.parametrize("beta", BETAS)
def test_the_policy_that_is_best_by_the_kl_reward_is_the_closed_form(beta: float) -> None:
    """Natural-gradient ascent of E_π[reward] - β KL(π || reference) over seven responses.

    Against reference / E[exp(-U/β)], normalised.
    """
    outputs, utilities, weights = discrete_problem()
    reference = softmax(np.random.default_rng(4).normal(size=7))
    reward = Risk("kl", beta)(SharedContext(4).decode(outputs))
    log_policy = np.log(reference)
    for _ in range(200):
        gradient = reward - beta * (log_policy - np.log(reference))
        log_policy = np.log(softmax(log_policy + 0.2 / beta * gradient))
    expected = reference / (weights * np.exp(-utilities / beta)).sum(-1)
    np.testing.assert_allclose(np.exp(log_policy), expected / expected.sum(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_the_kl_reward_is_what_an_adversary_leaves_who_pays_the_same_penalty(beta: float) -> None:
    """min over Q of E_Q[U] + β KL(Q || P), found by descent on the logits of Q."""
    outputs, utilities, weights = discrete_problem()

    def paid(logits: np.ndarray, row: int) -> tuple[float, np.ndarray]:
        """What the policy gets, and its gradient by the logits."""
        chosen = softmax(logits)
        each = utilities[row] + beta * np.log(chosen / weights[row])
        return float(chosen @ each), chosen * (each - chosen @ each)

    found = [
        scipy.optimize.minimize(
            paid, np.log(weights[row]), args=(row,), jac=True, options={"gtol": 1e-9}
        ).fun
        for row in range(7)
    ]
    reward = Risk("kl", beta)(SharedContext(4).decode(outputs))
    np.testing.assert_allclose(reward, found, rtol=0, atol=1e-6)


@every_family
@pytest.mark.parametrize("beta", BETAS)
def test_a_kl_penalty_is_the_inverse_of_the_risk_aversion(family: Family, beta: float) -> None:
    utility = family.decode(make_raw(family))
    np.testing.assert_array_equal(Risk("kl", beta)(utility), Risk("entropic", 1 / beta)(utility))


@pytest.mark.parametrize("beta", BETAS)
def test_of_normal_utilities_a_kl_penalty_takes_half_the_variance_over_it(beta: float) -> None:
    raw = make_raw(Normal())
    utility = Normal().decode(raw)
    expected = raw[:, 0] - np.logaddexp(0, raw[:, 1]) ** 2 / (2 * beta)
    np.testing.assert_allclose(Risk("kl", beta)(utility), expected, rtol=1e-14)
    of_mixture = np.concatenate([np.zeros((3, 1)), raw], axis=1)  # one component, offset 0
    found = Risk("kl", beta)(Mixture(1).decode(of_mixture))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


BUILT_IN = [Point(), Normal(), Categorical(), QuantileFunction(), Mixture(), SharedContext()]


@pytest.mark.parametrize("family", BUILT_IN, ids=repr)
def test_a_strong_kl_penalty_leaves_the_mean_and_a_weak_one_the_worst_case(family: Family) -> None:
    """The essential infimum; where there is none, a reward below any utility that is likely."""
    utility = family.decode(make_raw(family))
    np.testing.assert_allclose(Risk("kl", 1e9)(utility), utility.mean, rtol=0, atol=1e-8)
    found = Risk("kl", 1e-9)(utility)
    if isinstance(family, (Normal, Mixture)):
        assert (found < utility.quantile(1e-300)).all()
    else:
        infimum = utility.quantile(1e-15)
        np.testing.assert_allclose(found, infimum, rtol=0, atol=1e-6)
        assert (found >= infimum - 1e-12).all()


@pytest.mark.parametrize("text", [*EXAMPLES, "kl:3", "prob_below:2.5"])
def test_a_reward_on_another_scale_is_that_of_the_mapped_distribution(text: str) -> None:
    risk, slope, intercept = parse_risk(text), 2.5, -0.7
    utility: Any = SharedContext().decode(make_raw(SharedContext()))
    mapped = dataclasses.replace(utility, contexts=slope * utility.contexts + intercept)
    np.testing.assert_allclose(risk.of_mapped(utility, slope, intercept), risk(mapped), rtol=1e-12)
    if text in EVERYWHERE:
        utility = Normal().decode(make_raw(Normal()))
        mapped = dataclasses.replace(
            utility, location=slope * utility.location + intercept, scale=slope * utility.scale
        )
        found = risk.of_mapped(utility, slope, intercept)
        np.testing.assert_allclose(found, risk(mapped), rtol=1e-12)


# Rewards


@every_family
@pytest.mark.parametrize("text", EVERYWHERE)
def test_a_reward_is_one_number_a_response_in_numpy_and_torch_alike(
    family: Family, text: str
) -> None:
    reward = reward_function(family, parse_risk(text))
    raw = make_raw(family, (2, 3))
    from_numpy, from_torch = reward(raw), reward(torch.from_numpy(raw))
    assert from_numpy.shape == tuple(from_torch.shape) == (2, 3)
    assert isinstance(from_torch, torch.Tensor)
    np.testing.assert_allclose(from_numpy, from_torch, rtol=1e-6, atol=1e-9)
    assert reward(raw[1, 2]).shape == ()


@every_family
def test_a_reward_function_can_be_sent_to_another_process(family: Family) -> None:
    reward = reward_function(family, Risk("cvar", 0.05))
    raw = make_raw(family)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reward))(raw), reward(raw))


@pytest.mark.parametrize("text", MONOTONE)
def test_a_better_response_has_the_higher_reward(text: str) -> None:
    """Of normal utilities with one deviation; `prob_below` shows the sign that this needs."""
    worse, better = reward_function(Normal(), parse_risk(text))(np.array([[0.0, 0.3], [0.5, 0.3]]))
    assert better > worse


@pytest.mark.parametrize("text", EVERYWHERE)
def test_rewards_are_differentiable(text: str) -> None:
    """Against central differences in float64, whose error is that of 1e-6 squared, and rounding."""
    reward = reward_function(Normal(), parse_risk(text))
    raw = torch.tensor([0.2, 0.4], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(reward(raw), raw)
    for index in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[index] = 1e-6
        difference = ((reward(raw + step) - reward(raw - step)) / 2e-6).detach()
        assert float(found[index]) == pytest.approx(float(difference), abs=1e-8)


# Strings


@pytest.mark.parametrize("text", [*EXAMPLES, "quantile:1e-05", "prob_below:0.0", "lcb:0.0"])
def test_a_risk_prints_as_the_string_that_it_was_read_from(text: str) -> None:
    assert str(parse_risk(text)) == text
    assert parse_risk(text) == parse_risk(str(parse_risk(text)))


def test_equal_risks_are_asked_for_once() -> None:
    risks = parse_risks(["lcb:2", "mean", "lcb:2.0", "prob_below:-1.5"])
    assert risks == (Risk("lcb", 2.0), Risk("mean"), Risk("prob_below", -1.5))


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "median", "Mean", "quantile", "quantile:", "quantile:low", "quantile:0.1:0.2"),
        *("quantile:0", "quantile:1", "quantile:-0.1", "quantile:nan", "quantile:inf"),
        *("cvar:0", "cvar:1.0", "cvar:nan", "lcb", "lcb:-1", "lcb:nan", "lcb:inf"),
        *("entropic:0", "entropic:-1", "entropic:inf", "prob_below", "prob_below:nan"),
        *("kl", "kl:0", "kl:-0.1", "kl:inf", "kl:nan", "kl:1e-320"),
        *("mean:1", "worst_context:2", "quantile:\n0.1x"),
    ],
)
def test_what_does_not_parse_is_one_line_that_lists_what_would(text: str) -> None:
    with pytest.raises(UserError) as refusal:
        parse_risk(text)
    message = str(refusal.value)
    assert "\n" not in message
    assert message.startswith("risk ")
    assert repr(text) in message
    for example in EXAMPLES:
        assert example in message


def test_a_risk_made_in_code_is_checked_like_a_string() -> None:
    for name, parameter in [("quantile", 1.0), ("lcb", math.nan), ("mean", 0.5), ("luck", None)]:
        with pytest.raises(UserError, match="risks are mean, quantile"):
            Risk(name, parameter)
