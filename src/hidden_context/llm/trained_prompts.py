"""`TrainedPrompts`: the prompts that a model was trained on, by digest, as its checkpoint holds."""

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.errors import UserError
from hidden_context.records import CHECKPOINT_RECORD, atomic_write
from hidden_context.scores.overlap import Overlap
from hidden_context.scores.row_texts import prompt_label

FILE = "trained_prompts.npy"
ROLES = re.compile(r"\b(?:Human|Assistant):")


@dataclass(frozen=True, eq=False)
class TrainedPrompts:
    """Whether a model was trained on a prompt; what the prompts say is not in it."""

    digests: np.ndarray
    """Of 64 bits each, distinct, in rising order, shape `(prompts,)`."""

    @classmethod
    def of(cls, comparisons: Comparisons, model_name: str) -> Self | None:
        """Those of the training data, and of an earlier training where a checkpoint goes on.

        None where the checkpoint that was trained further has no such record itself.
        """
        earlier = cls.load(Path(model_name))
        if earlier is None and (Path(model_name) / CHECKPOINT_RECORD).is_file():
            return None
        digests = _digests(labels_of(comparisons))
        return cls(np.unique(digests if earlier is None else [*digests, *earlier.digests]))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Those of a checkpoint; None where it does not say them.

        Raises:
            UserError: The file is damaged.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        try:
            digests = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f"{file} is damaged ({error}); copy the checkpoint again.") from error
        if digests.dtype != np.uint64 or digests.ndim != 1:
            raise UserError(f"{file} holds no list of digests; copy the checkpoint again.")
        return cls(digests)

    def save(self, folder: Path) -> None:
        """Write them into a checkpoint: the same bytes for the same prompts."""
        content = io.BytesIO()
        np.save(content, self.digests.astype("<u8"), allow_pickle=False)
        with atomic_write(folder / FILE) as file:
            file.write(content.getvalue())

    def holds(self, labels: Iterable[str]) -> np.ndarray:
        """Which of the prompts of these labels were trained on, bool."""
        return np.isin(_digests(labels), self.digests)

    def overlap(self, labels: Iterable[str]) -> Overlap:
        """With what was scored: a label of its prompt for each row."""
        distinct, counts = np.unique(np.array(list(labels), object), return_counts=True)
        known = self.holds(distinct)
        return Overlap(int(counts[known].sum()), int(counts.sum()), int(known.sum()), len(known))


def labels_of(comparisons: Comparisons) -> Iterable[str]:
    """What names the prompt of each comparison, as in its scores."""
    return (prompt_label(each.prompt, list(each.texts)) for each in comparisons)


def _digests(labels: Iterable[str]) -> np.ndarray:
    texts = (_words(label).encode(errors="surrogatepass") for label in labels)
    digests = (blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _words(label: str) -> str:
    """What a prompt says, alike as a text and as messages."""
    if label.startswith('[{"'):
        label = "\n".join(str(turn.get("content")) for turn in json.loads(label))
    return " ".join(ROLES.sub(" ", label).split())
