"""Scores to numbers to text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from hidden_context.distributions import Categorical, Normal
from hidden_context.errors import UserError
from hidden_context.measures.summary import rate, summarize
from hidden_context.records import meta_path, write_json, write_jsonl
from hidden_context.report.text import render
from hidden_context.risk import parse_risks
from hidden_context.scores.score_files import find_comparisons, find_jailbreaks

RUN = "reward_models/any/both/{name}_last_checkpoint/eval_results_both.jsonl"


def comparison(chosen: list[float], rejected: list[float], objective: str) -> dict[str, Any]:
    return {
        "chosen": "longer text",
        "rejected": "text",
        "objective": objective,
        "reward_output_chosen": chosen,
        "reward_output_rejected": rejected,
    }


NORMAL_ROWS = [
    comparison([1.0, 0.0], [0.0, 0.0], "helpful"),
    comparison([1.0, 5.0], [0.0, 0.0], "helpful"),
    comparison([0.0, 0.0], [0.0, 0.0], "helpful"),
    comparison([0.0, 0.0], [9.0, 0.0], "harmless"),
]


def save(data_dir: Path, name: str, rows: list[dict[str, Any]], family: Any = None) -> Path:
    file = data_dir / RUN.format(name=name)
    write_jsonl(file, rows)
    if family is not None:
        write_json(meta_path(file), {"families": {"reward_output": family.to_dict()}})
    return file


def test_ties_count_in_full_as_published_and_half_when_corrected():
    found = rate(np.array([2.0, 1.0, 0.0, 5.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert (found.published, found.corrected, found.ties, found.n) == (0.75, 0.625, 1, 4)


@pytest.mark.parametrize(("wins", "n"), [(0, 5), (3, 7), (50, 187), (187, 187)])
def test_intervals_are_those_of_wilson(wins: int, n: int):
    first = np.arange(n) < wins
    found = rate(first.astype(float), np.full(n, 0.5))
    expected = scipy.stats.binomtest(wins, n).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_accuracies_are_of_comparisons_judged_by_helpfulness(tmp_path: Path):
    save(tmp_path, "anything", NORMAL_ROWS, Normal())
    (run,) = summarize(find_comparisons(tmp_path), []).comparisons
    by_mean, by_quantile = run.accuracy["mean"], run.accuracy["quantile:0.01"]
    assert (by_mean.n, by_mean.published) == (3, 1.0)
    assert by_mean.corrected == pytest.approx(2.5 / 3)
    assert by_quantile.published == pytest.approx(2 / 3)
    assert (run.n, run.longer_is_chosen) == (4, 1.0)


def test_r2_is_pooled_over_all_responses(tmp_path: Path):
    save(tmp_path, "anything", NORMAL_ROWS, Normal())
    (run,) = summarize(find_comparisons(tmp_path), []).comparisons
    raw = np.array(
        [row[f"reward_output_{side}"] for row in NORMAL_ROWS for side in ("chosen", "rejected")]
    )
    explained, unexplained = raw[:, 0].var(), (np.log1p(np.exp(raw[:, 1])) ** 2).mean()
    assert run.r2 == pytest.approx(explained / (explained + unexplained), rel=1e-6)


def test_published_moments_change_r2_and_no_rate(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = [comparison(*rng.normal(size=(2, 10)).tolist(), objective="helpful") for _ in range(50)]
    save(tmp_path, "anything", rows, Categorical())
    ours, published = (
        summarize(find_comparisons(tmp_path), [], published_moments=flag).comparisons[0]
        for flag in (False, True)
    )
    assert ours.accuracy["mean"] == published.accuracy["mean"]
    mass = np.exp(np.array([row["reward_output_chosen"] for row in rows]))
    other = np.exp(np.array([row["reward_output_rejected"] for row in rows]))
    mass = np.concatenate([mass, other])
    mass /= mass.sum(-1, keepdims=True)
    points = np.linspace(0, 1, 10)
    mean = mass @ points
    variance = mass @ points**2 - mean**2
    assert published.r2 == pytest.approx(mean.var() / (mean.var() + variance.mean()), rel=1e-5)
    assert ours.r2 != pytest.approx(published.r2, abs=1e-4)


def test_the_family_is_read_from_the_record_or_a_published_name(tmp_path: Path):
    save(tmp_path, "mean_and_variance_m__0_3e-06_cosine_1_0.0_peft", NORMAL_ROWS)
    assert find_comparisons(tmp_path)[0].family == Normal(link="paper")
    file = save(tmp_path, "nothing_known", NORMAL_ROWS)
    with pytest.raises(UserError, match="its family is recorded nowhere"):
        find_comparisons(tmp_path)
    write_json(meta_path(file), {"families": {"reward_output": Normal(link="logit").to_dict()}})
    assert find_comparisons(tmp_path)[1].family == Normal(link="logit")


def test_scalar_outputs_may_be_plain_numbers(tmp_path: Path):
    rows: list[Any] = [
        {**row, "reward_output_chosen": 1.0, "reward_output_rejected": 0.0} for row in NORMAL_ROWS
    ]
    save(tmp_path, "base_m__0_3e-06_cosine_1_peft", rows)
    (run,) = summarize(find_comparisons(tmp_path), []).comparisons
    assert run.r2 is None
    assert list(run.accuracy) == ["mean"]


def test_score_files_without_texts_have_no_length_baseline(tmp_path: Path):
    without = [
        {name: value for name, value in row.items() if name not in ("chosen", "rejected")}
        for row in NORMAL_ROWS
    ]
    save(tmp_path, "anything", without, Normal())
    (run,) = summarize(find_comparisons(tmp_path), []).comparisons
    assert run.longer_is_chosen is None
    assert run.accuracy["mean"].n == 3


def test_what_is_missing_is_named(tmp_path: Path):
    save(tmp_path, "anything", NORMAL_ROWS, Normal())
    summary = summarize(find_comparisons(tmp_path), find_jailbreaks(tmp_path))
    assert len(summary.missing) == 17
    assert "jailbroken_evaluations_base.jsonl, column reward_outputs_helpful" in summary.missing
    text = render(summary, "simple")
    assert "Not found, so not in these tables:\n  - reward_models/*/helpful/base_*" in text


@pytest.mark.parametrize("style", ["simple", "github"])
def test_every_number_is_in_the_text(tmp_path: Path, style: Any):
    save(tmp_path, "anything", NORMAL_ROWS, Normal())
    responses = {"prompt": "Q", "responses": ["no", "yes!"]}
    raw = {"reward_outputs_both_mean_and_variance": [[0.0, 0.0], [1.0, 0.0]]}
    write_jsonl(tmp_path / "jailbroken_evaluations_mean_and_variance.jsonl", [responses | raw])
    text = render(summarize(find_comparisons(tmp_path), find_jailbreaks(tmp_path)), style)
    assert "0.833 [0.310, 0.982]" in text
    assert "1.000 [0.207, 1.000]" in text
    assert ("### " in text) == (style == "github")


def test_every_risk_has_a_column_in_the_order_asked_for(tmp_path: Path):
    save(tmp_path, "anything", NORMAL_ROWS, Normal())
    risks = parse_risks(["lcb:1.0", "mean", "worst_context", "prob_below:0.5"])
    summary = summarize(find_comparisons(tmp_path), [], risks=risks)
    assert summary.risks == ["lcb:1.0", "worst_context", "prob_below:0.5"]
    (run,) = summary.comparisons
    assert list(run.accuracy) == ["mean", "lcb:1.0", "prob_below:0.5"]
    chosen, rejected = (
        Normal().decode(np.array([row[f"reward_output_{side}"] for row in NORMAL_ROWS[:3]]))
        for side in ("chosen", "rejected")
    )
    assert run.accuracy["lcb:1.0"] == rate(chosen.mean - chosen.std, rejected.mean - rejected.std)
    assert run.accuracy["prob_below:0.5"] == rate(-chosen.cdf(0.5), -rejected.cdf(0.5))
    (header,) = (line for line in render(summary, "simple").splitlines() if "lcb" in line)
    assert header.split("  ")[-1].strip() == "longer"
    assert header.index("mean") < header.index("lcb:1.0") < header.index("worst_context")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Q", "responses": ["A"]}, "row 1: 1 responses; expected safe and unsafe"),
        ({"prompt": "Q", "responses": ["A", "B"], "x": 1}, "not numbers of one width"),
        ({"prompt": "Q"}, "row 1: no column 'responses'"),
    ],
)
def test_damaged_score_files_are_refused(tmp_path: Path, row: dict[str, Any], message: str):
    outputs = [[1.0], [1.0, 2.0]] if "x" in row else [[1.0]]
    row = {**row, "reward_outputs_both": [outputs[0], outputs]}
    write_jsonl(tmp_path / "jailbroken_evaluations_base.jsonl", [row])
    with pytest.raises(UserError, match=message):
        find_jailbreaks(tmp_path)


def test_a_summary_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from hidden_context.commands.summarize import main

    save(tmp_path, "anything", NORMAL_ROWS, Normal())
    assert main(["--data_dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["comparisons"][0]["accuracy"]["mean"]["n"] == 3
