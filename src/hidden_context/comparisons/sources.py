"""Where preference data are read from: files, folders, or the Hugging Face hub."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hidden_context.comparisons.objectives import Subset, select_objective
from hidden_context.comparisons.streamed import Streamed, chained, mapped
from hidden_context.errors import UserError
from hidden_context.records import iterate_jsonl

Split: TypeAlias = Literal["train", "test"]
Rows: TypeAlias = Collection[Mapping[str, Any]]
Part: TypeAlias = tuple[str | None, Any]
"""The objective by which all rows were judged, or None if they say it; a file, or a `Dataset`."""

HH_RLHF_FOLDERS = {"helpful": "helpful-base", "harmless": "harmless-base"}
"""Folders of Anthropic/hh-rlhf, by objective."""

LARGEST_IN_MEMORY = 2**25
"""Bytes of a file; a larger one is checked, then read again whenever needed."""
ROWS_A_BATCH = 1024
"""Of a parquet file."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv")


def load_rows(data_path: str, subset: Subset, split: Split) -> Rows:
    """Read the rows of one split, judged by one objective or by both.

    `data_path` is one of: a file (jsonl, jsonl.gz, parquet or csv; it is its own split); a folder
    with `train.*` and `test.*`; a folder with such a folder for each of helpful and harmless, and
    perhaps both (the relabelled layout) or helpful-base and harmless-base (a clone of HH-RLHF); or
    the name of a data set on the hub.

    Raises:
        UserError: Nothing is there, or it cannot be read or selected from.
    """
    path = Path(data_path)
    parts: list[Part] = [(None, path)]
    if path.is_dir():
        parts = _parts_of_folder(path, subset, split)
    elif not path.is_file():
        parts = _parts_on_hub(data_path, subset, split)
    rows = chained(_rows_of(part, objective) for objective, part in parts)
    is_selected = all(objective is not None for objective, _ in parts)
    return rows if is_selected else select_objective(rows, subset, data_path)


def is_hub_name(name: str) -> bool:
    """Whether a name that is no local folder or file may be one on the hub: `owner/name`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def read_rows(path: Path) -> Rows:
    """Read one file by its suffix.

    Raises:
        UserError: The suffix is unknown, or the file cannot be read.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; give a file of {', '.join(SUFFIXES)}.")
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path}: cannot read {path.suffix!r}; give one of {', '.join(SUFFIXES)}.")
    iterate = _iterate_table if path.suffix in (".parquet", ".csv") else iterate_jsonl
    if path.stat().st_size > LARGEST_IN_MEMORY:
        rows: Rows = Streamed(partial(iterate, path), sum(1 for _ in iterate(path)))
    else:
        rows = list(iterate(path))
    if not len(rows):
        raise UserError(f"{path} has no rows.")
    return rows


def _iterate_table(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a parquet or csv file, batch by batch."""
    import pyarrow as pa

    try:
        for batch in _batches(path):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise UserError(f"{path} cannot be read: {error}.") from error


def _batches(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches(ROWS_A_BATCH)
        return
    import pyarrow.csv as csv

    multiline = csv.ParseOptions(newlines_in_values=True)
    numbered = csv.ReadOptions(use_threads=False)  # threads lose the row's number
    with csv.open_csv(path, numbered, multiline) as file:
        yield from file


def _parts_of_folder(folder: Path, subset: Subset, split: Split) -> list[Part]:
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
                (objective, file)
                for objective, part in of_objective.items()
                for file in _files(part, split)
            ]
    elif subset in of_objective:
        return [(subset, file) for file in _files(of_objective[subset], split)]
    elif of_objective:
        raise UserError(f"{folder} has no folder {subset} (it has {', '.join(of_objective)}).")
    return [(None, file) for file in _files(whole, split)]


def _files(folder: Path, split: Split) -> list[Path]:
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name.startswith(split) and file.name.endswith(SUFFIXES)
    )
    if not files:
        present = ", ".join(sorted(file.name for file in folder.iterdir())[:8]) or "nothing"
        raise UserError(
            f"{folder} has no file {split}.jsonl (.gz, .parquet, .csv); found {present}."
        )
    return files


def _parts_on_hub(name: str, subset: Subset, split: Split) -> list[Part]:
    if not is_hub_name(name):
        raise UserError(
            f"--data_path {name} is neither a file nor a folder, nor a hub name such as "
            "Anthropic/hh-rlhf."
        )
    import datasets

    try:
        if name != "Anthropic/hh-rlhf":
            return [(None, datasets.load_dataset(name, split=split))]
        return [
            (objective, datasets.load_dataset(name, data_dir=folder, split=split))
            for objective, folder in HH_RLHF_FOLDERS.items()
            if subset in ("both", objective)
        ]
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{name}: no such file or folder, nor on the hub: {reason}") from error


def _rows_of(part: Any, objective: str | None) -> Rows:
    """Of a file, or of a data set that the library has mapped from its cache."""
    is_file = isinstance(part, Path)
    rows = read_rows(part) if is_file else Streamed(partial(iter, part), len(part))
    return rows if objective is None else mapped(partial(_with_objective, objective), rows)


def _with_objective(objective: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say in `data_subset` where a row came from, where it does not say so itself."""
    if "data_subset" in row or "objective" in row:
        return row
    return {**row, "data_subset": objective}
