"""Whatever ends a command, what was there before is whole, and the same command goes on.

`make kill` kills at 200 moments; here are some of them, and gentler ends.
"""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill import serving, several
from kill.kill_and_resume import Whole, kill_once, run_whole
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
from kill.scenes import scenes

from hidden_context.records import is_temporary

OUTPUTS = {
    "train": "--output_dir=locked/out",
    "evaluate": "--output=locked/scores.jsonl",
    "score": "--output=locked/scores.jsonl",
    "benchmark": "--output_dir=locked/benchmarks",
    "best-of": "--output=locked/best.jsonl",
    "audit": "--out=locked/audit",
    "report": "--out=locked/page.html",
    "download": "--to=locked/data",
    "demo": "--out_dir=locked/demo",
    "relabel": "--out=locked/labels",
}
"""Commands that write, and where to in a folder that is not to be written to."""
NONE = {"missing": [], "other": [], "left over": []}


@pytest.fixture(scope="module")
def all_scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    with scenes(tmp_path_factory.mktemp("scenes")) as made:
        yield made


@pytest.fixture(scope="module")
def wholes(
    all_scenes: dict[str, Scene], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Whole]:
    folder = tmp_path_factory.mktemp("whole")

    class WhenAsked(dict[str, Whole]):
        def __missing__(self, name: str) -> Whole:
            self[name] = run_whole(all_scenes[name], folder / name)
            return self[name]

    return WhenAsked()


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        pytest.param("train", 0, marks=pytest.mark.slow),
        *(("score", 0), ("download", 0), ("relabel", 0)),
        *(pytest.param("score", seed, marks=pytest.mark.slow) for seed in (1, 2)),
        pytest.param("download", 1, marks=pytest.mark.slow),
    ],
)
def test_a_killed_command_ends_as_if_unbroken(
    name: str, seed: int, all_scenes: dict[str, Scene], wholes: dict[str, Whole], tmp_path: Path
) -> None:
    outcome = kill_once(all_scenes[name], wholes[name], tmp_path / "run", seed)
    assert outcome.kills >= 1
    assert outcome.equal, outcome.story


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("evaluate by several", 0), ("score by several", 1)])
def test_processes_that_share_the_work_end_as_one_that_nobody_kills(
    name: str, seed: int, all_scenes: dict[str, Scene], wholes: dict[str, Whole], tmp_path: Path
) -> None:
    outcome = several.kill_once(all_scenes[name], wholes[name], tmp_path / "run", seed)
    assert outcome.kills >= 1
    assert outcome.equal, outcome.story


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])  # SIGTERM, SIGKILL
def test_a_stopped_server_owes_no_answer_and_a_killed_one_gives_no_wrong_one(
    seed: int, all_scenes: dict[str, Scene], tmp_path: Path
) -> None:
    scene = all_scenes["serve"]
    whole = serving.run_whole(scene, tmp_path / "whole")
    outcome = serving.kill_once(scene, whole, tmp_path / "run", seed)
    assert outcome.equal, outcome.story


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param("train", signal.SIGTERM, marks=pytest.mark.slow),
        ("score", signal.SIGTERM),
        pytest.param("score", signal.SIGHUP, marks=pytest.mark.slow),
        ("score", signal.SIGINT),
    ],
)
def test_a_signal_ends_with_one_line_and_the_same_command_goes_on(
    name: str,
    number: signal.Signals,
    all_scenes: dict[str, Scene],
    wholes: dict[str, Whole],
    tmp_path: Path,
) -> None:
    scene, whole, folder = all_scenes[name], wholes[name], tmp_path / "run"
    make_room(scene, folder)
    middle = Moment(whole.calls // 2, after=False, signal=number)
    assert finish(start(scene, folder, moment=middle)) == 128 + number
    error = (folder / STDERR).read_text()
    said = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert error.splitlines()[-1] == said
    assert "Traceback" not in error
    assert not [path for path in folder.rglob("*") if is_temporary(path.name)]
    assert finish(start(scene, folder, more=scene.again)) == 0
    assert differences(whole.left, contents(scene, folder)) == NONE


def one_line(folder: Path, status: int, expected: int) -> str:
    """The last line of the errors, which must be the only one that speaks of an error."""
    errors = (folder / STDERR).read_text()
    assert status == expected, errors
    assert "Traceback" not in errors
    assert len([line for line in errors.splitlines() if "error: " in line]) <= 1
    return [line for line in errors.splitlines() if not line.startswith("next: ")][-1]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    name: str, all_scenes: dict[str, Scene], tmp_path: Path
) -> None:
    scene = all_scenes[name]
    folder = make_room(scene, tmp_path / "run")
    before = contents(scene, folder)
    status = finish(start(scene, folder, largest_file=2000))
    line = one_line(folder, status, 1 if name == "download" else 2)
    assert "file too large" in line.lower() or "cannot be written" in line
    found = differences(before, contents(scene, folder))
    assert (found["missing"], found["other"]) == ([], [])
    assert not [path for path in folder.rglob("*") if is_temporary(path.name)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_folder_that_may_not_be_written_to_is_one_line(
    name: str, all_scenes: dict[str, Scene], tmp_path: Path
) -> None:
    scene = all_scenes[name]
    folder = make_room(scene, tmp_path / "run")
    locked = folder / "locked"
    locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    status = finish(start(scene, folder, more=[OUTPUTS[name]], binding=True))
    line = one_line(folder, status, 1 if name == "download" else 2)
    assert "permission denied" in line.lower()
    assert "locked/" in line
    assert os.listdir(locked) == []
