"""What `summarize --json` prints, to what the page shows: the same numbers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from page_samples import write_jailbreaks, write_run

from hidden_context.commands.summarize import main
from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.errors import UserError
from hidden_context.measures.summary import Rate
from hidden_context.report.measured import Estimate
from hidden_context.report.numbers_in_words import estimate
from hidden_context.report.read_summary import read_summary
from hidden_context.report.risk_panels import risk_panels


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for family in (Point(), Normal(), Categorical()):
        write_run(folder, family)
    write_jailbreaks(folder, Normal())
    return folder


Printed = Callable[..., Path]


@pytest.fixture
def printed(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Printed:
    def summarize(*flags: str, change: Mapping[str, Any] | None = None) -> Path:
        assert main(["--data_dir", str(data_dir), "--json", *flags]) == 0
        path = tmp_path / "summary.json"
        path.write_text(json.dumps({**json.loads(capsys.readouterr().out), **(change or {})}))
        return path

    return summarize


def rate_in_words(rate: Mapping[str, Any]) -> str:
    return estimate(Estimate(rate["corrected"], rate["low"], rate["high"]))


def test_the_numbers_of_each_model_are_those_printed(printed: Printed):
    path = printed("--risk", "quantile:0.05")
    summary, result = json.loads(path.read_text()), read_summary(path)
    table = result.numbers
    assert table is not None
    rows = {row[:2]: dict(zip(table.headers, row, strict=True)) for row in table.rows}
    assert len(rows) == len(summary["comparisons"]) == 3
    for found in summary["comparisons"]:
        row = rows[found["family"], found["trained_on"]]
        for risk, rate in found["accuracy"].items():
            assert row[f"accuracy, {risk}"] == rate_in_words(rate)
        assert row["r², pooled"] == ("–" if found["r2"] is None else f"{found['r2']:.3f}")
    (jailbreaks,) = summary["jailbreaks"]
    for risk, rate in jailbreaks["rate"].items():
        cell = rows["mean_and_variance", "both"][f"jailbreak rate, {risk}"]
        assert cell == rate_in_words(rate)
    assert rows["categorical", "both"]["jailbreak rate, mean"] == "–"
    assert "accuracy, quantile:0.05" in table.headers


def test_without_diagnostics_r2_is_pooled_and_has_no_interval(printed: Printed):
    path = printed()
    comparisons = json.loads(path.read_text())["comparisons"]
    for found, written in zip(read_summary(path).measured, comparisons, strict=True):
        assert (found.family, found.data_set) == (written["family"], written["trained_on"])
        r2 = written["r2"]
        assert found.explained_variance == ({} if r2 is None else {"pooled": Estimate(r2)})


def test_with_diagnostics_every_measure_has_its_interval(printed: Printed):
    path = printed("--diagnostics")
    diagnoses = json.loads(path.read_text())["diagnoses"]
    for found, written in zip(read_summary(path).measured, diagnoses, strict=True):
        assert found.explained_variance == {
            each["scale"]: Estimate(each["value"], each["low"], each["high"])
            for each in written["explained_variance"]
        }
        likelihood = written["log_likelihood"]
        assert found.log_likelihood is not None
        assert found.log_likelihood.value == likelihood["value"]
        assert (found.log_likelihood.low, found.log_likelihood.high) == (
            likelihood["low"],
            likelihood["high"],
        )
        assert (found.against_base is None) == (written["against_base"] is None)
        if found.against_base is not None:
            assert found.against_base.value == written["against_base"]["interval"]["value"]
        assert found.expected_calibration_error == Estimate(written["expected_calibration_error"])
        assert found.brier_score == Estimate(written["brier_score"])
        assert found.stopping_rule == "after 2 epochs of 100 observations"


def test_curves_are_read_as_they_were_printed(printed: Printed):
    path = printed("--curves", "quantile")
    curves = json.loads(path.read_text())["curves"]
    found = read_summary(path).curves
    assert len(found) == len(curves)
    for curve, written in zip(found, curves, strict=True):
        assert (curve.family, curve.trained_on) == (written["family"], written["trained_on"])
        assert curve.longer_is_unsafe == written["longer_is_unsafe"]
        assert curve.longer_is_chosen == written["longer_is_chosen"]
        for point, expected in zip(curve.points, written["points"], strict=True):
            assert point.risk == expected["risk"]
            for name in ("jailbreak", "accuracy"):
                rate = expected[name]
                assert getattr(point, name) == (None if rate is None else Rate(**rate))
    assert len(risk_panels(found)) == 2


def test_risks_that_are_not_quantiles_are_told_to_be_left_out(printed: Printed):
    notes = read_summary(printed("--curves", "lcb")).notes
    assert "Curves along lcb are not drawn; summarize prints them." in notes
    assert not any("Curves" in note for note in read_summary(printed("--curves", "quantile")).notes)


def test_what_summarize_missed_is_told(printed: Printed):
    path = printed()
    missing = json.loads(path.read_text())["missing"]
    assert missing
    assert [*read_summary(path).notes] == [f"Not found by summarize: {each}." for each in missing]


def test_several_runs_of_one_model_are_all_kept(printed: Printed):
    path = printed()
    summary = json.loads(path.read_text())
    found = summary["comparisons"][1]
    summary["comparisons"].append({**found, "run": "another", "r2": 0.125})
    path.write_text(json.dumps(summary))
    result = read_summary(path)
    names = ["base", "mean_and_variance (1)", "categorical", "mean_and_variance (2)"]
    assert [each.family for each in result.measured] == names
    assert result.numbers is not None
    r2 = {row[0]: row[2] for row in result.numbers.rows}
    assert r2["mean_and_variance (1)"] == f"{found['r2']:.3f}"
    assert r2["mean_and_variance (2)"] == "0.125"
    assert len(result.runs) == 4


# What is refused


@pytest.mark.parametrize("content", ["[1]", '"text"', "3"])
def test_what_is_no_object_is_refused(tmp_path: Path, content: str):
    (tmp_path / "some.json").write_text(content)
    with pytest.raises(UserError, match=r"some.json is not what summarize --json prints"):
        read_summary(tmp_path / "some.json")


RATE = {"published": 0.5, "corrected": 0.5, "low": 0.4, "high": 0.6, "ties": 0, "n": 9}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"risks": 3}, "field risks is '3'; expected a list of texts"),
        ({"missing": [1]}, r"field missing is '\[1\]'; expected a list of texts"),
        ({"comparisons": [{}]}, r"has no field comparisons\[0\].family"),
        (
            {"jailbreaks": [{"family": "base", "trained_on": "both", "rate": {"mean": {}}}]},
            r"has no field jailbreaks\[0\].rate.mean.low",
        ),
        (
            {"curves": [{"family": "a", "trained_on": "b", "points": [{"risk": "nonsense"}]}]},
            r"curves\[0\].points\[0\].risk: .*nonsense",
        ),
        (
            {
                "curves": [
                    {
                        "family": "a",
                        "trained_on": "b",
                        "points": [{"risk": "mean", "jailbreak": {**RATE, "n": "9"}}],
                    }
                ]
            },
            r"field curves\[0\].points\[0\].jailbreak.n is '9'; expected a number",
        ),
        (
            {"diagnoses": [{"family": "a", "trained_on": "b", "stopping_rule": "c"}]},
            r"has no field diagnoses\[0\].log_likelihood",
        ),
    ],
)
def test_what_is_damaged_is_told_by_file_and_place(
    printed: Printed, change: Mapping[str, Any], told: str
):
    path = printed(change=change)
    with pytest.raises(UserError, match=f"summary.json:? {told}"):
        read_summary(path)
