"""The parametric bootstrap against the distribution of sums of coins, and its p-values by size."""

import math
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.measures.parametric_bootstrap import (
    detectable_gains,
    max_statistic_tests,
    parametric_bootstrap,
    simulated_labels,
    simulated_shares,
)

PROB = np.random.default_rng(0).uniform(0.5, 0.95, size=200)


def test_labels_are_drawn_at_the_rate_that_the_scalar_model_implies() -> None:
    """Σ of independent coins: mean Σp, variance Σp(1 - p). Margins: 4 standard errors."""
    wins = simulated_labels(np.log(PROB), num_draws=2000).sum(1)
    variance = (PROB * (1 - PROB)).sum()
    assert wins.mean() == pytest.approx(PROB.sum(), abs=4 * math.sqrt(variance / 2000))
    assert wins.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / 2000))


def test_every_comparison_keeps_its_own_rate() -> None:
    """Not one rate for all: the second of two comparisons is certain."""
    labels = simulated_labels(np.log([0.5, 1.0]), num_draws=400)
    assert set(np.unique(labels)) == {0, 1}
    assert labels[:, 1].mean() == 1
    assert labels[:, 0].mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(400))


def test_simulated_votes_are_binomial() -> None:
    """χ² of how often each of 0, ..., V votes came, at the 0.1 % level."""
    prob, votes = np.array([0.2, 0.9]), np.array([5, 20])
    shares = simulated_labels(np.log(prob), num_votes=votes, num_draws=4000)
    for k in range(2):
        counts = np.bincount((shares[:, k] * votes[k]).round().astype(int), minlength=votes[k] + 1)
        expected = 4000 * stats.binom.pmf(np.arange(votes[k] + 1), votes[k], prob[k])
        common = expected > 5
        statistic = ((counts - expected)[common] ** 2 / expected[common]).sum()
        assert statistic < stats.chi2.ppf(0.999, common.sum() - 1)


def test_fractions_of_votes_are_rounded_to_at_least_one() -> None:
    shares = simulated_labels(np.log([0.5, 0.5]), num_votes=[0.2, 2.6], num_draws=200)
    assert set(shares[:, 0].tolist()) == {0, 1}
    assert set(np.round(shares[:, 1] * 3, 5).tolist()) == {0, 1, 2, 3}


def test_the_seed_decides_the_labels() -> None:
    once, again, other = (
        simulated_labels(np.log(PROB), num_draws=3, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    assert once.dtype == np.float32


@pytest.mark.parametrize("tail", ["upper", "lower"])
def test_where_no_hidden_context_is_p_is_as_small_as_it_says(
    tail: Literal["upper", "lower"],
) -> None:
    """The observed sum is exchangeable with the draws': P(p ≤ k/40) ≤ k/40.

    Ties of whole numbers make p larger: by P(tie) = Σ pmf² ≈ 1/(2√π σ) = .047 of the draws each
    counts twice at most, so P(p ≤ .1) is above .1 - .047 - 1/40. 1000 data sets, 4 binomial errors.
    """
    rng = np.random.default_rng(1)
    p_values = []
    for seed in range(1000):
        observed = float((rng.random(len(PROB)) < PROB).sum())
        draws = simulated_labels(np.log(PROB), num_draws=39, seed=seed).sum(1)
        p_values.append(parametric_bootstrap("wins", observed, draws, tail=tail).p_value)
    error = math.sqrt(0.1 * 0.9 / 1000)
    small = np.mean(np.array(p_values) <= 0.1)
    assert 0.1 - 0.047 - 1 / 40 - 4 * error <= small <= 0.1 + 4 * error
    sigma = math.sqrt((PROB * (1 - PROB)).sum())
    assert 1 / (2 * math.sqrt(math.pi) * sigma) == pytest.approx(0.047, abs=0.002)


def test_p_counts_the_observed_statistic_among_the_draws() -> None:
    draws = [1.0, 2.0, 2.0, 5.0]
    for observed, upper, lower in [(9, 1, 5), (5, 2, 5), (2, 4, 4), (1.5, 4, 2), (0, 5, 1)]:
        above = parametric_bootstrap("r2_pooled", observed, draws, tail="upper")
        below = parametric_bootstrap("r2_pooled", observed, draws, tail="lower")
        assert (above.p_value, below.p_value) == (upper / 5, lower / 5)
        assert (above.figure, above.observed, above.draws) == ("r2_pooled", observed, (1, 2, 2, 5))
    assert parametric_bootstrap("ece", 2.0, draws, tail=None).p_value is None


def test_what_makes_no_bootstrap_is_refused() -> None:
    with pytest.raises(UserError, match="at most 0"):
        simulated_labels([0.5])
    with pytest.raises(UserError, match="at least 1"):
        simulated_labels([-0.5], num_draws=0)
    with pytest.raises(UserError, match="at least one"):
        simulated_labels([])
    with pytest.raises(UserError, match="0 or more"):
        simulated_labels([-0.5], num_votes=[-1])
    with pytest.raises(UserError, match="the refitted statistic has 1 values that are not finite"):
        parametric_bootstrap("r2", 0.5, [0.1, math.nan], tail="upper")
    with pytest.raises(UserError, match="observed has 1 values that are not finite"):
        parametric_bootstrap("r2", math.nan, [0.1], tail="upper")


def test_ties_and_strengths_are_drawn_as_often_as_the_model_has_them():
    """Of V votes a share has variance P(1 - P)/V, ties among them."""
    prob = np.array([[0.2, 0.35, 0.45], [0.1, 0.0, 0.9]])
    shares = simulated_shares(prob, num_votes=[5, 1], num_draws=4000, seed=0)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares.mean(0), prob, atol=4 * 0.5 / 4000**0.5)
    var = prob * (1 - prob) / np.array([[5], [1]])
    np.testing.assert_allclose(shares.var(0), var, atol=0.015)
    assert (shares[:, 1, 1] == 0).all()


def test_probabilities_that_do_not_sum_to_one_are_refused():
    with pytest.raises(UserError, match="sum to 1"):
        simulated_shares([[0.5, 0.4]], num_votes=[1])


def drawn_tests(rng: np.random.Generator, num_draws: int, effect: float = 0.0):
    """Three statistics on one scale each, whose draws go together; the real ones have an effect."""
    scale = np.array([1.0, 10.0, 0.01])
    common = rng.normal(size=(1 + num_draws, 1))
    sets = (rng.normal(size=(1 + num_draws, 3)) + common) / math.sqrt(2)
    sets[0] += effect
    return {
        str(number): parametric_bootstrap(str(number), values[0], values[1:], tail="upper")
        for number, values in enumerate((sets * scale).T)
    }


def test_of_several_tests_one_finds_something_as_seldom_as_it_says() -> None:
    """The sets are exchangeable, so that the largest statistic is the real one's in 1 of 20.

    Alone, each is found in 1 of 20, so that one of three would be in more. 4 binomial errors.
    """
    rng = np.random.default_rng(0)
    alone, together = [], []
    for _ in range(2000):
        tests = drawn_tests(rng, 19)
        alone.append(min(each.p_value or 1 for each in tests.values()) <= 0.05)
        together.append(
            min(each.p_value or 1 for each in max_statistic_tests(tests).values()) <= 0.05
        )
    error = math.sqrt(0.05 * 0.95 / 2000)
    assert np.mean(together) == pytest.approx(0.05, abs=4 * error)
    assert np.mean(alone) > 0.05 + 4 * error


def test_one_test_has_the_p_that_it_has_alone() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        test = drawn_tests(rng, 19, effect=1.0)["0"]
        assert max_statistic_tests({"0": test})["0"] == test


@pytest.mark.parametrize("freedom", [6, 30])
def test_a_detectable_gain_is_found_with_its_power(freedom: int) -> None:
    """Gains are χ²/(2N), noncentral by 2N times the true one; 199 draws, 1000 data sets.

    The exact power is .8 for a normal gain and known draws. χ² is skewed: with 6 and 30 degrees its
    80 % point below the mean is nearer by less than .1 deviations, so less than .03 of power; draws
    know their deviation within .06 and 1/N within .1, .02 more. 4 binomial errors: .05.
    """
    rng = np.random.default_rng(2)
    votes, found = 1000, []
    for _ in range(1000):
        draws = rng.chisquare(freedom, 199) / (2 * votes)
        needed = detectable_gains({"gain": draws.tolist()})["gain"]
        observed = rng.noncentral_chisquare(freedom, 2 * votes * needed) / (2 * votes)
        found.append(parametric_bootstrap("gain", observed, draws, tail="upper").p_value <= 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("power", [0.5, 0.6, 0.9])
def test_a_gain_solves_its_equation_at_any_power_that_is_asked_for(power: float) -> None:
    """Δ - t = Φ⁻¹(power) √(s² + 2Δ/N), 1/N = s²/mean; at ½ it is the threshold."""
    draws = np.random.default_rng(4).chisquare(9, 39)
    found = detectable_gains({"gain": draws.tolist()}, power=power)["gain"]
    variance = draws.var(ddof=1)
    threshold = np.sort(draws - draws.mean())[::-1][1]  # p is at most .05 above the second of 39
    off = stats.norm.ppf(power) * np.sqrt(variance + 2 * found * variance / draws.mean())
    assert found - threshold == pytest.approx(off, abs=1e-9)


@pytest.mark.parametrize("power", [0.2, 0.0, 1.0, -1.0, math.nan])
def test_a_power_below_one_half_is_refused(power: float) -> None:
    with pytest.raises(UserError, match="power is"):
        detectable_gains({"gain": np.arange(19.0).tolist()}, power=power)


def test_of_several_families_each_must_gain_more_to_be_found() -> None:
    rng = np.random.default_rng(3)
    draws = {str(number): rng.chisquare(9, 19).tolist() for number in range(3)}
    together = detectable_gains(draws)
    alone = {name: detectable_gains({name: each})[name] for name, each in draws.items()}
    assert all(together[name] >= alone[name] for name in draws)
    assert any(together[name] > alone[name] for name in draws)


def test_draws_that_cannot_find_anything_or_differ_in_number_are_refused() -> None:
    with pytest.raises(UserError, match="whatever 18 draws are"):
        detectable_gains({"gain": np.arange(18.0).tolist()})
    with pytest.raises(UserError, match="different numbers"):
        detectable_gains({"a": [0.0, 1.0], "b": [0.0]})
