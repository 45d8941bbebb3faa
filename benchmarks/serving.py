"""Serving rewards to many clients at once, against a server that scores each request alone.

    python benchmarks/serving.py

Both serve the same weights (Llamas in float32) to the same clients on loopback; each has a process
of its own with one thread for its tensors. Clients keep their connection and ask again as soon as
they are answered: 16 candidates of 60 tokens for one prompt of 500, then those for the next, one
candidate a request. Rewards of both are compared before any time is reported, and a request without
an answer ends the benchmark.
"""

import argparse
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import psutil
import torch
from tabulate import tabulate
from timing import interleaved, ratio, verdict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from workload import PAD, SIZES, VOCABULARY, Machine, make_candidates, make_model

from hidden_context.distributions import make_family
from hidden_context.llm.checkpoint import save_record

OURS, PEER = "hidden-context", "a server of 40 lines, unbatched"
TINY: dict[str, Any] = {
    **SIZES,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
"""So small that what HTTP costs counts: an unbatched server answers about 200 requests a second."""
MODELS = {"tiny": TINY, "small": SIZES}
SETTINGS = {"tiny": {1: 64, 8: 256, 64: 1024}, "small": {1: 16, 8: 32, 64: 128}}
"""Requests of a repetition, by the model and the number of clients."""
WANTED = {64: 5.0}
"""Least ratio of throughputs, by the number of clients."""
PROMPT, CANDIDATES, OWN = 500, 16, 60


def peer(folder: str) -> None:
    """What one writes first: a request comes, is tokenised, scored and answered; then the next."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    app = FastAPI()

    class Classify(BaseModel):
        model: str | None = None
        input: str

    @app.post("/classify")
    async def classify(body: Classify) -> dict[str, object]:
        inputs = tokenizer(body.input, return_tensors="pt")
        with torch.inference_mode():
            reward = model(**inputs).logits[0, 0].item()
        return {"data": [{"index": 0, "probs": [reward]}]}

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup()
            print(f"on http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)

    Server(uvicorn.Config(app, port=0, log_level="warning")).run()


def save_model(folder: Path, sizes: Mapping[str, Any] = SIZES) -> None:
    """A checkpoint that both load."""
    machine = Machine(sizes, "cpu", torch.float32)
    model = make_model(ours=False, adapters=False, machine=machine)
    torch.nn.init.normal_(model.score.weight)
    model.config.pad_token_id = PAD
    model.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word(i): i for i in range(VOCABULARY)}, word(3)))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {name: word(i) for i, name in enumerate(("pad", "bos", "eos", "unk"))}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, **{f"{name}_token": token for name, token in special.items()}
    )
    tokenizer.save_pretrained(folder)
    save_record(folder, family=make_family("base"), model_name=str(folder))


def word(token_id: int) -> str:
    """How a token is written."""
    return f"w{token_id}"


def make_texts(number: int, seed: int) -> list[str]:
    """So many candidates, those for one prompt one after the other; each is asked for once."""
    texts = make_candidates(
        -(-number // CANDIDATES), prompt=PROMPT, candidates=CANDIDATES, own=OWN, seed=seed
    )
    return [" ".join(map(word, text.tolist())) for text in texts[:number]]


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Processor time since its start, of all its threads."""
        times = self.process.cpu_times()
        return times.user + times.system


@contextmanager
def running(command: Sequence[str]) -> Iterator[Served]:
    """A server that prints its address when it answers."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = next((line for line in process.stdout if "on http://" in line), None)
            if line is None:
                raise RuntimeError(f"{' '.join(command)} did not start")
            yield Served(int(line.rsplit(":", 1)[1]), psutil.Process(process.pid))
        finally:
            process.terminate()


def ask(port: int, texts: Sequence[str], clients: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds for all texts, and of each its reward and the seconds to its answer.

    One thread has all clients, each with its connection; bodies are written before the time starts
    and answers are read after it ends, so that little of the machine goes to the clients.

    Raises:
        RuntimeError: A request was not answered.
    """
    waiting = enumerate([as_request(text) for text in texts])
    answers: list[bytes] = [b""] * len(texts)
    begun, seconds = np.full((2, len(texts)), np.nan)

    def next_request(connection: socket.socket) -> None:
        index, request = next(waiting, (None, b""))
        if index is None:
            selector.unregister(connection)
            return
        begun[index] = time.perf_counter()
        selector.modify(connection, selectors.EVENT_READ, index)
        with suppress(OSError):  # it was closed, as reading will say
            connection.sendall(request)

    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        address = ("127.0.0.1", port)
        connections = [
            stack.enter_context(socket.create_connection(address, timeout=900))
            for _ in range(clients)
        ]
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        started = time.perf_counter()
        for connection in connections:
            next_request(connection)
        while selector.get_map():
            for key, _ in selector.select():
                connection, index = cast(socket.socket, key.fileobj), key.data
                received = b""
                with suppress(OSError):
                    received = connection.recv(2**16)
                answers[index] += received
                if not received:
                    selector.unregister(connection)
                elif is_whole(answers[index]):
                    seconds[index] = time.perf_counter() - begun[index]
                    next_request(connection)
        elapsed = time.perf_counter() - started
    rewards = np.array([reward_of(answer) for answer in answers])
    if np.isnan(rewards).any():
        raise RuntimeError(f"{np.isnan(rewards).sum()} of {len(texts)} requests have no answer")
    return elapsed, rewards, seconds


def as_request(text: str) -> bytes:
    """In HTTP."""
    body = json.dumps({"model": "rm", "input": text, "use_activation": False}).encode()
    head = "POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def is_whole(answer: bytes) -> bool:
    """Whether as much of an answer is there as it announces."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and (length is None or len(body) >= int(length[1]))


def reward_of(answer: bytes) -> float:
    """What a client reads; not a number if it is no reward."""
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return float(json.loads(body)["data"][-1]["probs"][-1]) if b" 200 " in head[:20] else np.nan
    except (ValueError, LookupError, TypeError):
        return np.nan


def compare(
    servers: Mapping[str, Served], model: str, clients: int, repetitions: int
) -> list[list[str]]:
    """Rows of the table for one model and number of clients.

    Raises:
        AssertionError: The servers give a text different rewards.
    """
    number = SETTINGS[model][clients]
    measured: dict[str, list[list[float]]] = {name: [] for name in servers}
    found: dict[int, np.ndarray] = {}

    def run(name: str, repetition: int) -> float:
        texts = make_texts(number, seed=1000 * clients + repetition)
        before = servers[name].cpu_seconds()
        elapsed, rewards, seconds = ask(servers[name].port, texts, clients)
        of_processor = (servers[name].cpu_seconds() - before) / number
        measured[name].append([1000 * of_processor, *(1000 * np.quantile(seconds, [0.5, 0.99]))])
        np.testing.assert_allclose(rewards, found.setdefault(repetition, rewards), atol=1e-4)
        return elapsed

    runs = interleaved({name: lambda r, name=name: run(name, r) for name in servers}, repetitions)
    rows = []
    for name, elapsed in runs.items():
        row = [model, str(clients), name, f"{number / median(elapsed):.1f}"]
        of_processor, middle, slowest = np.median(measured[name], axis=0)
        row += [f"{middle:.0f}", f"{slowest:.0f}", f"{of_processor:.2f}"]
        if name == PEER:
            middle, low, high = ratio(runs, PEER, OURS)
            row.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            if clients in WANTED:
                row += [f"{WANTED[clients]:g}", verdict(middle, WANTED[clients])]
        rows.append(row)
    return rows


def compare_models(model: str, repetitions: int) -> list[list[str]]:
    """Rows of the table for one model, which both servers load."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch) / "rm"
        save_model(folder, MODELS[model])
        ours = ["-m", "hidden_context.commands.cli", "serve", str(folder), "--port", "0"]
        commands = {OURS: ours, PEER: [__file__, "--peer", str(folder)]}
        servers = {
            name: stack.enter_context(running([sys.executable, *command]))
            for name, command in commands.items()
        }
        for served in servers.values():
            ask(served.port, make_texts(CANDIDATES, seed=0), CANDIDATES)  # warm
        return [
            row
            for clients in SETTINGS[model]
            for row in compare(servers, model, clients, repetitions)
        ]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        peer(given.peer)
        return
    rows = [row for model in given.models for row in compare_models(model, given.repetitions)]
    sizes = " and ".join(
        f"{name}: {MODELS[name]['num_hidden_layers']} layers of width {MODELS[name]['hidden_size']}"
        for name in given.models
    )
    print("## Serving\n")
    print(
        f"{CANDIDATES} candidates of {OWN} tokens for each prompt of {PROMPT}, one a request "
        f"({sizes}; {given.repetitions} repetitions; every request was answered, with the same "
        "reward by both):\n"
    )
    headers = ["model", "clients", "server", "requests/s", "p50, ms", "p99, ms"]
    headers += ["processor ms a request", f"times the time of {OURS} (range)", "wanted", ""]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
