"""Out-of-fold predictions: the scores of comparisons whose prompts a head was not fitted to."""

from typing import Any

import numpy as np
import torch

from hidden_context.audits.crossfit import CrossFit
from hidden_context.audits.heads import PAIRS_AT_ONCE, Heads, relabelled, with_learned
from hidden_context.audits.vectors import blocks
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
    fold = np.broadcast_to(of_seeds[chosen], (len(chosen), num_sets))
    head = fold + num_folds * np.arange(num_sets)
    raw = np.empty((num_sets, len(chosen), 2, heads.family.num_outputs), np.float32)
    place = np.arange(len(chosen))
    for block in blocks(place, PAIRS_AT_ONCE):
        row = torch.arange(len(block))[:, None]
        for side, of_heads in enumerate(heads.raw_outputs(pairs, chosen[block])):
            raw[:, block, side] = of_heads[row, torch.from_numpy(head[block])].movedim(1, 0)
    some = pairs.selected(chosen)

    def scores_of(number: int) -> Scores:
        def of_rows(value: torch.Tensor) -> np.ndarray:
            return np.asarray(value, np.float64)[head[:, number]]

        won = None if labels is None else labels[number, chosen]
        return Scores.of_pairs(
            heads.family,
            raw[number],
            prompt=some.prompt,
            lengths=None if some.lengths is None else some.lengths.ravel(),
            outcomes=some.outcomes if won is None else relabelled(some.outcomes, won),
            outcome_model=with_learned(of_rows, heads.outcome_model),
            training=fold[:, number],
            centered_within=place,
            **fields,
        )

    return [scores_of(number) for number in range(num_sets)]
