"""The audit of Polis votes: rows say what people voted, and a small one runs to its table."""

import csv
from pathlib import Path

import numpy as np
import polis_audit
import pytest
from polis_votes import Votes, read_votes

from hidden_context.commands.command_line import run_command
from hidden_context.records import read_json

TEXTS = ["leave at once", "stay for good", "vote again", "wait and see", "ask the young"]


def write_conversation(folder: Path) -> None:
    rng = np.random.default_rng(0)
    agree = np.linspace(0.1, 0.9, len(TEXTS))
    folder.mkdir(parents=True)
    with (folder / "participants-votes.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["participant", "group-id", *range(len(TEXTS))])
        for person in range(40):
            votes = rng.choice([1, -1, 0, ""], size=len(TEXTS)).tolist()
            sure = [str(2 * int(rng.random() < share) - 1) for share in agree]
            writer.writerow([person, person % 2, *(sure if person % 3 else votes)])
    with (folder / "comments.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["comment-id", "comment-body"])
        writer.writerows(enumerate(TEXTS))


def run(tmp_path: Path, *flags: str) -> int:
    quick = ["--min_votes", "5", "--families", "mean_and_variance", "--pairs", "with_ties"]
    where = ["--data_dir", str(tmp_path), "--conversation", "small"]
    where += ["--out_dir", str(tmp_path / "out")]
    return run_command(polis_audit.Config, polis_audit.run, [*where, *quick, *flags])


@pytest.mark.slow
def test_a_small_conversation_is_audited_and_held_against_its_votes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_conversation(tmp_path / "small")
    assert run(tmp_path) == 0
    rows = read_json(tmp_path / "out" / "polis_audit.json")
    assert [row["pairs"] for row in rows] == ["with_ties"]
    votes = read_votes(tmp_path / "small" / "participants-votes.csv")
    mean, std = np.nanmean(votes.values, axis=0), np.nanstd(votes.values, axis=0)
    for row in rows:
        assert row["real r²"] == pytest.approx(mean.var() / (mean.var() + (std**2).mean()))
        assert row["Spearman of mean"] > 0.8
    assert "Spearman of std" in capsys.readouterr().out


def test_each_row_says_what_one_person_voted():
    votes = Votes(
        np.array([[1.0, -1.0, 0.0], [0.0, np.nan, 0.0]]), np.array(["a", ""]), ("0", "1", "2")
    )
    rows = list(polis_audit.comparisons(votes, ["x", "y", "z"], "with_ties"))
    found = [
        (row["prompt_id"], row["group"], row["response_a"], row["response_b"], row["winner"])
        for row in rows
    ]
    assert found == [
        ("person 0", "a", "x", "y", "a"),
        ("person 0", "a", "x", "z", "a"),
        ("person 0", "a", "y", "z", "b"),
        ("person 1", "none", "x", "z", "tie"),
    ]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [(None, "comments.csv does not exist"), (4, "has no statement 4"), ("same", "have one text")],
)
def test_statements_without_their_texts_are_refused(
    texts: object, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_conversation(tmp_path / "small")
    file = tmp_path / "small" / "comments.csv"
    lines = file.read_text().splitlines()
    if texts is None:
        file.unlink()
    elif texts == "same":
        file.write_text("\n".join([*lines[:-1], f"4,{TEXTS[0]}"]))
    else:
        file.write_text("\n".join(lines[:-1]))
    assert run(tmp_path) == 2
    assert reason in capsys.readouterr().err
