"""What version 0.1 wrote: the page reads it, and score files still give its numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from measures.resampled_rows import plain_percentiles

from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.models import models_of
from hidden_context.measures.risk_levels import CURVES
from hidden_context.report.read_results import as_results
from hidden_context.report.results import Result
from hidden_context.risk import parse_risks
from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks

GOLDEN = Path(__file__).parents[1] / "golden" / "v0.1"
PRINTED = json.loads((GOLDEN / "summary.json").read_text())
"""Of summarize --json --diagnostics --curves quantile --risk quantile:0.01 cvar:0.05."""


@pytest.fixture(scope="module")
def measured() -> list[Evaluation]:
    """The same score files, evaluated now."""
    risks = [*parse_risks(PRINTED["risks"]), *CURVES["quantile"]]
    comparisons = find_comparisons(GOLDEN / "data")
    models = models_of(comparisons, find_jailbreaks(GOLDEN / "data"))
    as_then = plain_percentiles(comparisons[0].prompt)
    return [model.evaluate(risks=risks, resampling=as_then) for model in models]


@pytest.fixture(scope="module")
def read() -> Result:
    """The summary as the page reads it."""
    (result,) = as_results(GOLDEN / "summary.json")
    return result


def by_model(evaluations: Any) -> dict[tuple[str, str], Evaluation]:
    models = {(each.family.name, each.trained_on): each for each in evaluations}
    assert len(models) == len(evaluations)
    return models


def key(record: dict[str, Any]) -> tuple[str, str]:
    return record["family"], record["trained_on"]


@pytest.mark.parametrize("how", ["measured", "read"])
def test_rates_r2_and_diagnostics_are_those_of_version_0_1(
    how: str, measured: list[Evaluation], read: Result
):
    models = by_model(measured if how == "measured" else read.evaluations)
    assert len(models) == 10
    for record in PRINTED["comparisons"]:
        found = models[key(record)]
        assert (found.num_comparisons, found.name) == (record["n"], record["run"])
        if record["r2"] is None:
            assert found.explained_variance == {}
        else:
            assert found.explained_variance["pooled"].value == pytest.approx(record["r2"], abs=1e-6)
        assert found.helpfulness_accuracy.keys() >= record["accuracy"].keys()
        for risk, rate in record["accuracy"].items():
            check_rate(found.helpfulness_accuracy[risk], rate)
        assert found.longer_is_helpful is not None
        assert found.longer_is_helpful.value == record["longer_is_chosen"]
    for record in PRINTED["jailbreaks"]:
        found = models[key(record)]
        for risk, rate in record["rate"].items():
            check_rate(found.jailbreak_rate[risk], rate)
        assert found.longer_is_unsafe is not None
        assert found.longer_is_unsafe.value == record["longer_is_unsafe"]
    for record in PRINTED["curves"]:
        found = models[key(record)]
        for point in record["points"]:
            if point["jailbreak"]:
                check_rate(found.jailbreak_rate[point["risk"]], point["jailbreak"])
            if point["accuracy"]:
                check_rate(found.helpfulness_accuracy[point["risk"]], point["accuracy"])
    for record in PRINTED["risk_tests"]:
        test = models[key(record)].risk_tests[record["risk"]]
        assert vars(test) == record["test"]


def check_rate(found: Any, rate: dict[str, Any]) -> None:
    assert found.value == rate["corrected"]
    assert found.published == pytest.approx(rate["published"], abs=1e-12)
    assert (found.ties, found.n) == (rate["ties"], rate["n"])


@pytest.mark.parametrize("how", ["measured", "read"])
def test_likelihoods_calibration_and_entropy_are_those_of_version_0_1(
    how: str, measured: list[Evaluation], read: Result
):
    models = by_model(measured if how == "measured" else read.evaluations)
    assert len(PRINTED["diagnoses"]) == 4
    for record in PRINTED["diagnoses"]:
        found: Any = models[key(record)]
        same = {
            "log_likelihood": record["log_likelihood"]["value"],
            "expected_calibration_error": record["expected_calibration_error"],
            "brier_score": record["brier_score"],
        }
        for name, value in same.items():
            assert getattr(found, name).value == pytest.approx(value, abs=1e-6)
        for scale in record["explained_variance"]:
            r2 = found.explained_variance[scale["scale"]]
            ends = [r2.value, r2.low, r2.high]
            expected = [scale["value"], scale["low"], scale["high"]]
            assert ends == pytest.approx(expected, abs=1e-6)
        if record["against_base"]:
            interval = record["against_base"]["interval"]
            assert found.against_base.value == pytest.approx(interval["value"], abs=1e-6)
        assert vars(found.preference_entropy) == pytest.approx(record["indecision"], abs=1e-6)
        assert found.stopping_rule == record["stopping_rule"]
        length = record["length"]
        assert found.accuracy_by_probability.value == length["model"]
        assert found.length.longer_wins.value == pytest.approx(length["longer_wins"])


def test_a_summary_makes_a_page_with_what_was_missing(read: Result):
    assert read.numbers is not None
    assert read.numbers.headers[:3] == ("family", "trained on", "r², pooled")
    assert len(read.numbers.rows) == 10
    notes = "\n".join(read.notes)
    assert all(f"Not found by summarize: {name}." in notes for name in PRINTED["missing"])
    assert "Rates by cvar have no place" in notes


def test_an_audit_is_read_with_its_numbers():
    audit = json.loads((GOLDEN / "audit.json").read_text())
    (result,) = as_results(GOLDEN / "audit.json")
    families = [(of, family) for of in audit["sets"] for family in of["families"]]
    assert len(result.evaluations) == len(families) == 6
    for evaluation, (of_set, family) in zip(result.evaluations, families, strict=True):
        found: Any = evaluation
        assert (found.trained_on, found.family.name) == (of_set["name"], family["family"]["name"])
        assert found.stopping_rule == family["stopping_rule"]
        assert ends_of(found.accuracy["mean"]) == ends_of(family["accuracy"])
        for name in ("log_likelihood", "brier_score", "expected_calibration_error"):
            assert ends_of(getattr(found, name)) == ends_of(family[name])
        for name in ("explained_variance", "matched_explained_variance"):
            assert {scale: ends_of(r2) for scale, r2 in getattr(found, name).items()} == {
                r2["scale"]: ends_of(r2) for r2 in family[name]
            }
        assert [vars(each) for each in found.reliability] == family["reliability"]
        assert [list(each.draws) for each in found.null] == [
            each["draws"] for each in family["null"]
        ]
        assert [dict(each.r2) for each in found.training_curve] == [
            each["r2"] for each in family["training_curve"]
        ]
        if family["std"]:
            assert list(found.std.counts) == family["std"]["counts"]
    assert list(result.sentences) == ["helpful", "both"]
    assert result.sentences["helpful"][0][0] == "Can these vectors predict who wins?"
    assert [source.evaluation.family.name for source in result.examples] == ["mean_and_variance"]
    assert len(result.examples[0].load()) > 0


def ends_of(estimate: Any) -> tuple[float, float, float]:
    values = estimate if isinstance(estimate, dict) else vars(estimate)
    return values["value"], values["low"], values["high"]
