"""The files that we write and read: JSON and JSON lines, written whole or not at all."""

import dataclasses
import fcntl
import gzip
import json
import math
import os
import re
import secrets
import subprocess
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any, TypeVar

from hidden_context import __version__
from hidden_context.errors import UserError

T = TypeVar("T")

CHECKPOINT_RECORD = "hidden_context.json"
"""File in a checkpoint folder that says what its outputs mean and how it was made."""
FORMAT_VERSION = 1
"""Version of the records below; raised when their meaning changes."""
LONGEST_REASON = 300
"""Characters of a parser's reason that a message repeats."""


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` and rename it to `path` when all has been written.

    After a kill, a full disk or an exception, the old file is as it was. The new one has the
    permissions of any new file. The temporary file of a killed process is removed when `path` is
    next written; see `_remove_abandoned`.

    Raises:
        OSError: It cannot be written; the message names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    with naming(path), _temporary_file(path) as (temporary, file):
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error of the system that does not, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextmanager
def _temporary_file(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file beside `path`, locked until it is closed."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        with os.fdopen(handle, "wb") as file:
            with suppress(OSError):  # a file system without locks: then nobody removes it either
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # another process may have been faster
                yield temporary, file
                return


def is_temporary(name: str, target: str = "") -> bool:
    """Whether a file is a temporary one of `atomic_write`, of any target or of this one."""
    middle = re.escape(target) if target else ".+"
    return re.fullmatch(rf"\.{middle}\.[0-9a-f]{{8}}\.partial", name) is not None


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of `path` left.

    A writer holds a lock on its file, which the system gives back however the writer ends: a file
    that can be locked is nobody's. So writers at the same time do not disturb each other, on any
    number of machines and in containers, where the number of a process says nothing.
    """
    for name in os.listdir(path.parent):
        if is_temporary(name, path.name):
            abandoned = path.with_name(name)
            with suppress(OSError), abandoned.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                abandoned.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, indented."""
    with atomic_write(path) as file:
        file.write(json_line(value, indent=2, default=str))


def read_json(path: Path) -> Any:
    """Read one JSON value.

    Raises:
        UserError: The file is missing or is not JSON.
    """
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except RepeatedKeyError as error:
        raise UserError(f"{path}: {error}; leave one of them.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {brief(error)}.") from error


class RepeatedKeyError(ValueError):
    """An object says a key twice, so that what it means is unknown."""


def parse_json(text: str | bytes) -> Any:
    """A JSON value, none of whose objects says a key twice.

    Raises:
        ValueError: It is no JSON.
        RepeatedKeyError: A key is there twice; `json` would read the last.
    """
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RepeatedKeyError(f"the key {twice[:40]!r} is there {names.count(twice)} times")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        UserError: The file is missing, is not JSON, or is something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds {type(value).__name__}; expected a JSON object.")
    return value


def read_record(path: Path, *, objects: Sequence[str] = ()) -> dict[str, Any]:
    """Read one JSON object; its fields `objects` are objects too, where they are there.

    Raises:
        UserError: See `read_object`; or such a field is something else.
    """
    record = read_object(path)
    for name in objects:
        if not isinstance(record.get(name), dict | None):
            found = type(record[name]).__name__
            raise UserError(f"{path}: field {name} is {found}; expected a JSON object.")
    return {name: value for name, value in record.items() if value is not None}


def read_of_kind(
    path: Path, kind: str, versions: Collection[int], *, remedy: str
) -> dict[str, Any]:
    """Read one JSON object whose field `kind` says what it holds.

    Raises:
        UserError: See `read_object`; or it is of another kind, or of none of the versions, and
            `remedy` says what to do.
    """
    record = read_object(path)
    if record.get("kind") != kind:
        said = f"its kind is {record['kind']!r:.40}" if "kind" in record else "it has no field kind"
        raise UserError(f"{path} holds no {kind}: {said}.")
    version = record.get("format_version")
    if version not in versions:
        raise UserError(
            f"{path} has format_version {version!r:.40}; this version reads "
            f"{' and '.join(map(str, versions))}. {remedy}"
        )
    return record


def check_version(record: Mapping[str, Any], path: Path) -> None:
    """Refuse a record whose meaning may have changed since this version.

    Raises:
        UserError: It is of a later format, or says none that can be.
    """
    version = record.get("format_version", FORMAT_VERSION)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format_version {version!r:.40}; this version reads up to "
            f"{FORMAT_VERSION}. Update hidden-context."
        )


def parse_value(text: str, source: object) -> Any:
    """What a user wrote as JSON or YAML, of plain values: no tags, no objects.

    Raises:
        UserError: It is neither; the message begins with `source`.
    """
    for read in (parse_json, parse_yaml):  # for YAML 1.1, 1e-3 is a text
        try:
            return read(text)
        except RepeatedKeyError as error:
            raise UserError(f"{source}: {error}; leave one of them.") from error
        except (ValueError, ArithmeticError, RecursionError, AttributeError) as error:
            reason = brief(error)
    raise UserError(f"{source} is neither JSON nor YAML of plain values: {reason}")


def parse_yaml(text: str) -> Any:
    """A YAML value of plain values, none of whose mappings says a key twice.

    Raises:
        ValueError: It is no such YAML.
        RepeatedKeyError: A key is there twice; `yaml` would read the last.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            _object([(key.value, None) for key, _ in node.value if isinstance(key.value, str)])
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def brief(error: Exception) -> str:
    """What went wrong, in one line of at most `LONGEST_REASON` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line; gzipped, and the same each time, if `path` ends in .gz."""
    with atomic_write(path) as file:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressed:
                compressed.writelines(map(json_line, rows))
        else:
            file.writelines(map(json_line, rows))


def json_line(value: Any, **options: Any) -> bytes:
    """A value as a line of UTF-8; lone surrogates are escaped rather than refused.

    For `options` see `json_text`; with an indent it is several lines.
    """
    try:
        return (json_text(value, ensure_ascii=False, **options) + "\n").encode()
    except UnicodeEncodeError:
        return (json_text(value, **options) + "\n").encode()


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of `iterate_jsonl`.

    Raises:
        UserError: See `iterate_jsonl`; or there are no rows.
    """
    rows = list(iterate_jsonl(path))
    if not rows:
        raise UserError(f"{path} has no rows.")
    return rows


def iterate_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Read one JSON object a line, from a plain or gzipped file. Blank lines are passed over.

    Raises:
        UserError: The file is missing, or a line cannot be read (it is numbered).
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; give a .jsonl or .jsonl.gz file.")
    lines_read = 0
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for line in file:
                lines_read += 1
                if line.strip():
                    yield _json_object(line)
    except RepeatedKeyError as error:
        raise UserError(f"{path}, line {lines_read}: {error}; leave one of them.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}, line {lines_read}: not a JSON object ({brief(error)})."
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is damaged after line {lines_read}: {error}.") from error


def require_columns(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], source: object, *, first: int = 1
) -> None:
    """Refuse rows that lack a column; the first row has the number `first`.

    Raises:
        UserError: It names the row (counted from 1), the column, and those present.
    """
    for number, row in enumerate(rows, start=first):
        for column in columns:
            if column not in row:
                present = ", ".join(map(str, row)) or "none"
                raise UserError(
                    f"{source}, row {number}: no column {column!r}; columns present: {present}."
                )


def meta_path(path: Path) -> Path:
    """Where the record of how `path` was made lies: `<path>.meta.json`."""
    return path.with_name(path.name + ".meta.json")


def provenance() -> dict[str, Any]:
    """Versions of this package and its stack, and the commit where it is a git checkout."""
    packages = ("torch", "transformers", "peft", "accelerate", "datasets", "numpy")
    return {
        "format_version": FORMAT_VERSION,
        "hidden_context": __version__,
        "commit": _commit(),
        "versions": {name: metadata.version(name) for name in packages},
    }


def json_text(value: Any, **options: Any) -> str:
    """JSON, in which numbers that it does not have (NaN and the infinities) are null.

    `options` are those of `json.dumps`.
    """
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_with_null(value), allow_nan=False, **options)


def _with_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_null(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_null(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_plain(value: Any) -> Any:
    """Dataclasses, families, arrays and paths within a value, as JSON can hold them."""
    if hasattr(value, "to_dict") and not isinstance(value, type):
        value = value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):  # NumPy
        return as_plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def validated(kind: type[T], values: Any, source: object) -> T:
    """JSON values as a dataclass, every field checked.

    Raises:
        UserError: A field is missing or of another kind; the message names it and `source`.
    """
    from pydantic import TypeAdapter, ValidationError  # slow to import for --help

    try:
        encoded = json.dumps(values, allow_nan=False, ensure_ascii=False).encode(errors="replace")
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{source} is not plain JSON: {brief(error)}.") from error
    try:
        return TypeAdapter(kind).validate_json(encoded, strict=True)  # no lone surrogates
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        given = str(first["input"])[:40]
        raise UserError(
            f"{source}: field {place} is {given!r}: {first['msg'].lower()}; it is damaged or of "
            "another version."
        ) from error


def _json_object(line: bytes) -> dict[str, Any]:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError(f"found {type(row).__name__}")
    return row


def _commit() -> str | None:
    source = Path(__file__).parent
    command = ["git", "-C", str(source), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    tracked = (source.parents[1] / ".git").exists()
    return answer.stdout.strip() if answer.returncode == 0 and tracked else None
