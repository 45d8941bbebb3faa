"""Simulated items: what is called the truth, against simulation and other closed forms."""

import numpy as np
import pytest
import scipy.stats
from simulated_items import (
    LatentGroups,
    NormalItems,
    draw_comparisons,
    excess_loss,
    latent_groups,
    normal_items,
    num_identified,
    unlimited_comparisons,
)

from hidden_context.distributions import Categorical, Normal, Point, SharedContext
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons

THREE = NormalItems(np.array([0.0, 0.5, -1.0]), np.array([1.0, 2.0, 0.3]))
GROUPS = LatentGroups(np.array([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]]), np.array([0.7, 0.3]))


def test_normal_utilities_are_preferred_as_often_as_drawn_ones():
    """A million draws: 4 standard errors are at most 0.002."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(THREE.mean[:, None], THREE.std[:, None], (3, 1_000_000))
    again = rng.normal(THREE.mean[:, None], THREE.std[:, None], (3, 1_000_000))
    found = (drawn[:, None] > again[None]).mean(-1)
    np.testing.assert_allclose(THREE.prob_matrix(), found, atol=0.002)


def test_groups_mix_their_bradley_terry_probabilities():
    prob = GROUPS.prob_matrix()
    logistic = scipy.stats.logistic.cdf
    assert prob[0, 1] == pytest.approx(0.7 * logistic(-1) + 0.3 * logistic(2))
    np.testing.assert_allclose(prob + prob.T, 1.0)


@pytest.mark.parametrize("items", [9, 14])
def test_comparisons_tell_all_parameters_but_those_that_change_no_preference(items: int):
    """A level of `base`; level and scale of normal utilities; of two contexts a level each, and of
    an item's two logits their difference; and never more than there are pairs."""
    assert num_identified(Point(), items) == items - 1
    assert num_identified(Normal(), items) == 2 * items - 2
    assert num_identified(SharedContext(), items) == 3 * items - 2
    assert num_identified(Categorical(), items) <= items * (items - 1) // 2


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.95])
def test_normal_items_have_the_explained_variance_that_was_asked_for(truth: float):
    items = normal_items(50, truth, seed=3)
    assert items.explained_variance == pytest.approx(truth, rel=1e-12)


def test_items_are_those_of_their_seed():
    first, again, other = (latent_groups(5, (0.5, 0.5), 1.0, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.utilities, again.utilities)
    assert (first.utilities != other.utilities).all()


def wins(comparisons: ItemComparisons) -> np.ndarray:
    count = np.zeros((3, 3))
    np.add.at(count, (comparisons.first, comparisons.second), 1)
    return count


def test_comparisons_are_drawn_uniformly_and_won_as_often_as_they_should():
    """Each of three pairs has 100,000 ± 1,000 votes; 4 standard errors of a share: 0.0064."""
    count = wins(draw_comparisons(GROUPS, 300_000, seed=0))
    votes = count + count.T
    off_diagonal = ~np.eye(3, dtype=bool)
    assert np.diag(count).sum() == 0
    np.testing.assert_allclose(votes[off_diagonal], 100_000, atol=4 * 260)
    share = count[off_diagonal] / votes[off_diagonal]
    np.testing.assert_allclose(share, GROUPS.prob_matrix()[off_diagonal], atol=0.0064)


def test_ties_at_random_are_a_share_of_all_comparisons_whatever_the_items():
    """100,000 ± 1,000 on each pair: 4 standard errors of a share of .2 are 0.0051."""
    drawn = draw_comparisons(GROUPS, 300_000, seed=0, tie_share=0.2)
    is_tie = drawn.outcomes.shares[:, 1] == 1
    for pair in (1, 2, 3):  # sums of the numbers of two of three items
        assert is_tie[drawn.first + drawn.second == pair].mean() == pytest.approx(0.2, abs=0.0051)
    exact = unlimited_comparisons(GROUPS, tie_share=0.2).outcomes.shares
    without = unlimited_comparisons(GROUPS).outcomes.shares
    np.testing.assert_allclose(exact[:, 1], 0.2)
    np.testing.assert_allclose(exact[:, [0, 2]], 0.8 * without[:, [0, 2]])


def test_the_truth_has_no_excess_loss_and_all_else_has():
    raw = np.stack([THREE.mean, np.log(np.expm1(THREE.std))], axis=1)  # softplus is undone
    assert excess_loss(THREE, Normal(), raw) == pytest.approx(0.0, abs=1e-12)
    assert excess_loss(THREE, Normal(), raw + np.array([[0.0, 0.1]])) > 1e-5


def test_the_excess_loss_is_that_of_votes_without_end():
    raw = np.array([[0.2], [0.0], [-0.5]])
    votes = unlimited_comparisons(GROUPS)
    ahead = raw[votes.first, 0] - raw[votes.second, 0]
    prob = GROUPS.prob_matrix()[votes.first, votes.second]
    fitted = scipy.stats.logistic.cdf(ahead)
    divergence = scipy.stats.entropy([prob, 1 - prob], [fitted, 1 - fitted])
    assert excess_loss(GROUPS, Point(), raw) == pytest.approx(divergence.mean())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_an_impossible_explained_variance_is_refused(share: float):
    with pytest.raises(UserError, match=r"give a share in \(0, 1\)"):
        normal_items(10, share, seed=0)
