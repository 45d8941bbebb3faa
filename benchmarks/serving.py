"""Serving rewards to many clients at once, against a server that scores each request alone.

    python benchmarks/serving.py

Both serve the same weights (the Llama of workload.py, float32) to the same clients, one thread
each, on loopback; each has a process of its own with one thread for its tensors. Clients keep their
connection and ask again as soon as they are answered: 16 candidates of 60 tokens for one prompt of
500, then those for the next, one candidate a request. Rewards of both are compared before any time
is reported, and a request without an answer ends the benchmark.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from timing import interleaved, ratio, verdict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from workload import PAD, VOCABULARY, make_candidates, make_model

from hidden_context.distributions import make_family
from hidden_context.llm.checkpoint import save_record

OURS, PEER = "hidden-context", "a server of 40 lines, unbatched"
SETTINGS = {1: 16, 8: 64, 64: 256}
"""Requests of a repetition, by the number of clients."""
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


def save_model(folder: Path) -> None:
    """A checkpoint that both load."""
    model = make_model(ours=False, adapters=False)
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


@contextmanager
def running(command: Sequence[str]) -> Iterator[int]:
    """A server that prints its address when it answers; yields its port."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = next((line for line in process.stdout if "on http://" in line), None)
            if line is None:
                raise RuntimeError(f"{' '.join(command)} did not start")
            yield int(line.rsplit(":", 1)[1])
        finally:
            process.terminate()


def ask(port: int, texts: Sequence[str], clients: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds for all texts, and of each its reward and the seconds to its answer.

    Raises:
        RuntimeError: A request was not answered.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(texts)):
        waiting.put(index)
    rewards, seconds = np.full((2, len(texts)), np.nan)

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=900)
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return connection.close()
            started = time.perf_counter()
            body = json.dumps({"model": "rm", "input": texts[index], "use_activation": False})
            try:
                connection.request("POST", "/classify", body, {"Content-Type": "application/json"})
                answer = json.load(connection.getresponse())
                rewards[index] = answer["data"][-1]["probs"][-1]
            except (OSError, HTTPException, ValueError, LookupError):
                return connection.close()
            seconds[index] = time.perf_counter() - started

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    if np.isnan(rewards).any():
        raise RuntimeError(f"{np.isnan(rewards).sum()} of {len(texts)} requests have no answer")
    return elapsed, rewards, seconds


def compare(ports: dict[str, int], clients: int, repetitions: int) -> list[list[str]]:
    """Rows of the table for one number of clients.

    Raises:
        AssertionError: The servers give a text different rewards.
    """
    number = SETTINGS[clients]
    slowest: dict[str, list[float]] = {name: [] for name in ports}
    found: dict[int, np.ndarray] = {}

    def run(name: str, repetition: int) -> float:
        texts = make_texts(number, seed=1000 * clients + repetition)
        elapsed, rewards, seconds = ask(ports[name], texts, clients)
        slowest[name].append(float(np.quantile(seconds, 0.99)))
        np.testing.assert_allclose(rewards, found.setdefault(repetition, rewards), atol=1e-4)
        return elapsed

    runs = interleaved({name: lambda r, name=name: run(name, r) for name in ports}, repetitions)
    rows = []
    for name, elapsed in runs.items():
        row = [str(clients), name, f"{number / median(elapsed):.1f}"]
        row.append(f"{1000 * median(slowest[name]):.0f}")
        if name == PEER:
            middle, low, high = ratio(runs, PEER, OURS)
            row.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            if clients in WANTED:
                row += [f"{WANTED[clients]:g}", verdict(middle, WANTED[clients])]
        rows.append(row)
    return rows


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        peer(given.peer)
        return
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch) / "rm"
        save_model(folder)
        ours = ["-m", "hidden_context.commands.cli", "serve", str(folder), "--port", "0"]
        commands = {OURS: ours, PEER: [__file__, "--peer", str(folder)]}
        ports = {
            name: stack.enter_context(running([sys.executable, *command]))
            for name, command in commands.items()
        }
        for port in ports.values():
            ask(port, make_texts(CANDIDATES, seed=0), CANDIDATES)  # warm
        rows = [row for clients in SETTINGS for row in compare(ports, clients, given.repetitions)]
    print("## Serving\n")
    print(
        f"{CANDIDATES} candidates of {OWN} tokens for each prompt of {PROMPT}, one a request "
        f"({given.repetitions} repetitions of {', '.join(map(str, SETTINGS.values()))} requests; "
        "all were answered, with the same rewards):\n"
    )
    headers = ["clients", "server", "requests/s", "p99, ms"]
    headers += [f"times the time of {OURS} (range)", "wanted", ""]
    print(tabulate(rows, headers, tablefmt="pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
