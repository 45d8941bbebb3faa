"""Two processes train what one does, launched as users launch them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_train_evaluate_score import make_rows
from tiny_models import tiny_model

from hidden_context.commands.cli import main
from hidden_context.records import read_json, write_jsonl

pytestmark = pytest.mark.slow
COMMANDS = """
import json, sys
from hidden_context.commands.cli import main
for command in json.load(open(sys.argv[1])):
    assert main(command) == 0, command
"""
EQUAL = {
    "base": ["--reward_model_type=base"],
    "variance_penalty": [
        "--reward_model_type=mean_and_variance",
        "--variance_penalty=1",
        "--gradient_accumulation_steps=2",
        "--center_rewards_coefficient=0.1",
    ],
    "batch_entropy": ["--reward_model_type=categorical", "--entropy=batch", "--entropy_coeff=1"],
    "rankings": ["--reward_model_type=mean_and_variance", "--variance_penalty=1"],
}
"""Families with terms of a whole batch, and rankings of different lengths."""
FAMILIES = {"shared_prefix": "categorical", "padded": "categorical", "votes": "mean_and_variance"}


def flags(folder: Path, name: str, out: Path, *more: str) -> list[str]:
    data = folder / ("votes.jsonl" if name == "votes" else "plain.jsonl")
    epochs = 3 if name == "votes" else 1
    batching = "padded" if name == "padded" else "shared_prefix"
    return [
        "train",
        f"--model_name={tiny_model()}",
        f"--data_path={data}",
        f"--reward_model_type={FAMILIES[name]}",
        f"--batching={batching}",
        f"--num_train_epochs={epochs}",
        f"--output_dir={out}",
        "--use_peft=false",
        "--learning_rate=0.001",
        "--logging_steps=1",
        *more,
    ]


def equal_flags(folder: Path, name: str, out: Path, each: int) -> list[str]:
    """A run whose last batch is smaller, and whose evaluation's is; `each` a process."""
    kind = "rankings" if name == "rankings" else "uneven"
    return [
        "train",
        f"--model_name={tiny_model()}",
        f"--data_path={folder / kind}.jsonl",
        f"--eval_data_path={folder / kind}.jsonl",
        f"--output_dir={out}",
        "--learning_rate=0.01",
        "--logging_steps=1",
        "--disable_dropout",
        f"--per_device_train_batch_size={each}",
        f"--per_device_eval_batch_size={each}",
        *EQUAL[name],
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes make of plain comparisons with either batching, and of votes."""
    folder = tmp_path_factory.mktemp("two")
    rows = make_rows(24, "helpful", 1)
    write_jsonl(folder / "plain.jsonl", rows)
    votes = [
        {**row, "votes_a": 4, "votes_b": 1 + index % 3, "votes_tie": index % 2}
        for index, row in enumerate(rows[:16])
    ]
    for row in votes:
        row["response_a"], row["response_b"] = row.pop("chosen"), row.pop("rejected")
    write_jsonl(folder / "votes.jsonl", votes)
    write_jsonl(folder / "uneven.jsonl", rows[:21])
    ranked = [
        {
            "prompt": row["prompt"],
            "responses": [row["chosen"], row["prompt"] + " b", row["rejected"]][index % 2 :],
        }
        for index, row in enumerate(rows[:11])
    ]
    write_jsonl(
        folder / "rankings.jsonl",
        [{**row, "ranking": [*range(len(row["responses"]))]} for row in ranked],
    )
    commands = [equal_flags(folder, name, folder / f"equal-{name}", 4) for name in EQUAL]
    commands += [
        flags(
            folder,
            name,
            folder / name,
            f"--per_device_train_batch_size={8 if name == 'votes' else 2}",
        )
        for name in FAMILIES
    ]
    (folder / "commands.json").write_text(json.dumps(commands))
    (folder / "program.py").write_text(COMMANDS)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    launch += ["--master_port=0", "--rdzv_backend=c10d", "--rdzv_endpoint=127.0.0.1:0"]
    launch += [str(folder / "program.py"), str(folder / "commands.json")]
    done = subprocess.run(launch, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, [line for line in done.stderr.splitlines() if "rror" in line]
    return folder


def record(folder: Path) -> dict[str, Any]:
    return read_json(folder / "hidden_context.json")


def test_the_losses_of_two_processes_do_not_depend_on_batching(folder: Path):
    losses = {
        name: {
            line["step"]: line["loss"]
            for line in record(folder / name)["history"]
            if "loss" in line
        }
        for name in ("shared_prefix", "padded")
    }
    assert max(losses["padded"]) == 6  # 24 / (2 processes x 2)
    assert losses["shared_prefix"] == pytest.approx(losses["padded"], abs=2e-4)


def test_two_processes_learn_what_one_does(folder: Path, tmp_path: Path):
    """All 16 rows in one batch, of one process or of two: the same gradient of the threshold."""
    one = flags(folder, "votes", tmp_path / "one", "--per_device_train_batch_size=16")
    assert main(one) == 0
    ours, theirs = (
        record(out)["outcome_model"]["thresholds"] for out in (folder / "votes", tmp_path / "one")
    )
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert ours != pytest.approx([0.5], abs=1e-3)


@pytest.mark.parametrize("name", list(EQUAL))
def test_two_batches_of_four_are_one_of_eight(folder: Path, tmp_path: Path, name: str):
    """Losses, rates and gradients of each step, and the evaluation, to 1e-5."""
    assert main(equal_flags(folder, name, tmp_path / "one", 8)) == 0
    one, two = (record(out) for out in (tmp_path / "one", folder / f"equal-{name}"))
    steps = [[line for line in each["history"] if "loss" in line] for each in (one, two)]
    assert len(steps[0]) == len(steps[1]) > 1
    for ours, theirs in zip(*steps, strict=True):
        for measure in ("loss", "grad_norm", "accuracy", "margin"):
            assert ours[measure] == pytest.approx(theirs[measure], abs=1e-5), measure
    for measure in ("eval_loss", "eval_nll", "eval_accuracy"):
        assert one["metrics"][measure] == pytest.approx(two["metrics"][measure], abs=1e-5)
