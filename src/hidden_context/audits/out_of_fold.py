"""Out-of-fold predictions: the scores of comparisons whose prompts a head was not fitted to."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.crossfit import Partitions, blocks_of
from hidden_context.audits.heads import Heads, Pairs, relabelled
from hidden_context.likelihood.outcomes import OutcomeModel
from hidden_context.scores.scores import Scores


def out_of_fold(
    heads: Heads,
    pairs: Pairs,
    partitions: Partitions,
    chosen: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    **fields: Any,
) -> list[Scores]:
    """Scores of some comparisons by the head of each one's own fold.

    Args:
        heads: One for each seed and fold, in this order; or for each set of labels and fold.
        pairs: All comparisons.
        partitions: Which is of which fold; of sets of labels those of the first seed.
        chosen: Of which comparisons, shape `(k,)`.
        labels: Share of votes for the first, `(label sets, n)`, if heads were fitted to these.
        fields: Further fields of `Scores`.

    Returns:
        `Scores` of each seed, or of each set of labels.
    """
    num_sets = len(heads.bias) // partitions.num_folds
    raw = np.empty((num_sets, len(chosen), 2, heads.family.num_outputs), np.float32)
    first_head = np.arange(num_sets) * partitions.num_folds
    start = 0
    for block in blocks_of(chosen):
        head = torch.from_numpy(first_head + partitions.fold[block])
        row = torch.arange(len(block))[:, None]
        for side, of_heads in enumerate(heads.raw_outputs(pairs, block)):
            raw[:, start : start + len(block), side] = of_heads[row, head].movedim(1, 0)
        start += len(block)
    some = pairs.selected(chosen)
    scores = []
    for number in range(num_sets):
        fold = partitions.fold[chosen, number if labels is None else 0]
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
                centered_within=np.arange(len(chosen)),
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
