"""Results of a run in a folder, one file for each chunk of the work, whoever did it."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.journal import check_same, fingerprint
from hidden_context.records import iterate_jsonl, json_text, write_jsonl

NAME = re.compile(r"([0-9a-f]{32})\.(\d+)\.jsonl")


class ChunkFiles:
    """The chunks of one run, each in a file named by a fingerprint of the run and its number.

    A file is there when it is whole, so a kill loses at most one chunk. Its first line says of what
    run it is, so that what is of another one is found, whatever its name.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any], *, num_chunks: int) -> None:
        """Look at `folder`, which need not be there.

        The results depend on what `header` says.

        Raises:
            UserError: The folder has chunks of another run.
        """
        self.folder = folder
        self.header = json.loads(json_text(header, default=str))
        self.run = fingerprint([self.header])
        self.num_chunks = num_chunks
        if folder.exists() and not folder.is_dir():
            raise UserError(
                f"{folder} is a file, as earlier versions kept their work in; finish it with them, "
                "or remove it."
            )
        self.refuse_others()

    def refuse_others(self) -> None:
        """Raise where the folder has chunks of another run.

        Raises:
            UserError: It has; the message says how that run differs.
        """
        for name in sorted(self._names()):
            match = NAME.fullmatch(name)
            if match is not None and match[1] != self.run:
                self._check(self.folder / name)
                raise UserError(
                    f"{self.folder / name} says that it is of this run, but its name is of another "
                    "one; remove it."
                )

    def missing(self) -> list[int]:
        """Numbers of the chunks that are not there."""
        names = self._names()
        return [number for number in range(self.num_chunks) if self.path(number).name not in names]

    def path(self, number: int) -> Path:
        """Where a chunk's file is, or will be."""
        return self.folder / f"{self.run}.{number:06d}.jsonl"

    def write(self, number: int, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write a chunk, and return when it is on the disk."""
        write_jsonl(self.path(number), [{**self.header, "chunk": number}, *lines])

    def read(self, number: int, *, num_lines: int) -> list[dict[str, Any]]:
        """The lines of a chunk that is there.

        Raises:
            FileNotFoundError: It is not.
            UserError: It is of another run, or damaged.
        """
        path = self.path(number)
        if not path.exists():
            raise FileNotFoundError(path)
        self._check(path, number)
        lines = list(iterate_jsonl(path))[1:]
        if len(lines) != num_lines:
            raise UserError(
                f"{path} is damaged: it has {len(lines)} rows; expected {num_lines}. Remove it."
            )
        return lines

    def _names(self) -> set[str]:
        return set(os.listdir(self.folder)) if self.folder.is_dir() else set()

    def _check(self, path: Path, number: int | None = None) -> None:
        """Refuse a file whose first line is of another run, or of another chunk than `number`."""
        before = next(iterate_jsonl(path), None)
        if before is None:
            raise UserError(f"{path} is empty; remove it.")
        chunk = before.pop("chunk", None)
        expected = self.header
        if number is not None:
            before, expected = {**before, "chunk": chunk}, {**expected, "chunk": number}
        check_same(path if number is not None else self.folder, before, expected)
