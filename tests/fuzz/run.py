"""Damaged inputs of every kind: each command ends with status 0, or 2 and one line that says why.

    python tests/fuzz/run.py --count 10000        # make fuzz
    python tests/fuzz/run.py --seed 17 --count 1  # one case again, as it was

In process, without network; case n of a run with seed s is the case of seed s + n.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hidden-context-fuzz-"))
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import numpy as np
from inputs import Input, copied, make_whole
from mutations import damaged_arguments, damaged_bytes, damaged_value, dumped, pick

from hidden_context.commands.cli import main as command_main
from hidden_context.commands.command_line import run_command

LONGEST = 60
"""Seconds that a case may take."""
KINDS = {
    "data file": 27,
    "vote file": 8,
    "score file": 20,
    "record": 15,
    "checkpoint": 10,
    "settings": 5,
}
KINDS["command line"] = 15
"""How many of a hundred cases are of each kind."""


@dataclass(frozen=True)
class Failure:
    """A case that ended as none may."""

    seed: int
    what: str
    """By which failures are counted: the same for the same mistake."""
    size: int
    """Bytes of what was damaged."""
    shown: str
    """What was damaged, and how the case ended."""


class TooSlow(BaseException):
    """Not an `Exception`, so that no command catches it."""


@contextlib.contextmanager
def whole_inputs() -> Iterator[tuple[Path, list[Input]]]:
    """A folder of whole inputs, which is the working directory meanwhile."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="hidden-context-fuzz-") as name:
        root = Path(name)
        inputs = make_whole(root)
        (root / "here").mkdir()
        os.chdir(root / "here")
        try:
            yield root, inputs
        finally:
            os.chdir(before)


def run_case(seed: int, root: Path, inputs: Sequence[Input]) -> tuple[str, Failure | None]:
    """Make and run the case of a seed; its kind, and how it failed if it did."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(KINDS), p=np.array(list(KINDS.values())) / 100))
    one = pick(rng, [candidate for candidate in inputs if candidate.kind == kind])
    case = root / "case"
    shutil.rmtree(case, ignore_errors=True)
    arguments = [argument.replace("{}", str(case)) for argument in one.arguments]
    if one.folder is None:
        case.mkdir()
        arguments = [arguments[0], *damaged_arguments(arguments[1:], rng)]
        size = sum(map(len, arguments))
    else:
        size = copied(root, one, case, lambda data: damaged(str(one.file), data, rng))
    what, said = outcome(one, arguments, case)
    if what is None:
        return kind, None
    shown = f"{one.file or ''} {' '.join(arguments)[:300]!r}\n    {said}"
    return kind, Failure(seed, f"{kind}: {what}", size, shown)


def damaged(file: str, data: bytes, rng: np.random.Generator) -> bytes:
    """A file with values changed, if it has any, or bytes, or both."""
    by_value = file.endswith((".json", ".jsonl")) and rng.random() < 0.7
    if by_value and file.endswith(".jsonl"):
        rows = [json.loads(line) for line in data.splitlines()]
        at = int(rng.integers(len(rows)))
        changed = damaged_value(rows[at], rng)
        rows = (
            [changed] * len(rows) if rng.random() < 0.3 else [*rows[:at], changed, *rows[at + 1 :]]
        )
        data = b"\n".join(map(dumped, rows)) + b"\n"
    elif by_value:
        data = dumped(damaged_value(json.loads(data), rng))
    elif file.endswith(".safetensors") and rng.random() < 0.5:
        length = int.from_bytes(data[:8], "little")
        header = dumped(damaged_value(json.loads(data[8 : 8 + length]), rng))
        return len(header).to_bytes(8, "little") + header + data[8 + length :]
    return data if by_value and rng.random() < 0.9 else damaged_bytes(data, rng)


def outcome(one: Input, arguments: list[str], case: Path) -> tuple[str | None, str]:
    """What was wrong with how a command ended (nothing, if nothing), and what it said."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _limited():
            status = _run(one, arguments)
    except SystemExit as ended:
        status = ended.code
    except TooSlow:
        return f"{arguments[0]} takes over {LONGEST} s", ""
    except BaseException as error:
        return _place(error), " ".join(str(error).split())[:300]
    said = err.getvalue()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    left = [path.name for path in case.rglob(".*")] if case.is_dir() else []
    if status not in (0, 2):
        return f"{arguments[0]} ends with status {status}", said[-300:]
    if status == 2 and (len(errors) != 1 or len(errors[0]) < len("error: ") + 5):
        return f"{arguments[0]} ends with status 2 and {len(errors)} lines of errors", said[-300:]
    if status == 2 and one.output and (case / one.output).exists():
        return f"{arguments[0]} leaves what it has refused to write", said[-300:]
    if left:
        return f"{arguments[0]} leaves a temporary file", f"{left} {said[-300:]}"
    return None, said


def _run(one: Input, arguments: list[str]) -> Any:
    """The command's own `main`, or its flags alone."""
    if not one.parse_only or arguments[0] != one.arguments[0]:
        return command_main(arguments)
    module = import_module(f"hidden_context.commands.{arguments[0]}")

    def checked(config: Any) -> None:
        if arguments[0] == "train":
            module.final_folder(config, module.make_family_of(config))

    return run_command(module.Config, checked, arguments[1:])


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _place(error: BaseException) -> str:
    """Kind of an exception, and the last function of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/hidden_context/" in frame.filename] or frames
    file = ours[-1].filename.rpartition("/hidden_context/")[2]
    return f"{type(error).__name__} in {file}, {ours[-1].name}"


def summary(failures: Sequence[Failure], counts: Counter[str], seconds: float) -> str:
    """How many cases of each kind ran, and for each failure its number and smallest case."""
    ran = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    lines = [f"{counts.total()} cases ({ran}) in {seconds:.0f} s, {len(failures)} failed"]
    for what, count in Counter(failure.what for failure in failures).most_common():
        smallest = min((one for one in failures if one.what == what), key=lambda one: one.size)
        lines.append(f"{count} x {what}\n  seed {smallest.seed}: {smallest.shown}")
    return "\n".join(lines)


def run_cases(seeds: Sequence[int]) -> tuple[list[Failure], Counter[str]]:
    """Run the case of each seed; those that failed, and how many there were of each kind."""
    failures, counts = [], Counter()
    with whole_inputs() as (root, inputs):
        for seed in seeds:
            kind, failure = run_case(seed, root, inputs)
            counts[kind] += 1
            failures += [failure] if failure else []
    return failures, counts


def main() -> int:
    """Run cases, print the summary; 1 if any failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--count", type=int, default=10_000, help="number of cases")
    given = parser.parse_args()
    begun = time.perf_counter()
    failures, counts = run_cases(range(given.seed, given.seed + given.count))
    print(summary(failures, counts, time.perf_counter() - begun))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
