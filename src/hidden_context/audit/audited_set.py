"""The audit of one data set: fit every family, measure it, and measure it where no context is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hidden_context.audit.crossfit import Partitions, cross_fit, make_partitions
from hidden_context.audit.family_measures import Measured, figures, measure
from hidden_context.audit.heads import Pairs
from hidden_context.audit.null_fits import nulls
from hidden_context.distributions import Family
from hidden_context.likelihood.outcomes import OutcomeModel, Ties, default_outcome_model


@dataclass(frozen=True)
class Plan:
    """How a set is audited."""

    families: tuple[Family, ...]
    """The scalar one first."""
    num_folds: int
    num_seeds: int
    num_null_draws: int
    ties: Ties
    seed: int


@dataclass(frozen=True, eq=False)
class AuditedSet:
    """Everything that was fitted and measured on one set."""

    pairs: Pairs
    partitions: Partitions
    measured: Mapping[str, Measured]
    figures: list[dict[str, Any]]
    """Of each family, as JSON can hold them."""
    outcome_models: Mapping[str, OutcomeModel]
    """Where the thresholds of each family start."""


def audit_set(
    pairs: Pairs,
    plan: Plan,
    *,
    lengths: np.ndarray | None,
    num_votes: np.ndarray,
) -> AuditedSet:
    """Fit and measure all families, and the null.

    Args:
        pairs: The comparisons.
        plan: How.
        lengths: Characters of both responses, shape `(n, 2)`.
        num_votes: Of each comparison, shape `(n,)`.

    Raises:
        UserError: There are too few prompts.
    """
    partitions, measured, models = _fit(pairs, plan)
    found = [
        figures(each, _scalar(measured, name), pairs, partitions, lengths)
        for name, each in measured.items()
    ]
    if plan.num_null_draws:
        by_family = nulls(
            measured,
            pairs,
            partitions,
            outcome_models=models,
            num_votes=num_votes,
            num_draws=plan.num_null_draws,
            seed=plan.seed,
        )
        for record in found:
            record["null"] = by_family[record["family"]["name"]]
    return AuditedSet(pairs, partitions, measured, found, models)


def matched_explained_variance(
    pairs: Pairs, plan: Plan, rows: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """r² of every family after training on some of the comparisons, by family name."""
    cut = pairs.selected(rows)
    partitions, measured, _ = _fit(cut, plan)
    size = training_size(len(cut), plan)
    return {
        name: figures(each, None, cut, partitions, None, matched_size=size)["explained_variance"]
        for name, each in measured.items()
    }


def training_size(num_pairs: int, plan: Plan) -> int:
    """Comparisons that a head is fitted to in the end: all but a fold."""
    return round(num_pairs * (plan.num_folds - 1) / plan.num_folds)


def _fit(
    pairs: Pairs, plan: Plan
) -> tuple[Partitions, dict[str, Measured], dict[str, OutcomeModel]]:
    partitions = make_partitions(
        pairs.prompt, num_folds=plan.num_folds, num_seeds=plan.num_seeds, seed=plan.seed
    )
    models = {family.name: outcome_model_for(family, pairs, plan.ties) for family in plan.families}
    measured = {
        family.name: measure(
            cross_fit(family, pairs, partitions, outcome_model=models[family.name]),
            pairs,
            partitions,
        )
        for family in plan.families
    }
    return partitions, measured, models


def outcome_model_for(family: Family, pairs: Pairs, ties: Ties) -> OutcomeModel:
    """The model of ties where there are any, with thresholds for as many strengths as there are."""
    outcomes = pairs.outcomes
    kind: Ties = ties if outcomes.has_ties else "half"
    return default_outcome_model(family, outcomes.num_grades, ties=kind)


def _scalar(measured: Mapping[str, Measured], name: str) -> Measured | None:
    return None if name == "base" else measured["base"]
