"""Items without hidden context: no family loses more than its parameters explain.

Margins: a model of d more parameters, of which the smaller is right, has d/(2n) nats per comparison
more of excess loss (Wilks 1938). Held-out data add half of the width of an interval over pairs.
"""

from functools import cache

import numpy as np
import pytest

from hidden_context.distributions import FAMILIES, Family, make_family
from hidden_context.items import ItemFit, fit_items
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.synthetic.simulated_items import (
    draw_comparisons,
    excess_loss,
    latent_groups,
    unlimited_comparisons,
)

NUM_ITEMS = 30
NUM_COMPARISONS = 50_000
ITEMS = latent_groups(NUM_ITEMS, (1.0,), scale=1.5, seed=0)

each_family = pytest.mark.parametrize("name", list(FAMILIES))


def family_of(name: str) -> Family:
    return make_family(name, {"entropy_coeff": 0.0} if name == "categorical" else {})


@cache
def fitted(name: str) -> ItemFit:
    comparisons = draw_comparisons(ITEMS, NUM_COMPARISONS, seed=1)
    return fit_items(comparisons, family_of(name), max_iterations=150, check_spread=False)


@each_family
def test_no_family_is_worse_than_base_by_more_than_its_parameters(name: str):
    held_out = draw_comparisons(ITEMS, NUM_COMPARISONS, seed=2)
    low, high = np.sort([held_out.first, held_out.second], axis=0)
    worse = likelihood_ratio(
        fitted("base").log_likelihood(held_out),
        fitted(name).log_likelihood(held_out),
        low * NUM_ITEMS + high,
    )
    extra = (family_of(name).num_outputs - 1) * NUM_ITEMS / (2 * NUM_COMPARISONS)
    assert worse.value <= extra + (worse.high - worse.low) / 2


@each_family
def test_every_family_can_be_a_model_without_hidden_context(name: str):
    """With comparisons without end the loss above the truth is below 1e-5 nats.

    So none of the cost on finite data is one of its shape or its link. A family other than `base`
    whose only output is a location has a link of its own, and costs what that is off.
    """
    votes = unlimited_comparisons(ITEMS)
    fit = fit_items(votes, family_of(name), max_iterations=150, check_spread=False)
    only_a_link = fit.family.num_outputs == 1 and name != "base"
    assert excess_loss(ITEMS, fit.family, fit.raw) < (1e-3 if only_a_link else 1e-5)


def test_base_costs_what_its_parameters_explain():
    excess = excess_loss(ITEMS, family_of("base"), fitted("base").raw)
    parameters = NUM_ITEMS - 1
    standard_error = (2 * parameters) ** 0.5 / (2 * NUM_COMPARISONS)
    assert abs(excess - parameters / (2 * NUM_COMPARISONS)) < 4 * standard_error
