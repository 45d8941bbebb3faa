"""Where preference data are read from: files, folders, or the Hugging Face hub."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hidden_context.comparisons.hub import (
    hub_rows,
    is_hub_name,
    is_saved,
    saved_rows,
    stream_hub_rows,
)
from hidden_context.comparisons.objectives import Subset, as_many_as_needed, select_objective
from hidden_context.comparisons.row_files import Row, Rows, read_rows, stream_rows
from hidden_context.comparisons.splits import Split, files_of_split
from hidden_context.comparisons.streamed import chained, mapped
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_path

Part: TypeAlias = tuple[str | None, Rows]
"""The objective by which all rows were judged, or None if they say it; the rows."""

ReadFiles: TypeAlias = Callable[[Sequence[Path], Split, Path], Rows]
"""Of the files of a split, the split or its slice, and what to call them in messages."""

HH_RLHF_FOLDERS = {"helpful": "helpful-base", "harmless": "harmless-base"}
"""Folders of Anthropic/hh-rlhf, by objective."""


def load_rows(
    data_path: str,
    subset: Subset,
    split: str,
    dataset_config: str | None = None,
    *,
    streaming: bool = False,
    size: int = 0,
    files_read: list[Path] | None = None,
) -> Rows:
    """Read the rows of one split, judged by one objective or by both.

    `data_path` is one of: a file (jsonl, json, csv, each perhaps gzipped, or parquet; it is its own
    split); a folder of splits, each a file such as `train.jsonl` or its shards (see
    `files_of_split`); a folder that `datasets` saved; a folder with such a folder for each of
    helpful and harmless, and perhaps both (the relabelled layout) or helpful-base and harmless-base
    (a clone of HH-RLHF); or the name of a data set on the hub, with its configuration.

    A slice of a split, such as `train[:1%]`, is taken before rows are selected by objective.

    With `streaming` rows are read one after another, and none after those that a slice takes, or
    that `take_stratified` needs for `size` of them. Those of the hub are kept on the disk, see
    `kept`; files are read again each time, however small. A folder that `datasets` saved is mapped
    into memory in any case. The files that are read of a folder are added to `files_read`.

    Raises:
        UserError: Nothing is there, or it cannot be read or selected from.
    """
    path = Path(data_path)
    is_local = os.path.lexists(path)
    needed = partial(as_many_as_needed, subset=subset, size=size)
    read = partial(stream_rows, needed=needed) if streaming else _whole_files
    if is_local and dataset_config is not None:
        raise UserError(
            f"dataset_config is {dataset_config!r}, but {data_path} is not on the hub: only data "
            "sets there have configurations."
        )
    if is_local and path.is_dir():

        def read_noted(files: Sequence[Path], split: Split, source: Path) -> Rows:
            if files_read is not None:
                files_read.extend(file.relative_to(path) for file in files)
            return read(files, split, source)

        parts = _parts_of_folder(path, subset, Split.parse(split), read_noted)
    elif is_local:
        parts = [(None, read([path], Split.parse(split), path))]
    else:
        hub = partial(stream_hub_rows, needed=needed) if streaming else hub_rows
        parts = _parts_on_hub(data_path, subset, split, dataset_config, hub)
    rows = chained(
        rows if objective is None else mapped(partial(_with_objective, objective), rows)
        for objective, rows in parts
    )
    is_selected = all(objective is not None for objective, _ in parts)
    return rows if is_selected else select_objective(rows, subset, data_path)


def _whole_files(files: Sequence[Path], split: Split, source: Path) -> Rows:
    return split.taken(chained(map(read_rows, files)), source)


def _parts_of_folder(folder: Path, subset: Subset, split: Split, read: ReadFiles) -> list[Part]:
    of_objective = {
        objective: folder / name
        for objective, hh_name in HH_RLHF_FOLDERS.items()
        for name in (hh_name, objective)  # its own name counts, if both are there
        if (folder / name).is_dir()
    }
    whole = folder
    if subset == "both":
        if (folder / subset).is_dir():
            whole = folder / subset
        elif len(of_objective) == len(HH_RLHF_FOLDERS):
            return [
                (objective, _rows_of_folder(part, split, read))
                for objective, part in of_objective.items()
            ]
    elif subset in of_objective:
        return [(subset, _rows_of_folder(of_objective[subset], split, read))]
    elif of_objective:
        raise UserError(f"{folder} has no folder {subset} (it has {', '.join(of_objective)}).")
    return [(None, _rows_of_folder(whole, split, read))]


def _rows_of_folder(folder: Path, split: Split, read: ReadFiles) -> Rows:
    if is_saved(folder):
        return split.taken(saved_rows(folder, split), folder)
    return read(files_of_split(folder, split.name), split, folder)


def _parts_on_hub(
    name: str, subset: Subset, split: str, dataset_config: str | None, read: Callable[..., Rows]
) -> list[Part]:
    if not is_hub_name(name):
        raise UserError(
            f"{name} is neither a file nor a folder, nor a hub name such as Anthropic/hh-rlhf."
            f"{nearest_path(name)}"
        )
    if name != "Anthropic/hh-rlhf" or dataset_config is not None:
        return [(None, read(name, split, dataset_config=dataset_config))]
    return [
        (objective, read(name, split, data_dir=folder))
        for objective, folder in HH_RLHF_FOLDERS.items()
        if subset in ("both", objective)
    ]


def _with_objective(objective: str, row: Row) -> Row:
    """Say in `data_subset` where a row came from, where it does not say so itself."""
    if "data_subset" in row or "objective" in row:
        return row
    return {**row, "data_subset": objective}
