"""The `audit` command: what it writes and says, what it reads again, what it refuses."""

import json
import random
import shutil
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
    quick = ["--num_seeds", "2", "--num_folds", "3", "--num_null_draws", "3"]
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
    write_jsonl(tmp_path / "data.jsonl", rows_of(120))
    return tmp_path / "data.jsonl"


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page holds words alone, but in the test of what is written: tests/report draw figures."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("hidden_context.report.page.as_svg", lambda *_: "")


@pytest.fixture
def drawn() -> None:
    """The page has its figures."""


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an audit without a null wrote, which tests copy if they change it."""
    folder = tmp_path_factory.mktemp("once")
    write_jsonl(folder / "data.jsonl", rows_of(120))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hidden_context.report.page.as_svg", lambda *_: "")
        assert audit(folder / "data.jsonl", folder, "--num_null_draws", "0") == 0
    return folder


@pytest.mark.usefixtures("drawn")
def test_words_that_decide_are_found_and_everything_is_written(data, tmp_path, capsys):
    assert audit(data, tmp_path, "--families", "mean_and_variance", "categorical") == 0
    said = capsys.readouterr().out
    assert "Better than a coin" in said
    assert "no language model" in said
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Audit of both</h2>" in page
    assert page.count("<figure>") == page.count('<svg class="plot"') > 3
    audited = only_set(tmp_path)
    assert audited.counts["comparisons"] == 120
    scalar, spread, _ = audited.evaluations
    names = ["base", "mean_and_variance", "categorical"]
    assert [each.family.name for each in audited.evaluations] == names
    for each in audited.evaluations:
        assert each.accuracy["mean"].value > 0.8  # the words decide without noise
        assert each.length is not None
        assert each.length.longer_wins.value == pytest.approx(0.5, abs=0.2)
        assert each.stopping_rule
    assert scalar.undecided is None
    scales = {"pooled", "within_prompt", "each_prompt", "rank"}
    assert set(spread.explained_variance) == scales
    assert len(spread.training_curve) == 6
    figures = {"against_base", "log_likelihood", "accuracy"}
    figures |= {"r2_pooled", "r2_within_prompt", "r2_rank"}
    assert {each.figure for each in spread.null} == figures


def test_scored_rows_are_in_the_format_of_evaluate(once):
    evaluation = only_set(once).evaluations[1]
    file = once / "out" / str(evaluation.scores)
    utility = load_scores(file).utility
    rows = read_jsonl(file)
    assert len(rows) == 120
    quantiles = [row["utility"]["quantile:0.01"] for row in rows]
    np.testing.assert_allclose(quantiles, utility.quantile(0.01), rtol=1e-4)


def test_a_second_run_reads_no_text_twice(once, tmp_path, capsys):
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    first = only_set(once)
    assert first.counts["texts_read_now"] > 0
    assert audit(once / "data.jsonl", tmp_path, "--num_null_draws", "0") == 0
    second = only_set(tmp_path)
    assert "(0 read now" in capsys.readouterr().out
    assert first.evaluations == second.evaluations


def test_several_sets_are_compared_at_one_size(data, tmp_path):
    flags = ("--data_subset", "helpful", "harmless", "--num_null_draws", "0")
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
    flags = ("--model_name", str(folder), "--num_null_draws", "0", "--max_length", "16")
    flags += ("--families", "base")
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
    assert audit(tmp_path / "ties.jsonl", tmp_path, "--num_null_draws", "0") == 0
    folder = tmp_path / "out" / "both"
    for name in ("base", "mean_and_variance"):
        meta = json.loads((folder / f"{name}_scores.jsonl.meta.json").read_text())
        assert meta["outcome_model"]["ties"] == "threshold"
        assert meta["outcome_model"]["thresholds"][0] > 0


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
        (["--memory", "0"], "memory"),
        (["--model_name", "no/such/model"], "neither a folder"),
        (["--split", "train[:0]"], "split train[:0] takes none of"),
        (["--dataset_config", "v2"], "is not on the hub"),
    ],
)
def test_flags_that_cannot_be_are_refused(flags, words, data, tmp_path, capsys):
    assert audit(data, tmp_path, *flags) == 2
    assert words in capsys.readouterr().err


def test_little_memory_changes_no_finding(once, data, tmp_path):
    assert audit(data, tmp_path, "--memory", "0.000001", "--num_null_draws", "0") == 0
    found = []
    for folder in (once, tmp_path):
        evaluations = only_set(folder).evaluations
        likelihoods = [evaluation.log_likelihood for evaluation in evaluations]
        found.append([likelihood.value for likelihood in likelihoods if likelihood is not None])
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_undecided_comparisons_are_shared_out_for_every_family_with_a_spread(once):
    _, *others = only_set(once).evaluations
    assert others
    for each in others:
        assert each.undecided is not None
        shares = [share.value for share in vars(each.undecided).values()]
        assert sum(shares) == pytest.approx(1)
        assert each.undecided.decided.value > 0.5  # the words decide


def test_jailbreaks_are_decided_by_what_was_learned_and_length_is_told_apart(data, tmp_path):
    """Unsafe responses are of good words but longer by half; a head of words prefers them."""
    rows = [
        {"prompt": f"Question {k}: ", "responses": ["stone gravel sand", "bread flour yeast flour"]}
        for k in range(8)
    ]
    write_jsonl(tmp_path / "jailbreaks.jsonl", rows)
    flags = ("--num_null_draws", "0", "--jailbreaks", tmp_path / "jailbreaks.jsonl")
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
    rows = [{**row, "group": "ab"[k % 2]} for k, row in enumerate(read_jsonl(data))]
    rows[0]["group"] = "rare"
    write_jsonl(data, rows)
    assert audit(data, tmp_path, "--num_null_draws", "0") == 0
    audited = only_set(tmp_path)
    assert audited.between is not None
    assert audited.between.by == "group"
    assert audited.between.num_labels == 2
    assert audited.between.num_labels_left_out == 1
    assert 0 <= audited.between.share.low <= audited.between.share.high <= 1
    assert "1 further groups are too rare" in answer_of(audited, "who judged")
