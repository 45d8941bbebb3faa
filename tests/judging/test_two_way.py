"""Intervals of statistics of votes that persons and prompts have in common."""

import numpy as np
import pytest
from scipy import stats

from hidden_context.judging.two_way import (
    Clusters,
    Measured,
    compare,
    largest_of,
    mean_of,
    measure,
)


def test_by_prompt_alone_a_mean_has_the_variance_of_the_means_of_prompts():
    values = np.random.default_rng(0).normal(size=(30, 4))
    at = Clusters(np.repeat(np.arange(30), 4), None)
    found = mean_of(values.ravel(), np.ones(120), at).estimate()
    error = values.mean(1).std(ddof=1) / 30**0.5
    assert found.value == pytest.approx(values.mean())
    assert found.high is not None
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 29) * error)


def test_crossed_effects_are_covered():
    """Effects of 20 people and of 30 prompts, each of whom meets each, with noise of their own."""
    rng = np.random.default_rng(1)
    person, prompt = np.repeat(np.arange(20), 30), np.tile(np.arange(30), 20)
    at, covered = Clusters(prompt, person), 0
    for _ in range(300):
        values = rng.normal(size=20)[person] + rng.normal(size=30)[prompt] + rng.normal(size=600)
        found = mean_of(values, np.ones(600), at).estimate()
        assert found.low is not None
        covered += found.low < 0 < found.high
    # 3.3 standard errors of a share of .95 in 300, and .01 for what 20 clusters leave out
    assert 0.95 - 0.0415 - 0.01 < covered / 300 < 0.95 + 0.0415


def test_two_means_and_their_difference_are_those_of_the_parts():
    """On the same entries the difference of two means is the mean of differences."""
    rng = np.random.default_rng(3)
    one, other, weight = rng.normal(size=(3, 60)) + np.array([[0.0], [0.0], [4.0]])
    at = Clusters(np.repeat(np.arange(12), 5), np.tile(np.arange(6), 10))
    both = compare((one, weight), (other, weight), at)
    for number, values in enumerate((one, other, one - other)):
        alone = mean_of(values, weight, at)
        assert both.value[number] == pytest.approx(alone.value[0])
        assert both.std_error[number] == pytest.approx(alone.std_error[0])


def test_pairs_of_votes_count_once_and_leave_with_either_person():
    """The mean product over pairs of people; left out is all that a person took part in."""
    rng = np.random.default_rng(2)
    said = rng.normal(size=(12, 9))  # of 12 people on 9 pairs, each a prompt
    others = said.sum(0) - said
    person, prompt = np.repeat(np.arange(12), 9), np.tile(np.arange(9), 12)
    columns = [(said * others).ravel(), np.full(108, 11.0)]
    found = measure(lambda s: s[:, :1] / s[:, 1:], columns, Clusters(prompt, person), num_twice=2)

    def mean_product(of: np.ndarray) -> float:
        products = np.einsum("vp,up->vu", of, of)
        return float(
            (products.sum() - np.trace(products)) / (len(of) * (len(of) - 1) * of.shape[1])
        )

    assert found.value[0] == pytest.approx(mean_product(said))
    without_person = np.array([mean_product(np.delete(said, v, 0)) for v in range(12)])
    without_prompt = np.array([mean_product(np.delete(said, p, 1)) for p in range(9)])
    by_person = 11 / 12 * ((without_person - without_person.mean()) ** 2).sum()
    by_prompt = 8 / 9 * ((without_prompt - without_prompt.mean()) ** 2).sum()
    cells = []
    for v in range(12):
        for p in range(9):
            total = found.value[0] * 12 * 11 * 9 - 2 * said[v, p] * others[v, p]
            cells.append(total / (12 * 11 * 9 - 22))
    by_cell = 107 / 108 * ((np.array(cells) - np.mean(cells)) ** 2).sum()
    expected = by_prompt + max(by_person - by_cell, 0.0)
    assert found.covariance[0, 0] == pytest.approx(expected)


def test_what_rests_on_one_prompt_has_no_interval():
    found = mean_of(np.array([0.0, 1.0]), np.ones(2), Clusters(np.zeros(2, int), None)).estimate()
    assert (found.value, found.low) == (0.5, None)
    assert "no two" in found.how


def test_adjusted_p_values_of_independent_estimates_are_those_of_sidak():
    value = np.array([2.5, 1.0, -0.3])
    p_values = largest_of(Measured(value, np.eye(3), np.full(3, 40), ""), num_draws=200_000)
    alone = 2 * stats.t.sf(np.abs(value), 40)
    assert p_values == pytest.approx(1 - (1 - alone) ** 3, abs=0.02)  # one chi-square for all
    double = largest_of(
        Measured(np.array([2.5, -2.5]), np.array([[1.0, -1], [-1, 1]]), np.full(2, 40), "")
    )
    assert double == pytest.approx(alone[0], abs=0.004)
