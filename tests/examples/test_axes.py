"""The examples of axes, on small data of the same form."""

from pathlib import Path

import axes_held_out
import hidden_objective
import numpy as np
import pytest

from hidden_context.commands.command_line import run_command
from hidden_context.records import write_jsonl


def test_axes_are_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the people like what is longer, half what is shorter."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(240):
        x, y = rng.choice(6, 2, replace=False)
        row = {"prompt": "Bread?", "annotator": str(number % 6)}
        row |= {
            f"response_{side}": "flour " * (size + 1)
            for side, size in zip("ab", (x, y), strict=True)
        }
        rows.append(row | {"winner": "a" if (x > y) == (number % 2 == 0) else "b"})
    write_jsonl(tmp_path / "votes.jsonl", rows)
    flags = ["--data", str(tmp_path / "votes.jsonl"), "--num_folds", "2"]
    assert run_command(axes_held_out.Config, axes_held_out.run, flags) == 0
    printed = capsys.readouterr().out
    assert "240 held-out decisions" in printed
    assert "axes: +0.6" in printed  # of ln 2: who judges decides, and is known


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
