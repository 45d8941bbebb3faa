"""Out-of-fold predictions: the scores of comparisons whose prompts a head was not fitted to."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.crossfit import CrossFit
from hidden_context.audits.heads import PAIRS_AT_ONCE, Heads, relabelled
from hidden_context.audits.vectors import blocks
from hidden_context.likelihood.outcomes import OutcomeModel
from hidden_context.scores.scores import Scores


def out_of_fold(
    fitted: CrossFit,
    heads: Heads | None = None,
    chosen: np.ndarray | None = None,
    *,
    labels: np.ndarray | None = None,
    **fields: Any,
) -> list[Scores]:
    """Scores of comparisons by the head of each one's own fold.

    Args:
        fitted: The comparisons, and their folds.
        heads: One for each seed and fold, in this order, `fitted.heads` if None; or for each set of
            labels and fold of the first seed.
        chosen: Which comparisons, shape `(k,)`; all if None.
        labels: Share of votes for the first, `(label sets, n)`, if heads were fitted to these.
        fields: Further fields of `Scores`.

    Returns:
        `Scores` of each seed, or of each set of labels.
    """
    heads = fitted.heads if heads is None else heads
    pairs, num_folds = fitted.pairs, fitted.partitions.num_folds
    chosen = np.arange(len(pairs)) if chosen is None else chosen
    num_sets = len(heads.bias) // num_folds
    of_seeds = fitted.partitions.fold if labels is None else fitted.partitions.fold[:, :1]
    raw = np.empty((num_sets, len(chosen), 2, heads.family.num_outputs), np.float32)
    first_head = np.arange(num_sets) * num_folds
    place = np.arange(len(chosen))
    for block in blocks(place, PAIRS_AT_ONCE):
        head = torch.from_numpy(first_head + of_seeds[chosen[block]])
        row = torch.arange(len(block))[:, None]
        for side, of_heads in enumerate(heads.raw_outputs(pairs, chosen[block])):
            raw[:, block, side] = of_heads[row, head].movedim(1, 0)
    some = pairs.selected(chosen)
    scores = []
    for number in range(num_sets):
        fold = of_seeds[chosen, number if labels is None else 0]
        outcomes = some.outcomes
        if labels is not None:
            outcomes = relabelled(outcomes, labels[number, chosen])
        scores.append(
            Scores.of_pairs(
                heads.family,
                raw[number],
                prompt=some.prompt,
                lengths=None if some.lengths is None else some.lengths.ravel(),
                outcomes=outcomes,
                outcome_model=_of_rows(heads.outcome_model, first_head[number] + fold),
                training=fold,
                centered_within=place,
                **fields,
            )
        )
    return scores


def _of_rows(model: OutcomeModel, head: np.ndarray) -> OutcomeModel:
    """The thresholds, and ν, of each row's head, shape `(k,)`, where they are learned."""
    davidson: Any = model.davidson
    thresholds: Any = tuple(np.asarray(edge, np.float64)[head] for edge in model.thresholds)
    if isinstance(davidson, Tensor):
        davidson = np.asarray(davidson, np.float64)[head]
    return OutcomeModel(model.ties, thresholds, davidson)
