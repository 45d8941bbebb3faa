"""Held-out outputs of one family as a file in the format of `evaluate`, with their utilities."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.audit.comparison_table import pairs_of
from hidden_context.audit.crossfit import median_outcome_model
from hidden_context.audit.family_measures import Measured
from hidden_context.comparisons.schema import Comparison, Outcome
from hidden_context.records import meta_path, provenance, write_json, write_jsonl

QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
ROWS_AT_ONCE = 4096


def write_scores(
    path: Path, comparisons: Collection[Comparison], ours: Measured, config: Mapping[str, Any]
) -> None:
    """Write what the heads of the first seed say of every comparison, each from another fold.

    Args:
        path: JSON lines; `.meta.json` is written beside.
        comparisons: In the order in which they were measured.
        ours: The family.
        config: Of the audit, for the record.
    """
    write_jsonl(path, _rows(comparisons, ours))
    meta = {
        "kind": "comparisons",
        "families": {"reward_output": ours.family.to_dict()},
        "outcome_model": median_outcome_model(ours.fitted.heads).to_dict(),
        "stopping_rule": ours.stopping_rule,
        "heads": "of the first seed, each on a fold that it was not fitted to",
        "config": dict(config),
        **provenance(),
    }
    write_json(meta_path(path), meta)


def _rows(comparisons: Collection[Comparison], ours: Measured) -> Iterator[dict[str, Any]]:
    outputs = _outputs(ours)
    for pair, (raw, utility) in zip(pairs_of(comparisons), outputs, strict=True):
        comparison = pair.comparison
        row = {name: value for name, value in comparison.row.items() if name != "outcome"}
        row |= {"chosen": pair.first, "rejected": pair.second}
        row |= {"reward_output_chosen": raw[0], "reward_output_rejected": raw[1]}
        if comparison.outcome != Outcome() or pair.weight != 1:
            shares = list(comparison.outcome.shares)
            row["outcome"] = {"shares": shares, "weight": pair.weight}
        yield {**row, "utility": utility}


def _outputs(ours: Measured) -> Iterator[tuple[list[list[float]], dict[str, Any]]]:
    """Raw outputs and utilities of both texts of each comparison."""
    both = np.stack([ours.held_out.first[0], ours.held_out.second[0]], axis=1)
    for start in range(0, len(both), ROWS_AT_ONCE):
        raw = both[start : start + ROWS_AT_ONCE]
        flat = raw.reshape(-1, raw.shape[-1]).astype(np.float64)
        utility = ours.family.decode(flat).centered(np.repeat(np.arange(len(raw)), 2))
        columns = {"mean": utility.mean, "std": utility.std}
        columns |= {f"quantile:{level}": utility.quantile(level) for level in QUANTILES}
        values = {name: np.asarray(each).reshape(-1, 2) for name, each in columns.items()}
        for number, outputs in enumerate(raw.tolist()):
            yield outputs, {name: each[number].tolist() for name, each in values.items()}
