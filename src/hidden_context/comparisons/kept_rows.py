"""Rows that come once, as from a network, kept on the disk to be gone through again and again."""

import os
import pickle
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Any

from hidden_context.comparisons.streamed import Streamed
from hidden_context.records import naming

ROWS_A_BLOCK = 256
"""What is in memory at once."""


def kept(rows: Iterable[Mapping[str, Any]]) -> Streamed[Mapping[str, Any]]:
    """All rows, in a compressed file under `folder_of_rows()` of which a block is read at a time.

    The file has no name: it is gone with the rows, however the process ends, and none but this
    process has written what is unpickled from it.

    Raises:
        OSError: The disk is full; the message names the folder.
    """
    folder = folder_of_rows()
    remaining = iter(rows)
    ends, count = [0], 0
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the rows)
    while block := list(islice(remaining, ROWS_A_BLOCK)):
        packed = zlib.compress(pickle.dumps(block, pickle.HIGHEST_PROTOCOL), level=1)
        with naming(folder):
            file.write(packed)
        ends.append(ends[-1] + len(packed))
        count += len(block)
    with naming(folder):
        file.flush()
    return Streamed(lambda: _read(file, ends), count)


def folder_of_rows() -> Path:
    """Where the files without a name are: beside what else is kept of data sets."""
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "rows"


def _read(file: IO[bytes], ends: list[int]) -> Iterator[Mapping[str, Any]]:
    """From the beginning, whoever else reads at the same time."""
    for start, end in pairwise(ends):
        packed = os.pread(file.fileno(), end - start, start)
        yield from pickle.loads(zlib.decompress(packed))
