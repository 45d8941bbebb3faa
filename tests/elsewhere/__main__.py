"""Exported models must score the same in transformers 4.57 and in the newest release.

python tests/elsewhere [--environments FOLDER] makes an environment of each there, if it is not
there yet, exports tiny models of many architectures and kinds of rotary positions, and compares
their raw outputs to 1e-6. What these versions write again of our checkpoints must be taken for the
same here, if its scores are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from transformers.utils import logging

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

VERSIONS = {"transformers-4.57": "transformers>=4.57,<4.58", "transformers-5": "transformers>=5,<6"}
"""Environments, and what is installed in each beside the torch of constraints.txt."""
NEWEST = "transformers-5"
"""The one that is brought up to date at every run."""
TOLERANCE = 1e-6


def environment(folder: Path, name: str) -> Path:
    """The interpreter of an environment, which is made if need be."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        print(f"making {folder / name}", flush=True)
        venv.create(folder / name, with_pip=True)
    mark = folder / name / "installed"
    if name == NEWEST or not mark.exists():
        torch = next(
            line for line in (ROOT / "constraints.txt").read_text().split() if "torch==" in line
        )
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--upgrade", torch, VERSIONS[name]], check=True)
        mark.touch()
    return python


def seen_by(python: Path, models: Path) -> dict[str, Any]:
    """What the transformers of an environment make of the models."""
    done = subprocess.run(
        [python, Path(__file__).with_name("look.py"), models],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def wrong(answer: dict[str, Any]) -> str:
    """What is wrong with what was seen of a model; nothing if it is as it must be."""
    if "error" in answer:
        return answer["error"]
    if not answer["same_tokens"]:
        return "other token ids"
    if answer["label"] != "reward":
        return f"a pipeline calls it {answer['label']}"
    largest = max(answer["difference"], answer["pipeline"])
    return "" if largest <= TOLERANCE else f"differs by {largest:.1e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv" / "elsewhere")
    folder = parser.parse_args().environments
    from cases import CONTROL, REFUSED, seen_again, write_cases

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pythons = {name: environment(folder, name) for name in VERSIONS}
    failures, compared = [], 0
    with tempfile.TemporaryDirectory(prefix="hidden-context-") as models:
        refused = write_cases(Path(models))
        if refused.keys() != REFUSED.keys():
            failures.append(f"refused are {refused}, not {list(REFUSED)}")
        for name, python in pythons.items():
            seen = seen_by(python, Path(models))
            control = seen["cases"].pop(CONTROL)
            print(f"transformers {seen['version']}")
            compared += len(seen["cases"])
            for model, answer in seen["cases"].items():
                is_wrong = wrong(answer) or seen_again(Path(models), seen["version"], model)
                what = is_wrong or f"{max(answer['difference'], answer['pipeline']):.1e}"
                print(f"  {model:<34} {what}")
                failures += [f"{name}, {model}: {what}"] * bool(is_wrong)
            if name != NEWEST and not control.get("difference", 0.0) > 1e-3:
                failures.append(f"{name} does not see that a model lacks its rotary positions")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(failures)} of {compared} differ")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
