"""Processes that share one piece of work, some of which are killed; then others go on with it.

They are told by the variables of torchrun, whose first process waits for the others, or by those of
a Slurm array, where nobody waits. What they leave in the end is what one process leaves.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kill.kill_and_resume import TWICE, Outcome, Whole, run_whole
from kill.run_and_kill import (
    STDERR,
    Moment,
    Scene,
    contents,
    differences,
    finish,
    make_room,
    start,
)

__all__ = ["kill_once", "run_whole"]
KILLED = -signal.SIGKILL
STOPPED = (128 + signal.SIGTERM, -signal.SIGTERM)
"""By SIGTERM, the second where it came before the command began."""


@dataclass(frozen=True)
class Launch:
    """How many processes are told what share they have."""

    count: int
    is_array: bool

    def __str__(self) -> str:
        return f"{self.count} {'tasks of an array' if self.is_array else 'processes of torchrun'}"

    def environ(self, index: int) -> dict[str, str]:
        """The variables of one of them; one alone is told nothing."""
        if self.count == 1:
            return {}
        if not self.is_array:
            return {"RANK": str(index), "WORLD_SIZE": str(self.count), "LOCAL_RANK": str(index)}
        values = {"ID": index, "MIN": 0, "MAX": self.count - 1, "STEP": 1, "COUNT": self.count}
        return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def kill_once(scene: Scene, whole: Whole, folder: Path, seed: int) -> Outcome:
    """Kill some of two or three processes, or all, start the same again, and compare what is left.

    The others are ended, as torchrun does it, or go on as far as they can.
    """
    choose = random.Random(seed)
    make_room(scene, folder)
    story: list[str] = []
    wrong: list[str] = []
    kills = 0
    wanted = 1 + (choose.random() < TWICE)
    while kills < wanted and not (kills and _is_done(whole, scene, folder)):
        found, said, failed = _killed(scene, whole, folder, choose, number=len(story))
        if not found and not kills:  # all had ended before
            shutil.rmtree(folder)
            make_room(scene, folder)
            continue
        kills += found
        story.append(said)
        wrong += failed
    last = Launch(choose.choice((1, 2, 3)), is_array=choose.random() < 0.5)
    processes = [
        start(scene, folder, environ=last.environ(index), voice=f".last.{index}")
        for index in range(last.count)
    ]
    statuses = [finish(process) for process in processes]
    story.append(f"then {last}")
    for index, status in enumerate(statuses):
        if status:
            wrong.append(f"status {status}: {_errors(folder, f'.last.{index}')}")
    found = differences(whole.left, contents(scene, folder))
    wrong += [f"{what}: {', '.join(names)}" for what, names in found.items() if names]
    if not wrong:
        shutil.rmtree(folder)
    return Outcome(
        scene.name, kills, not wrong, len(found["left over"]), "; ".join([*story, *wrong])
    )


def _is_done(whole: Whole, scene: Scene, folder: Path) -> bool:
    return not any(differences(whole.left, contents(scene, folder)).values())


def _killed(
    scene: Scene, whole: Whole, folder: Path, choose: random.Random, *, number: int
) -> tuple[int, str, list[str]]:
    """Start several processes and kill some; how many died, the story, and what went wrong."""
    launch = Launch(choose.choice((2, 2, 3)), is_array=choose.random() < 0.3)
    victims = [*range(launch.count)]
    if choose.random() < 0.6:
        victims = [choose.choice(victims)]
    ends_others = choose.random() < 0.5
    at_call = choose.random() < 0.5
    moments = {
        index: Moment(choose.randint(1, max(1, whole.calls // 2)), after=choose.random() < 0.5)
        for index in victims
        if at_call
    }
    voices = [f".{number}.{index}" for index in range(launch.count)]
    processes = [
        start(
            scene,
            folder,
            environ=launch.environ(index),
            voice=voices[index],
            moment=moments.get(index),
        )
        for index in range(launch.count)
    ]
    if not at_call:
        time.sleep(choose.uniform(0, whole.seconds))
        for index in victims:
            processes[index].kill()
    _wait_for_one(processes, victims)
    if ends_others:
        time.sleep(choose.uniform(0, 0.3))
        for process in processes:
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGTERM)
    statuses = [finish(process) for process in processes]
    died = statuses.count(KILLED)
    how = f"at calls {[moments[index].call for index in victims]}" if at_call else "by time"
    then = "others ended" if ends_others else "others went on"
    said = f"{launch}: {[index + 1 for index in victims]} killed {how}, {then}: {statuses}"
    return died, said, _wrong(folder, voices, statuses)


def _wait_for_one(processes: Sequence[Any], victims: Sequence[int]) -> None:
    """Until one of the victims is dead, or has ended."""
    while all(processes[index].exitcode is None for index in victims):
        time.sleep(0.01)


def _wrong(folder: Path, voices: Sequence[str], statuses: Sequence[int]) -> list[str]:
    """What no process may end with: another status, or a traceback."""
    wrong = []
    for voice, status in zip(voices, statuses, strict=True):
        errors = _errors(folder, voice)
        is_refusal = status == 2 and "start the same again" in errors
        is_known = status in (0, KILLED, *STOPPED) or is_refusal
        if not is_known or "Traceback" in errors:
            wrong.append(f"a survivor ended with {status}: {errors}")
    return wrong


def _errors(folder: Path, voice: str) -> str:
    file = folder / f"{STDERR}{voice}"
    return file.read_text()[-1500:] if file.exists() else ""
