"""Scoring of rows of texts, as many as there are, each chunk kept as soon as it is scored."""

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError
from hidden_context.journal import Journal, fingerprint
from hidden_context.llm.score import Scorer
from hidden_context.llm.tokens import TokenIds

ROWS_A_CHUNK = 512
"""Enough for texts with shared beginnings to meet, little enough to lose in a kill."""

Rows = Collection[Sequence[Text | TokenIds]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutputsOfRows:
    """Raw outputs of the texts of n rows, one row after the other."""

    raw: np.ndarray
    """Shape `(texts, num_outputs)`, float32; not a number where a text was dropped."""
    overlong: np.ndarray
    """Which texts were longer than `max_length`, shape `(texts,)`, bool."""
    sizes: np.ndarray
    """Texts of each row, shape `(n,)`."""
    are_equal: np.ndarray
    """Whether the first and the last text of a row have the same token ids, shape `(n,)`, bool."""

    @property
    def is_whole(self) -> np.ndarray:
        """Whether none of a row's texts was dropped, shape `(n,)`."""
        return ~self._has_any(np.isnan(self.raw[:, 0]))

    @property
    def has_overlong(self) -> np.ndarray:
        """Whether any of a row's texts was longer than `max_length`, shape `(n,)`."""
        return self._has_any(self.overlong)

    def _has_any(self, of_texts: np.ndarray) -> np.ndarray:
        return np.logical_or.reduceat(of_texts, np.cumsum(self.sizes) - self.sizes)


def require_one_process() -> None:
    """Refuse one of several processes, which would write the same file.

    Raises:
        UserError: A launcher such as torchrun says that there are several.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size != "1":
        raise UserError(
            f"this is one of {size} processes (WORLD_SIZE), and scoring does not share its work "
            "between them; start it once, without torchrun or accelerate launch."
        )


def score_rows(
    scorer: Scorer,
    rows: Rows,
    *,
    place: Callable[[int, int], str],
    partial: Path | None = None,
    header: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> OutputsOfRows:
    """Score all rows, of at least one text each: those that are not yet in the file `partial`.

    Each chunk is added to that file when it is scored, so that a run that was killed goes on; the
    file stays until whoever named it has saved the scores. `header` is what the outputs depend on,
    beside the texts; `place` says what to call a text in messages, by the indices of row and text.

    Raises:
        UserError: `partial` is of other work, or of several processes, or a text cannot be scored.
    """
    journal = None
    if partial is not None:
        require_one_process()
        depends_on = {
            **(header or {}),
            "format": 2,
            "rows": len(rows),
            "texts": fingerprint(map(list, rows)),
        }
        journal = Journal(partial, depends_on, chunk_size=ROWS_A_CHUNK)
    lines = list(journal) if journal else []
    done = len(lines)
    if done:
        logger.info("%s has %d of %d rows; going on from there", partial, done, len(rows))
    chunks = (
        (
            [text for _, texts in numbered for text in texts],
            [place(row, index) for row, texts in numbered for index in range(len(texts))],
        )
        for numbered in _chunked(enumerate(islice(rows, done, None), start=done))
    )
    sizes = [len(texts) for texts in islice(rows, done, None)]
    with closing(scorer.outputs_of_chunks(chunks, total=sum(sizes), progress=progress)) as scored:
        for sizes_of_rows, outputs in zip(_chunked(sizes), scored, strict=True):
            new = _lines(sizes_of_rows, *outputs)
            if journal:
                journal.append(new)
            lines += new
    dropped = [np.nan] * scorer.num_outputs
    return OutputsOfRows(
        np.array([raw or dropped for line in lines for raw in line["raw"]], np.float32),
        np.array([overlong for line in lines for overlong in line["overlong"]], bool),
        np.array([len(line["raw"]) for line in lines]),
        np.array([line["equal"] for line in lines], bool),
    )


def _lines(sizes: Sequence[int], *outputs: np.ndarray) -> list[dict[str, Any]]:
    """Of a chunk's rows, as the file holds them; see `Scorer.outputs_of_chunks`."""
    parts = (np.split(output, np.cumsum(sizes)[:-1]) for output in outputs)
    return [
        {
            "raw": [None if np.isnan(of_text).any() else of_text.tolist() for of_text in of_row],
            "overlong": overlong.tolist(),
            "equal": len(number) > 1 and bool(number[0] == number[-1]),
        }
        for of_row, overlong, number in zip(*parts, strict=True)
    ]


def _chunked(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, ROWS_A_CHUNK)):
        yield chunk
