"""What a mistake is answered with: what was typed, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pytest

from hidden_context.axes.find import find_axes
from hidden_context.commands.cli import COMMANDS
from hidden_context.commands.command_line import as_typed
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl

Run = Callable[..., tuple[int, str, str]]
ROWS = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no", "side": n % 2} for n in range(30)]


@dataclass(frozen=True)
class Config:
    """Some command."""

    data: str = field(metadata={"positional": True})
    """Data."""
    group: str = field(default="", metadata={"also": ("by",)})
    """Column."""
    level: float = 0.02
    """Level."""
    num_folds: int = 5
    """Folds."""


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ("level is 2; expected less.", "--level is 2; expected less."),
        ("level 2 must be below 1.", "--level 2 must be below 1."),
        ("no column 'x'; `by` can be prompt.", "no column 'x'; --group can be prompt."),
        ("by='prompt' asks (by=side).", "--group='prompt' asks (--group=side)."),
        ("give more, or fewer num_folds.", "give more, or fewer --num_folds."),
        ("num_folds is 1.", "--num_folds is 1."),
        ("--num_folds is 1.", "--num_folds is 1."),
        ("a level of 2 is judged by data", "a level of 2 is judged by data"),
        ("data is empty", "data is empty"),
        ("no file num_folds.csv, a/num_folds, num_folds/b, 'num_folds' or num_folds_2", None),
    ],
)
def test_a_parameter_of_the_library_is_called_as_it_is_typed(message: str, typed: str | None):
    assert as_typed(message, Config) == (typed or message)


def test_the_library_calls_it_as_a_program_does_and_a_command_as_its_user(run: Run, tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    expected = "row 1: no column 'country'; {} can be prompt, or one of prompt, chosen"
    with pytest.raises(UserError, match=expected.format("`by`")):
        find_axes(Comparisons.from_rows(ROWS, "rows"), by="country")
    status, _, error = run("axes", tmp_path / "rows.jsonl", "--group", "country")
    assert status == 2
    assert expected.format("--group") in error
    for flag in ("--level=2", "--num_permutations=3", "--num_words=-1", "--show=-1"):
        status, _, error = run("axes", tmp_path / "rows.jsonl", "--by=side", flag)
        assert status == 2
        assert error.startswith(f"error: {flag.replace('=', ' is ')}"), error


@pytest.mark.parametrize(
    ("given", "nearest"), [("bas", "base"), ("mean_and_varience", "mean_and_variance"), ("x", "")]
)
def test_a_misspelt_choice_of_the_library_is_answered_with_the_nearest(given: str, nearest: str):
    with pytest.raises(UserError, match=f"family '{given}' is unknown; choose one of") as told:
        make_family(given)
    assert str(told.value).partition("Did you mean ")[2] == (f"{nearest}?" if nearest else "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_of_settings_that_is_not_there_is_named_with_how_to_make_one(name: str, run: Run):
    status, _, error = run(name, "--config", "nofile.yaml")
    assert status == 2
    assert error == (
        "error: --config nofile.yaml: no such file or directory. hidden-context init "
        f"{name} writes one."
    )
    assert import_module(f"hidden_context.commands.{name.replace('-', '_')}")


def test_an_error_of_the_system_names_the_file_without_a_number(run: Run, tmp_path: Path):
    status, _, error = run("serve", tmp_path, "--token_file", tmp_path / "nofile")
    assert status == 2
    assert error == f"error: {tmp_path / 'nofile'}: no such file or directory."


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--reward_model_checkpoint"],
        ["serve"],
        ["merge", "--out=merged"],
        ["best-of", "--input=i", "--output=o", "--reward_model_checkpoints"],
        ["train", "--data_path=rows.jsonl", "--model_name"],
        ["audit"],
        ["people"],
        ["axes"],
        ["items"],
        ["report"],
        ["summarize", "--data_dir"],
        ["aggregate", "--rules", "borda", "maximin", "--input"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_misspelt_path_is_answered_with_the_nearest(
    arguments: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("rows.jsonl"), ROWS)
    Path("./reward.model").mkdir()
    for typed, is_near in (("./reward.modle", True), ("./elsewhere", False)):
        status, _, error = run(*arguments, typed)
        assert status == 2
        assert ("Did you mean reward.model?" in error) == is_near, error
