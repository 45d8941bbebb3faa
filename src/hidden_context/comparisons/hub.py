"""Data sets of the `datasets` library: on the Hugging Face hub, or saved with `save_to_disk`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from hidden_context.comparisons.kept_rows import kept
from hidden_context.comparisons.row_files import named_classes
from hidden_context.comparisons.splits import Split
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.hub import asked_once

Needed: TypeAlias = Callable[[Iterable[Mapping[str, Any]]], Iterable[Mapping[str, Any]]]
"""Which of the rows of a stream are read; see `as_many_as_needed`."""


def is_hub_name(name: str) -> bool:
    """Whether a name that is no local folder or file may be one on the hub: `owner/name`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def hub_rows(
    name: str, split: str, *, dataset_config: str | None = None, data_dir: str | None = None
) -> Streamed[Mapping[str, Any]]:
    """The rows of a split, or of a slice of it, mapped from the library's cache.

    Raises:
        UserError: Nothing of that name, or no such split or configuration; those that there are
            are listed.
    """
    import datasets

    with _explaining(name, split, dataset_config):
        options = _given(name=dataset_config, data_dir=data_dir)
        return rows_of_dataset(datasets.load_dataset(name, **options, split=split))


def stream_hub_rows(
    name: str,
    split: str,
    *,
    needed: Needed,
    dataset_config: str | None = None,
    data_dir: str | None = None,
) -> Streamed[Mapping[str, Any]]:
    """The same without the library's cache: rows are read up to the last that is `needed`.

    See `kept` for where they are then.

    Raises:
        UserError: See `hub_rows`; or the slice depends on a number of rows that the hub does not
            tell.
    """
    import datasets

    chosen = Split.parse(split)
    with _explaining(name, split, dataset_config):
        options = _given(name=dataset_config, data_dir=data_dir)
        stream = datasets.load_dataset(name, **options, split=chosen.name, streaming=True)
    rows = rows_of_stream(stream, chosen, name, needed)

    def explained() -> Iterator[Mapping[str, Any]]:
        with _explaining(name, split, dataset_config):
            yield from rows

    return _all_of(explained(), chosen, name)


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


def keep_stream(stream: Any, split: Split, source: str, needed: Needed) -> Streamed[Any]:
    """The rows of an `IterableDataset` of a program; see `rows_of_stream` and `kept`."""
    return _all_of(rows_of_stream(stream, split, source, needed), split, source)


def _all_of(rows: Iterable[Mapping[str, Any]], split: Split, source: str) -> Streamed[Any]:
    kept_rows = kept(rows)
    if not len(kept_rows):
        raise UserError(f"{source}: split {split} takes none of its rows.")
    return kept_rows


def _given(**options: str | None) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


@contextmanager
def _explaining(name: str, split: str, dataset_config: str | None) -> Iterator[None]:
    """Whatever the library raises for a data set is a `UserError` with what can be done.

    That is any exception: of the network, of the files' formats, or of its own code.
    """
    try:
        with asked_once():
            yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        is_reached = isinstance(error, ValueError)
        there = _what_is_there(name, dataset_config) if is_reached else ""
        raise UserError(
            f"{name} is no file or folder here, and split {split!r} of it cannot be had from the "
            f"hub: {_reason(error)}{there}."
        ) from error


def _reason(error: BaseException) -> str:
    """The first line of an error, without its full stop, and what to do where that is known."""
    import datasets

    if isinstance(error, datasets.exceptions.DatasetGenerationError) and error.__cause__:
        return _reason(error.__cause__)
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if "is a gated dataset" in first:  # the error that says so as a type is not passed on
        if "must be authenticated" in first:
            return "it is gated, and you are not logged in; run `hf auth login`, or set HF_TOKEN"
        return "it is gated, and your account has no access yet; ask for it on its page on the hub"
    if "scripts are no longer supported" in first:
        return (
            f"its rows are made by code of its own ({first.rpartition(' ')[2]}), which is not run; "
            "save them as parquet or jsonl elsewhere, and give that file"
        )
    if isinstance(error, datasets.exceptions.DatasetNotFoundError):
        return f"{first}; check the name or, if it is private, log in (`hf auth login`)"
    return f"{first}; check the network" if isinstance(error, ConnectionError) else first


def _what_is_there(name: str, dataset_config: str | None) -> str:
    """Configurations and splits, where the hub tells them."""
    import datasets

    try:
        configs = datasets.get_dataset_config_names(name)
        if dataset_config not in configs and (dataset_config or len(configs) > 1):
            return f"; choose a dataset_config of {', '.join(configs)}"
        splits = datasets.get_dataset_split_names(name, dataset_config)
        return f"; its splits are {', '.join(splits)}"
    except Exception:  # whatever was wrong is told already
        return ""


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
        raise UserError(
            f"{folder} cannot be read as a saved data set: {_reason(error)}."
        ) from error
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
