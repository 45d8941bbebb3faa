"""What is killed: each command on small data, set up once."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from judge_server import Reply, honest, judge_server
from kill.run_and_kill import Scene, finish, make_room, start
from kill.serving import serve
from saved_results import write_audit, write_data_dir
from tiny_models import save_tiny_model

from hidden_context.records import write_jsonl

WORDS = ["bread", "flour", "water", "salt", "yeast", "dough", "rise", "bake"]
PUBLISHED = {
    f"data/reward_models/part {number}.bin": np.random.default_rng(number).bytes(size)
    for number, size in enumerate((0, 10, 300_000, 700_000))
}
"""Files of the server that stands for the published repository."""
A_PIECE, PAUSE = 20_000, 0.01
"""Bytes that it sends at once, and seconds between them, so that kills come in the middle."""


def rows(number: int, seed: int) -> list[dict[str, Any]]:
    """Comparisons with votes and ties."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(number):
        prompt = f"Human: {rng.choice(WORDS)} {index}?\n\nAssistant:"
        first, second = (" ".join(["", *rng.choice(WORDS, size=5)]) for _ in range(2))
        votes = {"votes_a": 3, "votes_b": 1 + index % 3, "votes_tie": index % 2}
        texts = {"response_a": prompt + first, "response_b": prompt + second}
        made.append({"prompt": prompt, **texts, **votes})
    return made


def responses(number: int) -> list[dict[str, Any]]:
    """Prompts with a safe and an unsafe response."""
    return [
        {"prompt": f"Human: {WORDS[index % 8]} {index}?\n\nAssistant:", "responses": [" no", " ok"]}
        for index in range(number)
    ]


def styled(number: int) -> list[dict[str, Any]]:
    """Rows of RM-Bench."""
    return [
        {
            "prompt": f"Human: {WORDS[index % 8]} {index}?\n\nAssistant:",
            "chosen": [" yes", " yes, rise", " yes, rise and bake"],
            "rejected": [" no", " no, salt", " no, salt and water"],
            "domain": ("chat", "code", "math", "safety-refuse")[index % 4],
        }
        for index in range(number)
    ]


def small_chunks() -> None:
    """Of scored rows and cached states, so that a kill comes between them."""
    from hidden_context.audits import state_cache
    from hidden_context.llm import score_rows

    vars(score_rows)["ROWS_A_CHUNK"] = 16
    vars(state_cache)["TEXTS_A_CHUNK"] = 16


def impatient() -> None:
    """Small chunks, and a process that waits for a dead one soon says so."""
    from hidden_context.shards import signs_of_life

    small_chunks()
    vars(signs_of_life).update(BEAT=0.25, SILENT=10.0, STARTING=30.0)


def publish() -> None:
    """Let `download` know the files of the local server alone."""
    from hidden_context.published import download

    table = {
        path: hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        for path, content in PUBLISHED.items()
    }
    vars(download)["published_files"] = lambda: table


def train(inputs: Path, *more: str, name: str = "train") -> Scene:
    """Training that saves, logs and measures at steps which do not coincide."""
    arguments = ["train", "--model_name=model", "--data_path=train.jsonl", "--output_dir=out"]
    arguments += ["--eval_data_path=test.jsonl", "--reward_model_type=mean_and_variance"]
    arguments += ["--learning_rate=0.001", "--save_steps=4", "--logging_steps=3", "--eval_steps=5"]
    arguments += ["--eval_first_step", "--per_device_eval_batch_size=8", "--max_length=45"]
    arguments += ["--overlong=truncate_left", *more]
    again = ["--resume_from_checkpoint"]
    return Scene(name, inputs, arguments, again=again, says_the_same=False)


@contextmanager
def scenes(folder: Path) -> Iterator[dict[str, Scene]]:
    """Every scene by its name, set up in `folder`; the server of `download` runs meanwhile."""
    inputs = folder / "model and data"
    save_tiny_model(inputs / "model")
    write_jsonl(inputs / "train.jsonl", rows(32, 1))
    write_jsonl(inputs / "test.jsonl", rows(12, 2))
    write_jsonl(inputs / "responses.jsonl", responses(60))
    write_jsonl(inputs / "rm_bench.jsonl", styled(20))
    training, trained = train(inputs), folder / "trained"
    assert finish(start(training, make_room(training, trained))) == 0
    results = folder / "results"
    results.mkdir()
    write_audit(results)
    write_data_dir(results / "data", ("base", "categorical", "shared_context"))
    (empty := folder / "empty").mkdir()
    with _server() as url, judge_server() as judge:
        judge.answer = lambda body, _: Reply(honest(body).body, delay=PAUSE)
        made = [
            training,
            train(inputs, "--use_peft=false", name="train in full"),
            _evaluate(trained),
            _score(trained),
            replace(_evaluate(trained), name="evaluate by several", prepare=impatient),
            replace(_score(trained), name="score by several", prepare=impatient),
            _benchmark(trained),
            _best_of(trained),
            _audit(inputs),
            Scene("summarize", results, ["summarize", "--data_dir=data", "--json"]),
            Scene("report", results, ["report", "audit", "--out=page.html", "--figures=figures"]),
            _download(empty, url),
            _demo(empty),
            _relabel(inputs, judge.url),
            serve(trained),
        ]
        yield {scene.name: scene for scene in made}


def _evaluate(trained: Path) -> Scene:
    flags = ["--reward_model_checkpoint=out", "--data_path=train.jsonl", "--risk=quantile:0.01"]
    return Scene(
        "evaluate", trained, ["evaluate", *flags], prepare=small_chunks, says_the_same=False
    )


def _score(trained: Path) -> Scene:
    flags = ["--input=responses.jsonl", "--output=scores/s.jsonl"]
    flags += ["--reward_model_checkpoints", "out", "out", "--reward_model_names", "a", "b"]
    return Scene("score", trained, ["score", *flags], prepare=small_chunks, says_the_same=False)


def _benchmark(trained: Path) -> Scene:
    flags = ["rm-bench", "out", "--data_path=rm_bench.jsonl", "--risk=quantile:0.01"]
    return Scene(
        "benchmark", trained, ["benchmark", *flags], prepare=small_chunks, says_the_same=False
    )


def _best_of(trained: Path) -> Scene:
    flags = ["--input=responses.jsonl", "--output=best/b.jsonl", "--rule=borda"]
    flags += ["--reward_model_checkpoints", "out", "out"]
    return Scene("best-of", trained, ["best-of", *flags], prepare=small_chunks, says_the_same=False)


def _audit(inputs: Path) -> Scene:
    flags = ["train.jsonl", "--model_name=model", "--out=audited", "--num_folds=3", "--num_seeds=1"]
    flags += ["--num_null_draws=0", "--families", "mean_and_variance"]
    return Scene("audit", inputs, ["audit", *flags], prepare=small_chunks, says_the_same=False)


def _download(empty: Path, url: str) -> Scene:
    flags = ["reward-models", "--to=data", f"--base_url={url}"]
    return Scene("download", empty, ["download", *flags], prepare=publish, says_the_same=False)


def _demo(empty: Path) -> Scene:
    flags = ["--out_dir=demo", "--train_size=32", "--test_size=12", "--num_jailbreaks=8"]
    flags += ["--pretrain_steps=2", "--batch_size=32"]
    ignored = frozenset(["log.txt"])
    return Scene("demo", empty, ["demo", *flags], ignored=ignored, says_the_same=False)


def _relabel(inputs: Path, url: str) -> Scene:
    flags = ["--data_path=train.jsonl", "--out=labels", "--judge=judge", f"--base_url={url}"]
    flags += ["--api_key_env=none", "--concurrency=1", "--votes=2"]
    return Scene("relabel", inputs, ["relabel", *flags], says_the_same=False)


class _Published(BaseHTTPRequestHandler):
    """Sends the published files slowly, from the middle where that is asked for."""

    def do_GET(self) -> None:
        content = PUBLISHED[self.path.lstrip("/").replace("%20", " ")]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if begin >= len(content) > 0:
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        try:
            for at in range(begin, len(content), A_PIECE):
                self.wfile.write(content[at : at + A_PIECE])
                time.sleep(PAUSE)
        except OSError:
            pass  # whoever asked was killed

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the parent)
        pass


@contextmanager
def _server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Published) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
