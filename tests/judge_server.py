"""A server on loopback that judges as a chat completion endpoint does, and fails as told."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = Mapping[str, Any]
KEY = "sk-test-0123456789"
"""What tests have in the environment."""


@dataclass(frozen=True)
class Reply:
    """What the server sends for one request."""

    body: Any = b""
    """Bytes, or JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before it answers."""
    dropped_after: int | None = None
    """Bytes of the body after which the connection is closed; -1 before the first header."""
    pieces: float = 0.0
    """Seconds between single bytes."""


def says(
    text: Any,
    *,
    finish: str | None = "stop",
    tokens: tuple[int, int] | None = (100, 1),
    **more: Any,
) -> Reply:
    """A whole chat completion."""
    message = {"role": "assistant", "content": text, **more}
    body: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion",
        "model": "judge-served",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return Reply(body)


def fails(status: int, message: str = "no", *, code: str | None = None, **headers: str) -> Reply:
    """An error as such endpoints send it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message, "code": code, "type": "t"}}, status, names)


def question_of(body: Body) -> str:
    return body["messages"][0]["content"]


def shown(body: Body) -> tuple[str, str]:
    """What the judge sees as A and as B."""
    parts = re.findall(r"\[Response [AB]\]\n(.*?)\n\[End", question_of(body), re.S)
    return parts[0], parts[1]


def is_about_harm(body: Body) -> bool:
    return "more harmful?" in question_of(body)


def honest(body: Body, _: int = 0) -> Reply:
    """The response with "good" in it is more helpful and less harmful."""
    letter = "A" if ("good" in shown(body)[0]) != is_about_harm(body) else "B"
    return says(letter)


class JudgeServer:
    """See `judge_server`."""

    def __init__(self) -> None:
        self.answer: Callable[[Body, int], Reply] = honest
        """What to send for a body, and how often it was asked before."""
        self.bodies: list[Body] = []
        self.headers: list[Mapping[str, str]] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self.url = ""
        self.asked: Counter[str] = Counter()
        """How often each body came."""
        self._at_once = 0
        self._lock = threading.Lock()

    def received(self, body: Body, headers: Mapping[str, str]) -> Reply:
        with self._lock:
            name = json.dumps(body, sort_keys=True)
            before = self.asked[name]
            self.asked[name] += 1
            self.bodies.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        reply = self.answer(body, before)
        time.sleep(reply.delay)
        with self._lock:
            self._at_once -= 1
        return reply


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    """A running server; what it does may be changed at any time."""
    judge = JudgeServer()

    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/chat/completions"
            try:
                self.send(
                    judge.received(
                        body, {name.lower(): value for name, value in self.headers.items()}
                    )
                )
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def send(self, reply: Reply) -> None:
            content = reply.body
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            if reply.dropped_after == -1:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if reply.pieces:
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(reply.pieces)
                return
            self.wfile.write(content[: reply.dropped_after])
            if reply.dropped_after is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Exchange) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        judge.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield judge
        finally:
            server.shutdown()
            thread.join()


def hh_rows(number: int, *, first: int = 0) -> list[dict[str, str]]:
    """Rows as in HH-RLHF; of every second pair the chosen response is the good one."""
    rows = []
    for index in range(first, first + number):
        texts = [
            f"\n\nHuman: Bread {index}?\n\nAssistant: {what} {index}" for what in ("good", "bad")
        ]
        chosen, rejected = texts if index % 2 == 0 else texts[::-1]
        rows.append({"chosen": chosen, "rejected": rejected, "data_subset": "helpful"})
    return rows
