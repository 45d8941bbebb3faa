"""Anchoring against scipy's regression and the definition of unit variance."""

import numpy as np
import pytest
from scipy import stats

from hidden_context.distributions.normal import NormalUtility
from hidden_context.errors import UserError
from hidden_context.measures.anchoring import anchor_to_ratings, anchor_to_unit_variance
from hidden_context.measures.explained_variance import explained_variance
from hidden_context.risk import parse_risk

MEAN = np.array([-1.0, 0.5, 2.0, 2.5])
STD = np.array([0.5, 1.0, 0.2, 0.7])


def test_the_map_is_that_of_linear_regression() -> None:
    ratings = np.array([1.0, 2.0, 2.5, 5.0])
    found, expected = anchor_to_ratings(MEAN, ratings), stats.linregress(MEAN, ratings)
    assert (found.slope, found.intercept) == pytest.approx((expected.slope, expected.intercept))
    left = np.std(ratings) * np.sqrt(1 - expected.rvalue**2)
    assert found.residual == pytest.approx(left)


def test_ratings_on_a_line_are_met_without_residual() -> None:
    found = anchor_to_ratings(MEAN[:2], [10.0, 13.0])
    assert (found.slope, found.intercept, found.residual) == pytest.approx((2, 12, 0))


def test_ratings_do_not_depend_on_the_scale_that_a_model_has_learned() -> None:
    ratings = [1.0, 2.0, 2.5, 5.0]
    once, moved = anchor_to_ratings(MEAN, ratings), anchor_to_ratings(7 * MEAN - 3, ratings)
    np.testing.assert_allclose(moved.place(7 * MEAN - 3), once.place(MEAN))
    np.testing.assert_allclose(moved.spread(7 * STD), once.spread(STD))


def test_mean_spread_and_quantile_move_as_the_utilities_do() -> None:
    utility = NormalUtility(MEAN, STD, "probit")
    found = anchor_to_ratings(MEAN, [1.0, 2.0, 2.5, 5.0])
    moved = NormalUtility(found.place(MEAN), found.spread(STD), "probit")
    np.testing.assert_allclose(moved.quantile(0.01), found.place(utility.quantile(0.01)))
    np.testing.assert_allclose(moved.cvar(0.05), found.place(utility.cvar(0.05)))
    np.testing.assert_allclose(  # and no comparison changes
        moved.log_prob_preferred_to(NormalUtility(moved.mean[0], moved.std[0], "probit")),
        utility.log_prob_preferred_to(NormalUtility(MEAN[0], STD[0], "probit")),
    )


def test_unit_variance_is_mean_0_and_total_variance_1() -> None:
    found = anchor_to_unit_variance(MEAN, STD**2)
    mean, std = found.place(MEAN), found.spread(STD)
    assert mean.mean() == pytest.approx(0, abs=1e-12)
    assert mean.var() + (std**2).mean() == pytest.approx(1)
    r2 = explained_variance(NormalUtility(MEAN, STD, "probit"))
    assert (std**2).mean() == pytest.approx(1 - r2)


@pytest.mark.parametrize(
    ("mean", "ratings", "words"),
    [
        ([1.0, 2.0], [3.0, 3.0], "all 2 ratings of the anchors are 3"),
        ([1.0, 1.0], [3.0, 4.0], "all 2 means of the anchors are 1"),
        ([1.0], [3.0], "at least two that differ"),
        ([1.0, 2.0], [4.0, 3.0], "do not rise"),
        ([1.0, 2.0], [4.0], "expected 2"),
        ([], [], "at least one"),
    ],
)
def test_anchors_that_fix_nothing_are_refused(mean: list, ratings: list, words: str) -> None:
    with pytest.raises(UserError, match=words):
        anchor_to_ratings(mean, ratings)


def test_one_number_has_no_scale() -> None:
    with pytest.raises(UserError, match="one number"):
        anchor_to_unit_variance([2.0, 2.0], [0.0, 0.0])
    with pytest.raises(UserError, match="0 or more"):
        anchor_to_unit_variance([2.0, 1.0], [0.0, -1.0])


@pytest.mark.parametrize("text", ["mean", "quantile:0.1", "kl:0.5", "entropic:2", "prob_below:2"])
def test_rewards_in_ratings_do_not_depend_on_the_scale_that_a_model_has_learned(text: str) -> None:
    ratings = [1.0, 2.0, 2.5, 5.0]
    once, moved = (
        anchor_to_ratings(scale * MEAN, ratings).reward(
            NormalUtility(scale * MEAN, scale * STD, "probit"), parse_risk(text)
        )
        for scale in (1.0, 7.0)
    )
    np.testing.assert_allclose(moved, once)
