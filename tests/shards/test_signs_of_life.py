"""Who waits learns when another process has died, and does not take a slow one for dead."""

import os
import time
from pathlib import Path

import pytest

from hidden_context.errors import UserError
from hidden_context.shards import Shard, signs_of_life
from hidden_context.shards.signs_of_life import SignsOfLife

FIRST, SECOND = (Shard(index, 2, waits=True) for index in range(2))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BEAT": 0.01, "POLL": 0.02, "SILENT": 0.4, "STARTING": 0.2}.items():
        monkeypatch.setattr(signs_of_life, name, seconds)


def test_a_slow_process_is_waited_for(tmp_path: Path):
    """Longer than any patience."""
    began = time.monotonic()
    with SignsOfLife(tmp_path, "run", FIRST) as first, SignsOfLife(tmp_path, "run", SECOND):
        first.wait_while(lambda: [1] if time.monotonic() < began + 0.8 else [])
    assert time.monotonic() - began >= 0.8
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_stops_is_named(tmp_path: Path):
    second = SignsOfLife(tmp_path, "run", SECOND)
    second.__enter__()
    polls = 0

    def lacking() -> list[int]:
        nonlocal polls
        polls += 1
        if polls == 5:
            second._ended.set()  # killed: its file stays
        return [1]

    message = r"process 2 of 2 has given no sign of life for \d seconds.*start the same again"
    with SignsOfLife(tmp_path, "run", FIRST) as first, pytest.raises(UserError, match=message):
        first.wait_while(lacking)
    assert polls > 20
    assert [path.name for path in tmp_path.iterdir()] == ["run.2-of-2.alive"]


def test_a_process_that_never_starts_is_named(tmp_path: Path):
    """What a run that was killed left of it is no sign."""
    (tmp_path / "run.2-of-2.alive").touch()
    os.utime(tmp_path / "run.2-of-2.alive", (0, 0))
    with (
        SignsOfLife(tmp_path, "run", FIRST) as first,
        pytest.raises(UserError, match="process 2 of 2 has given no sign"),
    ):
        first.wait_while(lambda: [1])


def test_what_is_removed_meanwhile_is_told(tmp_path: Path):
    with (
        SignsOfLife(tmp_path, "run", FIRST) as first,
        pytest.raises(UserError, match="were removed while others were waited for"),
    ):
        first.wait_while(lambda: [0])


def test_a_folder_that_another_process_removed_disturbs_nobody(tmp_path: Path):
    folder = tmp_path / "folder"
    with SignsOfLife(folder, "run", SECOND):
        (folder / "run.2-of-2.alive").unlink()
        folder.rmdir()
        time.sleep(0.05)
    assert not folder.exists()


def test_processes_for_which_nobody_waits_leave_no_signs(tmp_path: Path):
    with SignsOfLife(tmp_path / "folder", "run", Shard(1, 2)):
        assert not (tmp_path / "folder").exists()
