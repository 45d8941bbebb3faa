"""Rows of data sets of the `datasets` library: in memory, saved with `save_to_disk`, streamed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from hidden_context.comparisons.kept_rows import kept
from hidden_context.comparisons.row_files import named_classes
from hidden_context.comparisons.splits import Split
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.records import brief

Needed: TypeAlias = Callable[[Iterable[Mapping[str, Any]]], Iterable[Mapping[str, Any]]]
"""Which of the rows of a stream are read; see `as_many_as_needed`."""


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return is_one_split(folder) or (folder / "dataset_dict.json").is_file()


def is_one_split(path: Path) -> bool:
    """Whether a path is its own split: a file, or one `Dataset` saved with `save_to_disk`."""
    is_damaged = (path / "dataset_info.json").is_file() and any(path.glob("*.arrow"))
    return path.is_file() or (path / "state.json").is_file() or is_damaged


def saved_rows(folder: Path, split: Split) -> Streamed[Mapping[str, Any]]:
    """The rows of a split of a folder that `is_saved`, mapped from its files.

    Raises:
        UserError: It is damaged, or has no such split.
    """
    import datasets
    import pyarrow as pa

    try:
        dataset = split_of(datasets.load_from_disk(str(folder)), split, folder)
        dataset.data.validate(full=True)  # or a damaged offset would read any memory
    except UserError:
        raise
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        reason = brief(error).rstrip(".")
        raise UserError(f"{folder} cannot be read as a saved data set: {reason}.") from error
    return rows_of_dataset(dataset)


def split_of(data: Any, split: Split, source: object) -> Any:
    """The split of a DatasetDict; a Dataset is its own.

    Raises:
        UserError: There is no such split.
    """
    if not isinstance(data, Mapping):
        return data
    if split.name not in data:
        raise UserError(f"{source} has no split {split.name!r} (it has {', '.join(data)}).")
    return data[split.name]


def rows_of_dataset(dataset: Any) -> Streamed[Mapping[str, Any]]:
    """The rows of a `Dataset`, which the library keeps out of memory."""
    return Streamed(partial(_plain_rows, dataset), len(dataset))


def _plain_rows(dataset: Any) -> Iterator[Mapping[str, Any]]:
    """The rows as plain values, whatever format is set; classes by their names, not numbers."""
    if dataset.features is not None and getattr(dataset, "format", {}).get("type"):
        dataset = dataset.with_format(None)
    classes = {
        column: kind.names
        for column, kind in (dataset.features or {}).items()
        if hasattr(kind, "int2str")
    }
    return (named_classes(row, classes) for row in dataset)


def rows_of_stream(
    stream: Any, split: Split, source: str, needed: Needed
) -> Iterable[Mapping[str, Any]]:
    """Those rows of an `IterableDataset` that a slice takes and that are needed.

    Raises:
        UserError: The slice depends on a number of rows that the data set does not tell.
    """
    known = (stream.info.splits or {}).get(split.name)
    count = getattr(known, "num_examples", None) or None  # 0 where it was not counted
    start, stop = split.limits_of(count if split.is_relative else None, source)
    return needed(islice(_plain_rows(stream), start, stop))


def all_kept(
    rows: Iterable[Mapping[str, Any]], split: Split, source: str
) -> Streamed[Mapping[str, Any]]:
    """The rows that a split takes of a stream, to be gone through again; see `kept`.

    Raises:
        UserError: There are none.
    """
    kept_rows = kept(rows)
    if not len(kept_rows):
        raise UserError(f"{source}: split {split} takes none of its rows.")
    return kept_rows
