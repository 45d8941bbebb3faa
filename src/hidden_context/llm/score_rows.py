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
from hidden_context.journal import fingerprint
from hidden_context.llm.score import Chunk, Scorer
from hidden_context.llm.tokens import TokenIds
from hidden_context.shards import Shard, UnmergedError
from hidden_context.shards.chunk_files import ChunkFiles
from hidden_context.shards.signs_of_life import SignsOfLife

ROWS_A_CHUNK = 512
"""Enough for texts with shared beginnings to meet, little enough to lose in a kill.

What is scored together does not depend on the number of processes, so neither do the scores.
"""

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
    run: str | None = None
    """A fingerprint of all that they depend on, if they were kept in files."""

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
    """Refuse one of several processes, which would all do the same work.

    Raises:
        UserError: A launcher such as torchrun says that there are several.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size != "1":
        raise UserError(
            f"this is one of {size} processes (WORLD_SIZE), and this work is not shared between "
            "them; start it once, without torchrun or accelerate launch."
        )


def score_rows(
    scorer: Scorer,
    rows: Rows,
    *,
    place: Callable[[int, int], str],
    partial: Path | None = None,
    header: Mapping[str, Any] | None = None,
    shard: Shard | None = None,
    is_saved: Callable[[str], bool] = lambda run: False,
    progress: bool = False,
) -> OutputsOfRows:
    """Score all rows, of at least one text each: those that are not yet in the folder `partial`.

    Each chunk of `ROWS_A_CHUNK` rows is a file there as soon as it is scored, so that a run that
    was killed goes on, in as many processes as one likes; the folder stays until whoever named it
    has saved the scores. `header` is what the outputs depend on, beside the texts; `place` says
    what to call a text in messages, by the indices of row and text. Of several processes each
    scores the chunks of its `shard`, on which no output depends, and one puts all together: see
    `Shard`. One that comes after that asks `is_saved`, given the run's fingerprint, and does
    nothing.

    Raises:
        UserError: `partial` is of other work, a text cannot be scored, or another process has died.
        UnmergedError: The share of this process is done, and another one puts all together.
    """
    how: Any = {"place": place, "progress": progress}
    run = None
    if partial is not None:
        if shard is None:
            require_one_process()
        files = _chunk_files(rows, partial, header or {})
        run = files.run
        lines = _shared(scorer, rows, files, shard or Shard(), is_saved, **how)
    elif shard is not None and shard.count > 1:
        raise UserError(
            "processes share their work by files; give partial, a folder that they all see."
        )
    else:
        every = range(-(-len(rows) // ROWS_A_CHUNK))
        scored = _scored(scorer, rows, every, **how)
        lines = [line for _, of_chunk in scored for line in of_chunk]
    dropped = [np.nan] * scorer.num_outputs
    return OutputsOfRows(
        np.array([raw or dropped for line in lines for raw in line["raw"]], np.float32),
        np.array([overlong for line in lines for overlong in line["overlong"]], bool),
        np.array([len(line["raw"]) for line in lines]),
        np.array([line["equal"] for line in lines], bool),
        run,
    )


def _chunk_files(rows: Rows, partial: Path, header: Mapping[str, Any]) -> ChunkFiles:
    depends_on = {
        **header,
        "format": 3,
        "rows": len(rows),
        "rows_a_chunk": ROWS_A_CHUNK,
        "texts": fingerprint(map(list, rows)),
    }
    return ChunkFiles(partial, depends_on, num_chunks=-(-len(rows) // ROWS_A_CHUNK))


def _shared(
    scorer: Scorer,
    rows: Rows,
    files: ChunkFiles,
    shard: Shard,
    is_saved: Callable[[str], bool],
    place: Callable[[int, int], str],
    progress: bool,
) -> list[dict[str, Any]]:
    """The lines of all rows, after the share of this process was scored; see `score_rows`."""
    starts = range(0, len(rows), ROWS_A_CHUNK)
    sizes = [min(ROWS_A_CHUNK, len(rows) - start) for start in starts]
    missing = files.missing()
    if shard.count > 1 and missing and is_saved(files.run):
        raise UnmergedError(f"{shard} has nothing to do: the scores of all are saved already")
    own = [number for number in missing if shard.has(number)]
    if len(missing) < len(sizes):
        done = len(rows) - sum(sizes[number] for number in missing)
        logger.info("%s has %d of %d rows; going on from there", files.folder, done, len(rows))
    if shard.count > 1:
        logger.info("%s: %d of %d rows", shard, sum(sizes[number] for number in own), len(rows))
    with SignsOfLife(files.folder, files.run, shard) as signs:
        is_shown = progress and shard.merges  # several bars would overwrite each other
        for number, lines in _scored(scorer, rows, own, place=place, progress=is_shown):
            files.write(number, lines)
        if shard.waits and shard.merges:
            signs.wait_while(lambda: {number % shard.count for number in files.missing()})
    missing = files.missing()
    if missing or not shard.merges:
        left = sum(sizes[number] for number in missing)
        raise UnmergedError(
            f"{shard} is done; {left} of {len(rows)} rows in {files.folder} are left to others, "
            "and whoever is last puts all together",
            lambda: not shard.waits and not files.missing(),
        )
    files.refuse_others()
    try:
        return [
            line for number, size in enumerate(sizes) for line in files.read(number, num_lines=size)
        ]
    except FileNotFoundError as error:
        raise UnmergedError(f"{shard} is done; another process has put all together") from error


def _scored(
    scorer: Scorer,
    rows: Rows,
    numbers: Collection[int],
    *,
    place: Callable[[int, int], str],
    progress: bool,
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Score the chunks of these numbers, in order; yields the number and the lines of each."""

    def chunks(numbers: Collection[int]) -> Iterator[Chunk]:
        for number, numbered in enumerate(_chunked(enumerate(rows))):
            if number in numbers:
                yield (
                    [text for _, texts in numbered for text in texts],
                    [place(row, index) for row, texts in numbered for index in range(len(texts))],
                )

    if not numbers:
        return
    every = list(_chunked(map(len, rows)))
    total = sum(sum(every[number]) for number in numbers)
    first, given = chunks(range(len(every))), chunks(frozenset(numbers))
    how: Any = {"total": total, "progress": progress}
    with closing(scorer.outputs_of_chunks(given, first=first, **how)) as scored:
        for number, outputs in zip(numbers, scored, strict=True):
            yield number, _lines(every[number], *outputs)


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
