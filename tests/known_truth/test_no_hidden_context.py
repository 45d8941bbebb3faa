"""Items without hidden context: no family loses more than its parameters explain.

Margins: a model of d more parameters, of which the smaller is right, has d/(2n) nats per comparison
more of excess loss (Wilks 1938). Held-out data add half of the width of an interval over pairs.
"""

from functools import cache

import numpy as np
import pytest

from hidden_context.distributions import FAMILIES, Family, make_family
from hidden_context.items import ItemFit, fit_items
from hidden_context.measures.bootstrap import bootstrap_difference
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
    return fit_items(family_of(name), comparisons, num_items=NUM_ITEMS, max_iterations=150)


@each_family
def test_no_family_is_worse_than_base_by_more_than_its_parameters(name: str):
    held_out = draw_comparisons(ITEMS, NUM_COMPARISONS, seed=2)
    low, high = np.sort([held_out.first, held_out.second], axis=0)
    worse = bootstrap_difference(
        fitted("base").log_likelihood(held_out),
        fitted(name).log_likelihood(held_out),
        low * NUM_ITEMS + high,
    )
    extra = (family_of(name).num_outputs - 1) * NUM_ITEMS / (2 * NUM_COMPARISONS)
    assert worse.value <= extra + (worse.high - worse.low) / 2


@each_family
def test_every_family_can_be_a_model_without_hidden_context(name: str):
    """With comparisons without end the loss above the truth is below 1e-5 nats.

    So none of the cost on finite data is one of its shape or its link.
    """
    fit = fit_items(
        family_of(name), unlimited_comparisons(ITEMS), num_items=NUM_ITEMS, max_iterations=150
    )
    assert excess_loss(ITEMS, fit.family, fit.raw) < 1e-5


def test_base_costs_what_its_parameters_explain():
    excess = excess_loss(ITEMS, family_of("base"), fitted("base").raw)
    parameters = NUM_ITEMS - 1
    standard_error = (2 * parameters) ** 0.5 / (2 * NUM_COMPARISONS)
    assert abs(excess - parameters / (2 * NUM_COMPARISONS)) < 4 * standard_error
