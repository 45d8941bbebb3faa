"""Commands run by several processes that share the work, as launchers and schedulers start them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kill.scenes import small_chunks

PROGRAM = """
import json, os, signal, sys
import huggingface_hub.constants
from kill.scenes import small_chunks
from hidden_context.commands.cli import main
from hidden_context.shards.chunk_files import ChunkFiles

small_chunks()
if os.environ["RANK"] == os.environ.get("DIES"):
    def die(self, number, lines):
        if os.environ["RANK"] == "0":
            write(self, number, lines)
        os.kill(os.getpid(), signal.SIGKILL)
    write, ChunkFiles.write = ChunkFiles.write, die
for arguments in json.loads(sys.argv[1]):
    status = main(arguments)
    if status:
        sys.exit(status)
"""
"""What torchrun starts: commands with small chunks; a process may die at its first chunk."""
TESTS = Path(__file__).parent


def torchrun(
    count: int, commands: Sequence[Sequence[str]], folder: Path, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run commands in `count` processes of torchrun, in `folder`."""
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={count}"]
    launch += ["--rdzv_backend=c10d", "--rdzv_endpoint=127.0.0.1:0"]
    program = folder.with_name(f"{folder.name}.py")
    program.write_text(PROGRAM)
    return subprocess.run(
        [*launch, str(program), json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def python_path() -> str:
    """Where this project and the modules of the tests are."""
    source = TESTS.parent / "src"
    return os.pathsep.join(map(str, (source, TESTS, TESTS / "commands")))


def array_task(task: int, first: int, last: int) -> dict[str, str]:
    """The variables of a task of a Slurm array from `first` to `last`."""
    values = {"ID": task, "MIN": first, "MAX": last, "STEP": 1, "COUNT": last - first + 1}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def as_one_of_several(environ: Mapping[str, str]) -> None:
    """Make this process one of several, with small chunks."""
    os.environ.update(environ)
    small_chunks()
