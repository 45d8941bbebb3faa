"""What every command prints with --quiet and --json, on a terminal, and elsewhere."""

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from kill.run_and_kill import Scene, make_room
from kill.scenes import PUBLISHED, scenes
from test_people import rows_of

from hidden_context.commands import printing
from hidden_context.commands.cli import COMMANDS, main
from hidden_context.commands.command_line import parse, parse_with_printing, run_command
from hidden_context.commands.doctor import Config as Doctor
from hidden_context.commands.printing import Printing
from hidden_context.published import download
from hidden_context.records import write_jsonl
from hidden_context.report import page
from hidden_context.synthetic import evaluate, experiment

WITHOUT_NUMBERS = {
    "serve": "the address at which it answers, until a signal",
    "report": "the page that it wrote",
    "merge": "the checkpoint that it wrote",
    "export": "the model that it wrote",
    "init": "the file that it wrote",
    "completion": "a script",
}
"""What commands print whose result is no number."""
FILES = r"(fetched|wrote|saved|look at|figure, metrics|\d+ s; files and log|labels|answers) ?.*"
"""How lines begin that are left beside the document with --quiet: those of written files."""
SIDES = [
    {
        "prompt": "?",
        "chosen": f"{'long ' * (1 + number % 5 + 3 * (number % 2))}{number}",
        "rejected": f"tea {number}",
        "side": "ab"[number % 2],
    }
    for number in range(60)
]
"""Two sides, one of which prefers the longer response."""
RANKED = [
    {"prompt": f"Dinner {n}? ", "chosen": first, "rejected": second, "group": group}
    for n in range(2)
    for first, second, group in (("a", "b", "g"), ("b", "c", "h"), ("c", "a", "g"), ("a", "b", "h"))
]
"""Two prompts, of which every pair was compared."""


def config_class(name: str) -> Any:
    return import_module(f"hidden_context.commands.{name.replace('-', '_')}").Config


def prints_numbers(name: str) -> bool:
    return "json" in Printing.names(config_class(name))


@pytest.fixture(scope="module")
def all_scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """Every command that prints numbers, small; those of `kill.scenes` and the quick ones."""
    folder = tmp_path_factory.mktemp("scenes")
    inputs = folder / "tables"
    write_jsonl(inputs / "sides.jsonl", SIDES)
    write_jsonl(inputs / "ranked.jsonl", RANKED)
    write_jsonl(inputs / "people.jsonl", rows_of(range(12), 8, 0))
    write_jsonl(inputs / "few.jsonl", rows_of(range(4), 5, 0))
    quick = {
        "items": ["items", "few.jsonl", "--ridge=1", "--family=base"],
        "aggregate": ["aggregate", "--input=ranked.jsonl", "--rules", "borda", "copeland"],
        "people": ["people", "people.jsonl", "--num_directions=1", "--num_folds=0"],
        "axes": ["axes", "sides.jsonl", "--by=side", "--num_permutations=99", "--num_words=0"],
        "synthetic": ["synthetic", "--env=1d", "--batch_size=8", "--num_iterations=2"],
        "doctor": ["doctor"],
    }
    with scenes(folder / "killed") as made:
        yield made | {name: Scene(name, inputs, given) for name, given in quick.items()}


@pytest.fixture
def strict() -> Callable[[str], Any]:
    """Read one JSON document, without NaN and infinities."""

    def read(text: str) -> Any:
        return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return read


@pytest.fixture
def in_room(
    all_scenes: dict[str, Scene],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    """Run the scene of a command with further flags; its status, output and errors."""
    table = {
        path: hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        for path, content in PUBLISHED.items()
    }
    monkeypatch.setattr(download, "published_files", lambda: table)
    monkeypatch.setattr(page, "write_page", lambda _, path, **__: path)  # for time alone
    monkeypatch.setattr(experiment, "draw_curves", lambda *_: None)
    monkeypatch.setattr(evaluate, "POINTS_PER_AXIS", {1: 20, 2: 5})

    def run(name: str, *flags: str, room: str = "room") -> tuple[int, str, str]:
        scene = all_scenes[name]
        given = [flag for flag in scene.arguments if flag != "--json"]
        monkeypatch.chdir(make_room(scene, tmp_path / room))
        capfd.readouterr()
        status = main([*given, *flags])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_command_prints_numbers_as_json_or_it_is_told_why_not():
    without = {name for name in COMMANDS if not prints_numbers(name)}
    assert without == WITHOUT_NUMBERS.keys()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "demo" else [])
        for name in COMMANDS
        if prints_numbers(name)
    ],
)
def test_json_is_one_document_and_quiet_leaves_the_files_beside_it(
    name: str,
    in_room: Callable[..., tuple[int, str, str]],
    strict: Callable[[str], Any],
    tmp_path: Path,
):
    status, out, err = in_room(name, "--json", "--quiet")
    assert status == 0, err
    document = strict(out)
    assert isinstance(document, dict)
    assert document
    assert re.search(r": -?\d", out) or name == "doctor"  # versions are texts
    left = [line for line in err.splitlines() if line and not re.fullmatch(FILES, line)]
    assert not left
    records = [path for path in tmp_path.rglob("*.json*") if path.is_file()]
    assert not [path for path in records if b'"quiet"' in path.read_bytes()]


@pytest.mark.parametrize("name", ["evaluate", "aggregate", "items", "summarize", "axes"])
def test_quiet_prints_the_result_and_nothing_new(
    name: str, in_room: Callable[..., tuple[int, str, str]]
):
    status, out, err = in_room(name)
    quiet_status, quiet_out, quiet_err = in_room(name, "--quiet", room="quiet")
    assert status == quiet_status == 0
    assert set(quiet_out.splitlines()) <= set(out.splitlines())
    assert "next:" not in quiet_out
    assert "source: " not in quiet_out + quiet_err
    assert "source: " in out + err or name in ("summarize", "items")
    assert not quiet_err
    result = {"evaluate": "accuracy", "axes": "length", "aggregate": "borda", "items": "item"}
    assert result.get(name, "r²") in quiet_out


@pytest.mark.parametrize("name", sorted(WITHOUT_NUMBERS.keys() - {"serve", "completion"}))
def test_a_command_without_json_prints_no_number(
    name: str,
    all_scenes: dict[str, Scene],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    given = {
        "report": all_scenes["report"].arguments,
        "merge": ["merge", "out", "--out=merged"],
        "export": ["export", "out", "--out=exported"],
        "init": ["init", "train"],
    }[name]
    scene = all_scenes["report" if name == "report" else "evaluate"]
    monkeypatch.chdir(make_room(scene, tmp_path / "room"))
    assert main([*given, "--json"]) == 2
    assert "unknown flag --json" in capsys.readouterr().err
    assert main([flag for flag in given if not flag.startswith("--figures")]) == 0
    assert not re.search(r"\d", capsys.readouterr().out)


def test_what_is_said_on_the_way_goes_beside_the_document(
    in_room: Callable[..., tuple[int, str, str]], strict: Callable[[str], Any]
):
    status, out, err = in_room("evaluate", "--json")
    assert status == 0
    document = strict(out)
    assert document["metrics"]["accuracy"] == pytest.approx(
        document["accuracy"]["by quantile:0.01"]["value"], abs=1
    )
    assert document["counts"]["comparisons"] == 32
    for said in ("source: ", "scoring: ", "wrote "):
        assert said in err
    assert "next:" not in out + err


def test_a_flag_of_printing_takes_no_file_for_its_value_and_is_in_no_configuration():
    audit = config_class("audit")
    plain = parse(audit, ["a.csv", "--families", "base"])
    for given in (
        ["--quiet", "a.csv", "--families", "base"],
        ["--families", "base", "--quiet", "a.csv"],
        ["a.csv", "--families", "base", "--quiet"],
        ["--quiet=yes", "a.csv", "--families", "base"],
        ["--quiet", "true", "a.csv", "--families", "base"],
    ):
        if given[0] == "--families":  # a list takes what follows it, but for a flag
            assert parse_with_printing(audit, given)[1] == Printing(quiet=True)
            continue
        assert parse_with_printing(audit, given) == (plain, Printing(quiet=True))
    assert parse_with_printing(audit, ["--json", "a.csv"])[1] == Printing(json=True)
    assert parse_with_printing(audit, ["a.csv", "--json", "false"])[1] == Printing()


def test_a_file_of_settings_may_say_how_to_print(tmp_path: Path):
    path = tmp_path / "doctor.yaml"
    path.write_text("json: true\nquiet: true\n")
    assert parse_with_printing(Doctor, ["--config", str(path)])[1] == Printing(True, True)
    assert parse_with_printing(Doctor, ["--config", str(path), "--json=no"])[1] == Printing(True)


def test_an_error_leaves_no_half_of_a_document(capsys: pytest.CaptureFixture[str]):
    def fail() -> None:
        with printing.printed(Printing(json=True)):
            printing.show(lambda: {"n": 1}, lambda: "one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capsys.readouterr().out == ""


def test_of_several_processes_the_first_alone_prints_the_document_and_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, is_heard in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert run_command(Doctor, said_and_shown, ["--json"]) == 0
        captured = capsys.readouterr()
        assert ("said" in captured.err, "shown" in captured.out) == (is_heard, is_heard)


def test_quiet_tells_libraries_too_while_it_lasts(monkeypatch: pytest.MonkeyPatch):
    hub, datasets = printing.BARS
    monkeypatch.delenv(hub, raising=False)
    monkeypatch.setenv(datasets, "0")
    seen = []

    def look(_: Doctor) -> None:
        seen.append([os.environ.get(name) for name in printing.BARS])

    assert run_command(Doctor, look, ["--quiet"]) == 0
    assert run_command(Doctor, look, []) == 0
    assert seen == [["1", "1"], [None, "0"]]


def said_and_shown(_: Doctor) -> None:
    printing.say("said")
    printing.show(lambda: {"shown": 1})


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"  # pyrefly: ignore (read-only in the parent)

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What doctor and aggregate print on one."""

    def shown(*arguments: str, **environment: str) -> str:
        environment = {"TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": "", **environment}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = Terminal()
        with redirect_stdout(stream):
            assert main([*arguments]) in (0, 1)
        return stream.getvalue()

    return shown


def plain_text(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def test_a_terminal_is_shown_tables_by_rich_and_every_word_that_is_plain_elsewhere(
    terminal: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_jsonl(tmp_path / "ranked.jsonl", RANKED)
    given = ["aggregate", f"--input={tmp_path / 'ranked.jsonl'}", "--rules", "borda", "copeland"]
    assert main(given) == 0
    plain = capsys.readouterr().out
    shown = terminal(*given)
    assert "─" in shown
    assert "─" not in plain
    assert terminal(*given, TERM="dumb") == plain
    assert "\x1b[1m" in shown  # headers
    without_colour = terminal(*given, NO_COLOR="1")
    assert plain_text(shown) == plain_text(without_colour)
    words = re.compile(r"[\w.*:]+")
    assert words.findall(plain_text(shown)) == words.findall(plain)
    narrow = plain_text(terminal(*given, COLUMNS="30"))
    assert "…" not in narrow  # what does not fit is folded
    letters = [re.sub(r"\W", "", text) for text in (narrow, plain)]
    assert sorted(letters[0]) == sorted(letters[1])


def test_colour_repeats_what_a_word_says(
    terminal: Callable[..., str], capsys: pytest.CaptureFixture[str]
):
    status = main(["doctor"])
    plain = capsys.readouterr().out
    shown = terminal("doctor")
    assert status in (0, 1)
    assert "\x1b[1;32mok\x1b[0m " in shown
    assert plain_text(shown) == plain
    assert terminal("doctor", NO_COLOR="1") == plain


@pytest.mark.parametrize(
    ("line", "coloured"),
    [
        ("      Yes: it is surer", "Yes"),
        ("      Yes, towards the first", "Yes"),
        ("    No, the reverse: it is", "No"),
        ("      Cannot tell from these data: so", "Cannot tell from these data"),
        ("lower, x: .1 < .2 holds in this run", "holds"),
        ("lower, x: .2 < .1 does NOT hold in this run", "does NOT hold"),
        ("No test, for there are few", None),
        ("Notes: Yes", None),
        ("okay   then", None),
    ],
)
def test_only_a_verdict_is_coloured(
    line: str, coloured: str | None, monkeypatch: pytest.MonkeyPatch
):
    from hidden_context.commands.terminal import for_stdout

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    shown = for_stdout(lambda: line)
    assert plain_text(shown) == line
    found = re.findall(r"\x1b\[[0-9;]+m(.*?)\x1b\[0m", shown)
    assert found == ([] if coloured is None else [coloured])
