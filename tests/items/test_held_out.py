"""Ridges chosen for each family; what is said of families, contexts and rewards of entropy."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from simulated_items import draw_comparisons, normal_items

from hidden_context.distributions import Categorical, SharedContext
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, ItemFit, compare_families, fit_items
from hidden_context.items.orders import WeakOrders
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL


def rankings(number: int, num_items: int) -> ItemComparisons:
    """Of people who rank by one list of utilities and Gumbel noise: Plackett and Luce's model."""
    rng = np.random.default_rng(0)
    utility = np.linspace(-1, 1, num_items) + rng.gumbel(size=(number, num_items))
    every = [np.arange(num_items)] * number
    names = tuple(f"item {item}" for item in range(num_items))
    return WeakOrders(names, every, list(-utility)).comparisons("here")


@pytest.mark.slow
def test_on_rankings_the_chosen_ridge_leaves_categorical_few_further_parameters():
    """Bradley–Terry is the truth here, and d further parameters cost d/(2n) nats a vote.

    The ridge should leave of the 49 further ones no more in effect than `base` has in all, 5. Of
    250 rankings of 6, each 5 comparisons; it is .0012 behind, as 3 would be.
    """
    compared = compare_families(rankings(250, 6), ("base", "categorical"))
    assert compared.fits[0].held_out == "ballots"
    assert compared.gains()["categorical"].value > -5 / (2 * 250 * 5)
    assert not compared.warnings


def test_one_ridge_for_all_families_is_warned_of():
    votes = draw_comparisons(normal_items(8, 0.6, seed=0), 600, seed=1)
    compared = compare_families(votes, ridge=1.0)
    assert compared.fits[0].held_out == "pairs of items"
    assert "one ridge, 1" in str(compared)
    assert not compare_families(votes, ["base"], ridge=1.0).warnings


def test_a_chosen_ridge_is_of_the_family_and_told():
    votes = draw_comparisons(normal_items(8, 0.6, seed=0), 600, seed=1)
    fit = fit_items(votes, "mean_and_variance", ridge="chosen", check_spread=False)
    assert fit.held_out is not None
    assert [each.family.name for each in fit.held_out.fits] == ["base", "mean_and_variance"]
    assert fit.ridge == fit.held_out.fits[1].ridge > 0
    assert len(fit.held_out.fits[0].ridges) == 5
    assert np.isfinite(fit.held_out.fits[1].log_prob).all()


def test_too_few_people_are_not_held_out():
    votes = draw_comparisons(normal_items(3, 0.6, seed=0), 50, seed=1)
    with pytest.raises(UserError, match="3 pairs of items cannot be held out"):
        compare_families(votes)


def test_a_reward_of_entropy_takes_no_part_and_that_is_said():
    votes = draw_comparisons(normal_items(4, 0.6, seed=0), 200, seed=1)
    plain, rewarded = (
        fit_items(votes, Categorical(entropy_coeff=weight), ridge=1.0) for weight in (0.0, 5.0)
    )
    np.testing.assert_array_equal(plain.raw, rewarded.raw)
    assert "takes no part" in rewarded.warnings[-1]
    assert not plain.warnings
    assert not fit_items(votes, "categorical", ridge=1.0).warnings


def test_levels_of_contexts_are_free_and_so_is_the_order_of_spreads():
    """Another level of a context changes no preference, and can turn the order of spreads round."""
    family = SharedContext()
    rng = np.random.default_rng(0)
    contexts = rng.normal(size=(12, 2))
    raw = np.concatenate([contexts, np.zeros((12, 2))], axis=1)
    moved = raw + np.array([20.0, 0.0, 0.0, 0.0])
    turned = raw - np.array([20.0, 0.0, 0.0, 0.0])
    one, other = (
        ItemFit(family, DEFAULT_OUTCOME_MODEL, each, converged=True) for each in (moved, turned)
    )
    np.testing.assert_allclose(one.prob_matrix(), other.prob_matrix(), atol=1e-12)
    spreads = [family.decode(each).std for each in (moved, turned)]
    assert spearmanr(*spreads).statistic == pytest.approx(-1.0)
    table = one.to_frame()
    assert "std" not in table
    assert "mean" not in table
    assert {"context_1", "context_2", "weight_1", "weight_2"} <= set(table)
    assert "expected_utility" not in one.choices()
