"""The same figures where there is no hidden context: labels redrawn from the scalar model."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from hidden_context.audit.crossfit import HeldOut, Partitions, held_out, refit_to_labels
from hidden_context.audit.family_measures import (
    FIGURE_SCALES,
    MOST_ON_A_CURVE,
    Measured,
    sample_of_prompts,
    trainings_of,
)
from hidden_context.audit.heads import Pairs, win_share_without_ties
from hidden_context.distributions import Family
from hidden_context.likelihood.loss import is_scalar
from hidden_context.likelihood.outcomes import OutcomeModel
from hidden_context.measures.parametric_bootstrap import parametric_bootstrap, redrawn_labels
from hidden_context.measures.several_trainings import explained_variance_value

TAILS = {"against_base": "upper", **{f"r2_{scale}": "lower" for scale in FIGURE_SCALES}}
"""Where hidden context would push a figure; the others have no such side, so no p-value."""


def nulls(
    measured: Mapping[str, Measured],
    pairs: Pairs,
    partitions: Partitions,
    *,
    outcome_models: Mapping[str, OutcomeModel],
    num_votes: np.ndarray,
    num_draws: int,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """Refit every family to labels redrawn from the scalar model's held-out P, in its first folds.

    The ridges and steps are those chosen for the real labels, for r² depends on them. Votes for a
    tie stay; the others are redrawn. Real labels are measured in the same way for `observed`.

    Args:
        measured: The families by name, the scalar one, `base`, among them.
        pairs: The comparisons.
        partitions: Their folds.
        outcome_models: Of each family, where thresholds start.
        num_votes: Votes of each comparison, shape `(n,)`.
        num_draws: Sets of labels.
        seed: Of the labels.

    Returns:
        For each family its figures, as JSON can hold them.
    """
    log_prob = np.log(np.exp(np.minimum(measured["base"].log_prob, 0.0)).mean(0))
    labels = redrawn_labels(log_prob, num_votes=num_votes, num_draws=num_draws, seed=seed)
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    some = pairs.selected(chosen)
    folds = Partitions(partitions.fold[chosen], partitions.seeds, partitions.num_folds)
    observed, draws = {}, {}
    for name, each in measured.items():
        heads, members = refit_to_labels(
            each.fitted, pairs, partitions, labels, outcome_model=outcome_models[name]
        )
        of_draws = held_out(heads, pairs, partitions, chosen, members)
        found = each.held_out
        real = HeldOut(
            found.first[:, chosen], found.second[:, chosen], found.log_likelihood[:, chosen]
        )
        draws[name] = _figures(each.family, of_draws, some, folds, labels[:, chosen])
        observed[name] = _figures(each.family, real, some, folds, None)
    return {
        name: [
            _record(figure, observed[name], draws[name], observed["base"], draws["base"])
            for figure in ("against_base", *draws[name])
            if not (figure == "against_base" and name == "base")
        ]
        for name in measured
    }


def _record(
    figure: str,
    observed: Mapping[str, np.ndarray],
    draws: Mapping[str, np.ndarray],
    scalar_observed: Mapping[str, np.ndarray],
    scalar_draws: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    if figure == "against_base":
        name = "log_likelihood"
        found = float((observed[name] - scalar_observed[name]).mean())
        drawn = draws[name] - scalar_draws[name]
    else:
        found, drawn = float(observed[figure].mean()), draws[figure]
    if figure not in TAILS:
        return {"figure": figure, "observed": found, "draws": drawn.tolist(), "p_value": None}
    result = asdict(parametric_bootstrap(found, drawn, tail=TAILS[figure]))
    return {"figure": figure, **result, "draws": drawn.tolist()}


def _figures(
    family: Family,
    found: HeldOut,
    pairs: Pairs,
    partitions: Partitions,
    labels: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Each figure for every seed or set of labels, shape `(C,)`."""
    share = win_share_without_ties(pairs.outcomes) if labels is None else labels
    means = (np.asarray(family.decode(raw).mean, np.float64) for raw in (found.first, found.second))
    right = 0.5 + 0.5 * np.sign(next(means) - next(means))
    weight = pairs.outcomes.weight
    hits = weight * (share * right + (1 - share) * (1 - right))
    figures = {
        "log_likelihood": found.log_likelihood.sum(1) / weight.sum(),
        "accuracy": hits.sum(1) / weight.sum(),
    }
    if is_scalar(family.decode(found.first[0])):
        return figures
    per_set = [
        trainings_of(
            HeldOut(found.first[[k]], found.second[[k]], found.log_likelihood[[k]]),
            pairs,
            partitions if labels is not None else _only(partitions, k),
        )
        for k in range(len(found.first))
    ]
    for scale in FIGURE_SCALES:
        figures[f"r2_{scale}"] = np.array(
            [explained_variance_value(family, trainings, scale) for trainings in per_set]
        )
    return figures


def _only(partitions: Partitions, seed: int) -> Partitions:
    fold = partitions.fold[:, [seed]]
    return Partitions(fold, (partitions.seeds[seed],), partitions.num_folds)
