"""AUROC and Spearman's correlation against scipy, brute force and each other."""

import math

import numpy as np
import pytest
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.measures.preference_entropy import chance_to_differ, entropy_bits
from hidden_context.measures.real_disagreement import auroc, midranks, people_split, spearman

RNG = np.random.default_rng(0)
SCORE = RNG.integers(0, 6, size=80) / 5  # with ties
POSITIVE = RNG.random(80) < 0.2 + 0.6 * SCORE


def test_auroc_is_the_share_of_pairs_in_order_ties_half() -> None:
    above = SCORE[POSITIVE][:, None] - SCORE[~POSITIVE]
    expected = np.mean((above > 0) + 0.5 * (above == 0))
    assert auroc(SCORE, POSITIVE) == pytest.approx(expected)
    statistic = stats.mannwhitneyu(SCORE[POSITIVE], SCORE[~POSITIVE]).statistic
    assert expected == pytest.approx(statistic / above.size)


def test_auroc_of_nothing_is_half_and_of_everything_one() -> None:
    assert auroc(np.ones(10), np.arange(10) < 3) == 0.5
    assert auroc(np.arange(10), np.arange(10) >= 4) == 1
    assert auroc(-SCORE, POSITIVE) == pytest.approx(1 - auroc(SCORE, POSITIVE))


def test_auroc_of_normal_scores_is_that_of_theory() -> None:
    """P(X > Y) = Φ(1/√2) for means 1 apart. Its standard error is at most ½/√(2,000)."""
    score = RNG.normal(size=4000) + (np.arange(4000) < 2000)
    found = auroc(score, np.arange(4000) < 2000)
    assert found == pytest.approx(stats.norm.cdf(1 / math.sqrt(2)), abs=4 * 0.5 / math.sqrt(2000))


def test_both_measures_of_indecision_find_the_same_splits() -> None:
    p = RNG.uniform(0.01, 0.99, size=80)
    logs = np.log(p), np.log1p(-p)
    assert auroc(chance_to_differ(*logs), POSITIVE) == auroc(entropy_bits(*logs), POSITIVE)


def test_people_split_where_the_share_of_votes_is_near_half() -> None:
    first, second = [5, 7, 3, 8, 0, 1], [5, 3, 7, 2, 4, 1]
    np.testing.assert_array_equal(
        people_split(first, second, within=0.2), [True, True, True, False, False, True]
    )
    np.testing.assert_array_equal(
        people_split(first, second, within=0.0), [True, False, False, False, False, True]
    )


@pytest.mark.parametrize("levels", [3, 1000])
def test_spearman_is_that_of_scipy(levels: int) -> None:
    first, second = RNG.integers(0, levels, size=(2, 60)).astype(float)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    np.testing.assert_array_equal(midranks(first), stats.rankdata(first))


def test_spearman_ignores_increasing_maps_and_turns_with_decreasing_ones() -> None:
    first, second = RNG.normal(size=(2, 60))
    assert spearman(np.exp(first), second**3) == pytest.approx(spearman(first, second))
    assert spearman(first, np.exp(first)) == pytest.approx(1)
    assert spearman(first, -first) == pytest.approx(-1)


def test_what_has_no_order_is_refused() -> None:
    with pytest.raises(UserError, match="0 of 2 are positive"):
        auroc([1.0, 2.0], [False, False])
    with pytest.raises(UserError, match="2 of 2 are positive"):
        auroc([1.0, 2.0], [True, True])
    with pytest.raises(UserError, match="expected 2"):
        auroc([1.0, 2.0], [True])
    with pytest.raises(UserError, match="all real values are 3"):
        spearman([1.0, 2.0], [3.0, 3.0])
    with pytest.raises(UserError, match="1 pairs have no votes"):
        people_split([1, 0], [1, 0])
    with pytest.raises(UserError, match="one half"):
        people_split([1], [1], within=0.5)
    with pytest.raises(UserError, match="0 or more"):
        people_split([1, -1], [1, 0])
