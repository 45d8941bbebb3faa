"""Commands in processes of their own, killed at chosen moments, and what they leave.

Processes are forked from a server that has the model stack, so that a run takes seconds.
"""

import ctypes
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import forked

WRITING = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync")
"""Calls of `os` between which files change; kills before and after them hit narrow windows."""
CACHE = "cache"
"""Folder that stands for Hugging Face's cache."""
EVENTS = ".events"
"""File that says how often a run called what is in `WRITING`."""
STDOUT, STDERR = ".stdout", ".stderr"
TIMES = ("_runtime", "_per_second")
OF_THIS_RUN = {"resume_from_checkpoint", "texts_read_now", "overlong_texts_read_now"}
"""What records say of how they came about, beside times."""
ON_A_PAGE = re.compile(rb'(<th scope="row">(?:overlong_)?texts_read_now</th><td>)\d+')
"""The same on a page."""
LONGEST = 300.0
"""Seconds after which a run counts as hanging."""


@dataclass(frozen=True)
class Scene:
    """A command and what it needs; paths are relative to the folder in which it runs."""

    name: str
    inputs: Path
    """Folder that is copied for each run."""
    arguments: Sequence[str]
    again: Sequence[str] = ()
    """Further flags after a kill, as the documentation says."""
    prepare: Callable[..., None] | None = None
    """Called in the process before the command, such as to make chunks small."""
    ignored: frozenset[str] = field(default_factory=frozenset)
    """Names of files that say how a run went, such as a log."""
    says_the_same: bool = True
    """Whether what is printed, too, is as in an unbroken run."""


@dataclass(frozen=True)
class Moment:
    """When a process sends itself a signal: at its n-th call of what is in `WRITING`."""

    call: int
    after: bool
    signal: int = signal.SIGKILL


def start(
    scene: Scene,
    folder: Path,
    *,
    more: Sequence[str] = (),
    moment: Moment | None = None,
    largest_file: int | None = None,
    binding: bool = False,
    environ: Mapping[str, str] | None = None,
    voice: str = "",
) -> Any:
    """Start the command of a scene in `folder`.

    A limit on the size of files stands for a full disk. If `binding`, permissions bind root too.
    What one of several processes says is in files whose names end in `voice`.
    """
    arguments = [*scene.arguments, *more]
    given = (scene, folder, arguments, moment, largest_file, binding, environ or {}, voice)
    process = forked().Process(target=_command, args=given)
    process.start()
    return process


def _command(
    scene: Scene,
    folder: Path,
    arguments: list[str],
    moment: Moment | None,
    largest_file: int | None,
    binding: bool,
    environ: Mapping[str, str],
    voice: str,
) -> None:
    import huggingface_hub.constants
    import torch

    from hidden_context.commands.cli import main

    os.chdir(folder)
    os.environ.update(environ)
    for number, name in ((1, STDOUT + voice), (2, STDERR + voice)):
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    torch.set_num_threads(1)
    huggingface_hub.constants.HF_HOME = CACHE
    if scene.prepare is not None:
        scene.prepare()
    if binding:
        let_permissions_bind()
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    count = _watch_writing(moment)
    status = main(arguments)
    if moment is None and largest_file is None:
        Path(EVENTS + voice).write_text(str(count()))
    os._exit(status)


def _watch_writing(moment: Moment | None) -> Callable[[], int]:
    """Count the calls of what is in `WRITING` and die at `moment`; returns what tells the count."""
    calls = 0
    at = moment or Moment(0, after=False)

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            number = calls
            if number == at.call and not at.after:
                os.kill(os.getpid(), at.signal)
            answer = original(*args, **kwargs)
            if number == at.call and at.after:
                os.kill(os.getpid(), at.signal)
            return answer

        return call

    for name in WRITING:
        setattr(os, name, watched(getattr(os, name)))
    return lambda: calls


def make_room(scene: Scene, folder: Path) -> Path:
    """A folder with the scene's inputs, as they were made."""
    shutil.copytree(scene.inputs, folder)
    return folder


def finish(process: Any) -> int:
    """The exit status of a process."""
    process.join(timeout=LONGEST)
    assert process.exitcode is not None, "the command hangs"
    return process.exitcode


def unbroken(scene: Scene, folder: Path) -> tuple[float, int]:
    """Run a scene; returns its seconds and the number of calls of what is in `WRITING`."""
    began = time.monotonic()
    process = start(scene, make_room(scene, folder))
    status = finish(process)
    assert status == 0, f"{scene.name} ended with {status}: {(folder / STDERR).read_text()[-2000:]}"
    return time.monotonic() - began, int((folder / EVENTS).read_text())


def kill_after(process: Any, seconds: float) -> bool:
    """Kill it after some seconds; False if it had ended before."""
    process.join(timeout=seconds)
    if process.exitcode is not None:
        return False
    process.kill()
    return True


def let_permissions_bind() -> None:
    """Give up what lets root write anywhere (CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH)."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the interface; this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    assert libc.capget(header, sets) == 0
    sets[0] &= ~0b110
    assert libc.capset(header, sets) == 0


def contents(scene: Scene, folder: Path) -> dict[str, str]:
    """A digest of every file, of records without what may differ, by its path; and of folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_said = name.startswith((STDOUT, STDERR, EVENTS))
        if is_said and not (name == STDOUT and scene.says_the_same):
            continue
        if path.name in scene.ignored or path.parent.name == "backbones":
            continue  # these hold the path of the folder
        found[name] = "folder" if path.is_dir() else _digest(path)
    return found


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_lasting(json.loads(content))).encode()
    elif path.suffix == ".html":
        content = ON_A_PAGE.sub(rb"\1", content)
    return hashlib.blake2b(content).hexdigest()


def _lasting(value: Any) -> Any:
    """A record without times and what it says of its own run."""
    if isinstance(value, Mapping):
        return {
            name: _lasting(part)
            for name, part in value.items()
            if name not in OF_THIS_RUN and not name.endswith(TIMES)
        }
    return [*map(_lasting, value)] if isinstance(value, list) else value


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> dict[str, list[str]]:
    """Paths that are missing, not as expected, or left over."""
    return {
        "missing": sorted(expected.keys() - found.keys()),
        "other": sorted(
            name for name in expected if found.get(name, expected[name]) != expected[name]
        ),
        "left over": sorted(found.keys() - expected.keys()),
    }
