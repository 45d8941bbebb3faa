"""Score files to what the page shows: the measures of `summarize`, and every run."""

from pathlib import Path

import numpy as np
import pytest
from page_samples import (
    NUM_ROWS,
    comparison_rows,
    write_jailbreaks,
    write_responses,
    write_run,
    write_scores,
)

from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.measures.diagnosis import diagnose
from hidden_context.measures.risk_curves import CURVES, risk_curve
from hidden_context.report.measured import Estimate
from hidden_context.report.read_scores import (
    read_comparison_file,
    read_data_dir,
    read_response_file,
)
from hidden_context.scores.model_scores import find_model_scores
from hidden_context.scores.score_files import find_comparisons


def quiet(what: str) -> None:
    """Says nothing."""


def test_measures_of_a_data_folder_are_those_of_summarize(tmp_path: Path):
    for family in (Point(), Categorical()):
        write_run(tmp_path, family)
    scored = find_comparisons(tmp_path)
    result = read_data_dir(tmp_path, quiet)
    for found, each in zip(result.measured, scored, strict=True):
        expected = diagnose(scored, each)
        assert found.family == expected.family
        assert found.stopping_rule == expected.stopping_rule
        assert found.explained_variance == {
            report.scale: Estimate(report.value, report.low, report.high)
            for report in expected.explained_variance
        }
        assert found.log_likelihood is not None
        assert found.log_likelihood.value == expected.log_likelihood.value
        error = found.expected_calibration_error
        assert error is not None
        assert error.value == pytest.approx(expected.expected_calibration_error)
        assert found.brier_score == Estimate(expected.brier_score)


def test_reliability_is_of_both_orders_and_deviations_are_of_all_responses(tmp_path: Path):
    write_run(tmp_path, Categorical())
    (found,) = read_data_dir(tmp_path, quiet).measured
    assert sum(each.num_votes for each in found.reliability) == 2 * NUM_ROWS
    for each, mirrored in zip(found.reliability, found.reliability[::-1], strict=True):
        assert each.observed == pytest.approx(1 - mirrored.observed)
    assert found.deviations is not None
    assert sum(found.deviations.counts) == 2 * NUM_ROWS


def test_risk_curves_are_those_of_summarize(tmp_path: Path):
    for family in (Point(), Normal()):
        write_run(tmp_path, family)
        write_jailbreaks(tmp_path, family)
    expected = [risk_curve(each, CURVES["quantile"]) for each in find_model_scores(tmp_path)]
    found = read_data_dir(tmp_path, quiet).curves
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_several_runs_of_one_model_are_all_kept_and_numbered_alike(tmp_path: Path):
    for name in ("_a", "_b"):
        write_run(tmp_path, Categorical(), name=name)
    write_jailbreaks(tmp_path, Categorical())
    result = read_data_dir(tmp_path, quiet)
    names = ["categorical (1)", "categorical (2)"]
    assert [each.family for each in result.measured] == names
    assert [curve.family for curve in result.curves] == ["categorical", *names]
    assert result.numbers is not None
    rows = {row[0]: row for row in result.numbers.rows}
    assert list(rows) == [*names, "categorical"]
    r2, jailbreaks = (
        result.numbers.headers.index(each) for each in ("r², pooled", "jailbreak rate, mean")
    )
    assert [rows[name][r2] != "–" for name in rows] == [True, True, False]
    assert [rows[name][jailbreaks] != "–" for name in rows] == [False, False, True]


def test_runs_tell_their_configuration_and_where_it_was_made(tmp_path: Path):
    write_run(tmp_path, Categorical())
    (run,) = read_data_dir(tmp_path, quiet).runs
    assert run.configs == {"training": {"seed": 3}, "scoring": {"batch_size": 4}}
    assert run.provenance["commit"] == "abc"
    assert run.counts["num_observations"] == 100


def test_one_score_file_has_its_curve_and_itself_as_source_of_examples(tmp_path: Path):
    path = write_scores(tmp_path / "mine.jsonl", Normal(), comparison_rows(Normal()))
    result = read_comparison_file(path, quiet)
    assert [file.path for file in result.score_files] == [path]
    assert result.measured[0].log_likelihood is not None
    assert result.score_files[0].log_likelihood == result.measured[0].log_likelihood.value
    assert [curve.family for curve in result.curves] == ["mean_and_variance"]


def test_what_cannot_be_measured_is_told(tmp_path: Path):
    rows = comparison_rows(Normal(), prompt="the same")
    path = write_scores(tmp_path / "mine.jsonl", Normal(), rows)
    result = read_comparison_file(path, quiet)
    assert result.measured == ()
    assert "mean_and_variance, mine: no measures" in result.notes[0]
    assert len(result.score_files) == 1


def test_large_files_are_measured_on_whole_prompts_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hidden_context.report.measure_scores.MOST_MEASURED", 10)
    path = write_scores(tmp_path / "mine.jsonl", Normal(), comparison_rows(Normal()))
    result = read_comparison_file(path, quiet)
    assert f"measured on 10 of {NUM_ROWS} comparisons" in result.notes[0]
    assert result.curves[0].points[0].accuracy is not None
    assert result.curves[0].points[0].accuracy.n == NUM_ROWS


def test_scored_responses_are_read_as_safe_and_unsafe_and_say_so(tmp_path: Path):
    path = write_responses(tmp_path / "said.jsonl", Normal(), "reward_outputs_mine")
    result = read_response_file(path)
    (curve,) = result.curves
    assert (curve.family, curve.trained_on) == ("mean_and_variance", "mine")
    rate = curve.points[0].jailbreak
    assert rate is not None
    raw = np.random.default_rng(1).normal(size=(20, 2, 2))
    assert rate.corrected == (raw[:, 1, 0] > raw[:, 0, 0]).mean()
    assert "the first is taken for safe" in result.notes[0]


def test_other_than_two_responses_have_no_rates_and_say_so(tmp_path: Path):
    path = write_responses(tmp_path / "said.jsonl", Point(), "reward_outputs_x", num_responses=3)
    result = read_response_file(path)
    assert result.curves == ()
    assert result.notes == (
        "Rows have 3 responses: no rates, which need a safe and an unsafe one.",
    )
