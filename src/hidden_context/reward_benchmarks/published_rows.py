"""Rows of a benchmark, from the hub or from files, all checked."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from hidden_context.comparisons.sources import load_rows
from hidden_context.errors import UserError
from hidden_context.reward_benchmarks.benchmark import rules_of
from hidden_context.reward_benchmarks.rewardbench import ALL_PRIOR_SETS

Row = Mapping[str, Any]


def load_benchmark(
    name: str,
    data_path: str | None = None,
    *,
    split: str | None = None,
    dataset_config: str | None = None,
    prior_sets_path: str | None = None,
    ignore_columns: Collection[str] = (),
) -> list[tuple[str, list[Row]]]:
    """Rows of a benchmark with where they are from: its own, then the older sets of RewardBench.

    Args:
        name: See `BENCHMARKS`.
        data_path: File, folder or hub name; the benchmark's own name on the hub, if not given.
        split: Of a folder or hub name; what is measured by default, if not given.
        dataset_config: Configuration on the hub.
        prior_sets_path: Of RewardBench: a file of such rows with `subset`, or a folder or hub name
            with a split for each older set.
        ignore_columns: Columns to leave out.

    Raises:
        UserError: Nothing is there, or a row has another shape or subset.
    """
    rules = rules_of(name)
    source = data_path or rules.data_path
    parts = [(source, load_rows(source, "both", split or rules.split, dataset_config))]
    if prior_sets_path is not None:
        if name != "rewardbench":
            raise UserError(f"{name} has no older test sets; they belong to rewardbench.")
        if os.path.isfile(prior_sets_path):
            parts.append((prior_sets_path, load_rows(prior_sets_path, "both", "train")))
        else:
            parts += [
                (f"{prior_sets_path}, {split}", _of_prior_set(prior_sets_path, split))
                for split in ALL_PRIOR_SETS
            ]
    read = [(source, [_without(row, ignore_columns) for row in rows]) for source, rows in parts]
    for source, rows in read:
        rules.read(rows, source)
    return read


def _of_prior_set(path: str, split: str) -> list[Row]:
    """Rows of an older set, called after its split; a subset of its own is kept aside."""
    rows = load_rows(path, "both", split)
    return [
        {**row, "subset": split} | ({"subsubset": row["subset"]} if "subset" in row else {})
        for row in rows
    ]


def _without(row: Row, columns: Collection[str]) -> Row:
    return {name: value for name, value in row.items() if name not in columns}
