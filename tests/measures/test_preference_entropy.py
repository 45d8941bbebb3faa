"""PreferenceEntropy of comparisons against its definition and its meaning."""

import math

import numpy as np
import pytest
from measures.normal_outputs import NORMAL, example, outputs
from scipy import stats

from hidden_context.distributions import FAMILIES, Point
from hidden_context.errors import UserError
from hidden_context.measures.preference_entropy import (
    chance_to_differ,
    entropy_bits,
    preference_entropy,
)


def test_it_is_the_mean_over_prompts_of_the_mean_over_pairs() -> None:
    margins = [0.0, 1.0, 3.0]  # one prompt of three, one of two, one of one
    location = np.array([*margins, 5.0, 7.0, 9.0])[:, None]
    pairs = [[1.0, 3.0, 2.0], [2.0]]
    p = [1 / (1 + np.exp(-np.array(prompt))) for prompt in pairs]
    found = preference_entropy(Point(), location, ["a", "a", "a", "b", "b", "c"])
    assert found.chance_to_differ == pytest.approx(np.mean([(4 * q * (1 - q)).mean() for q in p]))
    entropy = np.mean([stats.entropy([q, 1 - q], base=2).mean() for q in p])
    assert found.entropy == pytest.approx(entropy)
    assert (found.num_pairs, found.num_prompts) == (4, 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_one_is_a_coin_toss(name: str) -> None:
    family = FAMILIES[name]()
    found = preference_entropy(family, np.ones((4, family.num_outputs)), [0, 0, 1, 1])
    assert (found.chance_to_differ, found.entropy) == pytest.approx((1, 1))


def test_zero_is_certainty_even_where_a_probability_is_zero() -> None:
    sure = outputs(np.array([0.0, 1e4, -1e4]), np.ones(3))
    found = preference_entropy(NORMAL, sure, ["a", "a", "a"])
    assert (found.chance_to_differ, found.entropy) == (0, 0)
    assert entropy_bits(np.array([0.0]), np.array([-np.inf])) == 0


def test_it_is_twice_the_chance_that_two_people_differ() -> None:
    """100,000 pairs of people: 4 binomial errors of 2 · share."""
    p = np.array([0.07, 0.3, 0.5])
    votes = np.random.default_rng(0).random((2, 100_000, 3)) < p
    differ = (votes[0] != votes[1]).mean(0)
    np.testing.assert_allclose(
        chance_to_differ(np.log(p), np.log1p(-p)), 2 * differ, atol=4 * 2 * 0.5 / math.sqrt(1e5)
    )


def test_entropy_is_never_below_the_chance_to_differ() -> None:
    p = np.linspace(0.001, 0.999, 999)
    logs = np.log(p), np.log1p(-p)
    assert (entropy_bits(*logs) >= chance_to_differ(*logs) - 1e-15).all()


def test_prompts_that_do_not_fit_are_refused() -> None:
    raw, prompts = example(num_prompts=3)
    with pytest.raises(UserError, match=r"expected \(9,\)"):
        preference_entropy(NORMAL, raw, prompts[1:])
    with pytest.raises(UserError, match="no prompt has two"):
        preference_entropy(NORMAL, raw, np.arange(9))
