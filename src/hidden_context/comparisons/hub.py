"""Data sets on the Hugging Face hub."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hidden_context.comparisons.dataset_rows import (
    Needed,
    all_kept,
    rows_of_dataset,
    rows_of_stream,
)
from hidden_context.comparisons.splits import Split
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.hub import asked_once


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

    return all_kept(explained(), chosen, name)


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
