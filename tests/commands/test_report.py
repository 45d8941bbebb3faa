"""The `report` command: what it finds, writes and refuses."""

import shutil
from pathlib import Path

import pytest

from hidden_context.commands.cli import main
from hidden_context.records import read_json, write_json

ONE = "data/reward_models/some/both/categorical_tiny_last_checkpoint/eval_results_both.jsonl"


def test_everything_below_a_folder_is_on_the_page_and_nothing_twice(page):
    page = page.read_text(encoding="utf-8")
    for title in ("Audit of helpful, both", "Reward models in data", "experiment 1d"):
        assert page.count(f"{title}</h2>") == 1
    assert page.count("<h2") == 3 + 1  # chapters, and what the words mean
    drawings = page.count("<svg") - page.count('class="utilities"')
    assert page.count("<figure") == drawings


def test_the_same_results_give_the_same_page_and_figures_to_the_byte(results, run, tmp_path):
    """Figures for paper, which are a column wide and embed their fonts."""
    matplotlib_image = pytest.importorskip("matplotlib.image")
    for name in ("one", "two"):
        out, figures = tmp_path / f"{name}.html", tmp_path / name
        flags = ("--out", out, "--figures", figures, "--style", "paper")
        assert run("report", results / ONE, *flags)[0] == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) > 6
    for first, second in zip(files, sorted((tmp_path / "two").iterdir()), strict=True):
        assert (first.name, content := first.read_bytes()) == (second.name, second.read_bytes())
        if first.suffix == ".png":
            assert matplotlib_image.imread(first).shape[1] == round(3.25 * 300)
            continue
        assert first.suffix == ".pdf"
        assert first.with_suffix(".png") in files
        assert b"/Subtype /Type0" in content or b"/TrueType" in content
        assert b"/Type3" not in content
        assert b"CreationDate" not in content


def test_figures_of_synthetic_experiments_come_at_paper_size_too(results, run, tmp_path):
    matplotlib_image = pytest.importorskip("matplotlib.image")
    shutil.copytree(results / "synthetic", tmp_path, dirs_exist_ok=True)
    (png,) = tmp_path.rglob("1d.png")
    assert matplotlib_image.imread(png).shape[1] == round(10.5 * 200)
    redraw = ("synthetic", "--env", "1d", "--num_iterations", 2, "--batch_size", 16, "--redraw")
    assert run(*redraw, "--out_dir", tmp_path, "--style", "paper")[0] == 0
    assert matplotlib_image.imread(png).shape[1] == round(6.75 * 300)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page holds words alone."""
    monkeypatch.setattr("hidden_context.report.page.as_svg", lambda *_: "")


@pytest.mark.usefixtures("undrawn")
def test_one_file_can_be_named(results, run, tmp_path):
    for path in (
        results / "audit/audit.json",
        results / "audit/both/mean_and_variance_scores.jsonl",
        results / ONE,
        results / "data/jailbroken_evaluations_categorical.jsonl",
        next((results / "synthetic").rglob("metrics.json")),
    ):
        status, said, error = run("report", path, "--out", tmp_path / "page.html")
        assert status == 0, error
        assert "page.html" in said
        assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<h2") == 2


@pytest.mark.usefixtures("undrawn")
def test_what_summarize_prints_can_be_shown(results, run, tmp_path):
    flags = ("--json", "--curves", "quantile", "--diagnostics")
    status, printed, _ = run("summarize", "--data_dir", results / "data", *flags)
    assert status == 0
    (tmp_path / "summary.json").write_text(printed)
    assert run("report", tmp_path, "--out", tmp_path / "page.html")[0] == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Jailbreak rate, trained on both" in page


@pytest.mark.usefixtures("undrawn")
def test_examples_can_be_left_out(results, run, tmp_path):
    page = tmp_path / "page.html"
    assert run("report", results / "audit", "--out", page, "--num_examples", 0)[0] == 0
    assert "Comparisons to look at" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], "no results; looked for audit.json"),
        ([], "paths"),
        (["other.txt"], "none of the results"),
        (["here/audit.json", "--num_examples", "-1"], "--num_examples is -1"),
        (["here/audit.json", "--out", "here"], "is a folder"),
        (["here/audit.json", "--figures", "other.txt"], "is a file"),
    ],
)
def test_mistakes_are_told_in_one_line(flags, reason, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("other.txt").write_text("something")
    Path("here").mkdir()
    if "here/audit.json" in flags:
        Path("here/audit.json").write_text("{}")
    status, _, error = run("report", *flags)
    assert status == 2
    assert reason in error
    assert not Path("report.html").exists()


def test_a_damaged_audit_leaves_the_old_page_as_it_was(results, tmp_path, capsys):
    record = read_json(results / "audit/audit.json")
    del record["sets"][1]["families"][0]["accuracy"]
    write_json(tmp_path / "audit.json", record)
    page = tmp_path / "page.html"
    page.write_text("the old one")
    assert main(["report", str(tmp_path), "--out", str(page)]) == 2
    assert "audit.json is damaged or of another version: KeyError" in capsys.readouterr().err
    assert page.read_text() == "the old one"
