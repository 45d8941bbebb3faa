"""Summaries of both formats; the numbers of the first are compared in test_golden.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from drawn_panels import along_risks, with_r2

from hidden_context.errors import UserError
from hidden_context.records import as_plain
from hidden_context.report.read_summary import read_summary

EVALUATIONS = [along_risks("categorical"), with_r2("mean_and_variance", 0.5, 0.4, 0.6)]


def written(folder: Path, **change: Any) -> Path:
    record = {
        "format_version": 2,
        "risks": ["quantile:0.01"],
        "evaluations": [each.to_dict() for each in EVALUATIONS],
        "missing": ["a file"],
    }
    path = folder / "summary.json"
    path.write_text(json.dumps(as_plain({**record, **change})))
    return path


def test_evaluations_read_are_those_written(tmp_path: Path):
    result = read_summary(written(tmp_path))
    assert list(result.evaluations) == EVALUATIONS
    assert result.notes == ("Not found by summarize: a file.",)
    assert result.numbers is not None
    assert result.numbers.headers[2:] == (
        "r², pooled",
        *("jailbreak rate, mean", "jailbreak rate, quantile:0.01"),
        *("accuracy on helpfulness, mean", "accuracy on helpfulness, quantile:0.01"),
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format_version": 3}, "format_version 3"),
        ({"evaluations": 3}, "TypeError"),
        ({"risks": 3}, "TypeError"),
        ({"evaluations": [{"name": "a"}]}, "field family"),
        ({"evaluations": [{"family": {"name": "new"}}]}, "field family"),
        (
            {"evaluations": [{"family": {"name": "base"}, "log_likelihood": {"value": "-1"}}]},
            "field log_likelihood.value is '-1'",
        ),
        ({"format_version": 1}, "KeyError 'comparisons'"),
        ({"format_version": 1, "comparisons": [{"run": "a"}], "jailbreaks": []}, "KeyError"),
    ],
)
def test_what_is_damaged_is_told_by_file_and_place(
    tmp_path: Path, change: dict[str, Any], told: str
):
    with pytest.raises(UserError, match=rf"summary.json.*{told}"):
        read_summary(written(tmp_path, **change))


def test_what_is_no_object_is_no_summary(tmp_path: Path):
    path = tmp_path / "summary.json"
    path.write_text("[]")
    with pytest.raises(UserError, match="no JSON object"):
        read_summary(path)
