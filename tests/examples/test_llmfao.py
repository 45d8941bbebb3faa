"""The ceiling that another person reaches on llmfao, and the file that the example writes."""

from pathlib import Path

import pytest
from llmfao import Config, rows_of, run

import hidden_context as hc
from hidden_context.judging.agreement import agreement_measures
from hidden_context.judging.judgments import of_columns
from hidden_context.judging.votes import read_votes


def test_another_person_reaches_744_of_the_majority_of_the_others(
    published_data: Path, tmp_path: Path
):
    folder = published_data / "llmfao"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: get github.com/dustalov/llmfao's published files")
    run(Config(folder, tmp_path / "votes.jsonl"))
    comparisons = hc.load_comparisons(tmp_path / "votes.jsonl")
    votes = read_votes(comparisons, pair_column="pair_id")
    assert (len(votes), len(votes.people), len(set(votes.pair))) == (8931, 124, 2139)
    found = agreement_measures(of_columns("gpt4", ["gpt4"], comparisons, votes), votes)
    assert found["person_and_majority"].value == pytest.approx(3296 / 4431)  # counted by hand
    assert found["ties_of_people"].value == pytest.approx(3471 / 8931)


def test_files_that_are_missing_are_named(tmp_path: Path):
    with pytest.raises((hc.UserError, OSError), match=r"prompts\.jsonl"):
        rows_of(tmp_path)
