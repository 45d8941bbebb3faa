"""audit.json to what the page shows: the numbers written, or the place of what is wrong."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_samples import VERSIONS, audit_of, interval, write_audit

from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.errors import UserError
from hidden_context.report.measured import Estimate
from hidden_context.report.read_audit import read_audit

SETS = ("helpful", "both")


def written(folder: Path, audit: Any) -> Path:
    path = folder / "audit.json"
    path.write_text(json.dumps(audit))
    return path


def as_estimate(found: dict[str, Any]) -> Estimate:
    return Estimate(found["value"], found["low"], found["high"])


def test_numbers_read_are_the_numbers_written(tmp_path: Path):
    audit = audit_of(SETS)
    result = read_audit(written(tmp_path, audit))
    expected = [(each["name"], family) for each in audit["sets"] for family in each["families"]]
    assert len(result.measured) == len(expected) == 6
    for found, (name, family) in zip(result.measured, expected, strict=True):
        assert (found.data_set, found.family) == (name, family["family"]["name"])
        assert found.stopping_rule == family["stopping_rule"]
        for measure in ("log_likelihood", "accuracy", "brier_score", "expected_calibration_error"):
            assert getattr(found, measure) == as_estimate(family[measure])
        against = family["against_base"]
        assert found.against_base == (None if against is None else as_estimate(against))
        for ours, theirs in (
            ("explained_variance",) * 2,
            ("matched", "matched_explained_variance"),
        ):
            assert getattr(found, ours) == {
                report["scale"]: as_estimate(report) for report in family[theirs]
            }
        assert found.matched_size == (16 if family["matched_explained_variance"] else None)
        assert {
            figure: (null.observed, list(null.draws), null.p_value)
            for figure, null in found.nulls.items()
        } == {
            null["figure"]: (null["observed"], null["draws"], null["p_value"])
            for null in family["null"]
        }
        assert [
            (point.passes, point.log_likelihood, dict(point.r2)) for point in found.training_curve
        ] == [
            (each["passes"], each["log_likelihood"], each["r2"])
            for each in family["training_curve"]
        ]
        assert [vars(each) for each in found.reliability] == family["reliability"]
        if family["std"] is None:
            assert found.deviations is None
        else:
            assert found.deviations is not None
            assert list(found.deviations.edges) == family["std"]["edges"]
            assert list(found.deviations.counts) == family["std"]["counts"]


def test_sentences_runs_and_the_representation_are_read(tmp_path: Path):
    result = read_audit(written(tmp_path, audit_of(SETS)))
    assert result.title == "Audit of helpful, both"
    assert result.sentences == {name: ((f"Is there any in {name}?", "Yes."),) for name in SETS}
    assert result.notes[0] == "Vectors: Hashed n-grams (width 512)."
    for run, name in zip(result.runs, SETS, strict=True):
        assert (run.name, run.data_set) == (f"{name}.jsonl", name)
        assert run.family == "base, mean_and_variance, categorical"
        assert "categorical: categorical after 10 steps" in run.stopping_rule
        assert run.counts == {"comparisons": 24, "prompts": 12}
        assert run.configs["audit"]["num_seeds"] == 2
        assert run.provenance == VERSIONS


def test_score_files_lie_beside_the_audit(tmp_path: Path):
    path = write_audit(tmp_path, SETS)
    result = read_audit(path)
    audit = audit_of(SETS)
    expected = [
        (tmp_path / family["scores"], each["name"], family["log_likelihood"]["value"])
        for each in audit["sets"]
        for family in each["families"]
    ]
    found = [(file.path, file.data_set, file.log_likelihood) for file in result.score_files]
    assert found == expected
    assert [file.family for file in result.score_files] == [Point(), Normal(), Categorical()] * 2
    assert len(result.notes) == 1


def test_missing_score_files_become_notes(tmp_path: Path):
    path = write_audit(tmp_path, SETS)
    gone = tmp_path / "both" / "categorical_scores.jsonl"
    gone.unlink()
    result = read_audit(path)
    assert gone not in [file.path for file in result.score_files]
    assert result.notes[1:] == (f"{gone} is missing, so no examples of it are shown.",)


def test_what_an_audit_may_leave_out_is_left_out(tmp_path: Path):
    audit = audit_of(("both",))
    optional = ("scores", "against_base", "std", "null", "training_curve", "reliability")
    for family in audit["sets"][0]["families"]:
        for name in (*optional, "explained_variance", "matched_explained_variance"):
            del family[name]
    del audit["sets"][0]["sentences"]
    result = read_audit(written(tmp_path, audit))
    assert result.score_files == ()
    assert all(not each.explained_variance for each in result.measured)
    assert all(each.matched_size is None for each in result.measured)


# What is refused


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "is not an audit"),
        ("audit", "is not an audit"),
        ({"kind": "summary"}, "is not an audit"),
        ({"kind": "audit"}, "has no field format_version"),
        ({"kind": "audit", "format_version": 2}, "has format_version 2; this version reads 1"),
        ({"kind": "audit", "format_version": "1"}, "field format_version is '1'"),
    ],
)
def test_what_is_no_audit_of_this_version_is_refused(tmp_path: Path, content: Any, told: str):
    with pytest.raises(UserError, match=rf"audit.json:? {told}"):
        read_audit(written(tmp_path, content))


FAMILY = ("sets", 1, "families", 2)
NEEDED = [
    ("config",),
    ("representation",),
    ("representation", "description"),
    ("sets", 0, "name"),
    ("sets", 1, "source"),
    ("sets", 1, "counts"),
    ("sets", 1, "sentences", 0, "question"),
    ("sets", 1, "sentences", 0, "answer"),
    (*FAMILY, "family"),
    (*FAMILY, "family", "name"),
    (*FAMILY, "stopping_rule"),
    (*FAMILY, "log_likelihood"),
    (*FAMILY, "log_likelihood", "low"),
    (*FAMILY, "accuracy"),
    (*FAMILY, "brier_score", "high"),
    (*FAMILY, "expected_calibration_error"),
    (*FAMILY, "against_base", "value"),
    (*FAMILY, "reliability", 3, "num_votes"),
    (*FAMILY, "explained_variance", 1, "scale"),
    (*FAMILY, "explained_variance", 1, "value"),
    (*FAMILY, "matched_explained_variance", 0, "matched_size"),
    (*FAMILY, "null", 1, "figure"),
    (*FAMILY, "null", 1, "draws"),
    (*FAMILY, "training_curve", 2, "passes"),
    (*FAMILY, "training_curve", 2, "r2"),
    (*FAMILY, "std", "edges"),
    (*FAMILY, "std", "counts"),
]


def place_of(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def changed(path: tuple[str | int, ...], change: Callable[[Any, Any], object]) -> dict[str, Any]:
    """A copy of an audit in which `change(parent, last step)` was done."""
    audit = parent = copy.deepcopy(AUDIT)
    for step in path[:-1]:
        parent = parent[step]  # type: ignore[index]
    change(parent, path[-1])
    return audit


AUDIT = audit_of(SETS)


@pytest.mark.parametrize("path", NEEDED, ids=place_of)
def test_a_missing_field_is_told_by_its_place(tmp_path: Path, path: tuple[str | int, ...]):
    audit = changed(path, lambda parent, step: parent.pop(step))
    with pytest.raises(UserError) as caught:
        read_audit(written(tmp_path, audit))
    assert f"audit.json has no field {place_of(path)} (it has" in str(caught.value)


@pytest.mark.parametrize("path", NEEDED, ids=place_of)
def test_a_field_of_another_kind_is_told_by_its_place(tmp_path: Path, path: tuple[str | int, ...]):
    audit = changed(path, lambda parent, step: parent.__setitem__(step, True))
    with pytest.raises(UserError) as caught:
        read_audit(written(tmp_path, audit))
    assert f"audit.json: field {place_of(path)} is 'True'; expected" in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        (*FAMILY, "accuracy", "value"),
        (*FAMILY, "null", 0, "observed"),
        (*FAMILY, "training_curve", 1, "r2", "pooled"),
        (*FAMILY, "std", "counts"),
        (*FAMILY, "reliability", 0, "observed"),
    ],
    ids=place_of,
)
def test_what_is_not_a_number_is_told_by_its_place(tmp_path: Path, path: tuple[str | int, ...]):
    def to_nan(parent: Any, step: Any) -> None:
        parent[step] = [math.nan, 1.0, 2.0] if step == "counts" else math.nan

    with pytest.raises(UserError) as caught:
        read_audit(written(tmp_path, changed(path, to_nan)))
    assert f"field {place_of(path)} is 'nan'; expected a finite number" in str(caught.value)


def test_edges_that_do_not_fit_their_counts_are_refused(tmp_path: Path):
    audit = changed((*FAMILY, "std", "edges"), lambda parent, step: parent[step].pop())
    with pytest.raises(UserError, match=r"std.edges has 3 numbers for 3 counts; expected one more"):
        read_audit(written(tmp_path, audit))


def test_curves_without_the_scale_that_is_told_are_refused(tmp_path: Path):
    path = (*FAMILY, "training_curve", 1, "r2", "pooled")
    audit = changed(path, lambda parent, step: parent.pop(step))
    with pytest.raises(UserError, match=r"has no field .*training_curve\[1\].r2.pooled "):
        read_audit(written(tmp_path, audit))


def test_a_scale_that_is_not_known_is_refused(tmp_path: Path):
    path = (*FAMILY, "explained_variance", 1, "scale")
    audit = changed(path, lambda parent, step: parent.__setitem__(step, "other"))
    with pytest.raises(UserError, match=r"explained_variance\[1\].scale is 'other'"):
        read_audit(written(tmp_path, audit))


def test_an_unknown_family_with_scores_is_refused(tmp_path: Path):
    path = write_audit(
        tmp_path,
        SETS,
        change=lambda audit: audit["sets"][0]["families"][0].update(family={"name": "new"}),
    )
    (tmp_path / "helpful" / "base_scores.jsonl").touch()
    with pytest.raises(UserError, match=r"audit.json: sets\[0\].families\[0\].family: .*'new'"):
        read_audit(path)


def test_an_audit_without_sets_is_refused(tmp_path: Path):
    audit = audit_of(())
    with pytest.raises(UserError, match=r"audit.json has no sets"):
        read_audit(written(tmp_path, audit))


def test_length_and_jailbreaks_are_read_where_they_are(tmp_path: Path):
    audit = audit_of(SETS)
    rate = interval(0.4)
    family = audit["sets"][0]["families"][1]
    family["length"] = {"longer_wins": interval(0.6), "without_length": interval(0.55)}
    family["jailbreaks"] = [
        {"risk": risk, "rate": rate, "without_length": interval(0.3)}
        for risk in ("mean", "quantile:0.01")
    ]
    audit["sets"][0]["longer_is_unsafe"] = interval(0.9)
    result = read_audit(written(tmp_path, audit))
    assert result.measured[1].longer_wins == as_estimate(interval(0.6))
    assert result.measured[1].without_length == as_estimate(interval(0.55))
    assert result.measured[0].longer_wins is None
    assert result.numbers is not None
    assert [row[2] for row in result.numbers.rows] == ["mean", "quantile:0.01"]
    assert result.numbers.rows[0][3].startswith("0.400 (")
    assert result.numbers.rows[0][5].startswith("0.900 (")
    del audit["sets"][0]["longer_is_unsafe"]
    with pytest.raises(UserError, match=r"sets\[0\].longer_is_unsafe"):
        read_audit(written(tmp_path, audit))
