"""Rows that a program has: a list, a table of pandas, or a data set of `datasets`."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hidden_context.comparisons.dataset_rows import (
    all_kept,
    rows_of_dataset,
    rows_of_stream,
    split_of,
)
from hidden_context.comparisons.objectives import Subset, as_many_as_needed, select_objective
from hidden_context.comparisons.row_files import Rows
from hidden_context.comparisons.splits import Split
from hidden_context.errors import UserError
from hidden_context.records import as_plain

if TYPE_CHECKING:
    import pandas as pd


OF_NOTHING = ("NAType", "NaTType")
"""Types of what pandas writes where a cell is empty, beside NaN."""
OF_JSON = frozenset((str, int, float, bool, type(None)))
IN_MEMORY = "rows in memory"
DATA_SET = "the data set"
"""How messages call them."""


def rows_in_memory(
    source: Any, split: str, subset: Subset, *, size: int = 0, streaming: bool = False
) -> Rows:
    """The rows of one split that a program has, judged by one objective or by both.

    Those of a stream are kept on the disk, see `kept`, up to the last that `size` needs.

    Raises:
        UserError: It cannot be read or selected from, or is no stream where one is asked for.
    """
    chosen = Split.parse(split)
    if _library_of(source) == "datasets" and type(source).__name__.startswith("Iterable"):
        needed = partial(as_many_as_needed, subset=subset, size=size)
        stream = split_of(source, chosen, DATA_SET)
        rows = all_kept(rows_of_stream(stream, chosen, IN_MEMORY, needed), chosen, IN_MEMORY)
    elif streaming:
        raise UserError(
            "streaming is for files and the hub, but the data are in memory; leave it out."
        )
    else:
        rows = chosen.taken(_all_rows(source, chosen), IN_MEMORY)
    return select_objective(rows, subset, IN_MEMORY)


def _library_of(source: Any) -> str:
    """The package that a value's class is of."""
    return type(source).__module__.partition(".")[0]


def _all_rows(source: Any, split: Split) -> Rows:
    library = _library_of(source)
    if library == "pandas" and hasattr(source, "to_dict") and hasattr(source, "columns"):
        return _rows_of_frame(source)
    if library == "datasets":
        return rows_of_dataset(split_of(source, split, DATA_SET))
    if isinstance(source, list | tuple) and all(isinstance(row, Mapping) for row in source):
        return [_plain(row) for row in source]
    raise UserError(
        f"comparisons are read from a path, a hub name, a list of rows, a pandas DataFrame or a "
        f"Dataset; this is a {type(source).__name__}."
    )


def _rows_of_frame(frame: "pd.DataFrame") -> Rows:
    """The rows of a table; levels of its index that have a name are columns, as in parquet files.

    Raises:
        UserError: Two columns have one name, so that one would be lost.
    """
    index = [str(name) for name in frame.index.names if name is not None]
    names = [*index, *map(str, frame.columns)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        which = "a level of the index and a column" if twice in index else "several columns"
        raise UserError(f"the DataFrame has {which} {twice[:40]!r}; rename all but one.")
    if index:
        frame = frame.reset_index(level=[name for name in frame.index.names if name is not None])
    return [_plain(row) for row in frame.to_dict("records")]


def _plain(row: Mapping[Any, Any]) -> Mapping[str, Any]:
    """A row as a file would have it: without arrays, tuples or marks of pandas for nothing."""
    if _is_plain(row):
        return row
    return {
        str(name): None
        if type(value).__name__ in OF_NOTHING
        else value
        if _is_plain(value)
        else as_plain(value)
        for name, value in row.items()
    }


def _is_plain(value: Any) -> bool:
    """Whether a value is one of JSON."""
    kind = type(value)
    if kind in OF_JSON:
        return True
    if kind is list:
        return all(map(_is_plain, value))
    return kind is dict and all(map(_is_plain, value.values())) and all(map(_is_text, value))


def _is_text(value: Any) -> bool:
    return type(value) is str
