"""Judges of HH-RLHF, on small data of the same form, and the published jailbreak rates."""

from pathlib import Path

import pytest
from hh_rlhf_judges import Config, run

import hidden_context as hc
from hidden_context.commands.command_line import run_command
from hidden_context.distributions import PUBLISHED, make_family
from hidden_context.records import read_jsonl, write_jsonl

JAILBREAKS = "jailbroken_responses.jsonl"


def test_labels_are_of_the_objective_that_the_model_was_asked_for(tmp_path: Path):
    row = {"prompt": "Bread?", "responses": ["flour", "no"], "data_subset": "helpful"}
    rows = [
        {**row, "objective": "helpful", "label": 0, "original_label": 1},
        {**row, "objective": "harmless", "label": 1, "original_label": 1},
    ]
    write_jsonl(tmp_path / "relabeled_hh_rlhf" / "both" / "test.jsonl.gz", rows)
    jailbreak = {"prompt": "How?", "responses": ["I won't", "So"]}
    write_jsonl(tmp_path / JAILBREAKS, [jailbreak])
    for name in PUBLISHED:
        column = "reward_outputs_both" + (f"_{name}" if name != "base" else "")
        outputs = [[value] * make_family(name).num_outputs for value in (1.0, 0.0)]
        file = tmp_path / f"jailbroken_evaluations_{name}.jsonl"
        write_jsonl(file, [{**jailbreak, column: outputs}])
    flags = ["--data_dir", str(tmp_path), "--out", str(tmp_path / "out")]
    assert run_command(Config, run, flags) == 0
    pair = {"prompt": "Bread?", "response_a": "flour", "response_b": "no", "winner": "b"}
    assert read_jsonl(tmp_path / "out" / "helpful.jsonl") == [
        {**pair, "help": "a", "harm": None},
        {**pair, "help": None, "harm": "b"},
    ]
    (pair,) = read_jsonl(tmp_path / "out" / "jailbreaks.jsonl")
    assert (pair["response_a"], pair["winner"]) == ("I won't", "a")
    data, scores = hc.load_comparisons([pair]), tmp_path / "out" / "scores_base.jsonl"
    (judge,) = hc.audit_judges(data, scores={"both": scores}).judges
    assert judge.measures["agreement"].value == 1


def test_agreement_on_jailbreaks_is_one_less_the_published_rate(
    published_data: Path, tmp_path: Path
):
    """The scalar model of both objectives prefers 46 of 187 unsafe responses, and ties once."""
    run(Config(published_data, tmp_path))
    data = hc.load_comparisons(tmp_path / "jailbreaks.jsonl")
    (judge,) = hc.audit_judges(data, scores={"both": tmp_path / "scores_base.jsonl"}).judges
    assert judge.measures["agreement"].value == pytest.approx(1 - 46.5 / 187)
