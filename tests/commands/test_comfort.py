"""init, doctor and completion: what helps before anything is computed."""

import dataclasses
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from hidden_context.commands import doctor
from hidden_context.commands.cli import COMMANDS, main
from hidden_context.commands.command_line import parse
from hidden_context.commands.completion import Completion

NEEDED = {
    "synthetic": ["--env=1d"],
    "train": ["--model_name=gpt2", "--reward_model_type=base"],
    "benchmark": ["rewardbench", "x"],
    "completion": ["bash"],
}
"""What cannot be left out, where it is not any word."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_of_settings_says_what_the_command_does_without_it(name: str, tmp_path: Path):
    """Every setting that has a default, taken out of its comment, changes nothing."""
    path = tmp_path / "settings.yaml"
    assert main(["init", name, "--out", str(path)]) == 0
    text = path.read_text("utf-8")
    config_class = import_module(f"hidden_context.commands.{name.replace('-', '_')}").Config
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    given = {
        key: yaml.safe_load(value)
        for key, value in re.findall(r"^# (\w+): (.+)$", text, re.MULTILINE)
        if key in fields and fields[key].default is not dataclasses.MISSING
    }
    if not given:
        return
    path.write_text(yaml.safe_dump(given))
    needed = NEEDED.get(name) or [
        "x" if field.metadata.get("positional") else f"--{field.name}=x"
        for field in fields.values()
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    assert parse(config_class, [*needed, "--config", str(path)]) == parse(config_class, needed)


def test_a_file_that_is_there_and_a_command_that_is_not_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("train.yaml").write_text("mine")
    assert main(["init", "train"]) == 2
    assert "train.yaml is there already" in capsys.readouterr().err
    assert Path("train.yaml").read_text() == "mine"
    assert main(["init", "trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err


def test_doctor_lists_every_package_and_says_where_models_run(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = {each["name"] for each in told["packages"]}
    assert {"torch", "transformers", "fastapi", "openai", "trl"} <= names
    assert told["devices"][-1].startswith("cpu")
    assert main(["doctor"]) == 0
    assert re.search(r"^ok +everything: .*torch", capsys.readouterr().out, re.MULTILINE)


def test_doctor_says_what_is_missing_for_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: {"scipy": "0.1"}.get(name, real(name)))
    assert main(["doctor"]) == 1
    assert "missing  everything: scipy" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "uvicorn" else real(name))
    assert main(["doctor"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "serve:" in line)
    assert line.startswith("missing")
    assert 'pip install "hidden-context[serve]"' in line


def test_completion_is_a_script_with_every_command(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "--reward_model_type" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("tcsh", ".tcshrc")]
)
def test_doctor_says_how_to_switch_completion_on_until_it_is(
    shell: str,
    file: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    main(["doctor"])
    *_, line, _ = capsys.readouterr().out.splitlines()
    assert line.startswith(f"off      completion in {shell}: add to ~/{file} the line ")
    (home / file).write_text(line.partition("the line ")[2] + "\n")
    main(["doctor"])
    *_, line_when_on, following = capsys.readouterr().out.splitlines()
    assert line_when_on == f"ok       completion in {shell}: ~/{file}"
    assert following == "next: hidden-context demo"
    assert f"hidden-context completion {shell}" in line


def test_an_unknown_shell_is_not_told_of(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert Completion.of_user() is None


def test_a_misspelt_choice_is_told_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "zsch"]) == 2
    told = capsys.readouterr().err
    assert "invalid choice: 'zsch'" in told
    assert "did you mean zsh? See hidden-context completion --help." in told
    assert main(["completion", "powershell"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_help_imports_neither_rich_nor_a_model_stack():
    code = (
        "import sys; from hidden_context.commands.cli import main; main(['--help']); "
        "sys.exit(bool({'rich', 'torch', 'transformers', 'tabulate'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
