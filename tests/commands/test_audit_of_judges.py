"""`audit --scores` and `--verdicts`: judges held against people, the page, and what is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hidden_context.commands.audit import main
from hidden_context.figures.style import STYLES, in_style
from hidden_context.judging.result import read_judges
from hidden_context.records import read_json, read_jsonl, write_json, write_jsonl
from hidden_context.report.page import panels_of
from hidden_context.report.panel_figures import figure_of
from hidden_context.report.read_results import as_results


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty people of two groups vote on 40 pairs; a judge knows what the first group says."""
    rng = np.random.default_rng(0)
    taste = rng.random((40, 2)) < 0.5
    rows: list[dict[str, Any]] = []
    for pair in range(40):
        for person in rng.permutation(20)[:6]:
            wins = taste[pair, person % 2] == (rng.random() < 0.9)
            rows.append(
                {
                    "id": len(rows),
                    "prompt": f"{pair // 4}: what? ",
                    "response_a": f"this {pair}",
                    "response_b": f"or that {pair % 4}",
                    "winner": "ba"[int(wins)],
                    "annotator": f"person {person}",
                    "group": f"group {person % 2}",
                    "llm": "ba"[int(taste[pair, 0])],
                }
            )
    write_jsonl(tmp_path / "votes.jsonl", rows)
    scored = [
        {"id": row["id"], "score_a": len(row["llm"]) + k % 7, "score_b": 3.5}
        for k, row in enumerate(rows)
    ]
    write_jsonl(tmp_path / "rm.jsonl", scored)
    return tmp_path / "votes.jsonl"


def test_judges_are_held_against_people(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    flags = ["--scores", f"rm={tmp_path / 'rm.jsonl'}", "--verdicts", "llm=llm", "--out", str(out)]
    assert main([str(data), *flags]) == 0
    printed = capsys.readouterr().out
    assert "rm: rm.jsonl: matched by id; 40 pairs" in printed
    assert "It takes the side of group 0" in printed
    audit = read_judges(out / "judges.json")
    assert [judge.name for judge in audit.judges] == ["rm", "llm"]
    assert str(audit) in printed
    assert len(audit.to_frame()) > 100
    assert "<table>" in audit._repr_html_()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 6
    assert "Whose side does it take?" in page
    (of_memory,) = as_results(audit)
    for panel in panels_of([of_memory]):
        with in_style(STYLES["screen"]):
            assert figure_of(panel, STYLES["screen"], has_title=False).axes[0].has_data()


def test_pairs_of_one_vote_each_end_in_an_answer(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = {row["prompt"] + row["response_a"]: row for row in read_jsonl(data)}
    write_jsonl(data, list(rows.values()))
    assert main([str(data), "--verdicts", "llm=llm", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "No two people voted on one pair" in printed
    assert "No person has 10 votes on pairs that others voted on." in printed


def test_groups_are_those_of_the_column_that_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [row | {"land": row.pop("group").replace("group", "land")} for row in read_jsonl(data)]
    write_jsonl(data, rows)
    flags = ["--verdicts", "llm=llm", "--out", str(tmp_path / "out")]
    assert main([str(data), *flags]) == 0
    assert "takes the side of" not in capsys.readouterr().out
    assert main([str(data), *flags, "--group", "land"]) == 0
    printed = capsys.readouterr().out
    assert "\ngroup: land\n" in printed
    assert "It takes the side of land 0" in printed
    assert printed.splitlines()[-1].endswith("votes.jsonl --group land")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--verdicts", "llm"], "--verdicts llm: expected NAME=COLUMN"),
        (["--verdicts", "llm=none"], "row 1: no column 'none' of verdicts"),
        (["--verdicts", "llm=llm", "--num_seeds", "2"], "--num_seeds is for heads"),
        (["--traits", "age"], "--traits needs --scores or --verdicts"),
        (["--scores", "a=b", "a=c"], "--scores a is given 2 times"),
        (["--scores", "a=missing.jsonl"], "missing.jsonl does not exist"),
        (["--scores", "a=missing.jsonl", "--data_subset", "both", "both"], "two data sets"),
    ],
)
def test_what_is_not_clear_is_refused(
    flags: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(data), *flags, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_program_of_the_page_runs_and_names_the_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    page = (Path(__file__).parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert "It takes the side of brief" in capsys.readouterr().out
    assert Path("judges.html").is_file()


def test_a_damaged_file_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from hidden_context.commands.report import main as report

    assert main([str(data), "--verdicts", "llm=llm", "--out", str(tmp_path / "out")]) == 0
    record = tmp_path / "out" / "judges.json"
    whole = read_json(record)
    for damage, message in (
        ({"format_version": 9}, "format_version 9"),
        ({"judges": [{"name": "x"}]}, "damaged or of another version"),
    ):
        write_json(record, {**whole, **damage})
        assert report([str(record), "--out", str(tmp_path / "p.html")]) == 2
        assert message in capsys.readouterr().err
