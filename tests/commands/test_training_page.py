"""The commands of docs/training.md run, and start as many processes as it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_train_evaluate_score import make_rows
from tiny_models import save_tiny_model

from hidden_context.commands.cli import main
from hidden_context.records import read_json, write_jsonl

ROOT = Path(__file__).parents[2]
LAUNCHERS = {
    "torchrun": [
        "torch.distributed.run",
        "--rdzv_backend=c10d",
        "--rdzv_endpoint=127.0.0.1:0",
    ],
    "accelerate": ["accelerate.commands.launch"],
}
"""Modules that the programs are, found whatever the path is."""


def command_lines() -> dict[str, list[str]]:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)).splitlines()
    split = [shlex.split(line) for line in lines if line.strip()]
    return {program: arguments for program, *arguments in split}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_tiny_model(tmp_path / "gpt2", "gpt2")
    write_jsonl(tmp_path / "pairs.jsonl", make_rows(24, "helpful", 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_names_these_programs():
    assert set(command_lines()) == {"hidden-context", "/usr/bin/time", *LAUNCHERS}


def test_the_command_of_the_page_runs(folder: Path):
    assert main(command_lines()["hidden-context"]) == 0
    assert "best_step" in read_json(folder / "rm" / "hidden_context.json")["training"]


def test_the_command_whose_memory_was_measured_runs(folder: Path):
    _, program, *arguments = command_lines()["/usr/bin/time"]
    assert program == "hidden-context"
    assert main(arguments) == 0
    record = read_json(folder / "streamed" / "hidden_context.json")
    assert record["training"]["steps"] == 4
    assert {"tokenizer", "configuration", "adapter", "weights", "backbone"} == set(record["marks"])


@pytest.mark.slow
@pytest.mark.parametrize(("program", "num_processes"), [("torchrun", 2), ("accelerate", 1)])
def test_launchers_start_as_many_processes_as_the_page_says(
    folder: Path, program: str, num_processes: int
):
    arguments = command_lines()[program]
    arguments = arguments[1:] if program == "accelerate" else arguments  # launch
    started = subprocess.run(
        [sys.executable, "-m", *LAUNCHERS[program], *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert started.returncode == 0, started.stderr[-2000:]
    (record,) = folder.glob("rm-*/hidden_context.json")
    steps = read_json(record)["training"]["steps"]
    assert steps == 24 / 4 / num_processes
