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
    if path.is_file():
        return select_objective(read_rows(path), subset, str(path))
    if path.is_dir():
        return _load_folder(path, subset, split)
    if is_hub_name(data_path):
        return _load_hub(data_path, subset, split)
    raise UserError(
        f"--data_path {data_path} is neither a file nor a folder, nor a hub name such as "
        "Anthropic/hh-rlhf."
    )


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


def _load_folder(folder: Path, subset: Subset, split: Split) -> Rows:
    for name in (subset, HH_RLHF_FOLDERS.get(subset, "")):
        if name and (folder / name).is_dir():
            return _read_split(folder / name, split, None if subset == "both" else subset)
    parts = {
        objective: folder / name
        for objective, hh_name in HH_RLHF_FOLDERS.items()
        for name in (objective, hh_name)
        if (folder / name).is_dir()
    }
    if subset == "both" and len(parts) == len(HH_RLHF_FOLDERS):
        return chained(_read_split(part, split, name) for name, part in parts.items())
    if parts and subset != "both":
        raise UserError(f"{folder} has no folder {subset} (it has {', '.join(parts)}).")
    return select_objective(_read_split(folder, split), subset, str(folder))


def _read_split(folder: Path, split: Split, objective: str | None = None) -> Rows:
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name.startswith(split) and file.name.endswith(SUFFIXES)
    )
    if not files:
        found = ", ".join(sorted(file.name for file in folder.iterdir())[:8]) or "nothing"
        raise UserError(f"{folder} has no file {split}.jsonl (.gz, .parquet, .csv); found {found}.")
    return mapped(partial(_with_objective, objective), chained(map(read_rows, files)))


def _load_hub(name: str, subset: Subset, split: Split) -> Rows:
    import datasets

    try:
        if name != "Anthropic/hh-rlhf":
            rows = datasets.load_dataset(name, split=split)
            return select_objective(_streamed(rows), subset, name)
        return chained(
            mapped(
                partial(_with_objective, objective),
                _streamed(datasets.load_dataset(name, data_dir=folder, split=split)),
            )
            for objective, folder in HH_RLHF_FOLDERS.items()
            if subset in ("both", objective)
        )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{name}: no such file or folder, nor on the hub: {reason}") from error


def _streamed(dataset: Any) -> Rows:
    """The rows of a data set that the library has mapped from its cache."""
    return Streamed(partial(iter, dataset), len(dataset))


def _with_objective(objective: str | None, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say in `data_subset` where a row came from, where it does not say so itself."""
    if objective is None or "data_subset" in row or "objective" in row:
        return row
    return {**row, "data_subset": objective}
