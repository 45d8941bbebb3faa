"""The label null against the distribution of sums of coins, and its p-values by their size."""

import math

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.measures.parametric_bootstrap import (
    label_null,
    parametric_bootstrap,
    redrawn_labels,
)

PROB = np.random.default_rng(0).uniform(0.5, 0.95, size=200)


def wins(outcomes: np.ndarray) -> float:
    """A statistic whose distribution is known: the number of times the first is preferred."""
    return float(outcomes.sum())


def test_labels_are_drawn_at_the_rate_that_the_scalar_model_implies() -> None:
    """Σ of independent coins: mean Σp, variance Σp(1 - p). Margins: 4 standard errors."""
    found = label_null(np.log(PROB), wins, observed=150.0, tail="upper", num_draws=2000)
    variance = (PROB * (1 - PROB)).sum()
    assert found.draws.mean() == pytest.approx(PROB.sum(), abs=4 * math.sqrt(variance / 2000))
    assert found.draws.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / 2000))


def test_each_comparison_keeps_its_own_rate() -> None:
    """Not one rate for all: the second of two comparisons is certain."""
    seen: list[np.ndarray] = []

    def keep(outcomes: np.ndarray) -> float:
        seen.append(outcomes)
        return 0.0

    label_null(np.log([0.5, 1.0]), keep, observed=0.0, tail="upper", num_draws=400)
    rates = np.mean(seen, axis=0)
    assert rates[1] == 1
    assert rates[0] == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(400))


@pytest.mark.parametrize("tail", ["upper", "lower"])
def test_where_no_hidden_context_is_a_small_p_is_as_rare_as_it_says(tail: str) -> None:
    """P(p ≤ 0.1) ≤ 0.1 for every tail; 300 data sets, 4 binomial errors."""
    rng = np.random.default_rng(1)
    small = 0
    for seed in range(300):
        observed = wins(rng.random(len(PROB)) < PROB)
        found = label_null(
            np.log(PROB), wins, observed=observed, tail=tail, num_draws=39, seed=seed
        )
        small += found.p_value <= 0.1
    assert small / 300 <= 0.1 + 4 * math.sqrt(0.1 * 0.9 / 300)
    assert small / 300 >= 0.02  # nor is it always large


def test_p_counts_the_observed_statistic_among_the_draws() -> None:
    extreme = label_null(np.log(PROB), wins, observed=1e6, tail="upper", num_draws=19)
    assert extreme.p_value == 1 / 20
    assert extreme.share_below == 1
    other = label_null(np.log(PROB), wins, observed=1e6, tail="lower", num_draws=19)
    assert other.p_value == 1
    constant = label_null(np.log(PROB), lambda _: 2.0, observed=2.0, tail="upper", num_draws=19)
    assert (constant.p_value, constant.share_below) == (1, 0.5)


def test_what_makes_no_null_is_refused() -> None:
    for words, log_prob, refit, num_draws, tail in [
        ("at most 0", [0.5], wins, 1, "upper"),
        ("upper, lower", [-0.5], wins, 1, "both"),
        ("at least 1", [-0.5], wins, 0, "upper"),
        ("not finite", [-0.5], lambda _: math.nan, 1, "upper"),
        ("at least one", [], wins, 1, "upper"),
    ]:
        with pytest.raises(UserError, match=words):
            label_null(log_prob, refit, observed=0.0, tail=tail, num_draws=num_draws)


def test_redrawn_votes_are_binomial():
    log_prob, votes = np.log([0.2, 0.9]), np.array([5.0, 20.0])
    found = redrawn_labels(log_prob, num_votes=votes, num_draws=4000, seed=0)
    expected = np.array([0.2, 0.9])
    error = np.sqrt(expected * (1 - expected) / votes / 4000)
    assert (np.abs(found.mean(0) - expected) < 4 * error).all()
    np.testing.assert_allclose(found.var(0), expected * (1 - expected) / votes, rtol=0.15)
    assert set(np.unique(found[:, 0] * 5).round(4)) <= {0, 1, 2, 3, 4, 5}


def test_all_draws_at_once_are_the_draws_one_by_one():
    log_prob = np.log(np.linspace(0.1, 0.9, 50))
    labels = redrawn_labels(log_prob, num_draws=19, seed=3)
    together = parametric_bootstrap(0.5, labels.mean(1), tail="upper")
    one_by_one = label_null(
        log_prob, lambda each: float(each.mean()), observed=0.5, tail="upper", num_draws=19, seed=3
    )
    np.testing.assert_allclose(together.draws, one_by_one.draws, atol=1e-6)
    assert together.p_value == one_by_one.p_value
