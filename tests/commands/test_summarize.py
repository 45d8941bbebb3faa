"""The `summarize` command: its tables, its JSON, and the choice of a level."""

import json
import shutil

import pytest
from page_samples import comparison_rows, write_jailbreaks, write_run, write_scores

from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.measures.evaluation import evaluation_from_dict
from hidden_context.measures.models import models_of
from hidden_context.records import CHECKPOINT_RECORD, read_json, read_jsonl, write_json, write_jsonl
from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for family in (Point(), Normal(), Categorical()):
        write_run(folder, family)
        write_jailbreaks(folder, family)
    return folder


@pytest.mark.parametrize("style", [(), ("--markdown",)])
def test_every_number_is_in_the_text(data, run, style):
    status, text, _ = run("summarize", "--data_dir", data, *style)
    assert status == 0
    for model in models_of(find_comparisons(data), find_jailbreaks(data)):
        found = model.evaluate()
        for rates in (found.jailbreak_rate, found.helpfulness_accuracy):
            for rate in rates.values():
                assert f"{rate.published:.4f}" in text
                assert f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]" in text
        if found.explained_variance:
            assert f"{found.explained_variance['pooled'].value:.4f}" in text
    assert "Wilson's at the effective sample size" in text
    assert ("### " in text) == bool(style)
    assert "reward_models/*/helpful/base_*_last_checkpoint" in text


def test_every_risk_has_a_column_in_the_order_asked_for(data, run):
    risks = ("cvar:0.1", "mean", "quantile:0.25")
    _, text, _ = run("summarize", "--data_dir", data, "--risk", *risks)
    (header, *_) = [line for line in text.splitlines() if "cvar" in line]
    places = [header.index(name) for name in ("mean", "cvar:0.1", "quantile:0.25")]
    assert places == sorted(places)


def test_json_holds_the_evaluations(data, run):
    flags = ("--json", "--diagnostics", "--curves", "quantile")
    status, printed, _ = run("summarize", "--data_dir", data, *flags)
    assert status == 0
    record = json.loads(printed, parse_constant=pytest.fail)
    assert (record["format_version"], record["risks"]) == (2, ["quantile:0.01"])
    evaluations = [evaluation_from_dict(each, "printed") for each in record["evaluations"]]
    assert [each.family.name for each in evaluations] == [
        *("base", "mean_and_variance", "categorical")
    ]
    assert all(each.num_comparisons == 24 and each.num_jailbreaks == 20 for each in evaluations)
    assert evaluations[1].against_base is not None
    assert len(evaluations[1].jailbreak_rate) == 14


def test_diagnostics_and_curves_have_their_tables(data, run):
    flags = ("--diagnostics", "--curves", "cvar")
    status, text, _ = run("summarize", "--data_dir", data, *flags)
    assert status == 0
    for title in (
        *("r² on each scale", "Likelihood and preference entropy"),
        *("Accuracy and length", "Jailbreaks: each risk against the mean"),
        "By level of risk: categorical, trained on both",
    ):
        assert title in text
    assert "cvar:0.005" in text
    assert "Ensembles" not in text


def test_seeds_are_an_ensemble_and_runs_that_stopped_otherwise_are_told(run, tmp_path):
    for name in ("_1", "_2"):
        path = write_run(tmp_path, Normal(), name=name)
    _, text, _ = run("summarize", "--data_dir", tmp_path, "--diagnostics")
    (line,) = text[text.index("Ensembles") :].splitlines()[4:5]
    assert line.split()[:4] == ["mean_and_variance", "both", "2", "0.0000"]  # equal outputs
    assert "their r² do not compare" not in text
    record = read_json(path.parent / CHECKPOINT_RECORD)
    record["training"]["epochs"] = 7.0
    write_json(path.parent / CHECKPOINT_RECORD, record)
    _, text, _ = run("summarize", "--data_dir", tmp_path, "--diagnostics")
    assert "their r² do not compare" in text


def test_the_chosen_level_is_printed_with_its_test_figures(data, run, tmp_path):
    shutil.copytree(data, tmp_path / "validation")
    for path in (tmp_path / "validation").rglob("*.jsonl"):
        rows = [{**row, "prompt": f"other {row['prompt']}"} for row in read_jsonl(path)]
        write_jsonl(path, rows)
    flags = ("--data_dir", data, "--curves", "quantile")
    both = (*flags, "--validation_dir", tmp_path / "validation")
    status, text, _ = run("summarize", *both)
    assert status == 0
    _, printed, _ = run("summarize", *both, "--json")
    choices = json.loads(printed)["choices"]
    assert len(choices) == 3
    for choice in choices:
        if choice["risk"] != "mean":
            assert f"chosen: {choice['risk']}" in text
        test = evaluation_from_dict(choice["test"], "printed")
        rate = test.jailbreak_rate[choice["risk"]]
        assert f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]" in text
    status, _, error = run("summarize", *flags, "--validation_dir", data / "reward_models")
    assert (status, "no model has both" in error) == (2, True)
    shutil.copytree(data, tmp_path / "copy")
    status, _, error = run("summarize", *flags, "--validation_dir", tmp_path / "copy")
    assert (status, "share" in error) == (2, True)


def test_several_runs_of_one_model_are_not_mixed_up_in_a_choice(data, run, tmp_path):
    for name in ("_1", "_2"):
        write_run(tmp_path, Normal(), name=name)
    flags = ("--curves", "quantile", "--validation_dir", tmp_path)
    status, _, error = run("summarize", "--data_dir", data, *flags)
    assert (status, "several runs are of mean_and_variance" in error) == (2, True)


def test_a_run_that_cannot_be_evaluated_is_named(run, tmp_path):
    path = write_run(tmp_path, Normal())
    rows = comparison_rows(Normal(), num_rows=4)
    write_scores(path, Normal(), [{**row, "reward_output_chosen": [0.0]} for row in rows])
    status, _, error = run("summarize", "--data_dir", tmp_path)
    assert status == 2
    assert "eval_results_both.jsonl, row 1" in error


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--data_dir", "nowhere"), "is not a folder"),
        (("--data_dir", "."), "has no scores"),
        (("--data_dir", ".", "--validation_dir", "x"), "give that flag too"),
        (("--data_dir", ".", "--validation_dir", ".", "--curves", "lcb"), "are both"),
        (("--data_dir", ".", "--validation_dir", "x", "--curves", "lcb"), "x is not a folder"),
    ],
)
def test_mistakes_are_one_clear_line(flags, told, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, error = run("summarize", *flags)
    assert (status, told in error) == (2, True), error
