"""What is said of names on the hub before anything is read, and how a command ends without one."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants, is_offline_mode

from hidden_context import hub
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.errors import UserError

Run = Callable[..., tuple[int, str, str]]
SECONDS = 5.0
"""In which a command without the hub has ended: its libraries alone would try for half a minute."""


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An address at which nothing answers, and an empty cache."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
        yield address


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, no_hub: str) -> Iterator[list[str]]:
    """A hub that answers, that all is missing; what it was asked for."""
    asked: list[str] = []

    class Missing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 (the parent's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Missing) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield asked
        server.shutdown()
        thread.join()


def test_bare_train_says_what_it_would_fetch_and_ends_at_once_with_two_ways_on(
    run: Run, no_hub: str, tmp_path: Path
):
    began = time.monotonic()
    status, out, error = run("train", f"--output_dir={tmp_path / 'rm'}")
    assert time.monotonic() - began < SECONDS
    assert status == 2
    data, model = out.splitlines()
    assert data.startswith(f"data: Anthropic/hh-rlhf, fetched from {no_hub}; none was given: give ")
    assert "--data_path FILE" in data
    assert model.startswith(f"model: gpt2, fetched from {no_hub}; none was given: give ")
    assert error.startswith("error: Anthropic/hh-rlhf and gpt2 are neither here nor in the cache")
    assert f"{no_hub} cannot be reached" in error
    assert "--data_path FILE" in error
    assert "hidden-context demo" in error
    assert not (tmp_path / "rm").exists()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["audit", "some/prefs"], "some/prefs"),
        (["axes", "some/prefs"], "some/prefs"),
        (["people", "some/prefs"], "some/prefs"),
        (["evaluate", "--reward_model_checkpoint=some/rm", "--output=x.jsonl"], "some/rm"),
        (["benchmark", "rm-bench", "some/rm"], "some/rm"),
        (["export", "some/rm", "--out=exported"], "some/rm"),
        (["serve", "some/rm"], "some/rm"),
        (["relabel", "--data_path=some/prefs", "--out=labels", "--judge=j"], "some/prefs"),
    ],
    ids=lambda given: given[0],
)
def test_every_command_that_fetches_ends_so(
    arguments: list[str],
    name: str,
    run: Run,
    no_hub: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    status, out, error = run(*arguments)
    assert time.monotonic() - began < SECONDS
    assert status == 2
    assert f"{name}, fetched from {no_hub}" in out
    assert name in error
    assert "cannot be reached" in error
    assert "none was given" not in out.splitlines()[-1] or arguments[0] == "evaluate"


@pytest.mark.parametrize(
    ("command", "is_shown"),
    [
        ("audit", True),
        ("score", True),
        ("evaluate", True),
        ("axes", False),
        ("people", False),
        ("items", False),
        ("aggregate", False),
        ("relabel", False),
    ],
)
def test_what_is_missing_is_described_and_the_demo_named_where_it_makes_such(
    command: str, is_shown: bool, run: Run
):
    status, _, error = run(command)
    assert status == 2
    assert error.startswith("error: missing: ")
    assert re.search(r" \((Hub name|File of|Folder|Comparisons, counts)", error)
    assert ("give your own, or try hidden-context demo" in error) == is_shown
    assert error.endswith(f"see hidden-context {command} --help.")


def test_what_is_here_is_not_announced(run: Run, no_hub: str, tmp_path: Path):
    (tmp_path / "empty.csv").write_text("a\n")
    status, out, error = run("audit", tmp_path / "empty.csv")
    assert status == 2
    assert "fetched" not in out
    assert "demo" not in error


def test_a_cached_name_is_read_from_the_cache_without_trying_again(no_hub: str, tmp_path: Path):
    assert not hub.is_cached("models", "some/rm")
    (tmp_path / "hub" / "models--some--rm" / "snapshots" / "1").mkdir(parents=True)
    assert hub.is_cached("models", "some/rm")
    assert not hub.is_cached("datasets", "some/rm")
    (tmp_path / "home" / "datasets" / "some___prefs").mkdir(parents=True)
    assert hub.is_cached("datasets", "some/prefs")
    assert not is_offline_mode()
    with hub.asked_once():
        assert is_offline_mode()
    assert not is_offline_mode()


def test_a_hub_that_answers_is_asked_once(answering: list[str]):
    for _ in range(2):
        assert hub.why_unreachable() is None
        with hub.asked_once():
            assert not is_offline_mode()
    assert len(answering) == 1


def test_a_program_is_told_as_quickly(no_hub: str):
    began = time.monotonic()
    with pytest.raises(UserError, match="cannot be had from the hub"):
        load_comparisons("some/prefs")
    assert time.monotonic() - began < SECONDS


def test_quiet_says_nothing_of_it_but_the_error(run: Run, no_hub: str):
    status, out, error = run("audit", "some/prefs", "--quiet")
    assert (status, out) == (2, "")
    assert "cannot be reached" in error
