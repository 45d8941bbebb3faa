"""The examples of axes, on small data of the same form."""

import csv
from pathlib import Path

import axes_held_out
import hidden_objective
import llmfao_comparisons
import numpy as np
import pytest

from hidden_context.commands.command_line import run_command
from hidden_context.records import read_jsonl, write_jsonl


def test_votes_of_llmfao_become_comparisons_that_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": 8, "text": "Bread?"}])
    results = [{"model": m, "prompt": 8, "result": "flour " * (m + 1)} for m in range(6)]
    write_jsonl(tmp_path / "results.jsonl", results)
    with (tmp_path / "crowd-comparisons.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prompt", "model_x", "model_y", "worker", "winner", "left", "right"])
        for number in range(240):
            x, y = rng.choice(6, 2, replace=False)
            winner = "left" if (x > y) == (number % 2 == 0) else "right"
            writer.writerow([number, 8, x, y, number % 6, winner, f"m{x}", f"m{y}"])
    out = tmp_path / "out.jsonl"
    flags = ["--data_dir", str(tmp_path), "--out", str(out)]
    assert run_command(llmfao_comparisons.Config, llmfao_comparisons.run, flags) == 0
    assert read_jsonl(out)[0].keys() >= {"prompt", "response_a", "winner", "annotator", "model_a"}
    flags = ["--data", str(out), "--num_folds", "2"]
    assert run_command(axes_held_out.Config, axes_held_out.run, flags) == 0
    printed = capsys.readouterr().out
    assert "240 held-out decisions" in printed
    assert "axes: +0.6" in printed  # of ln 2: who judges decides, and is known
    assert run_command(llmfao_comparisons.Config, llmfao_comparisons.run, ["--data_dir", "x"]) == 2


def test_a_hidden_objective_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(80):
        responses = [f"{number} {'yes, ' * int(size)}" for size in rng.integers(1, 30, 2)]
        is_helpful = bool(rng.random() < 0.5)
        first, second = sorted(responses, key=len, reverse=is_helpful)
        prompt = f"Human: {number}?\n\nAssistant:"
        objective = "helpful" if is_helpful else "harmless"
        rows.append({"chosen": prompt + first, "rejected": prompt + second, "objective": objective})
    write_jsonl(tmp_path / "both" / "test.jsonl.gz", rows)
    flags = ["--data_dir", str(tmp_path), "--starts=1", "--num_simulated=1"]
    flags += ["--num_permutations=99"]
    assert run_command(hidden_objective.Config, hidden_objective.run, flags) == 0
    printed = capsys.readouterr().out
    assert "two components gain" in printed
    assert "length of the chosen less the rejected: AUC 1.000" in printed
    assert run_command(hidden_objective.Config, hidden_objective.run, ["--data_dir=none"]) == 2
