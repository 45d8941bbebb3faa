"""Scoring of rows goes on where it was killed, and gives what it would have given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import save_tiny_model

from hidden_context.distributions import Normal
from hidden_context.errors import UserError
from hidden_context.llm import score_rows as module
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.checkpoint import CheckpointRecord, RewardModel
from hidden_context.llm.score import Chunk, Scores, ScoringOptions
from hidden_context.llm.score_rows import open_journal, score_rows, scored_rows

ROWS = [[f"bread {i}", f"flour {i} and water"][: 1 + i % 2] for i in range(11)]
READING = ScoringOptions(max_length=12, overlong="drop")


@pytest.fixture
def model(tmp_path: Path) -> RewardModel:
    name = str(save_tiny_model(tmp_path / "model"))
    backbone = load_backbone(name, 2, dtype=torch.float32).eval()
    return RewardModel(backbone, load_tokenizer(name), Normal(), name)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_A_CHUNK", 4)


def journal(path: Path, model: RewardModel, **config: Any) -> Any:
    record = CheckpointRecord(Path(model.model_name), model.family, model.model_name, False)
    return open_journal(path, record, {"seed": 0, **config}, path.parent / "data", len(ROWS))


def place(row: int, text: int) -> str:
    return f"row {row + 1}, text {text + 1}"


def test_a_killed_run_goes_on_and_ends_the_same(
    tmp_path: Path, model: RewardModel, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    whole = journal(tmp_path / "whole", model)
    score_rows(model, ROWS, READING, whole, place=place)
    stock = module.score_chunks

    def killed(*args: Any, **kwargs: Any) -> Iterator[Scores]:
        scored = stock(*args, **kwargs)
        yield next(scored)
        yield next(scored)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "score_chunks", killed)
    with pytest.raises(KeyboardInterrupt):
        score_rows(model, ROWS, READING, journal(tmp_path / "killed", model), place=place)
    seen: list[str] = []

    def watched(model: Any, chunks: Any, *args: Any, **kwargs: Any) -> Iterator[Scores]:
        def watch() -> Iterator[Chunk]:
            for chunk in chunks:
                seen.extend(chunk.places)
                yield chunk

        return stock(model, watch(), *args, **kwargs)

    monkeypatch.setattr(module, "score_chunks", watched)
    again = journal(tmp_path / "killed", model, batching="padded", token_budget=7)
    assert "has 8 of 11 rows; going on from there" in capsys.readouterr().out
    score_rows(model, ROWS, READING, again, place=place)
    assert seen == [
        "row 9, text 1",
        "row 10, text 1",
        "row 10, text 2",
        "row 11, text 1",
    ]
    assert list(scored_rows(again)) == list(scored_rows(whole))
    assert [len(row.raw) for row in scored_rows(again)] == [len(row) for row in ROWS]


def test_other_settings_are_refused(tmp_path: Path, model: RewardModel):
    score_rows(model, ROWS, READING, journal(tmp_path / "file", model), place=place)
    with pytest.raises(UserError, match="its seed was 0, and is 1 now"):
        journal(tmp_path / "file", model, seed=1)
    weights = Path(model.model_name) / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(UserError, match="its checkpoint was"):
        journal(tmp_path / "file", model)


def test_dropped_texts_have_no_outputs(tmp_path: Path, model: RewardModel):
    kept = journal(tmp_path / "file", model)
    score_rows(model, [["bread", "bread " * 20]], READING, kept, place=place)
    (row,) = scored_rows(kept)
    assert (row.raw[0] is None, row.raw[1] is None, row.is_whole) == (False, True, False)
    assert row.num_overlong == 1
