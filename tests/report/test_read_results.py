"""Whatever a page is made of: values, score files, folders and experiments."""

import re
import shutil
from pathlib import Path

import pytest
from page_samples import (
    comparison_rows,
    write_audit,
    write_jailbreaks,
    write_responses,
    write_run,
    write_scores,
)

from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.errors import UserError
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.risk_levels import CURVES
from hidden_context.records import read_json, write_json
from hidden_context.report.page import write_page
from hidden_context.report.read_results import as_results
from hidden_context.report.results import Result
from hidden_context.scores.score_files import load_scores

GOLDEN = Path(__file__).parents[1] / "golden" / "v0.1"


def test_comparisons_and_jailbreaks_of_one_model_are_one_evaluation(tmp_path: Path):
    for family in (Point(), Normal()):
        write_run(tmp_path, family)
    write_jailbreaks(tmp_path, Normal())
    (result,) = as_results(tmp_path)
    base, normal = result.evaluations
    assert (base.family.name, base.num_jailbreaks) == ("base", 0)
    assert (normal.num_comparisons, normal.num_jailbreaks) == (24, 20)
    assert normal.against_base is not None
    assert list(normal.jailbreak_rate) == ["mean", *map(str, CURVES["quantile"])]
    assert [run.name for run in result.runs][:2] == [
        "base_last_checkpoint",
        "mean_and_variance_last_checkpoint",
    ]
    assert "base, trained on both, scored no pairs" in " ".join(result.notes)
    assert "mean_and_variance, trained on both, scored" not in " ".join(result.notes)
    settings = result.runs[0].settings
    assert list(settings) == ["counts", "training", "scoring", "made by"]
    assert (settings["training"], settings["scoring"]) == ({"seed": 3}, {"batch_size": 4})
    assert settings["counts"]["steps"] == 50
    assert result.numbers is not None
    assert [row[:2] for row in result.numbers.rows] == [
        ("base", "both"),
        ("mean_and_variance", "both"),
    ]


def test_several_runs_of_one_family_and_set_stay_apart(tmp_path: Path):
    for name in ("_1", "_2"):
        write_run(tmp_path, Normal(), name=name)
    write_jailbreaks(tmp_path, Normal())
    (result,) = as_results(tmp_path)
    counts = [(each.num_comparisons, each.num_jailbreaks) for each in result.evaluations]
    assert counts == [(24, 0), (24, 0), (0, 20)]


def test_a_score_file_alone_is_a_result_with_examples(tmp_path: Path):
    path = write_scores(tmp_path / "mine.jsonl", Categorical(), comparison_rows(Categorical()))
    (result,) = as_results([str(path)])
    assert result.title == "Comparisons scored by categorical: mine.jsonl"
    (source,) = result.examples
    (evaluation,) = result.evaluations
    assert source.evaluation is evaluation
    assert evaluation.family.name == "categorical"
    assert (evaluation.trained_on, evaluation.evaluated_on) == ("", "mine.jsonl")
    assert evaluation.log_likelihood is not None
    assert evaluation.log_likelihood.value == pytest.approx(load_scores(path).log_likelihood.mean())


def test_the_training_set_of_a_score_file_is_that_of_the_folder_that_it_lies_in(tmp_path: Path):
    path = write_run(tmp_path, Normal(), trained_on="harmless")
    (result,) = as_results([path])
    assert [each.trained_on for each in result.evaluations] == ["harmless"]


def test_rates_need_two_responses_and_their_order_is_told(tmp_path: Path):
    two = write_responses(tmp_path / "two.jsonl", Normal(), "reward_outputs_x")
    three = write_responses(tmp_path / "3.jsonl", Normal(), "reward_outputs_x", num_responses=3)
    of_two, of_three = as_results([two, three])
    assert len(of_two.evaluations[0].jailbreak_rate) > 2
    assert "first is taken for safe" in of_two.notes[0]
    assert of_three.evaluations == ()
    assert of_three.notes == (
        "x: rows have 3 responses, so no rates, which need a safe and an unsafe one.",
    )


def test_what_cannot_be_evaluated_is_told_and_the_rest_is_shown(tmp_path: Path):
    rows = [{**row, "prompt": "the same"} for row in comparison_rows(Normal(), num_rows=4)]
    for row in rows:
        row["reward_output_chosen"] = row["reward_output_rejected"] = [1e30, 1.0]
    write_run(tmp_path, Categorical())
    path = write_run(tmp_path, Normal())
    write_scores(path, Normal(), rows)
    (result,) = as_results(tmp_path)
    assert "categorical" in [each.family.name for each in result.evaluations]
    assert (
        len(result.evaluations) + sum("cannot be evaluated" in note for note in result.notes) == 2
    )


def test_a_page_is_written_from_values_in_memory(tmp_path: Path):
    scores = load_scores(
        write_scores(tmp_path / "a.jsonl", Normal(), comparison_rows(Normal())), trained_on="mine"
    )
    evaluation = evaluate(scores)
    (of_evaluation,) = as_results(evaluation)
    assert of_evaluation.evaluations == (evaluation,)
    both = as_results([evaluation, scores])
    assert [each.title for each in both] == ["Evaluation of mean_and_variance", "Scores"]
    path = write_page([evaluation, scores], tmp_path / "new" / "page.html", title="My page")
    page = path.read_text(encoding="utf-8")
    assert "<h1>My page</h1>" in page
    assert f"{evaluation.explained_variance['pooled'].value:.3f}" in page
    assert re.search(r"chosen \d", page)


def test_a_page_of_something_else_or_of_nothing_is_refused(tmp_path: Path):
    for given, told in ((3.0, "float"), ([3.0], "float"), ([], "nothing")):
        with pytest.raises(UserError, match=f"made of {told}; give Evaluations"):
            write_page(given, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_an_audit_and_files_beside_it_are_results_of_their_own(tmp_path: Path):
    write_audit(tmp_path, ["both"])
    extra = write_scores(tmp_path / "mine.jsonl", Point(), comparison_rows(Point()))
    titles = [result.title for result in as_results(tmp_path)]
    assert titles == ["Audit of both", f"Comparisons scored by base: {extra.name}"]


def test_a_synthetic_experiment_has_its_numbers_and_figures():
    metrics = read_json(GOLDEN / "synthetic" / "metrics.json")
    (result,) = as_results(GOLDEN / "synthetic")
    assert isinstance(result, Result)
    assert result.numbers is not None
    assert [row[0] for row in result.numbers.rows] == ["exact", *metrics["models"]]
    assert result.numbers.rows[0][1] == f"{metrics['exact']['expected_loss']:.4f}"
    assert len(result.synthetic) > 0


def test_damaged_metrics_are_told(tmp_path: Path):
    shutil.copy(GOLDEN / "synthetic" / "curves.npz", tmp_path)
    write_json(tmp_path / "metrics.json", {"models": {}})
    with pytest.raises(UserError, match=r"metrics.json is damaged: KeyError 'config'"):
        as_results(tmp_path)
