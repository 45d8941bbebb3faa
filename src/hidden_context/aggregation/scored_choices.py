"""Choices from scores: what a reward model learned of each prompt's responses."""

from collections import Counter

import numpy as np

from hidden_context.aggregation.choices import TOO_FEW, Choice, Choices
from hidden_context.aggregation.evidence import evidence_from_outputs
from hidden_context.errors import UserError
from hidden_context.scores.scores import Scores


def choices_from_scores(scores: Scores, *, reference: int | None = None) -> Choices:
    """A choice for each row of scores (`prompt` and `responses`) that has at least two responses.

    The reference is the index of the response that others are measured against, in each row.

    Raises:
        UserError: A row has no such response.
    """
    kept: list[Choice] = []
    left_out: Counter[str] = Counter()
    outputs = np.split(scores.raw.astype(np.float64), np.cumsum(scores.sizes)[:-1])
    for number, (row, raw) in enumerate(zip(scores.rows, outputs, strict=True), start=1):
        if len(raw) < 2:
            left_out[TOO_FEW] += 1
            continue
        if reference is not None and reference >= len(raw):
            raise UserError(
                f"{scores.source}, row {number}: no response {reference + 1} to compare with; "
                f"there are {len(raw)}."
            )
        evidence = evidence_from_outputs(scores.family, raw, reference=reference)
        kept.append(Choice(number, row["prompt"], tuple(row["responses"]), evidence))
    return Choices(tuple(kept), left_out)
