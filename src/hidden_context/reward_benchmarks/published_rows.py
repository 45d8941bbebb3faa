"""Rows of a benchmark, from the hub or from files, all checked."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hidden_context.comparisons.sources import load_rows
from hidden_context.errors import UserError
from hidden_context.reward_benchmarks.benchmark import rules_of
from hidden_context.reward_benchmarks.rewardbench import ALL_PRIOR_SETS

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """Rows of a benchmark that are scored together."""

    rows: Sequence[Row]
    source: str
    """Where they are from, for messages."""
    name: str = ""
    """Of a part beside the benchmark's own rows, for names of files."""


def load_benchmark(
    name: str,
    data_path: str | None = None,
    *,
    split: str | None = None,
    dataset_config: str | None = None,
    prior_sets_path: str | None = None,
    ignore_columns: Collection[str] = (),
) -> list[Part]:
    """Rows of a benchmark, all checked: its own, then those of the older sets of RewardBench.

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
    if prior_sets_path is not None and name != "rewardbench":
        raise UserError(f"{name} has no older test sets; they belong to rewardbench.")
    source = data_path or rules.data_path
    rows = load_rows(source, "both", split or rules.split, dataset_config)
    parts = [Part(_checked(name, rows, source, ignore_columns), source)]
    if prior_sets_path is None:
        return parts
    if os.path.isfile(prior_sets_path):
        older = _checked(
            name, load_rows(prior_sets_path, "both", "train"), prior_sets_path, ignore_columns
        )
    else:
        older = [
            row
            for prior_set in ALL_PRIOR_SETS
            for row in _checked(
                name,
                _of_prior_set(prior_sets_path, prior_set),
                f"{prior_sets_path}, {prior_set}",
                ignore_columns,
            )
        ]
    return [*parts, Part(_alike(older), prior_sets_path, "prior_sets")]


def _checked(
    name: str, rows: Iterable[Row], source: str, ignore_columns: Collection[str]
) -> list[Row]:
    kept: list[Row] = [
        {column: value for column, value in row.items() if column not in ignore_columns}
        for row in rows
    ]
    rules_of(name).read(kept, source)
    return kept


def _of_prior_set(path: str, prior_set: str) -> Iterator[Row]:
    """Rows of an older set, called after its split; a subset of its own is kept aside."""
    for row in load_rows(path, "both", prior_set):
        own = {"subsubset": row["subset"]} if "subset" in row else {}
        yield {**row, **own, "subset": prior_set}


def _alike(rows: Sequence[Row]) -> list[Row]:
    """With plain prompts as a turn of the user, if any prompt is a conversation."""
    if all(isinstance(row["prompt"], str) for row in rows):
        return list(rows)
    return [
        {**row, "prompt": [{"role": "user", "content": row["prompt"]}]}
        if isinstance(row["prompt"], str)
        else row
        for row in rows
    ]
