"""Flags, files and defaults become a configuration; mistakes become one line and a status."""

import functools
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from hidden_context import __version__
from hidden_context.commands import cli
from hidden_context.commands.command_line import parse, run_command
from hidden_context.commands.flags import field_help
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_name


@dataclass(frozen=True)
class Training:
    """Train something."""

    model_name: str
    """Model to start from; keeps 100 % of its layers."""
    learning_rate: float = 3e-6
    """Largest step size."""
    num_atoms: int = 10
    """Number of bins,
    two or more."""
    bf16: bool = True
    """Compute in bfloat16."""
    names: tuple[str, ...] = ()
    """Names of the columns."""
    weights: tuple[float, ...] = (1.0, 2.0)
    """Weight of each column."""
    scheduler: Literal["cosine", "step"] = "cosine"
    """How the step size falls."""
    limit: int | None = None
    """Largest number of examples; all if not given."""
    output: Path | None = None
    """File that receives the result."""
    template: str = "%(prog)s is 100% done"
    """Text of the message."""


@dataclass(frozen=True)
class Copying:
    """Copy files."""

    names: tuple[str, ...] = field(metadata={"positional": True})
    """What to copy."""
    to: Path = Path("here")
    """Folder that receives the copies."""


def parse_training(*flags: str) -> Training:
    return parse(Training, ["--model_name", "gpt2", *flags], prog="train")


def refusal(argv: Sequence[str], config_class: type = Training) -> str:
    with pytest.raises(UserError) as error:
        parse(config_class, argv, prog="train")
    return str(error.value)


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


# Flags


def test_without_flags_the_defaults_hold() -> None:
    assert parse_training() == Training("gpt2")


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ("--learning_rate 1e-4", "learning_rate", 1e-4),
        ("--learning-rate 1e-4", "learning_rate", 1e-4),
        ("--learning-rate=1e-4", "learning_rate", 1e-4),
        ("--learning_rate -1", "learning_rate", -1.0),
        ("--num-atoms 20", "num_atoms", 20),
        ("--bf16", "bf16", True),
        ("--bf16 true", "bf16", True),
        ("--bf16=false", "bf16", False),
        ("--bf16 False", "bf16", False),
        ("--bf16=0", "bf16", False),
        ("--bf16 no", "bf16", False),
        ("--names A", "names", ("A",)),
        ("--names A B", "names", ("A", "B")),
        ("--names A B --names C", "names", ("C",)),
        ("--weights 0.5 -1", "weights", (0.5, -1.0)),
        ("--scheduler step", "scheduler", "step"),
        ("--limit 0", "limit", 0),
        ("--output a-b/c-d.json", "output", Path("a-b/c-d.json")),
        ("--output=--odd-name", "output", Path("--odd-name")),
        ("--template=a-b_c", "template", "a-b_c"),
        ("--num_atoms 5 --num-atoms 6", "num_atoms", 6),
    ],
)
def test_a_flag_sets_its_field_and_no_other(flags: str, name: str, value: Any) -> None:
    expected = replace(Training("gpt2"), **{name: value})
    assert parse_training(*flags.split()) == expected
    assert type(getattr(parse_training(*flags.split()), name)) is type(value)


def test_a_switch_alone_does_not_swallow_the_next_flag() -> None:
    found = parse_training("--bf16", "--limit", "3")
    assert (found.bf16, found.limit) == (True, 3)


def test_positional_fields_are_given_without_a_flag() -> None:
    assert parse(Copying, ["a", "b", "--to", "x"]) == Copying(("a", "b"), Path("x"))
    assert parse(Copying, ["--to", "x", "a"]) == Copying(("a",), Path("x"))


# Files of flags


def test_the_command_line_is_over_the_file_and_the_file_over_the_defaults(
    config_file: Callable[[str], str],
) -> None:
    file = config_file("num_atoms: 20\nlearning-rate: 0.5\nscheduler: step\nnames: [A, B]\n")
    flags = ["--num_atoms=30", "--names", "C"]
    expected = Training("gpt2", num_atoms=30, learning_rate=0.5, scheduler="step", names=("C",))
    assert parse_training("--config", file, *flags) == expected
    assert parse_training(*flags, f"--config={file}") == expected


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("bf16: false", "bf16", False),
        ("bf16: off", "bf16", False),
        ("bf16: 'false'", "bf16", False),
        ("learning_rate: 1e-4", "learning_rate", 1e-4),  # a string to YAML, which wants 1.0e-4
        ("weights: [-1, 0.5]", "weights", (-1.0, 0.5)),
        ("names: [A]", "names", ("A",)),
        ("names: A", "names", ("A",)),
        ("weights: []", "weights", ()),
        ("limit: 7", "limit", 7),
        ("limit: null", "limit", None),
        ("learning_rate: null", "learning_rate", 3e-6),
        ("output: a/b.json", "output", Path("a/b.json")),
        ("template: --not-a-flag", "template", "--not-a-flag"),
        ("template: 'a: b # c'", "template", "a: b # c"),
        ("", "limit", None),
        ("# nothing yet", "limit", None),
    ],
)
def test_a_file_sets_a_field_as_its_flag_would(
    config_file: Callable[[str], str], setting: str, name: str, value: Any
) -> None:
    found = parse_training("--config", config_file(setting))
    assert found == replace(Training("gpt2"), **{name: value})


def test_a_file_can_give_what_is_required(config_file: Callable[[str], str]) -> None:
    assert parse(Training, ["--config", config_file("model_name: gpt2")]) == Training("gpt2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_atomz: 3", ["settings.yaml", "num_atomz", "num_atoms"]),
        ("learning-rat: 3", ["learning-rat", "learning_rate"]),
        ("num_atoms: many", ["num_atoms", "many"]),
        ("scheduler: linear", ["scheduler", "linear", "cosine", "step"]),
        ("num_atoms: [1, 2]", ["2"]),
        ("- a\n- b", ["settings.yaml", "list", "key: value"]),
        ("just text", ["settings.yaml", "str"]),
        ("a: [", ["settings.yaml", "YAML"]),
        ("template: !!python/object:x {}", ["settings.yaml", "YAML of plain values"]),
        ("template: 2020-99-99", ["settings.yaml", "month must be in"]),
        ("template: [[a]]", ["template in", "a list in its list"]),
        ('template: "a\\0"', ["NUL"]),
    ],
)
def test_a_mistake_in_a_file_is_refused(
    config_file: Callable[[str], str], text: str, words: list[str]
) -> None:
    message = refusal(["--model_name=gpt2", "--config", config_file(text)])
    for word in words:
        assert word in message


@pytest.mark.parametrize("flag", ["limit", "template", "output"])
def test_two_hyphens_are_no_value(flag: str) -> None:
    assert f"--{flag}: expected one argument" in refusal(["--model_name=gpt2", f"--{flag}=--"])


def test_what_has_no_flag_is_refused_in_a_file(config_file: Callable[[str], str]) -> None:
    message = refusal(["a", "--config", config_file("names: [b]")], Copying)
    assert "names" in message
    assert "settings.yaml" in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_bytes(b"template: caf\xe9")
    assert "settings.yaml" in refusal(["--config", str(tmp_path / "settings.yaml")])


# Mistakes in flags


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--num_atom 3", ["--num_atom", "did you mean --num_atoms"]),
        ("--learning-rat=1", ["--learning_rat", "did you mean --learning_rate"]),
        ("--confg x", ["--confg", "did you mean --config"]),
        ("--num_atoms ten", ["--num_atoms", "int", "'ten'"]),
        ("--num_atoms 2.5", ["--num_atoms", "int", "'2.5'"]),
        ("--learning_rate fast", ["--learning_rate", "float", "'fast'"]),
        ("--weights 1 x", ["--weights", "float", "'x'"]),
        ("--bf16 maybe", ["--bf16", "'maybe'", "true", "false"]),
        ("--scheduler linear", ["--scheduler", "linear", "cosine", "step"]),
        ("--output", ["--output", "expected one argument"]),
        ("--config", ["--config", "expected one argument"]),
        ("stray", ["unexpected", "stray"]),
    ],
)
def test_a_mistaken_flag_is_refused_with_what_would_do(flags: str, words: list[str]) -> None:
    message = refusal(["--model_name", "gpt2", *flags.split()])
    for word in words:
        assert word in message
    assert "did you mean" in message or "see train --help" in message


def test_what_is_required_is_named() -> None:
    assert "--model_name" in refusal([])
    assert "names" in refusal(["--to", "x"], Copying)


def test_a_flag_is_not_guessed_from_its_beginning() -> None:
    assert "did you mean --limit" in refusal(["--model_name=gpt2", "--lim=3"])


def test_only_a_name_that_is_near_is_given() -> None:
    assert nearest_name("trian", ["train", "score"]) == "train"
    assert nearest_name("--lim", ["--limit"]) == "--limit"
    assert nearest_name("--report_to", ["--eval_first_step", "--report"]) == "--report"
    assert nearest_name("--report_to", ["--eval_first_step"]) is None
    assert nearest_name("zzz", ["train"]) is None
    steps = ["gradient_accumulation_steps", "eval_steps", "max_steps"]
    assert nearest_name("steps", steps) == "max_steps"
    assert nearest_name("steps", steps[:2]) is None
    assert "unknown flag --zzz; see train --help" in refusal(["--model_name=gpt2", "--zzz=1"])


# Help


def test_help_holds_each_sentence_and_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as ended:
        parse(Training, ["--help"], prog="train")
    assert not ended.value.code
    text = capsys.readouterr().out
    assert "Train something." in text
    for name, sentence in field_help(Training).items():
        assert f"--{name}" in text
        assert sentence in text
    for default in ("3e-06", "10", "True", "(1.0, 2.0)", "cosine", "%(prog)s is 100% done"):
        assert f"(default: {default})" in text
    assert "None" not in text


def test_the_sentence_of_a_field_is_the_text_below_it() -> None:
    assert list(field_help(Training)) == list(Training.__dataclass_fields__)
    assert field_help(Training)["num_atoms"] == "Number of bins, two or more."
    assert field_help(Training)["model_name"].endswith("100 % of its layers.")


# Exit statuses


def raise_it(error: BaseException) -> Callable[[Any], int]:
    def run(_config: Any) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("no such\n  family"), 2, "error: no such family\n"),
        (FileNotFoundError(2, "No such file", "x.json"), 2, "error: x.json: no such file.\n"),
        (PermissionError(13, "Permission denied", "x"), 2, "error: x: permission denied.\n"),
        (OSError(28, "No space left on device"), 2, "error: .*No space left.*\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_users_error_is_one_line_and_a_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    assert run_command(Training, raise_it(error), ["--model_name=gpt2"]) == status
    captured = capsys.readouterr()
    assert re.fullmatch(said, captured.err)
    assert captured.out == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line_and_its_status_and_cleans_up(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned = []

    def stop(_config: Any) -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            cleaned.append(True)

    assert run_command(Training, stop, ["--model_name=gpt2"]) == 128 + number
    assert capsys.readouterr().err == f"stopped by {number.name}\n"
    assert cleaned == [True]
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("is_at_the_end", [False, True])
def test_a_signal_within_a_finalizer_is_not_lost(
    number: signal.Signals, is_at_the_end: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python lets no exception out of a finalizer."""

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def run(_config: Any) -> None:
        finalized = Finalized()
        del finalized
        if not is_at_the_end:
            time.sleep(10)

    began, hook = time.monotonic(), sys.unraisablehook
    assert run_command(Training, run, ["--model_name=gpt2"]) == 128 + number
    said = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert capsys.readouterr().err == f"{said}\n"
    assert time.monotonic() - began < 5
    assert sys.unraisablehook is hook


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As `nohup` starts a command."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        hang_up = functools.partial(os.kill, os.getpid(), signal.SIGHUP)
        assert run_command(Training, lambda _: hang_up(), ["--model_name=gpt2"]) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_runs_in_a_thread_which_may_not_handle_signals() -> None:
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(run_command, Training, lambda _: 0, ["--model_name=gpt2"])
    assert ran.result() == 0


SUMMARIZE = ["summarize", "--data_dir", str(Path(__file__).parents[1] / "golden/v0.1/data")]


def in_a_process(arguments: list[str], stdout: int, stderr: int = subprocess.PIPE) -> Any:
    program = [sys.executable, "-m", "hidden_context.commands.cli", *arguments]
    return subprocess.run(program, stdout=stdout, stderr=stderr, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "with_errors"),
    [
        (["--help"], False),
        (["--help"], True),
        ([*SUMMARIZE, "--json"], False),
        pytest.param([*SUMMARIZE, "--json"], True, marks=pytest.mark.slow),
    ],
    ids=["help", "help and errors", "results", "results and errors"],
)
def test_a_closed_pipe_is_the_end_and_nothing_is_said(
    arguments: list[str], with_errors: bool
) -> None:
    """`| head -1`, and `2>&1 | head -1`, after head has left: also at the interpreter's end."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = in_a_process(arguments, writer, writer if with_errors else subprocess.PIPE)
    finally:
        os.close(writer)
    assert ended.returncode == 128 + signal.SIGPIPE
    assert not ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], [*SUMMARIZE, "--json"]], ids=["help", "results"])
def test_printing_to_a_full_disk_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        ended = in_a_process(arguments, full.fileno())
    assert ended.returncode == 2
    assert re.fullmatch("error: .*No space left on device.*\n", ended.stderr)


def test_a_mistaken_flag_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for flags in (["--oops=1"], [], ["--config", str(tmp_path / "none.yaml")], ["--config", "."]):
        assert run_command(Training, lambda _: 0, flags, prog="train") == 2
        captured = capsys.readouterr()
        assert re.fullmatch("error: .+\n", captured.err)
        assert captured.out == ""


@pytest.mark.parametrize("error", [ValueError("ours"), AssertionError(), RuntimeError()])
def test_an_error_of_ours_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_command(Training, raise_it(error), ["--model_name=gpt2"])


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_the_status_is_what_the_command_returns(returned: int | None, status: int) -> None:
    seen = []

    def run(config: Training) -> int | None:
        seen.append(config)
        return returned

    assert run_command(Training, run, ["--model_name=gpt2"]) == status
    assert seen == [Training("gpt2")]


def test_flags_are_those_of_the_process_when_none_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--model_name=gpt2", "--limit=3"])
    assert run_command(Training, lambda config: config.limit) == 3


# The table of commands

every_command = pytest.mark.parametrize("command", cli.COMMANDS)

HELP_OF_ALL = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
from hidden_context.commands.cli import COMMANDS, main
heavy = {"torch", "transformers", "peft", "accelerate", "datasets", "matplotlib"}
for command in COMMANDS:
    with redirect_stdout(StringIO()) as printed:
        try:
            status = main([command, "--help"])
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([command, status or 0, printed.getvalue(), sorted(heavy & {*sys.modules})]))
"""


@functools.cache
def help_of_all() -> dict[str, tuple[int, str, list[str]]]:
    """Of each command: its status, its help, and what of a model stack was imported by then."""
    program = [sys.executable, "-c", HELP_OF_ALL]
    lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    return {command: tuple(rest) for command, *rest in map(json.loads, lines)}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--help", "-h", "help"):
        assert cli.main([flag]) == 0
        text = capsys.readouterr().out
        for name, what in cli.COMMANDS.items():
            assert re.search(rf"^ +{name} +{re.escape(what)}$", text, re.MULTILINE)


def test_no_command_at_all_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "usage: hidden-context" in capsys.readouterr().out


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("trian", "train"), ("summarise", "summarize"), ("--downlod", "download")],
)
def test_an_unknown_command_names_the_nearest(
    capsys: pytest.CaptureFixture[str], given: str, nearest: str
) -> None:
    assert cli.main([given, "--limit=3"]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: unknown command {given}; did you mean {nearest}?\n"


@every_command
def test_help_of_a_command_needs_no_model_stack(command: str) -> None:
    status, text, heavy = help_of_all()[command]
    assert (status, heavy) == (0, [])
    assert text.startswith(f"usage: hidden-context {command}")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # of other tests
@every_command
def test_a_command_is_its_module(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"hidden_context.commands.{command.replace('-', '_')}"
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert not ended.value.code
    assert capsys.readouterr() == (help_of_all()[command][1], "")


@every_command
def test_every_flag_of_a_command_has_a_sentence(command: str) -> None:
    text = help_of_all()[command][1]
    entries = re.split(r"\n  (?=-)", text[text.index("\noptions:") :])[1:]
    assert len(entries) >= 2
    for entry in entries:
        _flag, *sentence = re.split(r"\s{2,}", entry.strip(), maxsplit=1)
        assert sentence, f"{_flag} is not described"


@every_command
def test_a_mistaken_flag_of_a_command_ends_with_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--no-such-flag=1"]) == 2
    assert re.fullmatch(r"error: .+\n", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["/", "a/b", "..", " "])
def test_a_name_of_a_model_that_no_file_can_have_is_refused(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = [f"--input={tmp_path / 'in.jsonl'}", f"--output={tmp_path / 'out.jsonl'}"]
    flags += [f"--reward_model_checkpoints={tmp_path}", f"--reward_model_names={name}"]
    assert cli.main(["score", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--reward_model_names" in line
