"""States of texts on the disk, each computed once: appended chunk by chunk, mapped into memory."""

import fcntl
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from hidden_context.audit.comparison_table import DIGEST, Reads
from hidden_context.comparisons.schema import Text
from hidden_context.errors import UserError
from hidden_context.records import read_json, write_json

TEXTS_A_CHUNK = 512
CACHE_VERSION = 1
DIGEST_BYTES = 16
META, STATES, DIGESTS, CHUNKS = "meta.json", "states.f32", "digests.bin", "chunks.bin"
CHUNK = np.dtype([("rows", "<u4"), ("checksum", "<u4")])


class Representation(Protocol):
    """What makes a vector of a text."""

    name: str
    description: str
    """In one sentence, with its limits."""
    reads: Reads
    width: int
    fingerprint: str
    """Another for whatever gives other vectors."""

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        """Shape `(n, width)`, float32, finite."""
        ...


class StateCache:
    """The states of one representation in a folder of its own, `<folder>/<fingerprint>`.

    A chunk's states are written first, then its digests, then its checksum: what a kill leaves
    behind the last checksum is cut off when the folder is opened again.
    """

    def __init__(self, folder: Path, representation: Representation) -> None:
        """Open the cache, or begin it.

        Raises:
            UserError: `folder` is a file, or what is there was written by another version.
        """
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--cache_dir {folder} is a file; give a folder.")
        self.folder = folder / representation.fingerprint
        self._representation = representation
        self._expected = {
            "cache_version": CACHE_VERSION,
            "representation": representation.name,
            "width": representation.width,
            "fingerprint": representation.fingerprint,
        }
        if (self.folder / META).exists():
            found = read_json(self.folder / META)
            if found != self._expected:
                raise UserError(
                    f"{self.folder / META} says {found}, expected {self._expected}; remove that "
                    "folder (its states are computed again), or give another --cache_dir."
                )
        self._num_rows = self._num_chunks = 0
        self._find_whole_chunks()
        self._read()

    @property
    def states(self) -> np.ndarray:
        """States of all texts, shape `(texts, width)`, float32, mapped from the file."""
        if not self._num_rows:
            return np.empty((0, self._representation.width), np.float32)
        shape = (self._num_rows, self._representation.width)
        return np.memmap(self.folder / STATES, "<f4", "r", shape=shape)

    def rows_of(self, digests: np.ndarray) -> np.ndarray:
        """Row of `states` of each digest, of any shape; -1 where there is none."""
        wanted = _sortable(digests)
        if not len(self._sorted):
            return np.full(wanted.shape, -1)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(self._sorted[place] == wanted, self._order[place], -1)

    def add(self, texts: Iterable[tuple[bytes, Text]], *, total: int) -> int:
        """Compute the states of texts that are not there yet; returns how many that were.

        What another process has added since the folder was opened is found, and stays.

        Args:
            texts: Digest and text, in any order, equal ones as often as they come.
            total: How many, for the progress bar.

        Raises:
            UserError: Something is missing and the folder cannot be written to, or another process
                writes to it.
        """
        num_added = 0
        with tqdm(total=total, desc="reading texts", unit="text") as progress:
            missing = self._missing(texts, progress.update)
            first = next(missing, None)
            if first is None:
                return 0
            with self._alone():
                missing = chain([first], missing)
                try:
                    while chunk := dict(islice(missing, TEXTS_A_CHUNK)):
                        self._append(chunk)
                        num_added += len(chunk)
                finally:
                    self._read()
        return num_added

    def _missing(
        self, texts: Iterable[tuple[bytes, Text]], progress: Callable[[int], object]
    ) -> Iterator[tuple[bytes, Text]]:
        seen: set[bytes] = set()
        texts = iter(texts)
        while block := list(islice(texts, TEXTS_A_CHUNK)):
            rows = self.rows_of(np.frombuffer(b"".join(digest for digest, _ in block), DIGEST))
            for (digest, text), row in zip(block, rows, strict=True):
                if row < 0 and digest not in seen:
                    seen.add(digest)
                    yield digest, text
            progress(len(block))

    def _append(self, chunk: dict[bytes, Text]) -> None:
        states = self._representation.states(list(chunk.values())).astype("<f4")
        if states.shape != (len(chunk), self._representation.width):
            raise UserError(f"{self._representation.name} gave states of shape {states.shape}.")
        if not np.isfinite(states).all():
            raise UserError(
                f"{self._representation.name} gives states that are not finite; its weights are "
                "damaged, or do not suit this precision."
            )
        digests = b"".join(chunk)
        record = np.array([(len(chunk), _checksum(states.tobytes(), digests))], CHUNK)
        with self._writing():
            for name, data in (
                (STATES, states.tobytes()),
                (DIGESTS, digests),
                (CHUNKS, record.tobytes()),
            ):
                with (self.folder / name).open("ab") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
        self._num_rows += len(chunk)
        self._num_chunks += 1

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The folder as it is now, cut to what is whole, to be added to by this process alone."""
        with ExitStack() as stack:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context((self.folder / "lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not (self.folder / META).exists():
                    write_json(self.folder / META, self._expected)
                self._find_whole_chunks()
                self._cut()
            self._read()
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Errors of the disk as the user's: not those of reading texts or of the model."""
        try:
            yield
        except BlockingIOError as error:
            raise UserError(
                f"another process is adding to {self.folder}; wait for it, or give another "
                "--cache_dir."
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written to ({error.strerror}), and some texts are not in "
                "it yet; give another --cache_dir."
            ) from error

    def _find_whole_chunks(self) -> None:
        """Count the chunks, behind those known, whose checksum is right, up to the first wrong."""
        paths = [self.folder / name for name in (CHUNKS, STATES, DIGESTS)]
        if not all(path.exists() for path in paths):
            return
        data = paths[0].read_bytes()
        records = np.frombuffer(data[: len(data) // CHUNK.itemsize * CHUNK.itemsize], CHUNK)
        with paths[1].open("rb") as states, paths[2].open("rb") as digests:
            states.seek(self._bytes_a_state * self._num_rows)
            digests.seek(DIGEST_BYTES * self._num_rows)
            for number, checksum in records[self._num_chunks :].tolist():
                found = states.read(self._bytes_a_state * number)
                if _checksum(found, digests.read(DIGEST_BYTES * number)) != checksum:
                    lost = int(records["rows"].sum()) - self._num_rows
                    print(f"{self.folder} is damaged; {lost} texts are read again", file=sys.stderr)
                    break
                self._num_rows += number
                self._num_chunks += 1

    def _cut(self) -> None:
        """Remove what a kill, or damage, left behind the whole chunks."""
        sizes = {
            STATES: self._bytes_a_state * self._num_rows,
            DIGESTS: DIGEST_BYTES * self._num_rows,
            CHUNKS: CHUNK.itemsize * self._num_chunks,
        }
        for name, size in sizes.items():
            if (self.folder / name).exists():
                os.truncate(self.folder / name, size)

    @property
    def _bytes_a_state(self) -> int:
        return 4 * self._representation.width

    def _read(self) -> None:
        """The digests, sorted."""
        data = b""
        if self._num_rows:
            with (self.folder / DIGESTS).open("rb") as file:
                data = file.read(DIGEST_BYTES * self._num_rows)
        digests = _sortable(np.frombuffer(data, DIGEST))
        self._order = np.argsort(digests, kind="stable")
        self._sorted = digests[self._order]


def _sortable(digests: np.ndarray) -> np.ndarray:
    """The same bytes as a kind that NumPy compares."""
    return np.ascontiguousarray(digests).view("S16").reshape(digests.shape)


def _checksum(states: bytes, digests: bytes) -> int:
    return zlib.crc32(digests, zlib.crc32(states))
