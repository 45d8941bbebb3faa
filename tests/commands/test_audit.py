"""The `audit` command: what it writes and says, what it reads again, what it refuses."""

import json
import random
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from tiny_models import save_tiny_model

from hidden_context.audits.result import AuditedSet, AuditResult, read_audit
from hidden_context.commands.audit import main
from hidden_context.records import read_jsonl, write_jsonl
from hidden_context.scores.score_files import load_scores

GOOD, BAD = ("bread", "flour", "yeast"), ("stone", "gravel", "sand")


def rows_of(num_rows: int) -> list[dict[str, object]]:
    """Responses that are better the more good words they have, all of one length."""
    rng = random.Random(0)
    rows: list[dict[str, object]] = []
    for number in range(num_rows):
        counts = rng.sample(range(7), 2)
        texts = [
            " ".join([rng.choice(GOOD) for _ in range(k)] + [rng.choice(BAD) for _ in range(6 - k)])
            for k in counts
        ]
        better = counts[0] > counts[1]
        chosen, rejected = texts if better else texts[::-1]
        row: dict[str, object] = {
            "prompt": f"Question {number // 2}: ",
            "chosen": chosen,
            "rejected": rejected,
        }
        rows.append({**row, "objective": ("helpful", "harmless")[number % 3 == 0]})
    return rows


def audit(data: Path, tmp_path: Path, *flags: str) -> int:
    quick = ["--num_seeds", "1", "--num_folds", "3", "--num_null_draws", "0"]
    quick += ["--families", "mean_and_variance"]
    folders = ["--out", str(tmp_path / "out"), "--cache_dir", str(tmp_path / "cache")]
    return main([str(data), *quick, *folders, *flags])


def result_of(tmp_path: Path) -> AuditResult:
    return read_audit(tmp_path / "out" / "audit.json")


def only_set(tmp_path: Path) -> AuditedSet:
    (audited,) = result_of(tmp_path).sets
    return audited


def answer_of(audited: AuditedSet, words: str) -> str:
    (answer,) = (answer for question, answer in audited.sentences if words in question)
    return answer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "data.jsonl", rows_of(60))
    return tmp_path / "data.jsonl"


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the time of a small audit is its page, which the fixture `whole` has."""
    monkeypatch.setattr("hidden_context.report.page.write_page", lambda _, page, **__: page)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, str]:
    """A run with draws, and what it said."""
    folder = tmp_path_factory.mktemp("whole")
    write_jsonl(folder / "data.jsonl", rows_of(120))
    with redirect_stdout(StringIO()) as said:
        assert audit(folder / "data.jsonl", folder, "--num_null_draws", "19") == 0
    return folder, said.getvalue()


def test_words_that_decide_are_found_and_everything_is_written(whole):
    folder, said = whole
    assert "Better than a coin" in said
    assert "no language model" in said
    assert "Is it careless clicks?" in said
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Audit of data</h2>" in page
    audited = only_set(folder)
    assert audited.counts["comparisons"] == 120
    scalar, spread = audited.evaluations
    assert [each.family.name for each in audited.evaluations] == ["base", "mean_and_variance"]
    for each in audited.evaluations:
        assert each.accuracy["mean"].value > 0.8  # the words decide without noise
        assert each.length is not None
        assert each.length.longer_wins.value == pytest.approx(0.5, abs=0.2)
        assert each.stopping_rule
    assert scalar.undecided is None
    assert set(spread.explained_variance) == {"pooled", "within_prompt", "each_prompt", "rank"}
    for r2 in spread.explained_variance.values():
        assert r2.low < r2.value < r2.high
        assert r2.how == "20 refits to resampled prompts"
    assert set(spread.corrected_explained_variance) == set(spread.explained_variance)
    assert scalar.corrected_explained_variance == {}
    assert len(spread.training_curve) == 6
    figures = {"fitted_gain", "log_likelihood", "accuracy"}
    figures |= {"r2_pooled", "r2_within_prompt", "r2_rank"}
    assert {each.figure for each in spread.null} == figures
    assert audited.lapse is not None
    assert audited.lapse.share < 0.05


def test_scored_rows_are_in_the_format_of_evaluate(whole):
    folder, _ = whole
    file = folder / "out" / str(only_set(folder).evaluations[1].scores)
    utility = load_scores(file).utility
    rows = read_jsonl(file)
    assert len(rows) == 120
    quantiles = [row["utility"]["quantile:0.01"] for row in rows]
    np.testing.assert_allclose(quantiles, utility.quantile(0.01), rtol=1e-4)


def test_undecided_comparisons_are_shared_out_for_every_family_with_a_spread(whole):
    _, spread = only_set(whole[0]).evaluations
    assert spread.undecided is not None
    shares = [share.value for share in vars(spread.undecided).values()]
    assert sum(shares) == pytest.approx(1)
    assert spread.undecided.decided.value > 0.5  # the words decide


def test_a_second_run_reads_no_text_twice(data, tmp_path, capsys):
    assert audit(data, tmp_path) == 0
    first = only_set(tmp_path)
    assert "(0 read now" not in capsys.readouterr().out
    assert audit(data, tmp_path) == 0
    second = only_set(tmp_path)
    assert "(0 read now" in capsys.readouterr().out
    assert first.evaluations == second.evaluations


def test_several_sets_are_compared_at_one_size(data, tmp_path):
    flags = ("--data_subset", "helpful", "harmless")
    assert audit(data, tmp_path, *flags) == 0
    sets = result_of(tmp_path).sets
    assert [each.name for each in sets] == ["helpful", "harmless"]
    smallest = min(each.counts["comparisons"] for each in sets) * 2 / 3
    for each in sets:
        assert each.evaluations[1].matched_size == pytest.approx(smallest, abs=2)
        assert each.evaluations[1].matched_explained_variance


@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_a_language_model_gives_the_vectors(data, tmp_path, architecture, capsys):
    folder = save_tiny_model(tmp_path / architecture, architecture)
    flags = ("--model_name", str(folder), "--max_length", "16")
    assert audit(data, tmp_path, *flags) == 0
    result = result_of(tmp_path)
    assert result.representation.width == 32
    pooling = {"llama": "pooled by last", "bert": "pooled by mean"}[architecture]
    assert pooling in result.representation.description
    assert result.sets[0].counts["overlong_texts_read_now"] > 0
    assert audit(data, tmp_path, *flags) == 0
    assert "(0 read now" in capsys.readouterr().out


def test_ties_are_modelled_and_fitted(tmp_path):
    rows = [
        {
            "response_a": row["chosen"],
            "response_b": row["rejected"],
            "winner": ("a", "tie", "a")[number % 3],
        }
        for number, row in enumerate(rows_of(120))
    ]
    write_jsonl(tmp_path / "ties.jsonl", rows)
    assert audit(tmp_path / "ties.jsonl", tmp_path) == 0
    folder = tmp_path / "out" / "ties"
    for name in ("base", "mean_and_variance"):
        meta = json.loads((folder / f"{name}_scores.jsonl.meta.json").read_text())
        assert meta["outcome_model"]["ties"] == "threshold"
        assert meta["outcome_model"]["thresholds"][0] > 0


def test_scores_do_not_go_into_the_folder_of_the_data(tmp_path, capsys):
    folder = tmp_path / "votes"
    write_jsonl(folder / "train.jsonl", rows_of(120))
    assert main([str(folder), "--out", str(tmp_path)]) == 2
    assert "which is the data; give another folder" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (rows_of(5), "at least 12"),
        ([{**row, "prompt": "one "} for row in rows_of(40)], "prompt_id"),
        ([{"chosen": "a", "rejected": "a"}] * 40, "two equal texts"),
        (
            [
                {"prompt": f"{n} ", "chosen": "?", "rejected": "!"}
                for n in range(40)  # no words at all
            ],
            "same vector",
        ),
    ],
)
def test_data_that_say_nothing_are_refused_in_a_line(rows, words, tmp_path, capsys):
    write_jsonl(tmp_path / "data.jsonl", rows)
    assert audit(tmp_path / "data.jsonl", tmp_path) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--families", "gaussian"], "gaussian"),
        (["--num_folds", "2"], "at least 3"),
        (["--num_seeds", "0"], "num_seeds"),
        (["--num_null_draws", "18"], "give 0, or at least 19"),
        (["--memory", "0"], "memory"),
        (["--model_name", "no/such/model"], "neither a folder"),
        (["--split", "train[:0]"], "split train[:0] takes none of"),
        (["--dataset_config", "v2"], "is not on the hub"),
    ],
)
def test_flags_that_cannot_be_are_refused(flags, words, data, tmp_path, capsys):
    assert audit(data, tmp_path, *flags) == 2
    assert words in capsys.readouterr().err


def test_little_memory_changes_no_finding(data, tmp_path):
    found = []
    for memory in ("4", "0.000001"):
        assert audit(data, tmp_path, "--memory", memory) == 0
        evaluations = only_set(tmp_path).evaluations
        likelihoods = [evaluation.log_likelihood for evaluation in evaluations]
        found.append([likelihood.value for likelihood in likelihoods if likelihood is not None])
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_jailbreaks_are_decided_by_what_was_learned_and_length_is_told_apart(data, tmp_path):
    """Unsafe responses are of good words but longer by half; a head of words prefers them."""
    rows = [
        {"prompt": f"Question {k}: ", "responses": ["stone gravel sand", "bread flour yeast flour"]}
        for k in range(8)
    ]
    write_jsonl(tmp_path / "jailbreaks.jsonl", rows)
    flags = ("--families", "mean_and_variance", "--jailbreaks", tmp_path / "jailbreaks.jsonl")
    assert audit(data, tmp_path, *map(str, flags)) == 0
    audited = only_set(tmp_path)
    assert audited.longer_is_unsafe is not None
    assert audited.longer_is_unsafe.value == 1
    scalar, spread = audited.evaluations
    assert list(scalar.jailbreak_rate) == ["mean"]
    assert list(spread.jailbreak_rate) == ["mean", "quantile:0.01"]
    for each in (scalar, spread):
        assert each.jailbreak_rate["mean"].value == 1
        assert each.jailbreak_rate_without_length["mean"].value == 1
    assert 'The longer response wins": 1.000' in answer_of(audited, "jailbreaks")


def test_damaged_jailbreaks_are_refused_before_anything_is_fitted(data, tmp_path, capsys):
    write_jsonl(tmp_path / "jailbreaks.jsonl", [{"prompt": "?", "responses": ["one"]}])
    assert audit(data, tmp_path, "--jailbreaks", str(tmp_path / "jailbreaks.jsonl")) == 2
    assert "row 1: 1 responses" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_who_judged_is_taken_into_account_where_the_data_say_it(data, tmp_path):
    rows = [
        {**row, "land": "ab"[k % 2], "annotator": f"{k % 10}"}
        for k, row in enumerate(read_jsonl(data))
    ]
    rows[0] |= {"land": "rare", "annotator": "rare"}
    write_jsonl(data, rows)
    assert audit(data, tmp_path, "--group", "land") == 0
    audited = only_set(tmp_path)
    assert audited.between is not None
    assert audited.between.by == "group"
    assert audited.between.num_labels == 2
    assert audited.between.num_labels_left_out == 1
    assert 0 <= audited.between.share.low <= audited.between.share.high <= 1
    assert audited.between.shuffled_over == "annotators"
    assert len(audited.between.shuffled_gains) == 19
    assert "1 further group is too rare" in answer_of(audited, "who judged")
    r2 = audited.evaluations[1].explained_variance["pooled"]
    assert r2.how == "20 refits to resampled people"
