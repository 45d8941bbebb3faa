"""What is found below paths: every kind of result once, by the names that our commands write."""

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
from hidden_context.records import meta_path, write_json, write_jsonl
from hidden_context.report.result_files import ResultFiles, find_results
from hidden_context.scores.data_dir import evaluations_in, jailbreak_files_in

SUMMARY = {"risks": ["quantile:0.01"], "comparisons": [], "jailbreaks": [], "missing": []}


def write_synthetic(folder: Path) -> Path:
    write_json(folder / "metrics.json", {"models": {}})
    (folder / "curves.npz").write_bytes(b"arrays")
    return folder


def of_evaluate(path: Path) -> Path:
    return write_scores(path, Normal(), comparison_rows(Normal(), num_rows=2))


def everything(folder: Path) -> ResultFiles:
    """One of each kind, in folders below."""
    write_json(folder / "f" / "summary.json", SUMMARY)
    write_run(folder / "b", Normal())
    write_jailbreaks(folder / "b", Normal())
    return ResultFiles(
        audits=[write_audit(folder / "a" / "deeper", ["both"])],
        data_dirs=[folder / "b"],
        comparisons=[of_evaluate(folder / "c" / "mine.jsonl")],
        responses=[write_responses(folder / "d" / "said.jsonl", Point(), "reward_outputs_x")],
        summaries=[folder / "f" / "summary.json"],
        synthetic=[write_synthetic(folder / "e")],
    )


def test_a_folder_is_searched_for_results_of_every_kind(tmp_path: Path):
    expected = everything(tmp_path)
    assert find_results([tmp_path]) == expected


def test_what_is_found_twice_counts_once_under_any_name(tmp_path: Path):
    expected = everything(tmp_path)
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "link.json").symlink_to(tmp_path / "f" / "summary.json")
    again = [
        tmp_path,
        tmp_path / "b" / ".." / "f",
        tmp_path / "g" / "link.json",
        tmp_path / "a" / "deeper" / "audit.json",
        tmp_path / "e" / "metrics.json",
        tmp_path / "e" / "curves.npz",
    ]
    assert find_results(again) == expected


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/deeper/audit.json", "audits"),
        ("c/mine.jsonl", "comparisons"),
        ("d/said.jsonl", "responses"),
        ("f/summary.json", "summaries"),
    ],
)
def test_a_named_file_is_recognised_by_what_it_holds(tmp_path: Path, path: str, kind: str):
    everything(tmp_path)
    moved = tmp_path / "elsewhere" / f"other{Path(path).suffix}"
    moved.parent.mkdir()
    for old, new in ((tmp_path / path, moved), (meta_path(tmp_path / path), meta_path(moved))):
        if old.is_file():
            old.rename(new)
    assert find_results([moved]) == ResultFiles(**{kind: [moved]})


def test_either_file_of_a_synthetic_experiment_stands_for_its_folder(tmp_path: Path):
    folder = write_synthetic(tmp_path / "e")
    for name in ("metrics.json", "curves.npz"):
        assert find_results([folder / name]) == ResultFiles(synthetic=[folder])


def test_metrics_without_curves_are_no_experiment(tmp_path: Path):
    write_json(tmp_path / "metrics.json", {})
    with pytest.raises(UserError, match="no results"):
        find_results([tmp_path])


# Score files that are part of something


def test_an_audit_and_a_data_folder_own_their_score_files(tmp_path: Path):
    write_audit(tmp_path / "audit", ["both", "helpful"])
    write_run(tmp_path / "data", Normal())
    write_jailbreaks(tmp_path / "data", Normal())
    found = find_results([tmp_path])
    assert (found.comparisons, found.responses) == ([], [])
    assert len(found.audits) == len(found.data_dirs) == 1


def test_a_score_file_of_an_audit_that_is_named_itself_is_shown_itself(tmp_path: Path):
    audit = write_audit(tmp_path, ["both"])
    scores = tmp_path / "both" / "categorical_scores.jsonl"
    assert find_results([scores]).comparisons == [scores]
    found = find_results([audit, scores])
    assert (found.audits, found.comparisons) == ([audit], [scores])


def test_score_files_beside_an_audit_that_are_not_its_own_are_kept(tmp_path: Path):
    audit = write_audit(tmp_path, ["both"])
    other = of_evaluate(tmp_path / "eval_results.jsonl")
    found = find_results([tmp_path])
    assert (found.audits, found.comparisons) == ([audit], [other])


def test_a_data_folder_is_what_summarize_reads(tmp_path: Path):
    runs = [
        write_run(tmp_path, family, trained_on=trained_on)
        for trained_on in ("helpful", "both")
        for family in (Categorical(), Point())
    ]
    write_run(tmp_path, Normal(), trained_on="another")
    write_jailbreaks(tmp_path, Categorical())
    found = [(file.parent.parent.name, file.parent.name) for file, _ in evaluations_in(tmp_path)]
    names = ("base_last_checkpoint", "categorical_last_checkpoint")
    assert found == [(trained_on, name) for trained_on in ("helpful", "both") for name in names]
    assert {file for file, _ in evaluations_in(tmp_path)} == set(runs)
    assert all(file.parent.parent.name == name for file, name in evaluations_in(tmp_path))
    jailbreaks = [tmp_path / "jailbroken_evaluations_categorical.jsonl"]
    assert jailbreak_files_in(tmp_path) == jailbreaks


def test_jailbreaks_alone_make_a_data_folder(tmp_path: Path):
    write_jailbreaks(tmp_path, Point())
    assert find_results([tmp_path]) == ResultFiles(data_dirs=[tmp_path])


# What is refused


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere does not exist; give files or folders"):
        find_results([tmp_path / "nowhere"])


def test_a_folder_without_results_is_refused_with_what_is_looked_for(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("nothing")
    write_json(tmp_path / "other.json", {"kind": "something else"})
    write_jsonl(tmp_path / "rows.jsonl", [{"a": 1}])
    with pytest.raises(UserError) as caught:
        find_results([tmp_path])
    message = str(caught.value)
    for wanted in (str(tmp_path), "audit.json", "summarize --json", "metrics.json", "curves.npz"):
        assert wanted in message
    for wanted in ("reward_models/*", "jailbroken_evaluations_", ".meta.json"):
        assert wanted in message
    assert "\n" not in message


@pytest.mark.parametrize("content", ["nothing", '{"kind": "else"}', "[1, 2]", ""])
@pytest.mark.parametrize("name", ["notes.txt", "rows.jsonl"])
def test_a_file_of_no_known_kind_is_refused(tmp_path: Path, name: str, content: str):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UserError, match=rf"{name} is none of the results"):
        find_results([path])


@pytest.mark.parametrize("content", ['{"kind": "else"}', "[1, 2]", '"text"'])
def test_json_of_no_known_kind_is_refused(tmp_path: Path, content: str):
    (tmp_path / "some.json").write_text(content)
    with pytest.raises(UserError, match=r"some.json is none of the results"):
        find_results([tmp_path / "some.json"])


def test_a_named_file_that_is_not_json_is_refused_by_name(tmp_path: Path):
    (tmp_path / "some.json").write_text("{")
    with pytest.raises(UserError, match=r"some.json is not JSON"):
        find_results([tmp_path / "some.json"])


def test_a_damaged_record_of_scores_is_refused_by_name(tmp_path: Path):
    path = of_evaluate(tmp_path / "scores.jsonl")
    meta_path(path).write_text("{")
    with pytest.raises(UserError, match=r"scores.jsonl.meta.json is not JSON"):
        find_results([tmp_path])


def test_a_record_without_its_scores_is_passed_over(tmp_path: Path):
    kept = of_evaluate(tmp_path / "kept.jsonl")
    of_evaluate(tmp_path / "gone.jsonl").unlink()
    assert find_results([tmp_path]).comparisons == [kept]
