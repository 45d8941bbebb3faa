"""Out-of-fold predictions: the scores of comparisons whose prompts a head was not fitted to."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hidden_context.audits.crossfit import CrossFit
from hidden_context.audits.heads import PAIRS_AT_ONCE, Heads, with_learned
from hidden_context.audits.vectors import blocks
from hidden_context.scores.scores import Scores


def out_of_fold(
    fitted: CrossFit,
    heads: Heads | None = None,
    chosen: np.ndarray | None = None,
    *,
    shares: np.ndarray | None = None,
    **fields: Any,
) -> list[Scores]:
    """Scores of comparisons by the head of each one's own fold.

    Args:
        fitted: The comparisons, and their folds.
        heads: One for each seed and fold, in this order; `fitted.heads` if None.
        chosen: Which comparisons, shape `(k,)`; all if None.
        shares: Of votes for each seed, `(seeds, n, grades)`, in place of the observed ones.
        fields: Further fields of `Scores`.

    Returns:
        `Scores` of each seed.
    """
    heads = fitted.heads if heads is None else heads
    pairs, num_folds = fitted.pairs, fitted.partitions.num_folds
    chosen = np.arange(len(pairs)) if chosen is None else chosen
    num_sets = len(heads.bias) // num_folds
    fold = fitted.partitions.fold[chosen]
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

        return Scores.of_pairs(
            heads.family,
            raw[number],
            prompt=some.prompt,
            lengths=None if some.lengths is None else some.lengths.ravel(),
            outcomes=some.outcomes
            if shares is None
            else replace(some.outcomes, shares=shares[number, chosen]),
            outcome_model=with_learned(of_rows, heads.outcome_model),
            training=fold[:, number],
            centered_within=place,
            **fields,
        )

    return [scores_of(number) for number in range(num_sets)]
