"""audit.json to what the page shows; its numbers are compared in test_golden.py."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_samples import VERSIONS, audit_of, write_audit

from hidden_context.errors import UserError
from hidden_context.report.read_audit import read_audit

SETS = ("helpful", "both")
AUDIT = audit_of(SETS)


def written(folder: Path, change: Callable[[Any], object] = lambda audit: None) -> Path:
    audit = copy.deepcopy(AUDIT)
    change(audit)
    path = folder / "audit.json"
    path.write_text(json.dumps(audit))
    return path


def test_sentences_runs_and_the_representation_are_read(tmp_path: Path):
    result = read_audit(written(tmp_path))
    assert result.title == "Audit of helpful, both"
    assert list(result.sentences) == list(SETS)
    for sentences in result.sentences.values():
        assert sentences[0][0] == "Can these vectors predict who wins?"
    assert result.notes[0] == "Vectors: Hashed n-grams (width 512)."
    for run, name in zip(result.runs, SETS, strict=True):
        assert (run.name, run.data_set) == (f"{name}.jsonl", name)
        assert run.family == "base, mean_and_variance, categorical"
        assert "categorical: categorical after 10 steps" in run.stopping_rule
        assert list(run.settings) == ["counts", "audit", "made by"]
        assert run.settings["audit"] == AUDIT["config"]
        assert run.settings["made by"] == VERSIONS


def test_score_files_that_are_missing_are_told(tmp_path: Path):
    path = write_audit(tmp_path, SETS)
    (tmp_path / "both" / "base_scores.jsonl").unlink()
    result = read_audit(path)
    assert len(result.examples) == 5
    assert "base_scores.jsonl is missing, so no examples of it are shown." in result.notes[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda audit: audit.pop("kind"), "no field kind"),
        (
            lambda audit: audit.update(kind="comparisons"),
            "holds no audit: its kind is 'comparisons'",
        ),
        (lambda audit: audit.update(format_version=99), "format_version 99"),
        (lambda audit: audit.update(sets=[]), "has no sets"),
        (lambda audit: audit.pop("sets"), "KeyError 'sets'"),
        (lambda audit: audit.update(config=3, sets=7), "TypeError"),
        (lambda audit: audit["sets"][1].pop("source"), "KeyError 'source'"),
        (lambda audit: audit["sets"][0]["families"][1].pop("accuracy"), "KeyError 'accuracy'"),
        (
            lambda audit: audit["sets"][0]["families"][1].update(family={"name": "new"}),
            "set helpful: field evaluations.1.family .*'new'",
        ),
        (
            lambda audit: audit["sets"][1]["families"][1]["accuracy"].update(value="0.5"),
            "set both: field evaluations.1.accuracy.mean.value is '0.5'",
        ),
        (
            lambda audit: audit["sets"][1]["families"][1]["explained_variance"][0].pop("value"),
            "field evaluations.1.explained_variance.pooled.value",
        ),
        (
            lambda audit: audit["sets"][1]["families"][1]["std"].update(counts=["a"]),
            "field evaluations.1.std.counts.0 is 'a'",
        ),
        (
            lambda audit: audit["sets"][1]["families"][0]["reliability"][0].update(observed=None),
            "field evaluations.0.reliability.0.observed",
        ),
    ],
)
def test_what_is_damaged_is_told_by_file_and_place(
    tmp_path: Path, change: Callable[[Any], object], told: str
):
    with pytest.raises(UserError, match=rf"audit.json.*{told}"):
        read_audit(written(tmp_path, change))


def test_an_audit_without_parts_that_came_later_is_read(tmp_path: Path):
    def reduce(audit: Any) -> None:
        for family in audit["sets"][0]["families"]:
            for name in ("matched_explained_variance", "null", "training_curve", "std", "scores"):
                del family[name]

    result = read_audit(written(tmp_path, reduce))
    assert result.evaluations[1].null == ()
    assert result.evaluations[1].std is None
