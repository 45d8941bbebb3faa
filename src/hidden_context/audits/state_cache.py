"""States of texts on the disk, each computed once, in files of a few hundred texts."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from hidden_context.audits.comparison_table import DIGEST, Reads
from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError
from hidden_context.progress import progress_bar
from hidden_context.records import atomic_write
from hidden_context.shards import Shard

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

    def __init__(self, num_texts: Mapping[Path, int], width: int) -> None:
        """Of files with so many texts each."""
        self._num_texts = list(num_texts.items())
        self._starts = np.cumsum([0, *num_texts.values()])
        self.shape = (int(self._starts[-1]), width)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Shape `(len(rows), width)`, float32."""
        width = self.shape[1]
        taken = np.empty((len(rows), width), np.float32)
        file_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(file_of):
            path, num_texts = self._num_texts[number]
            states = np.memmap(path, "<f4", "r", num_texts * DIGEST_BYTES, (num_texts, width))
            here = file_of == number
            taken[here] = states[rows[here] - self._starts[number]]
        return taken


class StateCache:
    """The states of one representation in a folder of its own, `<folder>/<fingerprint>-<version>`.

    A file holds the digests of some texts, then their states. Its name is the digest of its
    content, so that damage shows, and it is renamed to it when it is whole: a kill loses at most
    one chunk, and processes that add at the same time do not disturb each other. Which texts are
    read together does not depend on how many processes share them.
    """

    def __init__(self, folder: Path | str | None, representation: Representation) -> None:
        """Find what is there; damaged files are left out, with a warning, and read again.

        If `folder` is None, it is with Hugging Face's cache.

        Raises:
            UserError: `folder` is a file.
        """
        folder = Path(folder or _default_folder())
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--cache_dir {folder} is a file; give a folder.")
        self.folder = folder / f"{representation.fingerprint}-{VERSION}"
        self.representation = representation
        self._digests: dict[Path, np.ndarray] = {}
        self._damaged: set[Path] = set()
        self._num_chunks = 0
        self._of_others: set[bytes] = set()
        self._look()

    @property
    def states(self) -> CachedStates:
        """States of all texts that are there now."""
        num_texts = {path: len(digests) for path, digests in self._digests.items()}
        return CachedStates(num_texts, self.representation.width)

    def rows_of(self, digests: np.ndarray) -> np.ndarray:
        """Row of `states` of each digest, of any shape; -1 where there is none."""
        if not len(self._sorted):
            return np.full(digests.shape, -1)
        place = np.minimum(np.searchsorted(self._sorted, digests), len(self._sorted) - 1)
        return np.where(self._sorted[place] == digests, self._order[place], -1)

    def add(
        self,
        texts: Iterable[tuple[bytes, Text]],
        *,
        total: int,
        shard: Shard | None = None,
        progress: bool = False,
    ) -> int:
        """Compute the states of texts that are not there yet; returns how many that were.

        Args:
            texts: Digest and text, in any order, equal ones as often as they come.
            total: How many, for the progress bar.
            shard: The share of this process, if there are others that add the same.
            progress: Show a bar.

        Raises:
            UserError: Something is missing and the folder cannot be written to.
        """
        self._look()
        num_added, shard = 0, shard or Shard()
        bar = progress_bar(total, "reading texts", unit="text", shown=progress, iterable=texts)
        distinct = _distinct(bar)
        try:
            while chunk := dict(islice(distinct, TEXTS_A_CHUNK)):
                missing = self._missing(chunk)
                self._num_chunks += 1
                if not shard.has(self._num_chunks - 1):
                    self._of_others.update(missing)
                elif missing:
                    self._write(b"".join(missing), self._states_of([*missing.values()]))
                    num_added += len(missing)
        finally:
            bar.close()
            self._look()
        return num_added

    def _missing(self, chunk: Mapping[bytes, Text]) -> dict[bytes, Text]:
        """What of a chunk was not there at the start, and is not what other processes add."""
        rows = self.rows_of(np.frombuffer(b"".join(chunk), DIGEST))
        return {
            digest: text
            for (digest, text), row in zip(chunk.items(), rows, strict=True)
            if row < 0 and digest not in self._of_others
        }

    def _states_of(self, texts: Sequence[Text]) -> np.ndarray:
        name, shape = self.representation.name, (len(texts), self.representation.width)
        states = self.representation.states(texts).astype("<f4")
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
        bytes_a_text = DIGEST_BYTES + 4 * self.representation.width
        new_damage = []
        for path in sorted(self.folder.glob("*.states")):
            if path in self._digests or path in self._damaged:
                continue
            content = path.read_bytes()
            if _name(content) == path.name:
                num_texts = len(content) // bytes_a_text
                self._digests[path] = np.frombuffer(content, DIGEST, num_texts).copy()
            else:
                self._damaged.add(path)
                new_damage.append(path.name)
        if new_damage:
            warnings.warn(
                f"{self.folder}: {', '.join(new_damage)} damaged; their texts are read again.",
                stacklevel=3,
            )
        self._digests = dict(sorted(self._digests.items()))  # as a run that finds them all
        digests = np.concatenate([np.empty(0, DIGEST), *self._digests.values()])
        self._order = np.argsort(digests, kind="stable")
        self._sorted = digests[self._order]


def _distinct(texts: Iterable[tuple[bytes, Text]]) -> Iterator[tuple[bytes, Text]]:
    """Each text where it comes first."""
    seen: set[bytes] = set()
    for digest, text in texts:
        if digest not in seen:
            seen.add(digest)
            yield digest, text


def _name(content: bytes) -> str:
    return f"{hashlib.blake2b(content, digest_size=16).hexdigest()}.states"


def _default_folder() -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "states"
