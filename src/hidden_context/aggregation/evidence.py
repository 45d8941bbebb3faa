"""What is known of K alternatives: pairwise support, utilities, groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hidden_context.aggregation import rules
from hidden_context.aggregation.support import (
    as_float64,
    context_support,
    learned_support,
    observed_support,
)
from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.distributions.special import Array
from hidden_context.errors import UserError


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of K alternatives; a rule refuses to choose without what it needs."""

    support: Array
    """P(i ≻ j), shape `(*batch, K, K)`; see `aggregation.support`."""
    expected_utility: Array | None = None
    """E[u], shape `(*batch, K)`; comparisons alone do not tell it."""
    group_utility: Array | None = None
    """Utility in each of C contexts, or Borda count in each of C groups, `(*batch, C, K)`."""
    group_weights: Array | None = None
    """Of contexts or groups, shape `(C,)`; equal if not given. They matter to Nash welfare."""
    group_support: Array | None = None
    """P(i ≻ j) within each of C groups, shape `(*batch, C, K, K)`."""
    distribution: UtilityDistribution | None = None
    """Learned distributions, whose family may know the worst context."""
    reference: int | None = None
    """Index of the alternative that others are measured against."""
    baseline: float = 0.0
    """Utility that Nash welfare measures gains from."""

    @property
    def is_complete(self) -> bool:
        """Whether every pair was compared, by every group if there are groups."""
        support = self.support if self.group_support is None else self.group_support
        return not bool((support != support).any())  # NaN differs from itself


def evidence_from_contexts(
    utilities: Array,
    weights: Array | None = None,
    *,
    reference: int | None = None,
    baseline: float = 0.0,
) -> Evidence:
    """Evidence from utilities in known contexts, shape `(*batch, C, K)`; see `context_weights`."""
    return Evidence(
        support=context_support(utilities, weights),
        expected_utility=rules.expected_utility(utilities, weights),
        group_utility=utilities,
        group_weights=weights,
        reference=reference,
        baseline=baseline,
    )


def evidence_from_outputs(
    family: Family[Any], raw: Array, *, reference: int | None = None
) -> Evidence:
    """Evidence from learned distributions: raw outputs of K responses, `(K, num_outputs)`.

    Contexts that responses share are centred first (see `SharedContextUtility.centered`). As their
    utilities have no zero, there is no Nash welfare.
    """
    distribution = family.decode(as_float64(raw))
    if isinstance(distribution, SharedContextUtility):
        distribution = distribution.centered([0] * raw.shape[0])
    return Evidence(
        support=learned_support(family, raw),
        expected_utility=distribution.mean,
        distribution=distribution,
        reference=reference,
    )


def evidence_from_models(
    families: Sequence[Family[Any]], raw: Sequence[Array], *, reference: int | None = None
) -> Evidence:
    """Evidence from several models, each of which is a group; all groups count alike.

    Utilities of different models have no common scale, so a group's utility is its Borda count, by
    its own P(i ≻ j); support is the mean over the models.

    Args:
        families: How the outputs of each model are read.
        raw: Its raw outputs of the same K responses, shape `(K, num_outputs)`.
        reference: Index of the alternative that others are measured against.
    """
    by_model = np.stack(
        [np.asarray(learned_support(*one)) for one in zip(families, raw, strict=True)]
    )
    return Evidence(
        support=by_model.mean(0),
        group_utility=rules.borda_count(by_model),
        group_support=by_model,
        reference=reference,
    )


def evidence_from_comparisons(
    first: Sequence[int],
    second: Sequence[int],
    shares: Sequence[float],
    *,
    num_alternatives: int,
    weights: Sequence[float] | None = None,
    groups: Sequence[str] | None = None,
) -> Evidence:
    """Evidence from counts. A group's utility is its Borda count, between 1/(2K) and 1 - 1/(2K).

    Support is pooled over all comparisons, whichever group made them; groups, which say who made
    each comparison, count alike. Without them there is no utility by group. The other arguments are
    those of `observed_support`.

    Raises:
        UserError: See `observed_support`; or fewer than two groups, or one without a name.
    """
    support_by = partial(observed_support, first, second, shares, num_alternatives=num_alternatives)
    support = support_by(weights=weights)
    if groups is None:
        return Evidence(support)
    weight = np.ones(len(shares)) if weights is None else np.asarray(weights, dtype=np.float64)
    of_group = [np.asarray(groups) == name for name in group_names(groups)]
    by_group = np.stack([support_by(weights=weight * mask) for mask in of_group])
    return Evidence(support, group_utility=rules.borda_count(by_group), group_support=by_group)


def group_names(groups: Sequence[str]) -> list[str]:
    """The groups that there are, sorted.

    Raises:
        UserError: There are fewer than two, or one has no name.
    """
    names = sorted(set(groups))
    if "" in names:
        raise UserError("a comparison has an empty group; name it, or leave the comparison out.")
    if len(names) < 2:
        given = f"one, {names[0]!r}" if names else "none"
        raise UserError(f"at least two groups are needed to compare them; there is {given}.")
    return names
