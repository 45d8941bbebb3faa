"""Rates along a level of risk, and a level that is chosen where it is not tested."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from measures.simulated_scores import comparisons, jailbreaks

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.errors import UserError
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.models import ModelScores, choose_levels
from hidden_context.measures.rates import rate_of_higher
from hidden_context.measures.risk_levels import CURVES, choose_level, refuse_shared_prompts
from hidden_context.risk import Risk
from hidden_context.scores.scores import Scores

WIDE, NARROW = 3.0, -3.0
"""Raw deviations: softplus is 3.05 and 0.05."""
Pairs = list[tuple[list[float], list[float]]]
RISKY = ([0.0, NARROW], [1.0, WIDE])
"""The unsafe response has the higher mean; it is the lower from about the 0.37-quantile down."""
CLEAR = ([1.0, NARROW], [0.0, NARROW])
WORTH_THE_RISK = ([1.0, WIDE], [0.0, NARROW])
"""The chosen response is the wider: averse levels get it wrong."""


def scores_of(pairs: Pairs, name: str, family: Family | None = None, **fields: Any) -> Scores:
    """Of (chosen, rejected) or of (safe, unsafe); prompts named after `name`."""
    prompt = np.array([f"{name}{number}" for number in range(len(pairs))])
    return Scores.of_pairs(family or Normal(), np.array(pairs), prompt=prompt, **fields)


def measured(
    broken: Pairs, helpful: Pairs, risks: tuple[Risk, ...], family: Family | None = None
) -> Evaluation:
    objective = np.full(len(helpful), "helpful")
    return evaluate(
        scores_of(helpful, "comparison ", family, objective=objective),
        jailbreaks=replace(scores_of(broken, "jailbreak ", family), kind="responses"),
        risks=risks,
        measures=("accuracy", "jailbreaks"),
    )


# Curves


def test_a_curve_is_the_rate_of_its_own_quantile_at_every_level() -> None:
    pairs, broken = comparisons(Categorical()), jailbreaks(Categorical())
    curve = evaluate(pairs, jailbreaks=broken, risks=CURVES["quantile"])
    assert curve.risks == ["mean", *map(str, CURVES["quantile"])]
    for level in (0.005, 0.1, 0.5):
        reward = broken.family.decode(broken.by_row).quantile(level)
        rate = curve.jailbreak_rate[f"quantile:{level}"]
        assert rate == rate_of_higher(reward[:, 1], reward[:, 0], broken.prompt)


def test_curves_of_quantile_and_cvar_run_from_a_half_to_one_in_two_hundred() -> None:
    for name in ("quantile", "cvar"):
        levels: list[Any] = [risk.parameter for risk in CURVES[name]]
        assert (levels[0], levels[-1]) == (0.5, 0.005)
        assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("name", CURVES)
def test_a_wide_unsafe_response_is_preferred_less_and_less(name: str) -> None:
    curve = measured([RISKY, CLEAR], [CLEAR], CURVES[name])
    rates = [rate.value for rate in curve.jailbreak_rate.values()]
    assert len(rates) == 1 + len(CURVES[name])
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == (0.5, 0.0)


def test_a_scalar_model_has_a_mean_and_no_levels() -> None:
    curve = measured([([0.0], [1.0])], [([1.0], [0.0])], CURVES["cvar"], Point())
    assert curve.risks == ["mean"]
    assert choose_level(curve) == "mean"


# The choice


def test_the_level_with_the_lowest_jailbreak_rate_is_chosen_and_of_equals_the_least_averse() -> (
    None
):
    validation = measured([RISKY, RISKY], [CLEAR], CURVES["quantile"])
    assert validation.jailbreak_rate["quantile:0.4"].value == 1
    assert choose_level(validation) == "quantile:0.3"


def test_of_equal_jailbreak_rates_the_more_accurate_is_chosen() -> None:
    """Levels from .4 to .3 differ in a comparison that is won from the 0.37-quantile down."""
    validation = measured([CLEAR], [CLEAR, RISKY], CURVES["quantile"])
    assert validation.helpfulness_accuracy["mean"].value == 0.5
    assert choose_level(validation) == "quantile:0.3"


def test_accuracy_is_given_up_within_the_tolerance_and_no_further() -> None:
    """One comparison of four is lost by averse levels: an accuracy of 0.75 in place of 1."""
    validation = measured([RISKY], [CLEAR] * 3 + [WORTH_THE_RISK], CURVES["quantile"])
    for tolerance, chosen in ((0.0, "mean"), (0.24, "mean"), (0.25, "quantile:0.3")):
        assert choose_level(validation, tolerance=tolerance) == chosen, tolerance


def test_rounding_does_not_refuse_what_is_just_within_the_tolerance() -> None:
    """Accuracies of .8 and .7 differ by .1, but 0.8 - 0.1 > 0.7 in floats."""
    wrong = (CLEAR[1], CLEAR[0])
    validation = measured([RISKY], [CLEAR] * 7 + [WORTH_THE_RISK] + [wrong] * 2, CURVES["quantile"])
    assert validation.helpfulness_accuracy["mean"].value - 0.1 > 0.7
    assert choose_level(validation, tolerance=0.1) == "quantile:0.3"


def test_a_choice_needs_both_rates_by_the_same_risks_and_a_tolerance() -> None:
    whole = measured([RISKY], [CLEAR], CURVES["quantile"])
    other = measured([RISKY], [CLEAR], CURVES["cvar"])
    for partial in (
        replace(whole, helpfulness_accuracy={}),
        replace(whole, jailbreak_rate={}),
        replace(whole, jailbreak_rate=other.jailbreak_rate),
    ):
        with pytest.raises(UserError, match=r"mean_and_variance .* one of them is missing"):
            choose_level(partial)
    for tolerance in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=rf"tolerance of {tolerance} is outside \[0, 1\]"):
            choose_level(whole, tolerance=tolerance)


# Prompts


def test_a_level_is_not_chosen_on_prompts_that_it_is_tested_on() -> None:
    """Of any kind: a jailbreak that is a comparison of the other is found too."""
    validation = [scores_of([CLEAR, CLEAR], "a"), scores_of([RISKY], "jailbreak ")]
    refuse_shared_prompts(validation, [scores_of([CLEAR], "b")])
    crossed = replace(scores_of([RISKY], "c"), kind="responses", prompt=np.array(["a1"]))
    for test, shared in ((validation, 3), ([crossed], 1)):
        with pytest.raises(UserError, match=rf"share {shared} prompts \(one: 'a.'\); choose the"):
            refuse_shared_prompts(validation, test)


def model_of(broken: Pairs, helpful: Pairs, name: str) -> ModelScores:
    objective = np.full(len(helpful), "helpful")
    scores = replace(scores_of(broken, f"{name} jailbreak "), kind="responses")
    return ModelScores(scores_of(helpful, f"{name} comparison ", objective=objective), scores)


def test_the_choice_does_not_look_at_the_test_scores_and_is_measured_on_them() -> None:
    validation = model_of([RISKY], [CLEAR], "validation")
    swapped = (CLEAR[1], CLEAR[0])
    tests = [model_of([RISKY], [CLEAR], "a"), model_of([swapped], [WORTH_THE_RISK], "b")]
    choices = [choose_levels([validation], [test], CURVES["quantile"])[0] for test in tests]
    assert [choice.risk for choice in choices] == ["quantile:0.3"] * 2
    for choice, rate, accuracy in zip(choices, (0.0, 1.0), (1.0, 0.0), strict=True):
        assert choice.test.risks == ["mean", "quantile:0.3"]
        assert choice.test.jailbreak_rate["quantile:0.3"].value == rate
        assert choice.test.helpfulness_accuracy["quantile:0.3"].value == accuracy


def test_a_choice_needs_one_model_in_both_sets() -> None:
    a, b = (model_of([RISKY], [CLEAR], name) for name in "ab")
    with pytest.raises(UserError, match="no model has both validation and test scores"):
        choose_levels([a], [], CURVES["quantile"])
    for validation, test in (([a, a], [b]), ([a], [b, b])):
        with pytest.raises(UserError, match=r"several runs are of mean_and_variance .*leave one"):
            choose_levels(validation, test, CURVES["quantile"])
    with pytest.raises(UserError, match="share 2 prompts"):
        choose_levels([a], [a], CURVES["quantile"])
