"""`make kill`: every command is killed at random moments, and run again.

What the second run leaves must be, byte for byte, what an unbroken run leaves, but for the times in
records. Half the kills come at a random time, half directly before or after a call that changes a
file's name or makes it last. One in four of the second runs is killed too. Of several processes
that share the work some are killed, or all, and it is started again by another number of them. A
server is stopped or killed while clients wait.

    PYTHONPATH=tests:tests/commands python -m kill --kills 200 --seed 0
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kill import kill_and_resume, serving, several
from kill.kill_and_resume import Outcome
from kill.run_and_kill import Scene
from kill.scenes import scenes
from tabulate import tabulate

SHARES = {
    "train": 46,
    "train in full": 24,
    "evaluate": 32,
    "score": 24,
    "evaluate by several": 12,
    "score by several": 8,
    "best-of": 6,
    "benchmark": 8,
    "audit": 24,
    "summarize": 10,
    "report": 6,
    "download": 18,
    "demo": 4,
    "serve": 8,
}
"""Of some 200 kills, how many are of which command."""
HOW: Mapping[str, Any] = {
    "serve": serving,
    "evaluate by several": several,
    "score by several": several,
}
"""Modules that kill a scene, where it is not `kill_and_resume`."""
WORKERS = 2


def main() -> int:
    """Kill, print the table, and say with the status whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(SHARES), choices=list(SHARES))
    given = parser.parse_args()
    # what the killed had of semaphores is cleaned up, which need not be said
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="hidden-context-kill-"))
    with scenes(folder) as all_scenes:
        chosen = [all_scenes[name] for name in given.only]
        outcomes = _kill_all(chosen, folder, given.kills, given.seed)
    print(_table(outcomes))
    failures = [outcome for outcome in outcomes if not outcome.equal]
    for outcome in failures:
        print(f"{outcome.scene}: {outcome.story}\n")
    minutes = (time.monotonic() - began) / 60
    print(f"{sum(outcome.kills for outcome in outcomes)} kills in {minutes:.1f} minutes")
    if failures:
        print(f"what they left is in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if failures else 0


def _kill_all(chosen: Sequence[Scene], folder: Path, kills: int, seed: int) -> list[Outcome]:
    total = sum(SHARES[scene.name] for scene in chosen)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for number, scene in enumerate(chosen):
            once = HOW.get(scene.name, kill_and_resume)
            base = folder / "whole" / scene.name
            base.parent.mkdir(exist_ok=True)
            whole = once.run_whole(scene, base)
            wanted = -(-SHARES[scene.name] * kills // total)
            seeds = [1_000_000 * seed + 1000 * number + index for index in range(wanted)]
            folders = [folder / "killed" / f"{scene.name} {index}" for index in seeds]
            done = pool.map(once.kill_once, [scene] * wanted, [whole] * wanted, folders, seeds)
            outcomes += done
            said = f"{scene.name}: {wanted} runs, each of {whole.seconds:.1f} s unbroken"
            print(said, file=sys.stderr)
    return outcomes


def _table(outcomes: Sequence[Outcome]) -> str:
    names = dict.fromkeys(outcome.scene for outcome in outcomes)
    kills, runs, equal, left = Counter(), Counter(), Counter(), Counter()
    for outcome in outcomes:
        kills[outcome.scene] += outcome.kills
        runs[outcome.scene] += 1
        equal[outcome.scene] += outcome.equal
        left[outcome.scene] += outcome.left_over
    lines = [[name, kills[name], f"{equal[name]} of {runs[name]}", left[name]] for name in names]
    return tabulate(lines, ["command", "kills", "resumed equal", "files left"])


if __name__ == "__main__":
    sys.exit(main())
