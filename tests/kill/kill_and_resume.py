"""One run that is killed and run again, held against an unbroken one."""

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kill.run_and_kill import (
    STDERR,
    Moment,
    Scene,
    contents,
    differences,
    finish,
    kill_after,
    make_room,
    start,
    unbroken,
)

TWICE = 0.25
"""Share of the second runs that are killed as well."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run that was killed."""

    scene: str
    kills: int
    equal: bool
    left_over: int
    story: str
    """When it was killed, and what is wrong."""


@dataclass(frozen=True)
class Whole:
    """What an unbroken run of a scene does and leaves."""

    seconds: float
    calls: int
    left: Mapping[str, str]


def run_whole(scene: Scene, folder: Path) -> Whole:
    """Run a scene without a break."""
    seconds, calls = unbroken(scene, folder)
    return Whole(seconds, calls, contents(scene, folder))


def kill_once(scene: Scene, whole: Whole, folder: Path, seed: int) -> Outcome:
    """Kill a scene once or twice, run it again to its end, and compare what it leaves."""
    choose = random.Random(seed)
    make_room(scene, folder)
    while not (first := _killed(scene, whole, folder, (), choose)):
        shutil.rmtree(folder)  # it had ended before
        make_room(scene, folder)
    story, more = [first], tuple(scene.again)
    if choose.random() < TWICE and (second := _killed(scene, whole, folder, more, choose)):
        story.append(second)
    kills = len(story)
    status = finish(start(scene, folder, more=more))
    if status:
        story.append(f"status {status}: {(folder / STDERR).read_text()[-1500:]}")
    wrong = differences(whole.left, contents(scene, folder))
    story += [f"{what}: {', '.join(names)}" for what, names in wrong.items() if names]
    equal = status == 0 and not any(wrong.values())
    if equal:
        shutil.rmtree(folder)
    return Outcome(scene.name, kills, equal, len(wrong["left over"]), "; ".join(story))


def _killed(
    scene: Scene, whole: Whole, folder: Path, more: Sequence[str], choose: random.Random
) -> str:
    """Start and kill it; returns when it was, or nothing if it ended before."""
    if whole.calls and choose.random() < 0.5:
        moment = Moment(choose.randint(1, whole.calls), after=choose.random() < 0.5)
        finish(process := start(scene, folder, more=more, moment=moment))
        where = f"{'after' if moment.after else 'before'} call {moment.call} of {whole.calls}"
        return f"killed {where}" if process.exitcode else ""
    seconds = choose.uniform(0, whole.seconds)
    process = start(scene, folder, more=more)
    in_time = kill_after(process, seconds)
    finish(process)
    return f"killed after {seconds:.2f} of {whole.seconds:.2f} s" if in_time else ""
