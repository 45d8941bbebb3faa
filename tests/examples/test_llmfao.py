"""The ceiling that another person reaches on llmfao, and the file that the example writes."""

from pathlib import Path

import pytest
from llmfao import Config, rows_of, run

import hidden_context as hc
from hidden_context.judging.agreement import agreement_measures
from hidden_context.judging.judgments import of_columns
from hidden_context.judging.votes import read_votes
from hidden_context.records import write_jsonl


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


def test_a_vote_is_joined_with_its_texts_and_verdicts(tmp_path: Path):
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": 8, "text": "Bread?"}])
    write_jsonl(tmp_path / "models.jsonl", [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}])
    results = [{"model": m, "prompt": 8, "result": f"flour {m}"} for m in (1, 2)]
    write_jsonl(tmp_path / "results.jsonl", results)
    head, pair = "id,prompt,model_x,model_y", "0,8,2,1"
    for name, worker, said in (
        ("", ",worker", ",v,tie"),
        ("gpt3-", "", ",left"),
        ("gpt4-", "", ",tie"),
    ):
        file = tmp_path / f"{name}crowd-comparisons.csv"
        file.write_text(f"{head}{worker},winner,left,right\n{pair}{said},y,x\n")
    (row,) = rows_of(tmp_path)
    assert row == {
        "pair_id": "0",
        "prompt": "Bread?",
        "response_a": "flour 2",
        "response_b": "flour 1",
        "winner": "tie",
        "annotator": "v",
        "model_a": "y",
        "model_b": "x",
        "gpt3": "left",
        "gpt4": "tie",
    }


def test_files_that_are_missing_are_named(tmp_path: Path):
    with pytest.raises(hc.UserError, match=r"crowd-comparisons\.csv does not exist"):
        rows_of(tmp_path)
