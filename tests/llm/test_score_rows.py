"""Scoring of rows goes on where it was killed, and gives what it would have given."""

import logging
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from hidden_context.distributions import Normal
from hidden_context.errors import UserError
from hidden_context.llm import score_rows as module
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.score import Scorer
from hidden_context.llm.score_rows import score_rows
from hidden_context.llm.scoring_options import ScoringOptions

ROWS = [[f"bread {i}", f"flour {i} and water"][: 1 + i % 2] for i in range(11)]
READING = ScoringOptions(max_length=12, overlong="drop")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    name = str(tiny_model())
    backbone = load_backbone(name, 2, dtype=torch.float32).eval()
    return RewardModel(backbone, load_tokenizer(name), Normal(), name).scorer(READING)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_A_CHUNK", 4)


def place(row: int, text: int) -> str:
    return f"row {row + 1}, text {text + 1}"


class Watched:
    """A scorer that notes which texts it is asked for, and can be killed after some chunks."""

    def __init__(self, scorer: Scorer, *, chunks: int | None = None):
        self.scorer = scorer
        self.num_outputs = scorer.num_outputs
        self.chunks = chunks
        self.seen: list[str] = []

    def outputs_of_chunks(self, chunks: Any, **options: Any) -> Generator[Any]:
        def watch() -> Iterator[Any]:
            for texts, places in chunks:
                self.seen.extend(places)
                yield texts, places

        for done, outputs in enumerate(self.scorer.outputs_of_chunks(watch(), **options)):
            if done == self.chunks:
                raise KeyboardInterrupt
            yield outputs


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path, scorer: Scorer, caplog: Any):
    whole = score_rows(scorer, ROWS, place=place)
    partial = tmp_path / "partial"
    killed: Any = Watched(scorer, chunks=2)
    with pytest.raises(KeyboardInterrupt):
        score_rows(killed, ROWS, place=place, partial=partial)
    again: Any = Watched(scorer)
    with caplog.at_level(logging.INFO):
        resumed = score_rows(again, ROWS, place=place, partial=partial)
    assert "has 8 of 11 rows; going on from there" in caplog.text
    assert again.seen == ["row 9, text 1", "row 10, text 1", "row 10, text 2", "row 11, text 1"]
    np.testing.assert_array_equal(resumed.raw, whole.raw)
    assert resumed.sizes.tolist() == [len(row) for row in ROWS]
    assert resumed.is_whole.all()


def test_other_work_is_refused(tmp_path: Path, scorer: Scorer):
    partial = tmp_path / "partial"
    score_rows(scorer, ROWS, place=place, partial=partial, header={"seed": 0})
    with pytest.raises(UserError, match="its seed was 0, and is 1 now"):
        score_rows(scorer, ROWS, place=place, partial=partial, header={"seed": 1})
    other = [["brioche"], *ROWS[1:]]
    with pytest.raises(UserError, match="its texts was"):
        score_rows(scorer, other, place=place, partial=partial, header={"seed": 0})


def test_dropped_texts_have_no_outputs(tmp_path: Path, scorer: Scorer):
    rows = [["bread", "bread " * 20], ["flour"]]
    scored = score_rows(scorer, rows, place=place, partial=tmp_path / "partial")
    assert np.isnan(scored.raw[:, 0]).tolist() == [False, True, False]
    assert scored.overlong.tolist() == [False, True, False]
    assert scored.is_whole.tolist() == [False, True]


def test_several_processes_do_not_write_one_file(
    tmp_path: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"one of 2 processes \(WORLD_SIZE\)"):
        score_rows(scorer, ROWS, place=place, partial=tmp_path / "partial")
    assert not list(tmp_path.iterdir())
