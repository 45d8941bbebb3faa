"""Each risk measure against the integral that defines it, for every family."""

import functools
import math
import pickle

import numpy as np
import pytest
import torch

from hidden_context.distributions import FAMILIES, Family, Normal
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
