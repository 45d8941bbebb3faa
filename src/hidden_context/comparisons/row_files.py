"""Files of rows: jsonl, json, csv and parquet, in memory or read anew each time."""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias

from hidden_context.comparisons.splits import SUFFIXES, is_relative, limits_of, suffix_of
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.records import (
    RepeatedKeyError,
    iterate_jsonl,
    meta_path,
    parse_json,
    read_record,
)

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Collection[Row]

LARGEST_IN_MEMORY = 2**25
"""Bytes of a file; a larger one is checked, then read again whenever needed."""
ROWS_A_BATCH = 1024
"""Of a parquet file."""
LONGEST_CELL = 2**31 - 1
"""Characters of a csv file's cell; the library's own limit is shorter than some dialogues."""


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
    return rows


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
    split: str,
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

    count = sum(1 for _ in iterate()) if is_relative(split) else None
    start, stop = limits_of(split, count, source)
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
        raise UserError(f"{path} {what}; give a file of {', '.join(SUFFIXES)}.")
    suffix = suffix_of(path)
    if suffix is None:
        raise UserError(
            f"{path}: cannot read {path.suffix!r}; unpack it or convert it to one of "
            f"{', '.join(SUFFIXES)}."
        )
    return partial(_iterate, READERS[suffix.removesuffix(".gz")], path)


def _iterate(reader: Callable[[Path], Iterator[Row]], path: Path) -> Iterator[Row]:
    """The rows of a file; whatever is wrong with it is a `UserError`."""
    import pyarrow as pa

    try:
        if reader is not _iterate_parquet:
            _check_is_text(path)
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: {error}; save it as UTF-8.") from error
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
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore


def _iterate_parquet(path: Path) -> Iterator[Row]:
    """The rows of a parquet file, batch by batch."""
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        _check_names(file.schema_arrow.names, path)
        for batch in file.iter_batches(ROWS_A_BATCH):
            yield from batch.to_pylist()


def _iterate_csv(path: Path) -> Iterator[Row]:
    """The rows of a csv file, whose cells are texts, or None where they are empty.

    What a cell means is for the reader of its column to say: `007` may be a prompt or a number.
    """
    csv.field_size_limit(LONGEST_CELL)
    with _opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            names = next(reader, [])
            _check_names(names, path)
            sign = (
                next((sign for sign in (";", "\t", "|") if sign in names[0]), "") if names else ""
            )
            if sign and len(names) == 1:
                raise UserError(
                    f"{path}: cells seem to be separated by {sign!r} (the first line is "
                    f"{names[0][:60]!r}); separate them by commas, as in pandas.read_csv(path, "
                    f"sep={sign!r}).to_csv(path, index=False)."
                )
            shown = ", ".join(repr(name[:40]) for name in names[:8])
            for cells in filter(None, reader):
                if len(cells) != len(names):
                    raise UserError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells; expected "
                        f"{len(names)}, one for each of {shown} (cells with commas or line breaks "
                        "are quoted)."
                    )
                if not any(cells):
                    raise UserError(
                        f"{path}, line {reader.line_num}: all {len(cells)} cells are empty; delete "
                        "the line (spreadsheets may leave such lines at the end)."
                    )
                yield {name: cell or None for name, cell in zip(names, cells, strict=True)}
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: {error}.") from error


def _check_names(names: list[str], path: Path) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has several columns {twice[:40]!r}; rename all but one.")


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
