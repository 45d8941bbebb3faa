"""What a command writes is never what it reads, and has a suffix of its own kind."""

import dataclasses
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from hidden_context.commands.cli import COMMANDS
from hidden_context.commands.command_line import parse
from hidden_context.commands.evaluate import Config
from hidden_context.errors import UserError

WRITTEN = {"output", "out", "save", "figures"}
"""Names of fields that say where a command writes."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_output_of_every_command_is_checked(name: str) -> None:
    config = getattr(
        import_module(f"hidden_context.commands.{name.replace('-', '_')}"), "Config", None
    )
    for each in () if config is None else dataclasses.fields(config):
        assert each.name not in WRITTEN or "writes" in each.metadata, each.name


def same(path: Path) -> Path:
    return path


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def symlink(path: Path) -> Path:
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    return link


def hard_link(path: Path) -> Path:
    link = path.with_name("hard.jsonl")
    os.link(path, link)
    return link


@pytest.mark.parametrize("other", [same, relative, symlink, hard_link])
@pytest.mark.parametrize(
    ("command", "flags", "flag"),
    [
        ("evaluate", ["--reward_model_checkpoint", "rm", "--data_path"], "--output"),
        ("best_of", ["--reward_model_checkpoints", "rm", "--input"], "--output"),
        (
            "score",
            ["--reward_model_checkpoints", "rm", "--reward_model_names", "a", "--input"],
            "--output",
        ),
    ],
)
def test_an_output_that_is_the_input_is_refused(
    command: str, flags: list[str], flag: str, other: Callable[[Path], Path], tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    config = import_module(f"hidden_context.commands.{command}").Config
    with pytest.raises(UserError, match=f"{flag} .* would be lost"):
        parse(config, [*flags, str(file), flag, str(other(file))])
    assert file.read_text() == "{}\n"


@pytest.mark.parametrize(
    ("command", "flags", "expected"),
    [
        ("evaluate", ["--reward_model_checkpoint", "rm", "--output", "x.csv"], r"ends in \.jsonl"),
        ("evaluate", ["--reward_model_checkpoint", "rm", "--output", "x.html"], r"ends in \.jsonl"),
        ("report", ["scores.jsonl", "--out", "x.jsonl"], r"ends in \.html"),
        ("people", ["votes.csv", "--out", "x.csv"], r"ends in \.html"),
        ("items", ["votes.csv", "--out", "x.csv"], "name of a folder"),
        ("init", ["train", "--out", "x.json"], r"ends in \.yaml"),
    ],
)
def test_a_suffix_of_another_kind_is_refused(command: str, flags: list[str], expected: str) -> None:
    config = import_module(f"hidden_context.commands.{command}").Config
    with pytest.raises(UserError, match=expected):
        parse(config, flags)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "scores", "rm.v2"])
def test_names_of_their_own_kind_and_without_one_are_taken(name: str) -> None:
    assert parse(Config, ["--reward_model_checkpoint", "rm", "--output", name]).output == Path(name)
