"""A server that is stopped or killed while clients wait, and what they get.

Under SIGTERM every request that it had accepted is answered. Under SIGKILL a client has an answer
that is whole and right, or an error; a server that is started again answers all.
"""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from kill.kill_and_resume import Outcome
from kill.run_and_kill import LONGEST, STDERR, STDOUT, Scene, finish, make_room, start

TEXTS = [f"Human: bread {number}?\n\nAssistant: flour and water" for number in range(24)]
A_PASS = 0.02
"""Seconds that a pass takes longer here, so that signals come in the middle."""
CLOSE = 1e-5


@dataclass(frozen=True)
class Rewards:
    """What a server that nobody stops answers, for each of the texts."""

    seconds: float
    rewards: Sequence[float]


def serve(trained: Path) -> Scene:
    """A server whose passes take a while, and have few texts each."""
    arguments = ["serve", "out", "--port=0", "--token_budget=64"]
    return Scene("serve", trained, arguments, prepare=slow_passes, says_the_same=False)


def slow_passes() -> None:
    """Let the model take its time."""
    from hidden_context.llm.score import Scorer

    original = vars(Scorer)["raw_outputs"]

    def slowly(self: Any, *given: Any) -> Any:
        time.sleep(A_PASS)
        return original(self, *given)

    setattr(Scorer, "raw_outputs", slowly)  # noqa: B010


def run_whole(scene: Scene, folder: Path) -> Rewards:
    """Ask for all rewards and stop the server."""
    make_room(scene, folder)
    process, port = _started(scene, folder)
    began = time.monotonic()
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        found = [*pool.map(lambda text: _reward(port, text), TEXTS)]
    seconds = time.monotonic() - began
    os.kill(process.pid, signal.SIGTERM)
    finish(process)
    assert None not in found, (folder / STDERR).read_text()
    return Rewards(seconds, [reward for reward in found if reward is not None])


def kill_once(scene: Scene, whole: Rewards, folder: Path, seed: int) -> Outcome:
    """Stop or kill a server at a random moment, start it again if it was killed, and compare."""
    choose = random.Random(seed)
    number = (signal.SIGTERM, signal.SIGKILL)[seed % 2]
    make_room(scene, folder)
    process, port = _started(scene, folder)
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        asked = [pool.submit(_reward, port, text) for text in TEXTS]
        time.sleep(choose.uniform(0, whole.seconds))
        owed = _owed(port)
        os.kill(process.pid, number)
        found = [each.result() for each in asked]
    status = finish(process)
    answered = sum(reward is not None for reward in found)
    wrong = _wrong(found, whole.rewards)
    story = [f"{number.name} after {answered} answers, {owed} owed", *wrong]
    if number == signal.SIGTERM and answered < owed:
        wrong.append(f"{owed - answered} accepted requests were not answered")
    if status != (-number if number == signal.SIGKILL else 128 + number):
        wrong.append(f"status {status}: {(folder / STDERR).read_text()[-1500:]}")
    if number == signal.SIGKILL:
        shutil.rmtree(folder)
        again = run_whole(scene, folder)
        wrong += _wrong(again.rewards, whole.rewards)
    if not wrong:
        shutil.rmtree(folder)
    return Outcome(scene.name, 1, not wrong, 0, "; ".join([*story, *wrong]))


def _started(scene: Scene, folder: Path) -> tuple[Any, int]:
    process = start(scene, folder)
    deadline = time.monotonic() + LONGEST
    said = ""
    while "answers on" not in said or not said.endswith("\n"):
        assert process.exitcode is None, (folder / STDERR).read_text()
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)
        said = (folder / STDOUT).read_text() if (folder / STDOUT).exists() else ""
    return process, int(said.strip().rpartition(":")[2])


def _reward(port: int, text: str) -> float | None:
    """As a client reads it; None if it sees an error."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            "POST", "/classify", json.dumps({"input": text}), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return json.loads(content)["data"][-1]["probs"][-1] if answer.status == 200 else None


def _owed(port: int) -> int:
    """How many requests the server has accepted so far, answered or not."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    values: Mapping[str, float] = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in connection.getresponse().read().decode().splitlines()
        if not line.startswith("#")
    }
    connection.close()
    done = values.get('hidden_context_requests_total{route="/classify",status="200"}', 0)
    return int(done + values["hidden_context_accepted_texts"])


def _wrong(found: Sequence[float | None], expected: Sequence[float]) -> list[str]:
    return [
        f"text {index} has {reward}, not {right}"
        for index, (reward, right) in enumerate(zip(found, expected, strict=True))
        if reward is not None and abs(reward - right) > CLOSE
    ]
