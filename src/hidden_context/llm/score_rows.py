"""Scoring of rows of texts, as many as there are, each chunk kept as soon as it is scored."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hidden_context.comparisons.schema import Text
from hidden_context.comparisons.sources import SUFFIXES
from hidden_context.journal import Journal, identity
from hidden_context.llm.checkpoint import CheckpointRecord, RewardModel
from hidden_context.llm.score import Chunk, ScoringOptions, score_chunks

ROWS_A_CHUNK = 512
"""Enough for texts with shared beginnings to meet, little enough to lose in a kill."""

FREE_TO_CHANGE = {
    "output",
    "batching",
    "token_budget",
    "batch_size",
    "reward_model_checkpoints",
    "reward_model_names",
    "risk",
}
"""Flags that may differ when a run goes on: scores depend on them in rounding, or not at all."""
WEIGHTS = (".safetensors", ".bin", "config.json", "tokenizer.json")

T = TypeVar("T")


def open_journal(
    path: Path, record: CheckpointRecord, config: Mapping[str, Any], data: Path, num_rows: int
) -> Journal:
    """The journal of scoring `num_rows` rows of `data` with one checkpoint, new or continued.

    Raises:
        UserError: `path` is of other work.
    """
    settings = {name: value for name, value in config.items() if name not in FREE_TO_CHANGE}
    header = {
        **settings,
        "family": record.family.to_dict(),
        "checkpoint": identity(record.folder, WEIGHTS),
        "backbone": [record.model_name, identity(Path(record.model_name), WEIGHTS)],
        "data": identity(data, SUFFIXES),
        "number of rows": num_rows,
    }
    journal = Journal(path, header, chunk_size=ROWS_A_CHUNK)
    if journal.num_done:
        print(f"{path} has {journal.num_done} of {num_rows} rows; going on from there")
    return journal


def score_rows(
    reward_model: RewardModel,
    rows: Collection[Sequence[Text]],
    reading: ScoringOptions,
    journal: Journal,
    *,
    place: Callable[[int, int], str],
) -> None:
    """Score the rows that `journal` does not have yet, and add them to it.

    Args:
        reward_model: From `load_reward_model`.
        rows: The texts of each row.
        reading: How texts are read.
        journal: Made with `chunk_size=ROWS_A_CHUNK`; has a line for each row.
        place: What to call a text in messages, by the indices of row and text.
    """
    done = journal.num_done
    chunks = (
        Chunk(
            [text for _, texts in numbered for text in texts],
            [place(row, index) for row, texts in numbered for index in range(len(texts))],
        )
        for numbered in _chunked(enumerate(islice(rows, done, None), start=done))
    )
    total = sum(len(texts) for texts in islice(rows, done, None))
    scored = score_chunks(reward_model, chunks, reading, total=total)
    for texts_of_rows, scores in zip(_chunked(islice(rows, done, None)), scored, strict=True):
        ends = np.cumsum([len(texts) for texts in texts_of_rows])[:-1]
        parts = zip(np.split(scores.raw, ends), np.split(scores.overlong, ends), strict=True)
        journal.append(
            {"raw": [_json(raw) for raw in raws], "overlong": overlong.tolist()}
            for raws, overlong in parts
        )


@dataclass(frozen=True)
class ScoredRow:
    """Raw outputs of the texts of one row."""

    raw: list[list[float] | None]
    """For each text, shape `(num_outputs,)`; None where it was dropped."""
    num_overlong: int
    """Texts longer than `max_length`."""

    @property
    def is_whole(self) -> bool:
        """Whether none of its texts was dropped."""
        return None not in self.raw


def scored_rows(journal: Journal) -> Iterator[ScoredRow]:
    """The rows of a journal that `score_rows` wrote."""
    return (ScoredRow(line["raw"], sum(line["overlong"])) for line in journal)


def _json(raw: np.ndarray) -> list[float] | None:
    return None if np.isnan(raw).any() else raw.tolist()


def _chunked(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, ROWS_A_CHUNK)):
        yield chunk
