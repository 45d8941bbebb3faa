"""`hidden-context best-of`: the file and what is printed are `hc.best_of`'s, mistakes a line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import make

import hidden_context as hc
from hidden_context.distributions import SharedContext
from hidden_context.records import read_json, read_jsonl, write_jsonl

ROWS: list[dict[str, Any]] = [
    {"prompt": "Human: bread? Assistant:", "responses": [" flour", " no", " yeast"], "id": "a"},
    {"prompt": "Human: water? Assistant:", "responses": [" a", " b, please"], "id": "b"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("best of")
    make(folder / "rm")
    make(folder / "shared", family=SharedContext())
    write_jsonl(folder / "rows.jsonl", ROWS)
    return folder


def flags(folder: Path, out: Path, *models: str) -> list[str]:
    names = [str(folder / name) for name in models or ("rm",)]
    where = [f"--input={folder / 'rows.jsonl'}", f"--output={out}"]
    return [*where, "--reward_model_checkpoints", *names]


def test_the_file_holds_the_rows_ranked(
    run: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path
):
    out = tmp_path / "best" / "best.jsonl"
    status, printed, error = run("best-of", *flags(folder, out), "--risk", "kl:0.5")
    assert status == 0, error
    expected = hc.best_of(
        folder / "rm",
        [row["prompt"] for row in ROWS],
        [row["responses"] for row in ROWS],
        risk="kl:0.5",
    )
    written = read_jsonl(out)
    for row, given, ranking in zip(written, ROWS, expected.rankings, strict=True):
        assert {name: row[name] for name in given} == given
        np.testing.assert_allclose(row["rewards"], ranking.rewards, atol=1e-6)
        assert row["ranking"] == list(ranking.order)
        assert row["chosen_index"] == ranking.order[0]
    assert printed.splitlines()[-5:-1] == [f"wrote {out}", *str(expected).splitlines()]
    assert "2 prompts with 2 to 3 candidates, the best by kl:0.5 of rm" in printed
    assert "carried along, not read: id" in printed
    meta = read_json(Path(f"{out}.meta.json"))
    assert meta["counts"] == {"rows": 2, "overlong_texts": [0]}
    assert meta["config"]["risk"] == ["kl:0.5"]
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "best.jsonl",
        "best.jsonl.meta.json",
    ]


def test_several_models_and_a_reference_that_counts_from_one(
    run: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path
):
    """An underscore in the command's name is a hyphen."""
    out = tmp_path / "best.jsonl"
    rule = ["--rule=reference", "--reference=1"]
    status, printed, error = run("best_of", *flags(folder, out, "rm", "shared"), *rule)
    assert status == 0, error
    assert "the best by rule reference of rm, shared" in printed
    assert [row["rewards"][0] for row in read_jsonl(out)] == pytest.approx([0.5, 0.5])
    meta = read_json(Path(f"{out}.meta.json"))
    assert meta["reference"] == 0
    assert [list(one) for one in meta["families"]] == [["rm"], ["shared"]]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--risk", "mean", "kl:1"], "--risk mean kl:1: responses are ranked by one; give one."),
        (["--risk=mean", "--rule=borda"], "--risk and --rule both rank the responses"),
        (["--rule=luck"], "luck"),
        (["--risk=kl:0"], "kl takes a finite number above 0"),
        (["--rule=reference", "--reference=0"], "--reference is 0; responses are numbered from 1."),
        (["--rule=reference", "--reference=3"], "row 2: no response 3 to compare with"),
        (["--rule=nash"], "rule nash needs groups: give several models"),
        (["--input=nowhere.jsonl"], "nowhere.jsonl"),
        (["--overlong=drop"], "invalid choice: 'drop'"),
        (["--reward_model_checkpoints"], "give --reward_model_checkpoints, at least one"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    run: Callable[..., tuple[int, str, str]],
    folder: Path,
    tmp_path: Path,
    more: list[str],
    message: str,
):
    out = tmp_path / "best.jsonl"
    status, _, error = run("best-of", *flags(folder, out), *more)
    assert status == 2
    assert message in error
    assert not out.exists()


def test_a_column_that_would_be_lost_is_named_before_anything_is_scored(
    run: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path
):
    write_jsonl(tmp_path / "rows.jsonl", [ROWS[0], {**ROWS[1], "ranking": [0, 1]}])
    arguments = [*flags(folder, tmp_path / "best.jsonl"), f"--input={tmp_path / 'rows.jsonl'}"]
    status, printed, error = run("best-of", *arguments)
    assert status == 2
    assert "row 2: there is a column 'ranking' already, which would be lost; rename it" in error
    assert "first example" not in printed
