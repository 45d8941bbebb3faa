"""The `download` command: which files, where they go, what is said, which exit status."""

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hidden_context.commands.download import Config, main, run
from hidden_context.published import download
from hidden_context.published.download import published_files

FILES = {
    "data/jailbroken_responses.jsonl": b"jailbroken\n",
    "data/relabeled_hh_rlhf/both/test #1.jsonl.gz": b"relabeled\n",
    "data/reward_models/hh_rlhf/both/adapter_config.json": b"{}\n",
}
ALL_FETCHED = "fetched 3, already there 0, failed 0, not tried 0\n"


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published repository as a folder, here of three files."""
    root = tmp_path / "upstream"
    table = {}
    for path, content in FILES.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        table[path] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    monkeypatch.setattr(download, "published_files", lambda: table)
    return root


@pytest.fixture
def config(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    handler = partial(SimpleHTTPRequestHandler, directory=upstream)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        base_url = f"http://127.0.0.1:{server.server_port}/"
        yield Config(("all",), to=tmp_path / "to", base_url=base_url, timeout=2.0, attempts=1)
        server.shutdown()
        thread.join()


@pytest.fixture
def deaf_url() -> Iterator[str]:
    """Address at which nothing listens."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}"


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_all_is_every_file_in_the_published_layout_without_the_leading_data(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config) == 0
    assert contents(config.to) == {path.removeprefix("data/"): FILES[path] for path in FILES}
    assert capsys.readouterr().out == ALL_FETCHED


@pytest.mark.parametrize(
    ("names", "tops"),
    [
        (("jailbroken",), {"jailbroken_responses.jsonl"}),
        (("relabeled-hh-rlhf",), {"relabeled_hh_rlhf"}),
        (("reward-models",), {"reward_models"}),
        (("reward-models", "jailbroken"), {"reward_models", "jailbroken_responses.jsonl"}),
        (("all", "jailbroken"), {path.split("/")[1] for path in FILES}),
    ],
)
def test_only_what_is_named_is_fetched(
    names: tuple[str, ...], tops: set[str], config: Config
) -> None:
    assert run(replace(config, names=names)) == 0
    assert {path.name for path in config.to.iterdir()} == tops


def test_a_second_run_fetches_nothing_and_needs_no_server(
    config: Config, deaf_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config)
    capsys.readouterr()
    assert run(replace(config, base_url=deaf_url)) == 0
    assert capsys.readouterr().out == "fetched 0, already there 3, failed 0, not tried 0\n"


def test_a_failing_file_does_not_keep_the_others_back_and_is_named(
    config: Config, upstream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (upstream / "data/jailbroken_responses.jsonl").unlink()
    assert run(config) == 1
    out, err = capsys.readouterr()
    assert out == "fetched 2, already there 0, failed 1, not tried 0\n"
    assert re.fullmatch(r"failed: \S*to/jailbroken_responses.jsonl: \S+ answered 404 .*\n", err)


def test_a_different_file_is_refused_by_name_until_told_to_overwrite(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = config.to / "jailbroken_responses.jsonl"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert run(config) == 1
    assert mine.read_text() == "mine"
    error = capsys.readouterr().err
    assert str(mine) in error
    assert "set overwrite" in error
    assert run(replace(config, overwrite=True)) == 0
    assert mine.read_bytes() == FILES["data/jailbroken_responses.jsonl"]


def test_an_unreachable_host_is_one_line(
    config: Config, deaf_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(replace(config, base_url=deaf_url)) == 1
    out, err = capsys.readouterr()
    assert out == "fetched 0, already there 0, failed 1, not tried 2\n"
    assert re.fullmatch(r"failed: cannot reach 127\.0\.0\.1: .*\n", err)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["jailbrokn"], "'jailbrokn'"),
        ([], "missing: names"),
        (["all", "--base_url", "example.org"], "base_url "),
        (["all", "--base_url", "ftp://example.org"], "base_url "),
        (["all", "--base_url", "http://"], "base_url "),
        (["all", "--base_url", "http://[::1"], "base_url "),
        (["all", "--timeout", "0"], "timeout "),
        (["all", "--timeout", "nan"], "timeout "),
        (["all", "--timeout", "inf"], "timeout "),
        (["all", "--attempts", "0"], "attempts "),
        (["all", "--to", __file__], "--to"),
        (["all", "--nonsense"], "--nonsense"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_that_names_it_and_status_2(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert named in error


def test_the_command_line_reaches_every_setting(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--to", str(tmp_path / "there"), "--base_url", config.base_url, "--overwrite"]
    assert main(["jailbroken", "reward-models", *flags]) == 0
    assert len(contents(tmp_path / "there")) == 2


def test_every_published_file_has_a_blob_id_and_belongs_to_exactly_one_name() -> None:
    table = published_files()
    assert len(table) == 43
    prefixes = [prefix for name, prefix in download.PUBLISHED.items() if name != "all"]
    for path, blob_id in table.items():
        assert re.fullmatch("[0-9a-f]{40}", blob_id)
        assert sum(path.startswith(prefix) for prefix in prefixes) == 1
