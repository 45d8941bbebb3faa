"""What `train` tells a program: warnings once, and nothing printed unless asked."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_model

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.llm.train import last_step, train
from hidden_context.records import write_json


def comparisons(long: bool = False) -> Comparisons:
    rows = [{"chosen": f"bread and {n} eggs", "rejected": f"{n} stones"} for n in range(6)]
    if long:
        rows[2]["rejected"] += " sand" * 40
    return load_comparisons(rows)


def short_run(data: Comparisons, folder: Path, **how: Any) -> Any:
    model = str(tiny_model())
    return train(data, model=model, output_dir=folder, max_length=30, logging_steps=1, **how)


def test_over_long_comparisons_are_warned_of_once(tmp_path: Path, caplog: Any, capfd: Any):
    message = r"train: 5 comparisons .*; 1 over 30 tokens, left out"
    with caplog.at_level("INFO"), pytest.warns(UserWarning, match=message) as warned:
        short_run(comparisons(long=True), tmp_path / "rm")
    assert ["over 30 tokens" in str(one.message) for one in warned].count(True) == 1
    assert "over 30 tokens" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("progress", [False, True])
def test_a_bar_and_losses_are_shown_only_if_asked(tmp_path: Path, capfd: Any, progress: bool):
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short_run(comparisons(), tmp_path / "rm", eval_data=comparisons(), progress=progress)
    out, error = capfd.readouterr()
    if progress:
        assert "3/3" in error
        assert "'loss'" in out
    else:
        assert (out, error) == ("", "")


def test_a_step_that_a_kill_left_half_written_is_not_resumed_from(tmp_path: Path):
    """Its state is written last, and may be cut off itself."""
    steps = tmp_path / "rm_steps"
    write_json(steps / "config.json", {"seed": 0})
    write_json(steps / "checkpoint-8" / "trainer_state.json", {"global_step": 8})
    (steps / "checkpoint-16").mkdir()
    (steps / "checkpoint-16" / "trainer_state.json").write_text('{"global_step": 1')
    (steps / "checkpoint-24").mkdir()
    found = last_step(tmp_path / "rm", steps, {"seed": 0}, resume=True)
    assert found == str(steps / "checkpoint-8")


def test_what_a_kill_left_of_a_checkpoint_is_not_in_the_next(tmp_path: Path):
    partial = tmp_path / ".rm.partial"
    partial.mkdir()
    (partial / "model-00001-of-00002.safetensors").write_bytes(b"of the killed run")
    short_run(comparisons(), tmp_path / "rm")
    assert not partial.exists()
    assert not (tmp_path / "rm" / "model-00001-of-00002.safetensors").exists()
