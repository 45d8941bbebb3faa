"""The programs and commands of docs/optimise.md run, in its order, in one folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_docs import blocks, command_lines
from tiny_checkpoints import make
from tiny_models import save_tiny_model

from hidden_context.commands.cli import main
from hidden_context.llm.reward_model import RewardModel
from hidden_context.records import read_jsonl, write_jsonl

PAGE = "docs/optimise.md"
BREAD = "Human: how do I bake bread?\n\nAssistant:"
PROGRAMS: dict[str, str] = {
    "trainer" if "trl" in program else "best_of" if "best_of" in program else "anchor": program
    for program in blocks(PAGE, "python")
}


def make_helpful(folder: Path) -> None:
    """A checkpoint with random weights, which likes instructions better than a refusal."""
    model = make(folder / "upside down", "gpt2", full=True)
    texts = [[" No.", " Mix flour and water; bake."]]
    mean: Any = model.score([BREAD], texts).mean
    if mean[0, 0] > mean[0, 1]:
        with torch.no_grad():
            model.model.score.weight[0] *= -1
    model.save_pretrained(folder / "rm")
    mean = RewardModel.from_pretrained(folder / "rm").score([BREAD], texts).mean
    assert mean[0, 0] < mean[0, 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optimise")
    make_helpful(folder)
    for name in ("helpful", "harmless"):
        make(folder / name)
    save_tiny_model(folder / "gpt2", "gpt2")
    rows = [{"prompt": BREAD, "responses": [" No.", f" Mix {n} eggs.", " Wait."]} for n in range(3)]
    write_jsonl(folder / "candidates.jsonl", rows)
    return folder


def test_the_page_has_these_programs():
    assert sorted(PROGRAMS) == ["anchor", "best_of", "trainer"]


@pytest.mark.parametrize("name", ["anchor", "best_of"])
def test_the_programs_without_a_trainer_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
):
    monkeypatch.chdir(folder)
    exec(PROGRAMS[name], {})
    printed = capsys.readouterr().out
    assert ("best by kl:0.5 of rm" in printed) == (name == "best_of")


@pytest.mark.slow
def test_the_program_that_trains_runs(folder: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("trl", reason='no trl here: pip install "hidden-context[trl]"')
    monkeypatch.chdir(folder)
    variables: dict[str, Any] = {}
    exec(PROGRAMS["trainer"], variables)
    history = variables["trainer"].state.log_history
    assert history[-1]["step"] == 2


def test_the_commands_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    lines = command_lines(PAGE)
    assert len(lines) == 2
    for program, *arguments in lines:
        assert program == "hidden-context"
        assert main(arguments) == 0
    for name in ("best", "fair"):
        rows = read_jsonl(folder / f"{name}.jsonl")
        assert [row["chosen_index"] for row in rows] == [
            int(np.argmax(row["rewards"])) for row in rows
        ]
