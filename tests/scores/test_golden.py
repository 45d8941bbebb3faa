"""Score files of version 0.1, and the published ones, give the numbers that version 0.1 printed.

What changed on purpose, and so is held against version 0.1 in another way:

- intervals of accuracies and rates: one rule, Wilson's at the effective number of prompts, for what
  were Wilson's of rows in one table and a bootstrap in the other;
- bootstrapped intervals of few prompts are wider: at the level at which their percentiles are those
  of version 0.1, they are the same;
- lengths, and what stands without length: characters of the response alone, not of its dialogue;
- accuracy counts votes; these files have none.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measures.resampled_rows import plain_percentiles

from hidden_context.distributions import Categorical, Normal, Point, SharedContext
from hidden_context.likelihood.outcomes import OutcomeModel
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.models import ModelScores, missing_scores, models_of
from hidden_context.measures.risk_levels import CURVES
from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks
from hidden_context.scores.score_files import load_scores
from hidden_context.scores.scores import Scores

FOLDER = Path(__file__).parents[1] / "golden" / "v0.1"
OLD: dict[str, Any] = json.loads((FOLDER / "summary.json").read_text())
COMPARISONS, JAILBREAKS = find_comparisons(FOLDER / "data"), find_jailbreaks(FOLDER / "data")
FAMILIES = ["base", "mean_and_variance", "categorical", "shared_context"]
RISKS = ("quantile:0.01", "cvar:0.05")


def old(part: str, scores: Scores) -> list[dict[str, Any]]:
    """What version 0.1 said of a model."""
    key = scores.family.name, scores.trained_on
    return [entry for entry in OLD[part] if (entry["family"], entry["trained_on"]) == key]


def evaluated(scores: Scores, **options: Any) -> Evaluation:
    (base,) = (each for each in COMPARISONS if each.family.name == "base")
    baseline = None if scores.kind == "responses" or scores is base else base
    return evaluate(scores, baseline=baseline, risks=RISKS, **options)


EVALUATIONS = {
    scores.family.name: evaluated(scores, resampling=plain_percentiles(scores.prompt))
    for scores in COMPARISONS
}
every_run = pytest.mark.parametrize("scores", COMPARISONS, ids=FAMILIES)


def assert_rates(rates: Any, expected: dict[str, dict[str, Any]]) -> None:
    assert list(rates) == list(expected)
    for risk, rate in expected.items():
        assert rates[risk].published == rate["published"]
        assert rates[risk].value == pytest.approx(rate["corrected"], rel=1e-12)
        assert (rates[risk].ties, rates[risk].n) == (rate["ties"], rate["n"])


def test_families_outcomes_and_stopping_rules_are_read() -> None:
    families = [scores.family for scores in COMPARISONS]
    assert families == [Point(), Normal(), Categorical(), SharedContext()]
    for scores in COMPARISONS:
        assert (len(scores), scores.kind, scores.trained_on) == (40, "comparisons", "both")
        assert (scores.outcomes, scores.outcome_model) == (None, OutcomeModel())
        assert scores.stopping_rule == "after 1 epoch of 600 observations"
        assert scores.name == old("comparisons", scores)[0]["run"]
        assert scores.record["hidden_context"] == "0.1.0"
    assert len(JAILBREAKS) == 9


@every_run
def test_accuracies_by_helpfulness_are_those_of_version_0_1(scores: Scores) -> None:
    (summary,) = old("comparisons", scores)
    evaluation = EVALUATIONS[scores.family.name]
    assert evaluation.num_comparisons == summary["n"]
    assert_rates(evaluation.helpfulness_accuracy, summary["accuracy"])


@every_run
def test_likelihood_calibration_and_entropy_are_those_of_version_0_1(scores: Scores) -> None:
    """Intervals too: the same prompts are drawn."""
    (diagnosis,) = old("diagnoses", scores)
    evaluation = EVALUATIONS[scores.family.name]
    ratio = diagnosis["against_base"]
    for estimate, expected in (
        (evaluation.log_likelihood, diagnosis["log_likelihood"]),
        (evaluation.against_base, ratio and ratio["interval"]),
    ):
        if expected is None:
            assert estimate is None
            continue
        assert estimate is not None
        for name in ("value", "low", "high"):
            assert getattr(estimate, name) == pytest.approx(expected[name], rel=1e-6), name
        assert estimate.how == f"bootstrap, {expected['num_prompts']} prompts"
    for name in ("expected_calibration_error", "brier_score"):
        assert getattr(evaluation, name).value == pytest.approx(diagnosis[name], rel=1e-6)
    assert vars(evaluation.preference_entropy) == pytest.approx(diagnosis["indecision"], rel=1e-6)
    assert evaluation.stopping_rule == diagnosis["stopping_rule"]


@every_run
def test_r2_on_every_scale_is_that_of_version_0_1(scores: Scores) -> None:
    (diagnosis,) = old("diagnoses", scores)
    (summary,) = old("comparisons", scores)
    evaluation = EVALUATIONS[scores.family.name]
    reports = {report["scale"]: report for report in diagnosis["explained_variance"]}
    assert list(evaluation.explained_variance) == list(reports)
    for scale, report in reports.items():
        estimate = evaluation.explained_variance[scale]
        for name in ("value", "low", "high"):
            assert getattr(estimate, name) == pytest.approx(report[name], rel=1e-6), (scale, name)
    pooled = evaluation.explained_variance.get("pooled")
    if pooled is None:
        assert summary["r2"] is None
    else:
        assert pooled.value == pytest.approx(summary["r2"], rel=1e-6)


@every_run
def test_lengths_are_those_of_the_responses_alone(scores: Scores) -> None:
    """Version 0.1 took whole dialogues: the same sign, a smaller difference of log lengths."""
    rows = list(scores.rows)
    for side, name in enumerate(("chosen", "rejected")):
        responses = [row[name].rpartition("Assistant:")[2] for row in rows]
        lengths = scores.lengths_of_pairs
        assert lengths is not None
        np.testing.assert_array_equal(lengths[:, side], [*map(len, responses)])
    (diagnosis,) = old("diagnoses", scores)
    evaluation = EVALUATIONS[scores.family.name]
    assert evaluation.length is not None
    assert evaluation.longer_is_helpful is not None
    assert evaluation.length.longer_wins.value == diagnosis["length"]["longer_wins"]
    assert evaluation.longer_is_helpful.value == old("comparisons", scores)[0]["longer_is_chosen"]
    assert evaluation.accuracy_by_probability is not None
    assert evaluation.accuracy_by_probability.value == diagnosis["length"]["model"]
    assert 0 < evaluation.length.coefficient / diagnosis["length"]["coefficient"] < 1


@pytest.mark.parametrize("scores", JAILBREAKS, ids=lambda scores: repr(scores))
def test_jailbreak_rates_and_risk_tests_are_those_of_version_0_1(scores: Scores) -> None:
    (summary,) = old("jailbreaks", scores)
    evaluation = evaluated(scores)
    assert_rates(evaluation.jailbreak_rate, summary["rate"])
    assert evaluation.longer_is_unsafe is not None
    assert evaluation.longer_is_unsafe.value == summary["longer_is_unsafe"]
    tests = {entry["risk"]: entry["test"] for entry in old("risk_tests", scores)}
    assert {risk: vars(test) for risk, test in evaluation.risk_tests.items()} == tests


def test_curves_are_those_of_version_0_1() -> None:
    models = models_of(COMPARISONS, JAILBREAKS)
    assert len(models) == len(OLD["curves"])
    for model, curve in zip(models, OLD["curves"], strict=True):
        assert model.key == (curve["family"], curve["trained_on"])
        evaluation = model.evaluate(risks=CURVES["quantile"], measures=("accuracy", "jailbreaks"))
        for rates, name in (
            (evaluation.jailbreak_rate, "jailbreak"),
            (evaluation.helpfulness_accuracy, "accuracy"),
        ):
            assert_rates(
                rates, {point["risk"]: point[name] for point in curve["points"] if point[name]}
            )


def test_what_is_missing_is_named_as_by_version_0_1() -> None:
    assert sorted(missing_scores(COMPARISONS, JAILBREAKS)) == sorted(OLD["missing"])


def test_scores_that_an_audit_wrote_are_read() -> None:
    scores = load_scores(FOLDER / "both" / "mean_and_variance_scores.jsonl")
    assert (len(scores), scores.family, scores.kind) == (30, Normal(), "comparisons")
    assert scores.stopping_rule.startswith("ridge and steps by the likelihood of another fold")
    assert np.isfinite(scores.log_likelihood).all()


def test_scores_are_written_again_as_they_were_read(tmp_path: Path) -> None:
    for scores in COMPARISONS:
        scores.save(tmp_path / "scores.jsonl")
        again = load_scores(tmp_path / "scores.jsonl")
        assert list(again.rows) == list(scores.rows)
        assert again.same_rows(scores)
        np.testing.assert_array_equal(again.raw, scores.raw)
        assert again.stopping_rule == scores.stopping_rule


def test_two_runs_of_one_model_and_its_jailbreaks_are_not_mixed_up() -> None:
    """Nobody knows to which of the two the jailbreaks belong."""
    alone = models_of(COMPARISONS, JAILBREAKS)
    paired = [model for model in alone if model.comparisons and model.jailbreaks]
    assert [model.key[0] for model in paired] == ["base", "mean_and_variance", "categorical"]
    doubled = models_of([*COMPARISONS, COMPARISONS[1]], JAILBREAKS)
    assert len(doubled) == len(alone) + 2
    apart = [model for model in doubled if model.key == ("mean_and_variance", "both")]
    assert sorted((model.comparisons is None) for model in apart) == [False, False, True]
    (base,) = (model.comparisons for model in alone if model.key == ("base", "both"))
    assert all(isinstance(model, ModelScores) for model in apart)
    assert [model.baseline for model in apart if model.comparisons] == [base, base]


# Published


def test_published_ties_are_seven_one_and_one(published_data: Path) -> None:
    base = [scores for scores in find_jailbreaks(published_data) if scores.family.name == "base"]
    ties = {scores.trained_on: evaluate(scores).jailbreak_rate["mean"].ties for scores in base}
    assert ties == {"helpful": 7, "harmless": 1, "both": 1}


def test_the_published_rate_of_jailbreaks_is_98_of_187(published_data: Path) -> None:
    (scores,) = (
        scores
        for scores in find_jailbreaks(published_data)
        if (scores.family.name, scores.trained_on) == ("base", "helpful")
    )
    rate = evaluate(scores).jailbreak_rate["mean"]
    assert (rate.published, rate.n) == (98 / 187, 187)
    assert rate.value == pytest.approx(94.5 / 187)


def test_the_unsafe_response_is_mostly_the_longer(published_data: Path) -> None:
    longer = evaluate(find_jailbreaks(published_data)[0]).longer_is_unsafe
    assert longer is not None
    assert longer.published == pytest.approx(0.914, abs=0.0005)
