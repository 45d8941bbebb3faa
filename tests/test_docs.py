"""Every command and program in the documents runs; the family that they show obeys the laws."""

import functools
import http.server
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented_families import documented_programs
from tiny_models import save_tiny_model

from hidden_context.audits.audit import audit
from hidden_context.commands.cli import COMMANDS, main
from hidden_context.distributions import make_family
from hidden_context.records import meta_path, read_jsonl, write_json, write_jsonl

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CASES = {"laplace", "student"}
"""What cases of the families of docs/extending.md have in their names."""
FEWER_STEPS = {"--num_iterations": "2", "--batch_size": "32"}
FEWER_FITS = ("--num_folds=3", "--num_seeds=1", "--num_null_draws=0")
FEWER_FITS += ("--families=mean_and_variance",)
"""Flags that only say how long to work."""
NUM_JAILBREAKS = 20
TESTED_ELSEWHERE = {
    *("axes", "benchmark", "best-of", "demo", "doctor", "export", "init", "completion", "items"),
    *("merge", "people", "relabel", "serve"),
}
"""These have tests of their own, of what their pages show."""


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def command_lines(document: str) -> list[list[str]]:
    lines = "\n".join(blocks(document, "bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.fixture
def mirror(published_data: Path, tmp_path: Path) -> Iterator[str]:
    """The published repository as far as it is here, served on loopback."""
    root = tmp_path / "mirror"
    root.mkdir()
    (root / "data").symlink_to(published_data.resolve())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    handler = functools.partial(Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_hh_rlhf(folder: Path) -> None:
    for objective in ("helpful", "harmless"):
        for split in ("train", "test"):
            asked = [
                f"{objective} {what} {n}" for what in ("bread", "soup", "rice") for n in range(6)
            ]
            prompts = [f"\n\nHuman: {what}?\n\nAssistant:" for what in asked]
            rows = [{"chosen": f"{each} flour", "rejected": f"{each} no"} for each in prompts]
            write_jsonl(folder / f"{objective}-base" / f"{split}.jsonl", rows)


def write_relabelled(folder: Path) -> None:
    for subset in ("helpful", "harmless", "both"):
        rows = [
            {
                "chosen": f"\n\nHuman: {n}?\n\nAssistant: yes",
                "rejected": f"\n\nHuman: {n}?\n\nAssistant: no",
            }
            for n in range(24)
        ]
        write_jsonl(folder / subset / "train.jsonl", rows)


@pytest.mark.parametrize("fewer", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_five_commands_run_in_their_order(
    fewer: bool,
    tmp_path: Path,
    mirror: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """With a small gpt2, a small HH-RLHF and a mirror in place of the hubs.

    Where `fewer` is true, with fewer fits, states and jailbreaks, and no figures on pages.
    """
    if fewer:
        monkeypatch.setattr("hidden_context.report.page.as_svg", lambda *_: "")
        monkeypatch.setattr("hidden_context.synthetic.evaluate.POINTS_PER_AXIS", {1: 50, 2: 10})
    save_tiny_model(tmp_path / "gpt2", "gpt2")
    write_hh_rlhf(tmp_path / "Anthropic" / "hh-rlhf")
    save_tiny_model(tmp_path / "demo_output" / "tiny_llama", "llama")
    write_relabelled(tmp_path / "demo_output" / "data" / "relabeled_hh_rlhf")
    monkeypatch.chdir(tmp_path)
    ran = []
    for program, *arguments in command_lines("docs/five-commands.md"):
        if program != "hidden-context" or arguments[0] in TESTED_ELSEWHERE:
            continue  # make and the example have tests of their own too
        for flag, value in FEWER_STEPS.items():
            if flag in arguments:
                arguments[arguments.index(flag) + 1] = value
        if arguments[0] == "audit" and fewer:
            arguments += FEWER_FITS
        if arguments[0] == "download":
            arguments += ["--base_url", mirror, "--overwrite"]
        if arguments[0] == "score" and fewer:
            (jailbreaks,) = (Path(each[8:]) for each in arguments if each.startswith("--input="))
            write_jsonl(jailbreaks, read_jsonl(jailbreaks)[:NUM_JAILBREAKS])
        lacking = "relabeled-hh-rlhf" in arguments  # its training sets may not be here to serve
        assert main(arguments) in ((0, 1) if lacking else (0,)), arguments
        ran.append(arguments[0])
    assert set(ran) == set(COMMANDS) - TESTED_ELSEWHERE
    assert all(f"hidden-context {name}" in README for name in TESTED_ELSEWHERE)
    assert "0.1337" in capsys.readouterr().out


def test_make_targets_in_the_documents_exist():
    makefile = (ROOT / "Makefile").read_text()
    for document in ("README.md", "CONTRIBUTING.md"):
        for program, *arguments in command_lines(document):
            if program == "make":
                assert re.search(rf"^{arguments[0]}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("fewer", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_program_of_the_readme_runs(
    fewer: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    if fewer:
        fits = {"num_folds": 3, "num_seeds": 1, "num_null_draws": 0}
        monkeypatch.setattr("hidden_context.audits.audit.audit", functools.partial(audit, **fits))
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "gpt2", "gpt2")
    write_hh_rlhf(tmp_path / "Anthropic" / "hh-rlhf")
    (program,) = blocks("README.md", "python")
    exec(program, {})
    printed = capsys.readouterr().out
    assert "held-out" in printed
    assert len(program.strip().splitlines()) == 2 + 5


def test_the_truth_in_the_readme_is_that_of_the_tutorial():
    """Whose table a full demo prints, to the digit."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"```\n(family +trained on .*?)```", page, re.DOTALL)
    printed = {tuple(row[:2]): row[2:] for row in map(str.split, table.splitlines())}
    names = {"helpful": "the helpful judge", "harmless": "the harmless judge", "both": "both"}
    for trained_on, name in names.items():
        learned, true = printed["mean_and_variance", trained_on], printed["truth", trained_on]
        r2, mean, careful, _ = learned
        true_r2, true_mean, true_careful, _ = true
        cells = f"| {name} | {r2} ({true_r2}) | {mean} ({true_mean}) | {careful} ({true_careful}) |"
        assert re.sub(r"\b0\.", ".", cells) in README


ROW = {
    "prompt": "Bread?",
    "responses": [" Flour.", " No."],
    "reward_outputs_both": [[0.0, 1.0], [2.0, 3.0]],
}


def test_the_program_that_reads_scores_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("scores.jsonl"), [ROW])
    family = make_family("mean_and_variance").to_dict()
    write_json(meta_path(Path("scores.jsonl")), {"families": {"reward_outputs_both": family}})
    (program,) = blocks("docs/formats.md", "python")
    exec(program, {})
    assert "(1, 2)" in capsys.readouterr().out


LAWS = (
    "contract/test_families.py",
    "test_risk.py",
    "test_items.py",
    "likelihood/test_outcomes.py",
    "llm/test_trainer.py",
    "report/test_density_drawing.py",
    "synthetic/test_models.py",
    "synthetic/test_evaluate.py",
)
"""Tests with a case for every family."""
OF_ALL_FAMILIES = (
    "commands/test_page_of_further_families.py::test_further_families_have_their_place_on_the_page",
    "commands/test_synthetic_experiments.py::"
    "test_metrics_are_strict_json_with_every_model_and_the_exact_answers",
    "examples/test_polis.py::test_a_small_conversation_is_measured_for_every_family",
    "report/test_panel_figures.py::test_families_differ_by_colour_and_by_marker_or_line",
)
"""Tests that go through all families in one case."""


@pytest.mark.slow
@pytest.mark.parametrize("listed", [LAWS, OF_ALL_FAMILIES])
def test_the_families_of_the_documents_go_wherever_families_go(listed: tuple[str, ...]):
    """The plugin adds them to `FAMILIES`; everything that goes by this list then has to pass."""
    tests = [f"tests/{name}" for name in listed]
    whole = [name.split("::")[1] for name in listed if "::" in name]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *tests, "-v", "-k", " or ".join(CASES | {*whole})),
            *("-p", "documented_families", "-p", "no:cacheprovider", "-p", "no:xdist"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    for name in whole:
        assert len(re.findall(rf"::{name} PASSED", done.stdout)) == 1
    for case in CASES if listed is LAWS else ():
        passed = re.findall(rf"\[[^\n]*{case}[^\n]*\] PASSED", done.stdout, re.IGNORECASE)
        assert len(passed) > 90, case


def test_the_laplace_family_of_the_documents_has_at_most_forty_lines():
    lines = documented_programs()["laplace"].splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_tests_that_documents_name_exist():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for named in re.findall(r"`(tests/[\w/.]+)", document.read_text()):
            assert (ROOT / named).exists(), f"{document}: {named}"


def test_the_readme_says_how_many_flags_of_trl_are_taken():
    page = (ROOT / "docs" / "trl-flags.md").read_text()
    (found,) = re.findall(r"Of (\d+) flags of `trl reward`, (\d+) are taken", page)
    assert "hidden-context train` takes {1} of {0} (".format(*found) in README


def test_the_file_tree_of_the_contributors_is_the_one_there_is():
    (tree,) = re.findall(
        r"```\n(src/hidden_context/.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S
    )
    named = set(re.findall(r"[\w]+(?:\.py|/)", tree.split("\n", 1)[1]))
    package = ROOT / "src" / "hidden_context"
    present = {
        path.name + ("/" if path.is_dir() else "")
        for path in package.iterdir()
        if not path.name.startswith("__") and path.suffix in ("", ".py")
    }
    assert named == present - {"errors.py", "py.typed"}
