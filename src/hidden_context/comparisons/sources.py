"""Where preference data are read from: files, folders, or the Hugging Face hub."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hidden_context.comparisons.dataset_rows import is_saved, saved_rows
from hidden_context.comparisons.hub import hub_rows, stream_hub_rows
from hidden_context.comparisons.objectives import Subset, as_many_as_needed, select_objective
from hidden_context.comparisons.row_files import Row, Rows, read_rows, stream_rows
from hidden_context.comparisons.split_files import files_of_split
from hidden_context.comparisons.splits import Split
from hidden_context.comparisons.streamed import chained, mapped
from hidden_context.errors import UserError
from hidden_context.hub import is_hub_name
from hidden_context.misspelt import nearest_path

Place: TypeAlias = tuple[str | None, Path]
"""The objective by which all rows were judged, or None if they say it; a file or a folder."""

Part: TypeAlias = tuple[str | None, Rows]
"""The same objective, and the rows."""

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
    needed = partial(as_many_as_needed, subset=subset, size=size)
    if not os.path.lexists(data_path):
        read_hub = partial(stream_hub_rows, needed=needed) if streaming else hub_rows
        parts = _parts_on_hub(data_path, subset, split, dataset_config, read_hub)
    elif dataset_config is not None:
        raise UserError(
            f"dataset_config is {dataset_config!r}, but {data_path} is not on the hub: only data "
            "sets there have configurations."
        )
    else:
        read = partial(stream_rows, needed=needed) if streaming else _whole_files
        chosen, places = Split.parse(split), _places(Path(data_path), subset)
        parts = [(of, _rows_of(place, chosen, read, files_read)) for of, place in places]
        if files_read is not None:
            files_read[:] = [file.relative_to(data_path) for file in files_read]
    rows = chained(
        rows if objective is None else mapped(partial(_with_objective, objective), rows)
        for objective, rows in parts
    )
    is_selected = all(objective is not None for objective, _ in parts)
    return rows if is_selected else select_objective(rows, subset, data_path)


def _places(path: Path, subset: Subset) -> list[Place]:
    """Where the rows are: the path, or a folder in it for each objective that is wanted."""
    of_objective = {
        objective: path / name
        for objective, hh_name in HH_RLHF_FOLDERS.items()
        for name in (hh_name, objective)  # its own name counts, if both are there
        if (path / name).is_dir()
    }
    if subset in of_objective:
        return [(subset, of_objective[subset])]
    if subset != "both" and of_objective:
        raise UserError(f"{path} has no folder {subset} (it has {', '.join(of_objective)}).")
    if subset == "both" and (path / subset).is_dir():
        return [(None, path / subset)]
    if subset == "both" and len(of_objective) == len(HH_RLHF_FOLDERS):
        return list(of_objective.items())
    return [(None, path)]


def _rows_of(place: Path, split: Split, read: ReadFiles, files_read: list[Path] | None) -> Rows:
    """The rows of a file, or of a split of a folder."""
    if not place.is_dir():
        return read([place], split, place)
    if is_saved(place):
        return split.taken(saved_rows(place, split), place)
    files = files_of_split(place, split.name)
    if files_read is not None:
        files_read += files
    return read(files, split, place)


def _whole_files(files: Sequence[Path], split: Split, source: Path) -> Rows:
    return split.taken(chained(map(read_rows, files)), source)


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
