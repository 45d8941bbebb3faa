"""Run every benchmark and write what they print to RESULTS.md.

make bench
"""

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PROGRAMS = (
    "training.py",
    "scoring.py",
    "serving.py",
    "families.py",
    "scaling.py",
    "arithmetic.py",
    "audit.py",
    "synthetic.py",
    "items.py",
    "cuda.py",
)
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "numpy")


def machine() -> str:
    """Processor, cores and versions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}."


def main() -> int:
    """Write RESULTS.md when all have run; a program that fails is named in it."""
    parts = [
        "# Results\n\nWritten by `make bench`. Each ratio is of peer to ours within a repetition: "
        "median, smallest to largest. Losses and scores were compared before any time.\n\n"
        + machine()
    ]
    failed = []
    for program in PROGRAMS:
        print(f"{program} ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        command = [sys.executable, str(HERE / program)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        minutes = (time.monotonic() - started) / 60
        output = done.stdout.strip() or f"## {program}"
        if done.returncode:
            failed.append(program)
            output += f"\n\n**{program} failed with status {done.returncode}.**"
        parts.append(f"{output}\n\n`python benchmarks/{program}`, {minutes:.1f} minutes")
        print(parts[-1], flush=True)
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
