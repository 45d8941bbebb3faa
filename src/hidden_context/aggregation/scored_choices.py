"""Choices from score files: what a reward model learned of each prompt's responses."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.aggregation.choices import TOO_FEW, Choice, Choices
from hidden_context.aggregation.evidence import evidence_from_outputs
from hidden_context.comparisons.responses import texts_of_responses
from hidden_context.errors import UserError
from hidden_context.records import meta_path, require_columns
from hidden_context.scores.score_files import recorded_family


def choices_from_outputs(
    rows: Collection[Mapping[str, Any]], column: str, file: Path, *, reference: int | None = None
) -> Choices:
    """A choice for each row of a score file (docs/formats.md).

    Args:
        rows: Of `file`, with `prompt`, `responses` and raw outputs.
        column: `reward_outputs_<name>`.
        file: For its record of families, and for messages.
        reference: Index of the response that others are measured against, in each row.

    Raises:
        UserError: A column, or the record of its family, is missing or wrong.
    """
    texts_of_responses(rows, str(file))
    require_columns(rows, (column,), file)
    family = recorded_family(file, column)
    if family is None:
        raise UserError(
            f"the family of column {column!r} is not in {meta_path(file)}; score the file with "
            "`hidden-context score`, which records it."
        )
    kept: list[Choice] = []
    left_out: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        responses = tuple(row["responses"])
        raw = _raw_outputs(row[column], len(responses), f"{file}, row {number}, column {column!r}")
        if len(responses) < 2:
            left_out[TOO_FEW] += 1
            continue
        if reference is not None and reference >= len(responses):
            raise UserError(
                f"{file}, row {number}: no response {reference + 1} to compare with; there are "
                f"{len(responses)}."
            )
        evidence = evidence_from_outputs(family, raw, reference=reference)
        kept.append(Choice(number, row["prompt"], responses, evidence))
    return Choices(tuple(kept), left_out)


def _raw_outputs(outputs: Any, responses: int, place: str) -> np.ndarray:
    try:
        raw = np.asarray(outputs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: raw outputs are not numbers of one width ({error}).") from error
    raw = raw[:, None] if raw.ndim == 1 else raw
    if raw.ndim != 2 or len(raw) != responses or not np.isfinite(raw).all():
        raise UserError(
            f"{place}: found outputs of shape {raw.shape}; expected finite numbers, one list for "
            f"each of {responses} responses."
        )
    return raw
