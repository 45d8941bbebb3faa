"""States of texts on the disk, each computed once, in files of a few hundred texts."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from hidden_context.audits.comparison_table import DIGEST, Reads
from hidden_context.comparisons.schema import Text
from hidden_context.errors import UserError
from hidden_context.records import atomic_write

TEXTS_A_CHUNK = 512
DIGEST_BYTES = np.dtype(DIGEST).itemsize
VERSION = "v2"
"""Of the layout of files; the states of other versions are not looked at."""


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


class CachedStates:
    """States of all texts of some files, shape `(texts, width)`, read as they are asked for."""

    def __init__(self, files: Sequence[Path], counts: Sequence[int], width: int) -> None:
        """Of files with so many texts each."""
        self._files = files
        self._counts = counts
        self._starts = np.cumsum([0, *counts])
        self.shape = (int(self._starts[-1]), width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Shape `(len(rows), width)`, float32."""
        found = np.empty((len(rows), self.shape[1]), np.float32)
        file_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(file_of):
            count = self._counts[number]
            states = np.memmap(
                self._files[number], "<f4", "r", count * DIGEST_BYTES, (count, self.shape[1])
            )
            here = file_of == number
            found[here] = states[rows[here] - self._starts[number]]
        return found


class StateCache:
    """The states of one representation in a folder of its own, `<folder>/<fingerprint>-<version>`.

    A file holds the digests of some texts, then their states. Its name is the digest of its
    content, so that damage shows, and it is renamed to it when it is whole: a kill loses at most
    one chunk, and processes that add at the same time do not disturb each other.
    """

    def __init__(self, folder: Path, representation: Representation) -> None:
        """Find what is there; damaged files are left out, with a warning, and read again.

        Raises:
            UserError: `folder` is a file.
        """
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--cache_dir {folder} is a file; give a folder.")
        self.folder = folder / f"{representation.fingerprint}-{VERSION}"
        self._representation = representation
        self._digests: dict[Path, bytes] = {}
        self._damaged: set[Path] = set()
        self._look()

    @property
    def states(self) -> CachedStates:
        """States of all texts that are there now."""
        counts = [len(digests) // DIGEST_BYTES for digests in self._digests.values()]
        return CachedStates([*self._digests], counts, self._representation.width)

    def rows_of(self, digests: np.ndarray) -> np.ndarray:
        """Row of `states` of each digest, of any shape; -1 where there is none."""
        wanted = _sortable(digests)
        if not len(self._sorted):
            return np.full(wanted.shape, -1)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(self._sorted[place] == wanted, self._order[place], -1)

    def add(
        self, texts: Iterable[tuple[bytes, Text]], *, total: int, progress: bool = False
    ) -> int:
        """Compute the states of texts that are not there yet; returns how many that were.

        Args:
            texts: Digest and text, in any order, equal ones as often as they come.
            total: How many, for the progress bar.
            progress: Show one.

        Raises:
            UserError: Something is missing and the folder cannot be written to.
        """
        self._look()
        num_added = 0
        with tqdm(total=total, desc="reading texts", unit="text", disable=not progress) as bar:
            missing = self._missing(texts, bar.update)
            try:
                while chunk := dict(islice(missing, TEXTS_A_CHUNK)):
                    self._write(b"".join(chunk), self._states_of([*chunk.values()]))
                    num_added += len(chunk)
            finally:
                self._look()
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

    def _states_of(self, texts: Sequence[Text]) -> np.ndarray:
        name, shape = self._representation.name, (len(texts), self._representation.width)
        states = self._representation.states(texts).astype("<f4")
        if states.shape != shape:
            raise UserError(f"{name} gave states of shape {states.shape}; expected {shape}.")
        if not np.isfinite(states).all():
            raise UserError(
                f"{name} gives states that are not finite; its weights are damaged, or do not suit "
                "this precision."
            )
        return states

    def _write(self, digests: bytes, states: np.ndarray) -> None:
        content = digests + states.tobytes()
        path = self.folder / _name(content)
        try:
            with atomic_write(path) as file:
                file.write(content)
            self._damaged.discard(path)  # the same texts again have the same name
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written to ({error.strerror}), and some texts are not in "
                "it yet; give another --cache_dir."
            ) from error

    def _look(self) -> None:
        """Find the files that are not known yet, and sort the digests of all texts."""
        bytes_a_text = DIGEST_BYTES + 4 * self._representation.width
        new_damage = []
        for path in sorted(self.folder.glob("*.states")):
            if path in self._digests or path in self._damaged:
                continue
            content = path.read_bytes()
            if _name(content) == path.name:
                self._digests[path] = content[: len(content) // bytes_a_text * DIGEST_BYTES]
            else:
                self._damaged.add(path)
                new_damage.append(path.name)
        if new_damage:
            warnings.warn(
                f"{self.folder}: {', '.join(new_damage)} damaged; their texts are read again.",
                stacklevel=3,
            )
        digests = _sortable(np.frombuffer(b"".join(self._digests.values()), DIGEST))
        self._order = np.argsort(digests, kind="stable")
        self._sorted = digests[self._order]


def _name(content: bytes) -> str:
    return f"{hashlib.blake2b(content, digest_size=16).hexdigest()}.states"


def _sortable(digests: np.ndarray) -> np.ndarray:
    """The same bytes as a kind that NumPy compares."""
    return np.ascontiguousarray(digests).view("S16").reshape(digests.shape)
