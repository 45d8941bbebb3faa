"""What a model in training is measured by, on all sets that it is evaluated on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import EvalPrediction, Trainer

from hidden_context.distributions import Family
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes
from hidden_context.measures.evaluate import comparison_metrics
from hidden_context.scores.scores import Scores


def evaluation_metrics(
    family: Family, outcome_model: OutcomeModel, prediction: EvalPrediction
) -> dict[str, float]:
    """Metrics over all observations, rankings as all their pairs.

    Predicted are raw outputs, `(n, texts, num_outputs)`, not a number where a ranking has fewer
    texts; labels are shares and weights, or zeros: see `prediction_step`.
    """
    raw, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    outcomes = None if labels.ndim == 1 else Outcomes(labels[:, :-1], labels[:, -1])
    if raw.shape[1] > 2:
        raw, outcomes = pairs_of_rankings(raw, outcomes)
    return comparison_metrics(
        Scores.of_pairs(family, raw, outcomes=outcomes, outcome_model=outcome_model)
    )


def pairs_of_rankings(raw: np.ndarray, outcomes: Outcomes | None) -> tuple[np.ndarray, Outcomes]:
    """All pairs of n rankings of K texts, each of weight 2/K, as comparisons.

    Args:
        raw: Shape `(n, texts, num_outputs)`, not a number where a ranking has fewer.
        outcomes: Of the n observations.

    Returns:
        Raw outputs, shape `(pairs, 2, num_outputs)`, and their outcomes.
    """
    if outcomes is None:
        outcomes = Outcomes(np.tile([0.0, 0.0, 1.0], (len(raw), 1)), np.ones(len(raw)))
    first, second = np.triu_indices(raw.shape[1], k=1)
    pairs = np.stack([raw[:, first], raw[:, second]], axis=2)
    there = ~np.isnan(pairs).any((2, 3))
    ranking = np.nonzero(there)[0]
    num_texts = (~np.isnan(raw[..., 0])).sum(1)
    weight = (outcomes.weight * 2 / num_texts)[ranking]
    return pairs[there], Outcomes(outcomes.shares[ranking], weight * len(weight) / weight.sum())


def final_metrics(trainer: Trainer) -> dict[str, float]:
    """Evaluation of the final model, on all sets, where it was logged already or else now."""
    step = trainer.state.global_step
    if trainer.args.load_best_model_at_end and trainer.state.best_global_step:
        step = trainer.state.best_global_step
    logged = {
        name: value
        for entry in trainer.state.log_history
        if entry["step"] == step
        for name, value in entry.items()
        if name.startswith("eval_")
    }
    return logged or trainer.evaluate()


def may_be_chance(family: Family, record: Mapping[str, Any]) -> str:
    """What to think of r² in a checkpoint's record, of a model that may decide as a coin does.

    Nothing where the accuracy on every set is farther from .5 than a coin's in 19 of 20 cases.
    """
    metrics, counts = record.get("metrics") or {}, record["counts"]
    for name, number in counts.items():
        prefix = "eval_" if name == "test" else f"eval_{name}_"
        accuracy, votes = metrics.get(f"{prefix}accuracy"), max(1, number["comparisons"])
        if family.is_scalar or accuracy is None or number["rankings"]:
            continue
        if abs(accuracy - 0.5) < 1.96 * 0.5 / votes**0.5:
            return (
                f"{prefix}accuracy {accuracy:.3f} of {votes} comparisons may be a coin's: then "
                f"{prefix}r2 says nothing of hidden context, and the model has to learn more first "
                f"(longer, or at a larger learning_rate, which was "
                f"{record['config']['learning_rate']})"
            )
    return ""
