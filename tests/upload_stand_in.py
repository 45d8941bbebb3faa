"""The hub's HTTP interface as far as models are uploaded and fetched by it, on loopback."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What was uploaded, and by whom."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.files: dict[str, bytes] = {}
        """Content by repository and path."""
        self.private: dict[str, bool | None] = {}
        """Repositories that were made."""
        self.large: dict[str, bytes] = {}
        """Content of large files by their digest."""
        self.address = ""
        self.commits: list[str] = []
        """Repository of each commit."""

    def names(self, repository: str) -> list[str]:
        return [name.removeprefix(f"{repository}/") for name in self.files if repository in name]

    def entry(self, repository: str, path: str) -> dict[str, Any]:
        """A file of a listing."""
        content = self.files[f"{repository}/{path}"]
        digest = hashlib.sha256(content).hexdigest()
        return {"type": "file", "path": path, "size": len(content), "oid": digest}

    def commit(self, repository: str, lines: list[dict[str, Any]]) -> None:
        self.commits.append(repository)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                content = base64.b64decode(value["content"])
                self.files[f"{repository}/{value['path']}"] = content
            elif line["key"] == "lfsFile":
                self.files[f"{repository}/{value['path']}"] = self.large[value["oid"]]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def answer(self, value: Any, status: int = 200, **headers: str) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self.body()
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self.answer({"error": "Invalid username or password."}, 401)
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.hub.private[name] = asked.get("private", asked.get("visibility") == "private")
            self.answer({"url": f"{self.hub.address}/{name}"})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith("safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.hub.address}/large/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self.answer({"objects": objects})
        elif "/commit/" in path:
            name = path.removeprefix("/api/models/").split("/commit/")[0]
            self.hub.commit(name, [json.loads(line) for line in body.splitlines()])
            url = f"{self.hub.address}/{name}/commit/{COMMIT}"
            self.answer({"commitUrl": url, "commitOid": COMMIT})
        else:
            self.answer({"error": path}, 404)

    def do_PUT(self) -> None:
        content = self.body()
        self.hub.large[hashlib.sha256(content).hexdigest()] = content
        self.answer({})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            if "/tree/" in path:
                self.answer([self.hub.entry(name, file) for file in self.hub.names(name)])
                return
            files = [{"rfilename": file} for file in self.hub.names(name)]
            self.answer({"id": name, "sha": COMMIT, "siblings": files, "private": False})
            return
        repository, _, file = path[1:].replace(f"/resolve/{COMMIT}/", "//", 1).partition("//")
        content = self.hub.files.get(f"{repository}/{file}")
        if content is None:
            self.answer({"error": path}, 404, X_Error_Code="EntryNotFound")
            return
        digest = hashlib.sha256(content).hexdigest()
        self.answer(content, ETag=f'"{digest}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def hub_stand_in(monkeypatch: pytest.MonkeyPatch, token: str = "hf_secret") -> Iterator[Hub]:
    """A hub that the library takes for its own, and the token that it knows."""
    hub = Hub(token)
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub})
    ) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", token)
        yield hub
        server.shutdown()
        thread.join()
