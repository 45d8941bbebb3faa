"""Every command and program in the documents runs; the family that they show obeys the laws."""

import functools
import http.server
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_models import save_tiny_model

from hidden_context.commands.cli import COMMANDS, main
from hidden_context.distributions import make_family
from hidden_context.records import meta_path, write_json, write_jsonl

ROOT = Path(__file__).parents[1]
SMALLER = {"--num_iterations": "2", "--batch_size": "32"}
"""Flags that only say how long to work."""


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
                f"{objective} {what} {n}" for what in ("bread", "soup", "rice") for n in range(4)
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


def test_the_commands_of_the_readme_run_in_their_order(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As they stand, with a small gpt2, a small HH-RLHF and a mirror in place of the hubs."""
    save_tiny_model(tmp_path / "gpt2", "gpt2")
    write_hh_rlhf(tmp_path / "Anthropic" / "hh-rlhf")
    save_tiny_model(tmp_path / "demo_output" / "tiny_llama", "llama")
    write_relabelled(tmp_path / "demo_output" / "data" / "relabeled_hh_rlhf")
    monkeypatch.chdir(tmp_path)
    ran = []
    for program, *arguments in command_lines("README.md"):
        if program != "hidden-context" or arguments[0] == "demo":
            continue  # make, the demo and the example have tests of their own
        for flag, value in SMALLER.items():
            if flag in arguments:
                arguments[arguments.index(flag) + 1] = value
        if arguments[0] == "download":
            arguments += ["--base_url", mirror]
        lacking = "relabeled-hh-rlhf" in arguments  # its training sets may not be here to serve
        assert main(arguments) in ((0, 1) if lacking else (0,)), arguments
        ran.append(arguments[0])
    assert set(ran) == set(COMMANDS) - {"demo"}
    assert "0.1337" in capsys.readouterr().out


def test_make_targets_in_the_documents_exist():
    makefile = (ROOT / "Makefile").read_text()
    for document in ("README.md", "CONTRIBUTING.md"):
        for program, *arguments in command_lines(document):
            if program == "make":
                assert re.search(rf"^{arguments[0]}:", makefile, flags=re.MULTILINE)


def test_the_program_of_the_readme_runs(capsys: pytest.CaptureFixture[str]):
    for program in blocks("README.md", "python"):
        exec(program, {})
    assert "tensor" in capsys.readouterr().out


def test_the_program_that_reads_scores_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("scores.jsonl"), [{"reward_outputs_both": [[0.0, 1.0], [2.0, 3.0]]}])
    family = make_family("mean_and_variance").to_dict()
    write_json(meta_path(Path("scores.jsonl")), {"families": {"reward_outputs_both": family}})
    (program,) = blocks("docs/formats.md", "python")
    exec(program, {})
    assert "(1, 2)" in capsys.readouterr().out


def test_the_family_of_the_documents_obeys_every_law(tmp_path: Path):
    (source,) = blocks("docs/extending.md", "python")
    (tmp_path / "laplace.py").write_text(source)
    program = (
        "import sys, pytest; from hidden_context.distributions import FAMILIES; "
        "import laplace; FAMILIES['laplace'] = laplace.Laplace; "
        f"sys.exit(pytest.main([{str(ROOT / 'tests' / 'contract')!r}, '-q', '-p', 'no:xdist', "
        f"'-p', 'no:cacheprovider', '-k', 'Laplace', '--rootdir', {str(ROOT)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 50


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_file_tree_of_the_readme_is_the_one_there_is():
    (tree,) = re.findall(
        r"```\n(src/hidden_context/.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    named = set(re.findall(r"[\w]+(?:\.py|/)", tree.split("\n", 1)[1]))
    package = ROOT / "src" / "hidden_context"
    present = {
        path.name + ("/" if path.is_dir() else "")
        for path in package.iterdir()
        if not path.name.startswith("__") and path.suffix in ("", ".py")
    }
    assert named == present - {"errors.py", "py.typed"}
