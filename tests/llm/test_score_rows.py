"""Scoring of rows goes on where it was killed, is shared, and gives what it would have given."""

import logging
import shutil
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
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
from hidden_context.shards import Shard, UnmergedError, signs_of_life

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


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of one process, in chunks of four: four rows, four, three."""
    partial = tmp_path_factory.mktemp("whole") / "partial"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "ROWS_A_CHUNK", 4)
        score_rows(scorer, ROWS, place=place, partial=partial)
    return files_of(partial)


@pytest.mark.parametrize(("count", "order"), [(2, (0, 1)), (3, (2, 0, 1)), (5, (4, 3, 2, 1, 0))])
def test_shares_in_sequence_leave_the_files_of_one_process(
    count: int, order: tuple[int, ...], tmp_path: Path, scorer: Scorer, whole: dict[str, bytes]
):
    """The last in time has all outputs, the others say that they have not."""
    expected = score_rows(scorer, ROWS, place=place)
    partial, done = tmp_path / "partial", set()
    for index in order[:-1]:
        shared = {"place": place, "partial": partial, "shard": Shard(index, count)}
        done |= {chunk for chunk in range(3) if chunk % count == index}
        if len(done) == 3:  # the rest have nothing to do
            assert len(score_rows(scorer, ROWS, **shared).sizes) == len(ROWS)
            continue
        left = sum((4, 4, 3)[chunk] for chunk in {0, 1, 2} - done)
        with pytest.raises(
            UnmergedError, match=f"done; {left} of 11 rows in .* are left"
        ) as caught:
            score_rows(scorer, ROWS, **shared)
        assert not caught.value.is_whole()
    last = Shard(order[-1], count)
    found = score_rows(scorer, ROWS, place=place, partial=partial, shard=last)
    assert files_of(partial) == whole
    np.testing.assert_array_equal(found.raw, expected.raw)
    np.testing.assert_array_equal(found.sizes, expected.sizes)


@pytest.mark.parametrize("count", [2, 3])
def test_shares_at_once_leave_the_files_of_one_process(
    count: int, tmp_path: Path, scorer: Scorer, whole: dict[str, bytes]
):
    """The first waits and has all outputs, whoever is slow."""

    def score(index: int) -> Any:
        shard = Shard(index, count, waits=True)
        given = (deepcopy(scorer._model), scorer._tokenizer, scorer.num_outputs, scorer.options)
        own = Scorer(*given)
        try:
            return score_rows(own, ROWS, place=place, partial=tmp_path / "partial", shard=shard)
        except UnmergedError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        first, *others = pool.map(score, range(count))
    assert len(first.sizes) == len(ROWS)
    assert all(isinstance(other, UnmergedError) for other in others)
    assert not others[0].is_whole()  # the first alone puts together
    assert files_of(tmp_path / "partial") == whole


def test_a_killed_share_goes_on_and_others_may_be_as_many_as_they_like(
    tmp_path: Path, scorer: Scorer, whole: dict[str, bytes]
):
    """Killed as the second of two after one chunk, ended by three."""
    rows, partial = [*ROWS, *ROWS[:9]], tmp_path / "partial"
    score_rows(scorer, rows, place=place, partial=tmp_path / "whole")
    killed: Any = Watched(scorer, chunks=1)
    with pytest.raises(KeyboardInterrupt):
        score_rows(killed, rows, place=place, partial=partial, shard=Shard(1, 2))
    seen = []
    for index in range(3):
        again: Any = Watched(scorer)
        shared = {"place": place, "partial": partial, "shard": Shard(index, 3)}
        if index < 2:
            with pytest.raises(UnmergedError):
                score_rows(again, rows, **shared)
        else:
            score_rows(again, rows, **shared)
        seen.append([int(name.split()[1][:-1]) for name in again.seen if "text 1" in name])
    # chunk 1 (rows 5 to 8) was kept of the killed one
    assert seen == [[1, 2, 3, 4, 13, 14, 15, 16], [17, 18, 19, 20], [9, 10, 11, 12]]
    assert files_of(partial) == files_of(tmp_path / "whole")


def test_a_run_of_one_process_ends_what_shares_have_begun(
    tmp_path: Path, scorer: Scorer, whole: dict[str, bytes], caplog: Any
):
    partial = tmp_path / "partial"
    with pytest.raises(UnmergedError):
        score_rows(scorer, ROWS, place=place, partial=partial, shard=Shard(2, 3))
    with caplog.at_level(logging.INFO):
        score_rows(scorer, ROWS, place=place, partial=partial)
    assert "has 3 of 11 rows; going on from there" in caplog.text
    assert files_of(partial) == whole


def test_shares_of_other_work_are_refused_before_any_text_is_scored(tmp_path: Path, scorer: Scorer):
    partial = tmp_path / "partial"
    shared: Any = {"place": place, "partial": partial}
    with pytest.raises(UnmergedError):
        score_rows(scorer, ROWS, header={"checkpoint": "a"}, shard=Shard(0, 2), **shared)
    watched: Any = Watched(scorer)
    with pytest.raises(UserError, match="its checkpoint was a, and is b now"):
        score_rows(watched, ROWS, header={"checkpoint": "b"}, shard=Shard(1, 2), **shared)
    other = [["brioche"], *ROWS[1:]]
    with pytest.raises(UserError, match="its texts was"):
        score_rows(watched, other, header={"checkpoint": "a"}, shard=Shard(1, 2), **shared)
    assert watched.seen == []


def test_a_process_that_died_ends_the_wait(
    tmp_path: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes]
):
    """What the first has done is kept, so that the same again goes on."""
    monkeypatch.setattr(signs_of_life, "POLL", 0.01)
    monkeypatch.setattr(signs_of_life, "STARTING", 0.1)
    partial = tmp_path / "partial"
    with pytest.raises(UserError, match="process 2 of 2 has given no sign of life"):
        score_rows(scorer, ROWS, place=place, partial=partial, shard=Shard(0, 2, waits=True))
    assert len(list(partial.iterdir())) == 2
    score_rows(scorer, ROWS, place=place, partial=partial)
    assert files_of(partial) == whole


def test_two_that_put_together_at_once_do_no_harm(tmp_path: Path, scorer: Scorer):
    """One has saved the scores and removed the folder while the other was reading it."""
    partial = tmp_path / "partial"
    score_rows(scorer, ROWS, place=place, partial=partial)

    class Removed(module.ChunkFiles):
        def read(self, number: int, **options: Any) -> Any:
            if number == 1:
                shutil.rmtree(partial)
            return super().read(number, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "ChunkFiles", Removed)
        with pytest.raises(UnmergedError, match="another process has put all together"):
            score_rows(scorer, ROWS, place=place, partial=partial, shard=Shard(1, 2))


def test_shares_need_a_folder(scorer: Scorer):
    with pytest.raises(UserError, match="give partial, a folder that they all see"):
        score_rows(scorer, ROWS, place=place, shard=Shard(0, 2))


def test_the_batching_is_chosen_on_the_first_texts_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever a process scores, also after a kill: else its scores would depend on it."""
    name = str(tiny_model())
    tried = []

    def choose(model: Any, wanted: Any, texts: Any, *_: Any, **__: Any) -> str:
        tried.append(sorted(text.tolist() for text in texts))
        return "grouped"

    monkeypatch.setattr("hidden_context.llm.score.choose_batching", choose)
    backbone = load_backbone(name, 2, dtype=torch.float32).eval()
    model = RewardModel(backbone, load_tokenizer(name), Normal(), name)
    options = ScoringOptions(max_length=12, overlong="drop")
    rows = [["bread " * 40]] * 4 + ROWS  # the first chunk has no text that is short enough
    for index in range(3):
        model._scorers.clear()
        partial = tmp_path / str(index)
        with pytest.raises(UnmergedError):
            score_rows(
                model.scorer(options), rows, place=place, partial=partial, shard=Shard(index, 3)
            )
    assert tried[0] == tried[1] == tried[2]
    assert len(tried[0]) == 6  # texts of the first four of `ROWS`
