"""Two groups of judges, 60 items: only the family that shares contexts finds them.

Margins: with d parameters and n comparisons, 2n times the excess loss of a right model is
chi-squared with d degrees of freedom (Wilks 1938): d/(2n) ± √(2d)/(2n) nats per comparison.
"""

from functools import cache
from itertools import permutations

import numpy as np
import pytest

from hidden_context.distributions import (
    Categorical,
    Family,
    Mixture,
    Normal,
    QuantileFunction,
    SharedContext,
)
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.items import ItemFit, fit_items
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.synthetic.simulated_items import draw_comparisons, excess_loss, latent_groups

NUM_ITEMS = 60
NUM_COMPARISONS = 200_000
NUM_STARTS = 12
"""About a third of random starts end at the best fit; fits end at d/(2n) or at several times it."""
GROUPS = latent_groups(NUM_ITEMS, (0.6, 0.4), scale=2.0, seed=0)
NUM_PARAMETERS = 2 * (NUM_ITEMS - 1) + NUM_ITEMS
"""Of shared contexts that the likelihood knows: utilities but for a shift, one logit an item."""
INDEPENDENT = (Normal(), Categorical(entropy_coeff=0.0), QuantileFunction(), Mixture())


@cache
def fitted(family: Family, num_comparisons: int = NUM_COMPARISONS) -> ItemFit:
    comparisons = draw_comparisons(GROUPS, num_comparisons, seed=1)
    starts = NUM_STARTS if isinstance(family, SharedContext) else 1
    return fit_items(comparisons, family, max_iterations=100, num_starts=starts, check_spread=False)


def centered_utilities() -> SharedContextUtility:
    utility = fitted(SharedContext()).utility
    assert isinstance(utility, SharedContextUtility)
    return utility.centered(np.zeros(NUM_ITEMS))


def test_shared_contexts_are_as_good_as_the_truth():
    excess = excess_loss(GROUPS, SharedContext(), fitted(SharedContext()).raw)
    expected = NUM_PARAMETERS / (2 * NUM_COMPARISONS)
    standard_error = (2 * NUM_PARAMETERS) ** 0.5 / (2 * NUM_COMPARISONS)
    assert abs(excess - expected) < 4 * standard_error
    assert excess < 0.003


def test_a_quarter_of_the_comparisons_is_enough():
    """50,000: d/(2n) is .0018 nats, and every independent family is behind by an interval above 0.

    Most of that is overfitting, which it has more parameters for; at 200,000 it is not.
    """
    n = NUM_COMPARISONS // 4
    shared = fitted(SharedContext(), n)
    excess = excess_loss(GROUPS, SharedContext(), shared.raw)
    assert abs(excess - NUM_PARAMETERS / (2 * n)) < 4 * (2 * NUM_PARAMETERS) ** 0.5 / (2 * n)
    assert excess < 0.003
    assert isinstance(shared.utility, SharedContextUtility)
    contexts = shared.utility.centered(np.zeros(NUM_ITEMS)).contexts.T
    correlation = np.corrcoef(contexts, GROUPS.utilities)[:2, 2:]
    assert max(min(correlation.diagonal()), min(np.fliplr(correlation).diagonal())) > 0.95
    held_out = draw_comparisons(GROUPS, n, seed=2)
    low, high = np.sort([held_out.first, held_out.second], axis=0)
    for family in INDEPENDENT:
        behind = likelihood_ratio(
            shared.log_likelihood(held_out),
            fitted(family, n).log_likelihood(held_out),
            low * NUM_ITEMS + high,
        )
        assert behind.low > 0, family.name


def covariances() -> np.ndarray:
    """Of the centred utilities in each group: inverse expected information, `(2, items, items)`."""
    first, second = np.triu_indices(NUM_ITEMS, 1)
    pair = np.arange(len(first))
    in_group = 1 / (1 + np.exp(GROUPS.utilities[:, second] - GROUPS.utilities[:, first]))
    slopes = np.zeros((len(pair), 3, NUM_ITEMS))  # two utilities and a logit for each item
    for group, share in enumerate(GROUPS.shares):
        slope = share * in_group[group] * (1 - in_group[group])
        slopes[pair, group, first], slopes[pair, group, second] = slope, -slope
    by_logit = GROUPS.shares.prod() * (in_group[0] - in_group[1]) / 2
    slopes[pair, 2, first] = slopes[pair, 2, second] = by_logit
    slopes = slopes.reshape(len(pair), -1)
    prob = GROUPS.shares @ in_group
    votes = NUM_COMPARISONS / len(pair) / (prob * (1 - prob))
    covariance = np.linalg.pinv(slopes.T @ (votes[:, None] * slopes), rcond=1e-9, hermitian=True)
    blocks = covariance.reshape(3, NUM_ITEMS, 3, NUM_ITEMS)
    return np.stack([blocks[0, :, 0], blocks[1, :, 1]])


def test_the_groups_are_found_up_to_their_order():
    """Errors of mean square v leave 1 - correlation² ≈ v/s², here 0.0045 and 0.0073.

    The mean square of errors with covariance C varies like chi-squared with (tr C)²/tr C² degrees
    of freedom (Satterthwaite 1946), here 16 and 21: four standard deviations are 4 √(2/16).
    """
    found = centered_utilities().contexts.T
    truth = GROUPS.utilities - GROUPS.utilities.mean(1, keepdims=True)
    order = max(permutations(range(2)), key=lambda order: (found[list(order)] * truth).sum())
    for context, utility, covariance in zip(order, truth, covariances(), strict=True):
        correlation = np.corrcoef(found[context], utility)[0, 1]
        share_of_noise = np.trace(covariance) / NUM_ITEMS / utility.var()
        degrees = np.trace(covariance) ** 2 / (covariance**2).sum()
        assert 1 - correlation**2 < share_of_noise * (1 + 4 * (2 / degrees) ** 0.5)
        assert correlation > 0.95


@pytest.mark.parametrize("family", INDEPENDENT, ids=lambda family: family.name)
def test_independent_contexts_are_worse_by_more_than_their_parameters(family: Family):
    """Over 200,000 held-out comparisons; pairs are resampled, both models together."""
    held_out = draw_comparisons(GROUPS, NUM_COMPARISONS, seed=2)
    low, high = np.sort([held_out.first, held_out.second], axis=0)
    difference = likelihood_ratio(
        fitted(SharedContext()).log_likelihood(held_out),
        fitted(family).log_likelihood(held_out),
        low * NUM_ITEMS + high,
    )
    extra = max(0, family.num_outputs * NUM_ITEMS - NUM_PARAMETERS)
    assert difference.low > extra / (2 * NUM_COMPARISONS)
