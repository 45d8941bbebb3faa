"""Utilities of texts: linear in frozen vectors of them, as the audit has them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hidden_context.audits.comparison_table import Reads
from hidden_context.audits.hashed_words import HashedWords
from hidden_context.audits.vectors import Axes
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.texts import Text

WORDS = "words"
"""Vectors that need no model."""


class Reader(Protocol):
    """What makes vectors of texts."""

    @property
    def reads(self) -> Reads:
        """See `Reads`."""
        ...

    @property
    def name(self) -> str:
        """`WORDS`, or a checkpoint."""
        ...

    def prepared(self, comparisons: Comparisons) -> Comparisons:
        """With texts in the form in which they are read."""
        ...

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        """Shape `(n, width)`, float32."""
        ...


@dataclass(frozen=True)
class WordCounts:
    """Hashed counts of the words of each response; see `HashedWords`."""

    reads: Reads = "response"
    name: str = WORDS

    def prepared(self, comparisons: Comparisons) -> Comparisons:
        """As they are."""
        return comparisons

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        return HashedWords().states(texts)


@dataclass(frozen=True)
class CheckpointStates:
    """What the head of a reward model reads of each text; the model is loaded when it is needed."""

    name: str
    """Folder, or name on the hub."""
    reads: Reads = "whole"
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def model(self) -> Any:
        """The reward model.

        Raises:
            UserError: It cannot be loaded.
        """
        if not self._loaded:
            from hidden_context.llm.reward_model import RewardModel  # slow to import

            self._loaded.append(RewardModel.from_pretrained(self.name))
        return self._loaded[0]

    def prepared(self, comparisons: Comparisons) -> Comparisons:
        """As conversations, where the model was trained on such."""
        is_chat = self.model.record.get("reading", {}).get("render") == "chat"
        return comparisons.in_turns() if is_chat else comparisons

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        from hidden_context.llm.linear_head import head_states

        return head_states(self.model, texts)


def reader_of(vectors: str | Path) -> Reader:
    """`WORDS`, or the states of a checkpoint."""
    if str(vectors) == WORDS:
        return WordCounts()
    folder = Path(vectors)
    return CheckpointStates(str(folder.resolve() if folder.is_dir() else vectors))


@dataclass(frozen=True, eq=False)
class TextWeights:
    """Linear maps from vectors of texts to the mean utility over people and to its directions."""

    reader: Reader
    axes: Axes
    """Of its vectors."""
    mean: np.ndarray
    """Shape `(d,)`."""
    directions: np.ndarray
    """Shape `(d, r)`."""

    def __call__(self, texts: Sequence[Text]) -> tuple[np.ndarray, np.ndarray]:
        """Mean utility, shape `(n,)`, and directions, shape `(n, r)`, of texts."""
        vectors = self.axes(self.reader.states(texts)).astype(np.float64)
        return vectors @ self.mean, vectors @ self.directions
