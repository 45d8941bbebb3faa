"""Whatever the server does, what is kept is the published file or a partial one to go on from."""

import hashlib
import shutil
import socket
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from hidden_context.published.fetch import (
    FetchError,
    HostUnreachableError,
    Patience,
    fetch,
    git_blob_id,
    open_client,
)

CONTENT = b"".join(b"%06d\n" % i for i in range(3000))
HALF = len(CONTENT) // 2
BLOB_ID = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
PATIENCE = Patience(attempts=3, backoff=0.001, total=5.0)


class Exchange(BaseHTTPRequestHandler):
    """One request; the server's script says which of the methods below answers it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.strip("/")
        earlier = self.scripted_server.ranges[path]
        script = self.scripted_server.scripts[path]
        answer = script[min(len(earlier), len(script) - 1)]
        earlier.append(self.headers["Range"])
        answer(self)

    @property
    def scripted_server(self) -> "ScriptedServer":
        assert isinstance(self.server, ScriptedServer)
        return self.server

    def log_message(self, *_args: object, **_kwargs: object) -> None: ...

    def head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def start(self) -> int:
        """Announce the rest that Range asks for, as a good server does; where it begins."""
        start = int((self.headers["Range"] or "bytes=0-")[len("bytes=") : -1])
        if start >= len(CONTENT):
            self.head(416, 0)
        else:
            self.head(206 if start else 200, len(CONTENT) - start)
        return start

    def work(self) -> None:
        self.wfile.write(CONTENT[self.start() :])

    def drop(self) -> None:
        start = self.start()
        self.wfile.write(CONTENT[start : start + HALF // 2])
        self.close_connection = True

    def stall(self) -> None:
        start = self.start()
        self.wfile.write(CONTENT[start : start + HALF // 2])
        self.scripted_server.closing.wait(5.0)

    def trickle(self) -> None:
        for byte in CONTENT[self.start() :][:300]:
            self.wfile.write(bytes([byte]))
            if self.scripted_server.closing.wait(0.01):
                return

    def ignore_range(self) -> None:
        self.head(200, len(CONTENT))
        self.wfile.write(CONTENT)

    def call_it_gzip(self) -> None:
        """As servers do with a `.gz` file, which is published as it is."""
        self.head(200, len(CONTENT), Content_Encoding="gzip")
        self.wfile.write(CONTENT)

    def truncate(self) -> None:
        self.head(200, HALF)
        self.wfile.write(CONTENT[:HALF])

    def corrupt(self) -> None:
        self.head(200, len(CONTENT))
        self.wfile.write(CONTENT[::-1])

    def redirect(self) -> None:
        self.head(302, 0, Location="/elsewhere")

    def fail(self) -> None:
        self.head(503, 0)

    def refuse(self) -> None:
        self.head(404, 0)

    def hang_up(self) -> None:
        self.close_connection = True


Answer = Callable[[Exchange], None]


class ScriptedServer(ThreadingHTTPServer):
    """Answers each path by its script, one entry per request; the last entry repeats."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.scripts: dict[str, tuple[Answer, ...]] = {"elsewhere": (Exchange.work,)}
        self.ranges: dict[str, list[str | None]] = defaultdict(list)
        self.closing = threading.Event()

    def url(self, *script: Answer) -> str:
        self.scripts["file"] = script
        return f"http://127.0.0.1:{self.server_port}/file"

    def handle_error(self, *_args: object, **_kwargs: object) -> None: ...


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with open_client(timeout=0.2) as client:
        yield client


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.jsonl"


def write_part(target: Path, content: bytes) -> Path:
    target.parent.mkdir()
    part = target.with_name(target.name + ".part")
    part.write_bytes(content)
    return part


def files_beside(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target.parent.iterdir()}


@pytest.mark.parametrize(
    "script",
    [
        (Exchange.work,),
        (Exchange.drop, Exchange.work),
        (Exchange.drop, Exchange.drop, Exchange.work),
        (Exchange.drop, Exchange.ignore_range),
        (Exchange.stall, Exchange.work),
        (Exchange.truncate, Exchange.work),
        (Exchange.corrupt, Exchange.work),
        (Exchange.fail, Exchange.work),
        (Exchange.hang_up, Exchange.work),
        (Exchange.drop, Exchange.fail, Exchange.work),
        (Exchange.redirect,),
        (Exchange.call_it_gzip,),
    ],
    ids=lambda script: "_then_".join(answer.__name__ for answer in script),
)
def test_a_server_that_works_in_the_end_yields_the_published_file_and_nothing_else(
    script: tuple[Answer, ...], server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    assert fetch(client, server.url(*script), target, BLOB_ID, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl": CONTENT}


@pytest.mark.parametrize("answer", [Exchange.truncate, Exchange.corrupt])
def test_what_does_not_verify_is_fetched_once_more_and_not_kept(
    answer: Answer, server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    with pytest.raises(FetchError, match=f"not the published file.*{BLOB_ID}"):
        fetch(client, server.url(answer), target, BLOB_ID, patience=PATIENCE)
    assert files_beside(target) == {}
    assert server.ranges["file"] == [None, None]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Exchange.fail, "503"), (Exchange.stall, "timed out"), (Exchange.hang_up, "disconnected")],
)
def test_a_server_that_keeps_failing_is_given_up_after_the_attempts(
    answer: Answer, reason: str, server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    with pytest.raises(FetchError, match=f"kept failing: .*{reason}.*attempts: 3"):
        fetch(client, server.url(answer), target, BLOB_ID, patience=PATIENCE)
    assert len(server.ranges["file"]) == 3
    assert not target.exists()


def test_pauses_that_would_exceed_the_total_time_are_not_begun(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    patience = Patience(attempts=1000, backoff=0.01, total=0.5)
    began = time.monotonic()
    with pytest.raises(FetchError, match="kept failing"):
        fetch(client, server.url(Exchange.fail), target, BLOB_ID, patience=patience)
    assert time.monotonic() - began < 1.5
    assert len(server.ranges["file"]) < 10


def test_a_missing_file_is_asked_for_only_once(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    url = server.url(Exchange.refuse)
    with pytest.raises(FetchError, match=f"^{url} answered 404 Not Found$"):
        fetch(client, url, target, BLOB_ID, patience=PATIENCE)
    assert server.ranges["file"] == [None]


def test_a_host_that_does_not_listen_is_unreachable(client: httpx2.Client, target: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/file"
        with pytest.raises(HostUnreachableError, match=r"^cannot reach 127\.0\.0\.1: .*refused"):
            fetch(client, url, target, BLOB_ID, patience=PATIENCE)


def test_a_partial_file_is_continued_and_not_fetched_again(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    write_part(target, CONTENT[:HALF])
    assert fetch(client, server.url(Exchange.work), target, BLOB_ID, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl": CONTENT}
    assert server.ranges["file"] == [f"bytes={HALF}-"]


@pytest.mark.parametrize(
    "partial",
    [b"", CONTENT[:HALF], CONTENT, CONTENT + b"more", b"x" * HALF],
    ids=["empty", "half", "complete", "too_long", "of_another_file"],
)
@pytest.mark.parametrize("answer", [Exchange.work, Exchange.ignore_range])
def test_any_partial_file_ends_as_the_published_one(
    partial: bytes, answer: Answer, server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    write_part(target, partial)
    assert fetch(client, server.url(answer), target, BLOB_ID, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl": CONTENT}


def test_a_server_that_ignores_range_is_asked_only_once(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    write_part(target, CONTENT[:HALF])
    assert fetch(client, server.url(Exchange.ignore_range), target, BLOB_ID, patience=PATIENCE)
    assert server.ranges["file"] == [f"bytes={HALF}-"]


def test_a_server_that_trickles_without_end_is_left_at_the_total_time_with_the_partial_kept(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"too slow; run again to go on from .*\.part"):
        fetch(client, server.url(Exchange.trickle), target, BLOB_ID, patience=Patience(total=0.1))
    assert time.monotonic() - began < 2.0
    (partial,) = files_beside(target).values()
    assert partial
    assert CONTENT.startswith(partial)


def test_an_interrupted_download_leaves_a_partial_file_that_the_next_one_continues(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    def first_half_then_ctrl_c() -> Iterator[bytes]:
        yield CONTENT[:HALF]
        raise KeyboardInterrupt

    transport = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, content=first_half_then_ctrl_c())
    )
    url = server.url(Exchange.work)
    with httpx2.Client(transport=transport) as interrupted, pytest.raises(KeyboardInterrupt):
        fetch(interrupted, url, target, BLOB_ID, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl.part": CONTENT[:HALF]}
    assert fetch(client, url, target, BLOB_ID, patience=PATIENCE)
    assert server.ranges["file"] == [f"bytes={HALF}-"]


def test_a_verified_file_is_not_asked_for_again(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    assert not fetch(client, server.url(Exchange.work), target, BLOB_ID, patience=PATIENCE)
    assert server.ranges["file"] == []


def test_a_different_file_is_kept_unless_told_to_overwrite(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    url = server.url(Exchange.work)
    with pytest.raises(FetchError, match="set overwrite"):
        fetch(client, url, target, BLOB_ID, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl": b"mine"}
    assert fetch(client, url, target, BLOB_ID, overwrite=True, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl": CONTENT}


def test_overwriting_keeps_the_old_file_until_the_new_one_is_verified(
    server: ScriptedServer, client: httpx2.Client, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    url = server.url(Exchange.corrupt)
    with pytest.raises(FetchError, match="not the published file"):
        fetch(client, url, target, BLOB_ID, overwrite=True, patience=PATIENCE)
    assert files_beside(target) == {"file.jsonl": b"mine"}


def test_the_blob_id_of_an_empty_file_is_the_well_known_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert git_blob_id(empty) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("content", [b"a\r\n\0\xff", CONTENT], ids=["binary", "lines"])
def test_blob_ids_are_those_of_git(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    command = ["git", "hash-object", "--no-filters", str(file)]
    by_git = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert git_blob_id(file) == by_git
