"""Results written as work goes on, so that a run that was killed continues where it stopped."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.records import iterate_jsonl, json_line, json_text, naming, write_jsonl


class Journal:
    """A file of JSON lines to which whole chunks are added; its first line says of what work.

    What a kill leaves of a chunk is cut off when the work goes on.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, chunk_size: int) -> None:
        """Continue the journal at `path`, or begin it.

        The lines depend on what `header` says. Work is cut into the same chunks again, of
        `chunk_size` lines.

        Raises:
            UserError: The journal that is there is of other work.
        """
        self.path = path
        header = json.loads(json_text(header, default=str))
        end = _end_of_whole_chunks(path, chunk_size) if path.exists() else 0
        if not end:
            write_jsonl(path, [header])
            return
        check_same(path, next(iterate_jsonl(path)), header)
        with path.open("rb+") as file:
            file.truncate(end)

    def append(self, chunk: Iterable[Mapping[str, Any]]) -> None:
        """Add lines, and return when they are on the disk."""
        with naming(self.path), self.path.open("ab") as file:
            file.write(b"".join(map(json_line, chunk)))
            file.flush()
            os.fsync(file.fileno())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = iterate_jsonl(self.path)
        next(lines)
        return lines


def identity(path: Path, suffixes: tuple[str, ...]) -> list[list[Any]]:
    """Name, size and time of a file, or of all files with such a suffix in a folder."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return [
        [file.name, file.stat().st_size, file.stat().st_mtime_ns]
        for file in files
        if file.is_file() and file.name.endswith(suffixes)
    ]


def fingerprint(parts: Iterable[Any]) -> str:
    """A name for values (of JSON, arrays or mappings): other values have another name."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, default=_plain).encode() + b"\n")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else dict(value)


def _end_of_whole_chunks(path: Path, chunk_size: int) -> int:
    """The byte where the last whole chunk after the header ends; 0 if there is none."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number and number % chunk_size == 0 and line.endswith(b"\n"):
                end = file.tell()
    return end


def check_same(path: Path, before: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Refuse what is of other work, by the first field that differs.

    Raises:
        UserError: `before`, what was found at `path`, is not `header`.
    """
    for name in {**before, **header}:
        if before.get(name) != header.get(name):
            raise UserError(
                f"{path} holds the beginning of another run: its {name} was {before.get(name)}, "
                f"and is {header.get(name)} now. Remove it, or give another output."
            )
