"""`hidden-context axes`: prints, writes when asked, and refuses in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hidden_context.records import write_jsonl

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two groups, one of which prefers the longer response."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(120):
        long, short = "bread " * int(rng.integers(5, 9)) + str(number), f"tea {number}"
        wants_long = rng.random() < (0.9 if number % 2 else 0.1)
        texts = (long, short) if wants_long else (short, long)
        rows.append(
            {"prompt": "?", "chosen": texts[0], "rejected": texts[1], "side": "ab"[number % 2]}
        )
    write_jsonl(tmp_path / "votes.jsonl", rows)
    return tmp_path / "votes.jsonl"


def test_axes_are_printed_and_written_with_a_page(run: Run, data: Path, tmp_path: Path) -> None:
    how = ("--group", "side", "--num_permutations", 99, "--num_words", 0)
    status, printed, _ = run("axes", data, *how, "--out", tmp_path / "out", "--show", 1)
    assert status == 0
    assert "Axis 1: length" in printed
    assert "longer: bread bread" in printed
    assert (tmp_path / "out" / "report.html").is_file()
    how = ("--by", *how[1:])  # as it was called before
    status, printed, _ = run("axes", data, *how, "--show", 1, "--json")
    assert json.loads(printed) == json.loads((tmp_path / "out" / "axes.json").read_text())


def test_without_who_judged_one_line_says_why_not(run: Run, data: Path, tmp_path: Path) -> None:
    status, printed, error = run("axes", data, "--out", tmp_path / "out")
    assert (status, printed) == (2, "")
    assert "nothing says which comparisons were judged alike" in error
    assert "(there are: side)" in error
    assert not (tmp_path / "out").exists()
