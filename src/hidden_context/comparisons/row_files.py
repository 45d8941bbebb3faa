"""Files of rows: jsonl, json, csv and parquet, in memory or read anew each time."""

import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

from hidden_context.comparisons.csv_cells import cells_of_lines, check_names
from hidden_context.comparisons.splits import Split
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.kinds import seems
from hidden_context.misspelt import nearest_path
from hidden_context.records import (
    RepeatedKeyError,
    iterate_jsonl,
    meta_path,
    parse_json,
    read_record,
)

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Collection[Row]
T = TypeVar("T")

PLAIN_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
SUFFIXES = (*PLAIN_SUFFIXES, *(f"{suffix}.gz" for suffix in PLAIN_SUFFIXES), ".parquet")
"""Of files of rows."""
LARGEST_IN_MEMORY = 2**25
"""Bytes of a file; a larger one is checked, then read again whenever needed."""
ROWS_A_BATCH = 1024
"""Of a parquet file."""


def suffix_of(file: Path) -> str | None:
    """The suffix of a file of rows in small letters; None if it is of another kind."""
    name = file.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def read_rows(path: Path) -> Rows:
    """Read one file by its suffix.

    Raises:
        UserError: The suffix is unknown, or the file cannot be read.
    """
    iterate = reader_of(path)
    if path.stat().st_size > LARGEST_IN_MEMORY:
        rows: Rows = Streamed(iterate, sum(1 for _ in iterate()))
    else:
        rows = list(iterate())
    if not len(rows):
        raise UserError(f"{path} has no rows.")
    _check_whole(path, len(rows))
    if len(rows) == 1:
        _check_no_table(path, next(iter(rows)))
    return rows


def _check_no_table(path: Path, row: Row) -> None:
    """Refuse one object of columns: as a row, its rows would be the turns of one conversation.

    A list of responses, messages or outputs is what a row may have.
    """
    lengths = {len(value) if _is_column(value) else None for value in row.values()}
    is_table = len(lengths) == 1 and None not in lengths and "responses" not in row
    if is_table and len(row) > 1:
        raise UserError(
            f"{path} is one object of {len(row)} lists, as if each were a column of a table; write "
            'an object a row (in pandas to_json(path, orient="records", lines=True)).'
        )


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(part, dict | list) for part in value)


def _check_whole(path: Path, count: int) -> None:
    """Refuse a file of ours that has other than the recorded rows: cut, or written twice.

    Records of earlier versions say it in `counts`; of rankings, whose pairs are rows, at least.
    """
    if not meta_path(path).is_file():
        return
    record = read_record(meta_path(path), objects=["counts"])
    counts = record.get("counts", {})
    fewest, expected = counts.get("comparisons"), record.get("num_rows", counts.get("rows"))
    if expected is None and isinstance(fewest, int) and count < fewest:
        expected = fewest
    if expected is not None and count != expected:
        raise UserError(
            f"{path} has {count} rows, but {meta_path(path).name} says {expected!r:.40}: it was "
            "cut or changed; write it again (a selection of rows is saved by "
            "load_scores(...)[...].save, or without the record beside)."
        )


def stream_rows(
    files: Sequence[Path],
    split: Split,
    source: Path,
    needed: Callable[[Iterable[Row]], Iterable[Row]],
) -> Rows:
    """The rows that a slice takes of files that are a split, never held, and none after them read.

    Of these only those that are `needed`. A slice by shares, or from the end, is of all rows, which
    are counted for it.

    Raises:
        UserError: A suffix is unknown, a file cannot be read up to there, or no row is taken.
    """
    readers = [reader_of(file) for file in files]

    def iterate() -> Iterator[Row]:
        return (row for reader in readers for row in reader())

    count = sum(1 for _ in iterate()) if split.is_relative else None
    start, stop = split.limits_of(count, source)
    number = sum(1 for _ in needed(islice(iterate(), start, stop)))
    if not number:
        raise UserError(f"{source}: split {split} takes none of its rows.")
    return Streamed(lambda: islice(iterate(), start, start + number), number)


def reader_of(path: Path) -> Callable[[], Iterator[Row]]:
    """How to go through the rows of a file, by its suffix.

    Raises:
        UserError: There is no such file, or the suffix is unknown.
    """
    if not path.is_file():
        is_there = os.path.lexists(path)
        what = "is not a file, or a link to nothing" if is_there else "does not exist"
        meant = "" if is_there else nearest_path(path)
        hint = f"{seems(path)}{meant}"
        raise UserError(f"{path} {what}; give a file of {', '.join(SUFFIXES)}.{hint}")
    suffix = suffix_of(path)
    if suffix is None:
        raise UserError(
            f"{path}: cannot read {path.suffix!r}; unpack it or convert it to one of "
            f"{', '.join(SUFFIXES)}.{seems(path)}"
        )
    return partial(_iterate, READERS[suffix.removesuffix(".gz")], path)


def _iterate(reader: Callable[[Path], Iterator[T]], path: Path) -> Iterator[T]:
    """What a reader finds in a file; whatever is wrong with it is a `UserError`."""
    import pyarrow as pa

    try:
        if suffix_of(path) != ".parquet":
            _check_is_text(path)
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} cannot be read: {error}; save it as UTF-8 (a csv of Excel in pandas: "
            "read_csv(path, encoding='cp1252').to_csv(path, index=False))."
        ) from error
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read: {reason.rstrip('.')}.") from error


NO_TEXT = {
    b"PK\x03\x04": "a zip archive or an Excel file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF": "a PDF file",
    b"PAR1": "a parquet file",
    b"\x1f\x8b": "packed by gzip (its name would end with .gz)",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"SQLite format 3": "a database of SQLite",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
"""How files begin that are no text in UTF-8, whatever their name says."""


def _check_is_text(path: Path) -> None:
    start = b""
    with suppress(OSError, EOFError, zlib.error), _opened(path) as file:  # for the reader to say
        start = file.read(2**10)
    what = next((what for begin, what in NO_TEXT.items() if start.startswith(begin)), None)
    if what is None and b"\0" in start:
        what = "no text, or text in UTF-16"
    if what is not None:
        raise UserError(
            f"{path} is {what}, not the text in UTF-8 that its name promises; save or export it "
            f"as {(suffix_of(path) or '').removeprefix('.').removesuffix('.gz')} in UTF-8."
        )


def _opened(path: Path) -> IO[bytes]:
    """As bytes, unpacked."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore


def _iterate_parquet(path: Path) -> Iterator[Row]:
    """The rows of a parquet file, batch by batch."""
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        check_names(file.schema_arrow.names, path)
        classes = _classes_of(file.schema_arrow)
        for batch in file.iter_batches(ROWS_A_BATCH):
            yield from (named_classes(row, classes) for row in batch.to_pylist())


def _classes_of(schema: Any) -> dict[str, list[str]]:
    """Names of the classes of columns that `datasets` wrote as their numbers."""
    try:
        written = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: list(kind["names"])
            for column, kind in written.items()
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):  # not written by it
        return {}


def named_classes(row: Row, classes: Mapping[str, Sequence[str]]) -> Row:
    """A row with the names of classes in place of their numbers; -1 is none.

    Raises:
        UserError: A number is of no class.
    """
    if not classes:
        return row
    named: dict[str, str | None] = {}
    for column, names in classes.items():
        number = row.get(column)
        if not isinstance(number, int):
            continue
        if not -1 <= number < len(names):
            raise UserError(f"column {column!r}: {number} is none of {len(names)} classes.")
        named[column] = None if number == -1 else names[number]
    return {**row, **named}


def _iterate_csv(path: Path) -> Iterator[Row]:
    """The rows of a csv file, whose cells are texts, or None where they are empty.

    What a cell means is for the reader of its column to say: `007` may be a prompt or a number.
    """
    lines = _cells(path)
    names = next(lines)
    for cells in lines:
        yield {name: cell or None for name, cell in zip(names, cells, strict=True)}


def _cells(path: Path) -> Iterator[list[str]]:
    with _opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        yield from cells_of_lines(lines, path)


def cells_of_csv(path: Path) -> Iterator[list[str]]:
    """The names of a csv file's columns, then the cells of each row; see `cells_of_lines`.

    Raises:
        UserError: It cannot be read.
    """
    return _iterate(_cells, path)


def _iterate_json(path: Path) -> Iterator[Row]:
    """The rows of a json file: one array of objects, or one object a line."""
    with _opened(path) as file:
        start = file.read(2**12).removeprefix(b"\xef\xbb\xbf").lstrip()
    is_small = path.stat().st_size <= LARGEST_IN_MEMORY
    if start.startswith(b"[") and not is_small:
        raise UserError(
            f"{path} is one JSON array of over {LARGEST_IN_MEMORY / 2**20:g} MiB, which has to be "
            f"read at once; make it one object a line (jq -c '.[]' {path.name} > "
            f"{path.name.split('.')[0]}.jsonl)."
        )
    if not start.startswith(b"["):
        try:
            yield from iterate_jsonl(path)
        except UserError as error:
            if is_small and isinstance(whole := _json_value(path, error), dict):
                raise UserError(
                    f"{path} is one JSON object, of {', '.join(list(whole)[:8])}; expected an "
                    "array of objects, or one object a line."
                ) from error
            raise
        return
    for number, row in enumerate(_json_value(path), start=1):
        if not isinstance(row, dict):
            raise UserError(
                f"{path}, row {number}: expected an object, found {type(row).__name__}."
            )
        yield row


def _json_value(path: Path, instead: UserError | None = None) -> Any:
    """What a file holds as a whole; if it is no JSON, this is told, or `instead`."""
    with _opened(path) as file:
        try:
            return parse_json(file.read())
        except RepeatedKeyError as error:
            raise UserError(f"{path}: {error}; leave one of them.") from error
        except (ValueError, RecursionError) as error:
            raise instead or UserError(f"{path} is not JSON: {error}.") from error


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".parquet": _iterate_parquet,
    ".csv": _iterate_csv,
    ".json": _iterate_json,
    ".jsonl": iterate_jsonl,
    ".ndjson": iterate_jsonl,
}
"""By suffix, gzipped or not."""
