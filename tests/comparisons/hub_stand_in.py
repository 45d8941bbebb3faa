"""A stand-in on 127.0.0.1 for the hub's HTTP interface, as far as data sets are read through it."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"
"""Of the only commit that each repository has."""
API = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)(?P<rest>/.*)?")
FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<name>.+)")


@dataclass
class Repository:
    """A data set on the hub."""

    files: Mapping[str, bytes]
    gate: int | None = None
    """Status for whoever asks for a file of a gated one: 401 without a token, 403 with one."""
    broken_after: int | None = None
    """Bytes of a file of rows after which the server fails."""


@dataclass
class Hub:
    """Its repositories, and the bytes that were sent of each file."""

    repositories: Mapping[str, Repository]
    sent: dict[str, int] = field(default_factory=dict)
    endpoint: str = ""


@contextmanager
def serving(repositories: Mapping[str, Repository]) -> Iterator[Hub]:
    """A hub that has these, until the end of the block."""
    hub = Hub(repositories)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers as the hub does, the headers by which its clients tell errors apart included."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        form = parse_qs(self.rfile.read(length).decode())
        path = unquote(urlsplit(self.path).path)
        match = API.fullmatch(path) or FILE.fullmatch(path)
        repository = self.hub.repositories.get(match["repo"]) if match else None
        if match is None or repository is None:
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif "name" in match.groupdict():
            self._send_file(match["repo"], match["name"], repository)
        else:
            self._send_api(match["repo"], match["rest"] or "", repository, form)

    def _send_api(
        self, repo: str, rest: str, repository: Repository, form: Mapping[str, list[str]]
    ) -> None:
        if rest.startswith("/tree/"):
            folder = rest.removeprefix("/tree/").partition("/")[2]
            recursive = "recursive=true" in self.path.lower()
            self._send_json(_entries(repository.files, folder, recursive=recursive))
        elif rest.startswith("/paths-info/"):
            everything = _entries(repository.files, "", recursive=True)
            self._send_json([entry for entry in everything if entry["path"] in form["paths"]])
        elif rest == "" or rest.startswith("/revision/"):
            siblings = [{"rfilename": name} for name in repository.files]
            gated = "manual" if repository.gate else False
            about = {"id": repo, "sha": SHA, "private": False, "gated": gated, "tags": []}
            self._send_json({**about, "siblings": siblings})
        else:
            self._refuse(404, "EntryNotFound", "Entry not found")

    def _send_file(self, repo: str, name: str, repository: Repository) -> None:
        if repository.gate:
            self._refuse(repository.gate, "GatedRepo", f"Access to dataset {repo} is restricted.")
            return
        if name not in repository.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        content, first, status = repository.files[name], 0, 200
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, status = int(wanted[1]), 206
            content = content[first : int(wanted[2] or len(content)) + 1]
        whole = len(repository.files[name])
        is_row_file = name != "README.md" and self.command == "GET"
        end, limit = first + len(content), repository.broken_after
        if limit is not None and is_row_file and end > limit:
            self._refuse(500, "", "the disk is gone")
            return
        ranged = {"Content-Range": f"bytes {first}-{first + len(content) - 1}/{whole}"}
        self._send(
            status,
            content,
            {
                "ETag": f'"{_oid(repository.files[name])}"',
                "X-Repo-Commit": SHA,
                "Accept-Ranges": "bytes",
                **(ranged if status == 206 else {}),
            },
        )
        if self.command == "GET":
            place = f"{repo}/{name}"
            self.hub.sent[place] = self.hub.sent.get(place, 0) + len(content)

    def _send_json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _entries(files: Mapping[str, bytes], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders in a folder of a repository, as its tree lists them."""
    start = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, Any]] = {}
    for name, content in files.items():
        if not name.startswith(start):
            continue
        *parents, _ = name.removeprefix(start).split("/")
        for depth in range(1, len(parents) + 1):
            path = start + "/".join(parents[:depth])
            if recursive or depth == 1:
                entries[path] = {"type": "directory", "path": path, "oid": _oid(path.encode())}
        if recursive or not parents:
            known = {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
            entries[name] = known
    return list(entries.values())


class Client:
    """A process whose hub is the stand-in: its address is read when libraries are imported."""

    def __init__(self, endpoint: str, home: Path) -> None:
        """`home` is what Hugging Face's libraries keep their files in."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGING")) and "proxy" not in name.lower()
        }
        environment |= {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """See `_answered`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process, which has nothing left to do."""
        self._process.kill()
        self._process.communicate()


def _answered(request: Mapping[str, Any]) -> dict[str, Any]:
    """What became of `load` (of `load_comparisons`), or of a command line `argv`."""
    import io
    from contextlib import redirect_stderr, redirect_stdout

    from hidden_context.commands.cli import main
    from hidden_context.comparisons.comparisons import load_comparisons
    from hidden_context.errors import UserError

    out, err = io.StringIO(), io.StringIO()
    if "argv" in request:
        with redirect_stdout(out), redirect_stderr(err):
            status = main(request["argv"])
        return {"status": status, "out": out.getvalue(), "err": err.getvalue()}
    try:
        with redirect_stderr(err):
            comparisons = load_comparisons(**request["load"])
            rows = [dict(one.row) for one in comparisons]
    except UserError as error:
        return {"error": str(error), "err": err.getvalue()}
    return {"rows": rows, "account": comparisons.account.lines(), "err": err.getvalue()}


def _try_again_at_once() -> None:
    """Libraries wait some seconds before they ask a hub again that did not answer; not here."""
    import time

    from datasets.utils import file_utils
    from huggingface_hub.utils import _http

    for library in (file_utils, _http):
        library.time = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})  # type: ignore


if __name__ == "__main__":
    _try_again_at_once()
    for line in sys.stdin:
        print(json.dumps(_answered(json.loads(line))), flush=True)
