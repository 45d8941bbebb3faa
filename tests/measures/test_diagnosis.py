"""What `summarize --diagnostics` says of saved scores, against the measures themselves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from hidden_context.commands.summarize import main
from hidden_context.distributions import Family, Normal, Point, SharedContext
from hidden_context.likelihood.loss import explained_variance
from hidden_context.measures.diagnosis import diagnose, ensembles, risk_tests
from hidden_context.measures.explained_variance_report import SCALES
from hidden_context.records import CHECKPOINT_RECORD, meta_path, write_json, write_jsonl
from hidden_context.report.text import render_diagnoses
from hidden_context.risk import Risk
from hidden_context.scores.score_files import find_comparisons, find_jailbreaks

NUM_PROMPTS, PER_PROMPT = 30, 3


def save_run(
    data_dir: Path,
    family: Family,
    *,
    name: str = "",
    seed: int = 0,
    size: int = 100,
    **changes: Any,
) -> None:
    """Random scores of the same comparisons, three of each prompt."""
    run = data_dir / f"reward_models/any/both/{family.name}{name}_last_checkpoint"
    rng = np.random.default_rng(seed)
    rows = [
        {
            "prompt": f"prompt {index // PER_PROMPT}",
            "chosen": "x" * (1 + index % 5),
            "rejected": "x" * (1 + index % 3),
            "objective": "helpful",
            "reward_output_chosen": (0.4 + rng.normal(size=family.num_outputs)).tolist(),
            "reward_output_rejected": rng.normal(size=family.num_outputs).tolist(),
            **changes,
        }
        for index in range(NUM_PROMPTS * PER_PROMPT)
    ]
    file = run / "eval_results_both.jsonl"
    write_jsonl(file, rows)
    write_json(meta_path(file), {"families": {"reward_output": family.to_dict()}})
    training = {"num_observations": size, "epochs": 2.0, "steps": 50}
    write_json(run / CHECKPOINT_RECORD, {"training": training})


def save_jailbreaks(data_dir: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {
            "prompt": f"prompt {index}",
            "responses": ["no", "yes"],
            "reward_outputs_both_mean_and_variance": rng.normal(size=(2, 2)).tolist(),
        }
        for index in range(40)
    ]
    write_jsonl(data_dir / "jailbroken_evaluations_mean_and_variance.jsonl", rows)


def test_a_diagnosis_has_every_scale_with_its_interval_and_stopping_rule(tmp_path: Path):
    save_run(tmp_path, Normal())
    (scored,) = find_comparisons(tmp_path)
    found = diagnose([scored], scored)
    assert [report.scale for report in found.explained_variance] == list(SCALES)
    for report in found.explained_variance:
        assert report.low <= report.value <= report.high
        assert report.stopping_rule == "after 2 epochs of 100 observations"
        assert report.num_prompts == NUM_PROMPTS
    both = scored.family.decode(np.concatenate([scored.chosen, scored.rejected]))
    assert found.explained_variance[0].value == pytest.approx(explained_variance(both))


def test_calibration_does_not_depend_on_which_response_is_the_chosen_one(tmp_path: Path):
    """Brier: of both orders, so the mean of (1 - P)² alone."""
    save_run(tmp_path, Normal())
    (scored,) = find_comparisons(tmp_path)
    chosen, rejected = scored.family.decode(scored.chosen), scored.family.decode(scored.rejected)
    prob = chosen.prob_preferred_to(rejected)
    assert diagnose([scored], scored).brier_score == pytest.approx(np.mean((1 - prob) ** 2))


def test_a_distributional_run_stands_against_the_scalar_one_on_the_same_rows(tmp_path: Path):
    save_run(tmp_path, Normal())
    save_run(tmp_path, Point())
    runs = {scored.family.name: scored for scored in find_comparisons(tmp_path)}
    ours = diagnose(list(runs.values()), runs["mean_and_variance"])
    base = diagnose(list(runs.values()), runs["base"])
    assert ours.against_base is not None
    difference = ours.log_likelihood.value - base.log_likelihood.value
    assert ours.against_base.interval.value == pytest.approx(difference)
    assert base.against_base is None
    assert base.explained_variance == ()


def test_runs_on_other_rows_are_not_paired(tmp_path: Path):
    save_run(tmp_path, Normal())
    save_run(tmp_path, Point(), prompt="another")
    runs = {scored.family.name: scored for scored in find_comparisons(tmp_path)}
    assert diagnose(list(runs.values()), runs["mean_and_variance"]).against_base is None


def test_runs_of_one_family_are_an_ensemble(tmp_path: Path):
    for seed in (0, 1, 2):
        save_run(tmp_path, Normal(), name=f"_{seed}", seed=seed)
    (found,) = ensembles(find_comparisons(tmp_path))
    assert (found.family, found.num_runs) == ("mean_and_variance", 3)
    assert found.epistemic > 0
    assert found.aleatoric > 0


def test_a_scalar_run_alone_is_no_ensemble(tmp_path: Path):
    save_run(tmp_path, Point())
    assert ensembles(find_comparisons(tmp_path)) == []


def test_risks_are_tested_against_the_mean_exactly(tmp_path: Path):
    save_jailbreaks(tmp_path)
    (scored,) = find_jailbreaks(tmp_path)
    (found,) = risk_tests(scored, [Risk("quantile", 0.01)])
    safe, unsafe = scored.family.decode(scored.safe), scored.family.decode(scored.unsafe)
    by_risk = safe.quantile(0.01) > unsafe.quantile(0.01)
    by_mean = safe.mean > unsafe.mean
    better, worse = int((by_risk & ~by_mean).sum()), int((~by_risk & by_mean).sum())
    assert (found.test.first_better, found.test.second_better) == (better, worse)
    expected = scipy.stats.binomtest(better, better + worse).pvalue
    assert found.test.p_value == pytest.approx(expected)


def test_two_contexts_are_told_apart_only_within_a_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A shift of one context in both responses changes no rate of any risk, and no r²."""
    save_run(tmp_path, SharedContext())
    arguments = [f"--data_dir={tmp_path}", "--risk", "quantile:0.3", "worst_context"]
    arguments += ["--json", "--diagnostics"]
    found = []
    for shift in (0.0, 5.0):
        file = next(tmp_path.rglob("eval_results_both.jsonl"))
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            for side in ("chosen", "rejected"):
                row[f"reward_output_{side}"][0] += shift
        write_jsonl(file, rows)
        assert main(arguments) == 0
        printed = json.loads(capsys.readouterr().out)
        scales = printed["diagnoses"][0]["explained_variance"][:3]  # ranks compare across prompts
        found.append((printed["comparisons"][0], [report["value"] for report in scales]))
    (summary, r2), (shifted, shifted_r2) = found
    assert set(summary["accuracy"]) == {"mean", "quantile:0.3", "worst_context"}
    assert summary["accuracy"] == shifted["accuracy"]
    assert [summary["r2"], *r2] == pytest.approx([shifted["r2"], *shifted_r2], rel=1e-5)
    assert summary["r2"] == pytest.approx(r2[0], rel=1e-5)


def test_everything_is_printed_and_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_run(tmp_path, Normal())
    save_run(tmp_path, Point(), size=50)
    save_jailbreaks(tmp_path)
    assert main([f"--data_dir={tmp_path}", "--diagnostics"]) == 0
    printed = capsys.readouterr().out
    for words in ("r² within_prompt", "nats per comparison", "length regressed out", "exact p"):
        assert words in printed
    assert "do not compare" not in printed  # of those with an r² there is one
    assert main([f"--data_dir={tmp_path}", "--diagnostics", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["family"] for each in found["diagnoses"]] == ["base", "mean_and_variance"]
    assert len(found["risk_tests"]) == 1


def test_r2_of_runs_that_stopped_otherwise_is_not_to_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save_run(tmp_path, Normal(), name="_a")
    save_run(tmp_path, Normal(), name="_b", size=50)
    assert main([f"--data_dir={tmp_path}", "--diagnostics"]) == 0
    assert "their r² do not compare" in capsys.readouterr().out


def test_jailbreaks_alone_give_no_empty_table(tmp_path: Path):
    save_jailbreaks(tmp_path)
    tests = [
        test
        for scored in find_jailbreaks(tmp_path)
        for test in risk_tests(scored, [Risk("quantile", 0.01)])
    ]
    text = render_diagnoses([], tests, [], "simple")
    assert "exact p" in text
    assert "log-likelihood" not in text


def test_a_run_of_one_prompt_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_run(tmp_path, Normal(), prompt="the same")
    assert main([f"--data_dir={tmp_path}", "--diagnostics"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: mean_and_variance_last_checkpoint has no diagnostics: ")
