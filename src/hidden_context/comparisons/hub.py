"""Data sets of the `datasets` library: on the Hugging Face hub, or saved with `save_to_disk`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hidden_context.comparisons.splits import split_name
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError


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

    given = {"name": dataset_config, "data_dir": data_dir}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    try:
        return rows_of_dataset(datasets.load_dataset(name, **options, split=split))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        is_reached = isinstance(error, ValueError)
        there = _what_is_there(name, dataset_config) if is_reached else ""
        raise UserError(
            f"{name} is no file or folder here, and split {split!r} of it cannot be had from the "
            f"hub: {_reason(error)}{there}."
        ) from error


def _reason(error: Exception) -> str:
    """The first line of an error, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


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


def saved_rows(folder: Path, split: str) -> Streamed[Mapping[str, Any]]:
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


def split_of(data: Any, split: str, source: object) -> Any:
    """The split of a DatasetDict; a Dataset is its own.

    Raises:
        UserError: There is no such split.
    """
    if not isinstance(data, Mapping):
        return data
    name = split_name(split)
    if name not in data:
        raise UserError(f"{source} has no split {name!r} (it has {', '.join(data)}).")
    return data[name]


def rows_of_dataset(dataset: Any) -> Streamed[Mapping[str, Any]]:
    """The rows of a `Dataset`, which the library keeps out of memory."""
    return Streamed(partial(iter, dataset), len(dataset))
