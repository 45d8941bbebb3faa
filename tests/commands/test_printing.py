"""What every command prints with --quiet and --json, and what it names as useful next."""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
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
from hidden_context.commands.fetched import FIELDS
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
WITHOUT_NEXT = {
    "serve": "it answers until a signal",
    "completion": "its script is evaluated whenever a shell starts",
}
"""Commands after which none is named as useful next."""
READ = {"votes", "input", "paths", "data_dir", *FIELDS}
"""Settings of commands that name what is there already."""
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
        trained = made["evaluate"].inputs
        writing = {
            "merge": ["merge", "out", "--out=merged"],
            "export": ["export", "out", "--out=exported"],
            "init": ["init", "train"],
        }
        made |= {name: Scene(name, inputs, given) for name, given in quick.items()}
        yield made | {name: Scene(name, trained, given) for name, given in writing.items()}


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
    scene = all_scenes[name]
    given = scene.arguments
    monkeypatch.chdir(make_room(scene, tmp_path / "room"))
    assert main([*given, "--json"]) == 2
    assert "unknown flag --json" in capsys.readouterr().err
    assert main([flag for flag in given if not flag.startswith("--figures")]) == 0
    assert not re.search(r"\d", capsys.readouterr().out.partition("next: ")[0])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "demo" else [])
        for name in COMMANDS
        if name not in WITHOUT_NEXT
    ],
)
def test_every_command_ends_with_one_that_is_useful_next_and_can_be_run(
    name: str, in_room: Callable[..., tuple[int, str, str]]
):
    status, out, err = in_room(name)
    assert status == 0, err
    (line,) = [line for line in f"{out}\n{err}".splitlines() if line.startswith("next: ")]
    assert line in (*out.splitlines()[-1:], *err.splitlines()[-1:])
    _, program, command, *given = shlex.split(line)
    assert program == "hidden-context"
    config = parse(config_class(command), given)
    values = {field: getattr(config, field) for field in READ if hasattr(config, field)}
    for value in values.values():
        for file in value if isinstance(value, tuple) else (value,):
            assert str(file) not in given or Path(file).exists()


def test_what_is_useful_next_reads_the_same_rows_and_is_said_in_words_alone(
    capsys: pytest.CaptureFixture[str],
):
    config = parse(config_class("axes"), ["my data.csv", "--split=test", "--ignore-columns", "a b"])
    for quiet, json_too in ((False, False), (True, False), (False, True)):
        with printing.printed(Printing(quiet, json_too), ["axes", "my data.csv", "--dry-run"]):
            printing.say_next("people {}", config.data, like=config)
            printing.say_again("--out", "{}", without="dry_run")
        printed = "".join(capsys.readouterr()).splitlines()
        assert (
            printed == []
            if quiet or json_too
            else [
                "next: hidden-context people 'my data.csv' --split test --ignore_columns 'a b'",
                "next: hidden-context axes 'my data.csv' --out '{}'",
            ]
        )


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
    assert "no better than a coin" in document["not_learned"]
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
