"""`--streaming` of the commands that read preference data: no row beyond those wished for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import tiny_model

from hidden_context.records import write_jsonl

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A file of 40 rows and a line that is none."""
    rows = [{"prompt": f"Q{n}? ", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(40)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write("not JSON\n")
    return tmp_path / "rows.jsonl"


def test_train_and_evaluate_read_what_a_slice_or_a_size_needs(
    run: Run, damaged: Path, tmp_path: Path
):
    out = ("--output_dir", tmp_path / "rm")
    base = ("train", "--model_name", tiny_model(), *out, "--data_path", damaged)
    status, _, last = run(*base, "--split", "train[:6]")
    assert (status, last.partition(":")[0]) == (2, "error")
    assert "line 41: not a JSON object" in last
    status, printed, _ = run(*base, "--split", "train[:6]", "--test_size", "2", "--streaming")
    assert status == 0
    assert "train: 4 comparisons" in printed
    assert "test: 2 comparisons" in printed
    six = f"{{path: {damaged}, streaming: true, split: 'train[6:8]', name: six}}"
    score = ("evaluate", "--reward_model_checkpoint", tmp_path / "rm", "--data_path", damaged)
    status, printed, _ = run(*score, "--eval_dataset_size", "3", "--streaming")
    assert status == 0
    assert "3 comparisons (0 with equal texts)" in printed
    status, printed, _ = run(
        *("train", "--model_name", tiny_model(), "--output_dir", tmp_path / "second"),
        *("--datasets", f"{{path: {damaged}, split: 'train[:4]', streaming: true}}"),
        *("--eval_datasets", six),
    )
    assert status == 0
    assert "six: 2 comparisons" in printed


def test_an_audit_reads_what_a_slice_needs(run: Run, damaged: Path, tmp_path: Path):
    audit = ("audit", damaged, "--out", tmp_path / "audit", "--families", "base")
    quick = ("--num_seeds", "1", "--num_null_draws", "0", "--split", "train[:40]")
    status, _, last = run(*audit, *quick)
    assert status == 2
    assert "line 41: not a JSON object" in last
    status, printed, _ = run(*audit, *quick, "--streaming")
    assert status == 0
    assert "40 comparisons of 40 prompts" in printed
