"""The one loss, for the synthetic loop and the language-model trainer alike."""

from collections.abc import Sequence

import numpy as np
from array_api_compat import array_namespace

from hidden_context.distributions import Family
from hidden_context.distributions.special import Array
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes, log_prob_of_grade
from hidden_context.likelihood.outcomes import log_likelihood as outcomes_log_likelihood

DEFAULT_OUTCOME_MODEL = OutcomeModel()
"""Outcomes without strengths; ties count half."""


def log_likelihood(
    family: Family,
    responses: Sequence[Array],
    outcomes: Outcomes | None = None,
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL,
) -> Array:
    """Log-likelihood of each observation in nats, shape `(*batch,)`: the one entry point.

    Args:
        family: How the raw outputs are read.
        responses: Raw outputs of K ≥ 2 responses, each `(*batch, family.num_outputs)`. Two are
            compared; more are a ranking, best first (see `Family.log_prob_of_ranking`).
        outcomes: What was observed; if None, that the first is preferred. Of a ranking only the
            weight is used.
        outcome_model: How outcomes follow from two utilities.
    """
    utilities = [family.decode(raw) for raw in responses]
    if len(utilities) > 2:
        log_prob = family.log_prob_of_ranking(utilities)
        return log_prob if outcomes is None else outcomes.weight * log_prob
    first, second = utilities
    if outcomes is None:
        return log_prob_of_grade(first, second, 1, outcome_model.collapse_grades())
    return outcomes_log_likelihood(first, second, outcomes, outcome_model)


def preference_loss(
    family: Family,
    chosen: Array,
    rejected: Array,
    outcomes: Outcomes | None = None,
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL,
    *,
    regularize: bool = True,
) -> Array:
    """Mean negative log-likelihood of the comparisons, and the family's penalty.

    Args:
        family: How the raw outputs are read.
        chosen: Raw outputs for the preferred responses, shape `(*batch, family.num_outputs)`.
        rejected: Raw outputs for the others, same shape, same order.
        outcomes: What was observed, if not simply that `chosen` is preferred.
        outcome_model: How outcomes follow from two utilities.
        regularize: Add `family.regularizer` over all texts; leave out when evaluating.

    Returns:
        A scalar in nats per comparison, float32 unless the outputs are float64.
    """
    loss = -log_likelihood(family, [chosen, rejected], outcomes, outcome_model).mean()
    if not regularize:
        return loss
    both = array_namespace(chosen, rejected).stack([chosen, rejected])
    return loss + family.regularizer(family.decode(both))


def loss_of_observations(
    family: Family,
    raw: Array,
    sizes: Sequence[int],
    outcomes: Outcomes | None = None,
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL,
    *,
    regularize: bool = True,
) -> Array:
    """As `preference_loss`, of observations of different numbers of responses.

    Args:
        family: How the raw outputs are read.
        raw: Raw outputs of all responses, one observation after the other, shape
            `(sum(sizes), family.num_outputs)`.
        sizes: Number of responses of each of the n observations; see `log_likelihood`.
        outcomes: Of the n observations.
        outcome_model: How outcomes follow from two utilities.
        regularize: Add `family.regularizer` over all texts.
    """
    starts = np.cumsum(sizes) - sizes
    total = 0.0 * raw.sum()
    for size in sorted(set(sizes)):
        chosen = np.flatnonzero(np.array(sizes) == size)
        responses = [raw[starts[chosen] + place] for place in range(size)]
        of_size = None if outcomes is None else outcomes[chosen]
        total = total - log_likelihood(family, responses, of_size, outcome_model).sum()
    loss = total / len(sizes)
    return loss + family.regularizer(family.decode(raw)) if regularize else loss
