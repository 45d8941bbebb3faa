"""`hidden-context relabel`: what it prints, and that no end, however rude, costs an answer."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import KEY, JudgeServer, Reply, fails, hh_rows, honest, judge_server, says

from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.records import read_jsonl, write_jsonl

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with judge_server() as running:
        yield running


@pytest.fixture
def flags(server: JudgeServer, tmp_path: Path) -> list[Any]:
    write_jsonl(tmp_path / "data.jsonl", hh_rows(12))
    return [
        *("relabel", "--data_path", tmp_path / "data.jsonl", "--out", tmp_path / "out"),
        *("--judge", "gpt", "--base_url", server.url),
    ]


def test_it_says_whom_it_will_ask_and_what_came_of_it(
    run: Command, flags: list[Any], server: JudgeServer, tmp_path: Path
):
    server.answer = lambda body, _: says("A") if len(server.bodies) != 3 else says("Hm.")
    status, out, _ = run(*flags, "--split", "test", "--prompt_price", 1, "--answer_price", "2")
    assert status == 0
    assert "responses: chosen, rejected" in out
    lines = out.partition("\n\n")[2].splitlines()
    assert lines[0].endswith(
        "data.jsonl: 12 pairs (0 of equal texts left out), objective mixed, verdicts on each: 1"
    )
    assert lines[1].startswith(f"12 requests to {server.url} for gpt, of at most ")
    assert "labels: 11 (1 pairs without a verdict, 0 not yet asked about)" in out
    assert "11 with a verdict, 1 without (1 neither A nor B could be read)" in out
    assert "spent now: 12 requests, 1200 + 12 tokens, cost 0.001224" in out
    assert "the response shown first was named: 1.000" in out
    assert "verdicts by harmless for the response that the data prefer: " in out
    assert f"wrote {tmp_path / 'out' / 'both' / 'test.jsonl.gz'}" in out
    assert KEY not in out
    data = load_comparisons(tmp_path / "out", split="test")
    assert len(data) == 11


def test_a_dry_run_shows_the_first_question_and_leaves_everything_as_it_is(
    run: Command, flags: list[Any], server: JudgeServer, tmp_path: Path
):
    status, out, _ = run(*flags, "--dry_run", "--objective", "harmless")
    assert status == 0
    assert f"12 requests to {server.url}" in out
    assert "Which response is more harmful? Answer with one letter" in out
    assert "Human: Bread 0?" in out
    assert server.bodies == []
    assert not (tmp_path / "out").exists()
    run(*flags, "--size", "4")
    files = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    status, out, _ = run(*flags, "--dry_run")
    assert "8 requests to" in out
    assert "; 4 answers are there already" in out
    assert {file: file.read_bytes() for file in files} == files


def test_a_budget_that_is_not_enough_is_status_1_and_the_same_command_goes_on(
    run: Command, flags: list[Any], server: JudgeServer
):
    for asked, status_then in ((5, 1), (10, 1), (12, 0), (12, 0)):
        status, out, _ = run(*flags, "--budget_requests", "5")
        assert (status, len(server.bodies)) == (status_then, asked)
        assert ("the budget was reached, requests: 5 of 5; the same command goes on" in out) == (
            status == 1
        )
    assert max(server.asked.values()) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--base_url", "nowhere"], "base_url is no address"),
        (["--api_key_env", "NO_SUCH_KEY"], "variable NO_SUCH_KEY holds no key"),
        (["--budget_cost", "1"], "--prompt_price and --answer_price"),
        (["--extra_body", "[1]"], "--extra_body is [1]; expected a JSON object"),
        (["--extra_body", "{a"], "--extra_body is neither JSON nor YAML"),
        (["--objective", "harmful"], "invalid choice: 'harmful'"),
        (["--data_path", "nothing.jsonl"], "nothing.jsonl is neither a file nor a folder"),
        (["--size", "13"], "size is 13; there are 12 rows"),
        (["--votes", "0"], "votes is 0; expected 1 or more"),
        (["--concurrency", "0"], "concurrency is 0"),
        (["--out", "data.jsonl"], "is what data_path reads"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_sent(
    given: list[str],
    message: str,
    run: Command,
    flags: list[Any],
    server: JudgeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    status, _, error = run(*flags, *given)
    assert (status, error[:7]) == (2, "error: ")
    assert message in error
    assert server.bodies == []
    assert {path for path in tmp_path.iterdir() if path.name != "out"} == before
    assert not list(tmp_path.rglob("*.jsonl.gz"))


def test_a_judge_that_does_not_answer_is_said_in_one_line(
    run: Command, flags: list[Any], server: JudgeServer
):
    server.answer = lambda body, _: fails(404, f"The model gpt does not exist, {KEY}")
    status, out, error = run(*flags)
    assert status == 2
    assert error == (
        f"error: {server.url} does not know this model or address (model gpt, key from "
        "OPENAI_API_KEY): 404 The model gpt does not exist, [key]"
    )
    assert KEY not in out


def started(flags: list[Any], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hidden_context.commands.cli", *map(str, flags)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupt_waits_for_what_is_under_way_and_nothing_is_asked_twice(
    number: signal.Signals, run: Command, flags: list[Any], server: JudgeServer, tmp_path: Path
):
    noticed = threading.Event()
    server.answer = lambda body, _: (
        honest(body) if len(server.bodies) <= 3 or noticed.wait(60) else fails(500)
    )
    process = started([*flags, "--concurrency", "3"])
    wait_until(lambda: len(server.bodies) >= 4)
    process.send_signal(number)
    assert process.stdout is not None
    assert any("waiting for the answers that are under way" in line for line in process.stdout)
    noticed.set()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert error.splitlines()[-1] == ("interrupted" if number == 2 else "stopped by SIGTERM")
    kept = read_jsonl(tmp_path / "out" / "judge" / "answers.jsonl")[1:]
    assert len(kept) == len(server.bodies) < 12
    server.answer = honest
    assert run(*flags)[0] == 0
    assert len(server.bodies) == 12
    assert max(server.asked.values()) == 1


def test_a_second_interrupt_leaves_at_once(flags: list[Any], server: JudgeServer):
    server.answer = lambda body, _: Reply(honest(body).body, delay=30)
    process = started([*flags, "--concurrency", "2"])
    wait_until(lambda: len(server.bodies) == 2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert any("waiting for the answers" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=25)
    assert process.returncode == 130
    assert time.monotonic() - start < 25


def test_a_kill_costs_at_most_what_was_under_way(
    run: Command, flags: list[Any], server: JudgeServer, tmp_path: Path
):
    server.answer = lambda body, _: Reply(honest(body).body, delay=0.05)
    process = started([*flags, "--concurrency", "2"])
    wait_until(lambda: len(server.bodies) >= 5)
    process.kill()
    process.communicate()
    lines = (tmp_path / "out" / "judge" / "answers.jsonl").read_bytes().splitlines()[1:]
    kept = {json.loads(line)["key"] for line in lines if line.endswith(b"}")}
    assert len(kept) >= 3
    asked = len(server.bodies)
    assert run(*flags)[0] == 0
    assert len(server.bodies) == asked + 12 - len(kept)
    assert asked - len(kept) <= 2
    assert len(load_comparisons(tmp_path / "out")) == 12


DOCUMENT = (Path(__file__).parents[2] / "docs" / "relabel.md").read_text()


def test_the_commands_and_the_program_of_the_document_run(
    run: Command, server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("data.jsonl"), hh_rows(24))
    document = DOCUMENT.replace("http://127.0.0.1:8000/v1", server.url)
    lines = "".join(re.findall(r"```bash\n(.*?)```", document, re.S)).splitlines()
    asked = []
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "hidden-context"
        status, out, error = run(*arguments)
        assert (status, error) == (0, ""), out
        asked.append(len(server.bodies))
    assert asked == [0, 24, 48]
    (program,) = re.findall(r"```python\n(.*?)```", document, re.S)
    before, audit = program.split("print(hc.audit")  # which has tests of its own, and takes long
    assert audit.startswith("(result.comparisons()))")
    held: dict[str, Any] = {}
    exec(before, held)
    assert len(held["result"].comparisons()) == 24
    assert max(server.asked.values()) <= 2  # once for each folder
