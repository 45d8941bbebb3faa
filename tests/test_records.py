"""Files are written whole or not at all, and whatever is wrong with one that is read is said."""

import errno
import fcntl
import gzip
import json
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hidden_context.errors import UserError
from hidden_context.records import (
    atomic_write,
    json_text,
    meta_path,
    parse_value,
    provenance,
    read_json,
    read_jsonl,
    write_json,
    write_jsonl,
)

ROWS = [{"text": "old", "value": 1.5}, {"text": "é\n\u2028", "value": None}]


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "scores.jsonl"
    write_jsonl(path, ROWS)
    return path


def assert_untouched(path: Path, *, leftovers: int = 0) -> None:
    assert read_jsonl(path) == ROWS
    assert len(list(path.parent.iterdir())) == 1 + leftovers


# Writing


def test_rows_come_back_as_they_were_written(old_file: Path) -> None:
    assert_untouched(old_file)
    assert len(old_file.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ud800 lone \udfff", id="lone surrogates"),
        pytest.param("x" * 100_000, id="100 kB"),
        pytest.param("\x00\x85\u2028\u2029\r\n\t\ufeff", id="line ends"),
        pytest.param("😀 ẞ 漢", id="beyond ASCII"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_any_text_comes_back_as_it_was_written(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    if suffix == ".json":
        write_json(path, {"text": text})
        assert read_json(path) == {"text": text}
    else:
        write_jsonl(path, [{"text": text}, {"text": "next"}])
        assert read_jsonl(path) == [{"text": text}, {"text": "next"}]


def test_text_is_written_as_people_read_it(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "file.jsonl", [{"text": "naïve 漢"}])
    assert "naïve 漢" in (tmp_path / "file.jsonl").read_text(encoding="utf-8")


def test_a_new_file_replaces_the_old_one(old_file: Path) -> None:
    write_jsonl(old_file, [{"text": "new"}])
    assert read_jsonl(old_file) == [{"text": "new"}]
    assert list(old_file.parent.iterdir()) == [old_file]


def test_folders_are_made_as_needed(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b" / "file.json", [1])
    assert read_json(tmp_path / "a" / "b" / "file.json") == [1]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_writer_that_raises_leaves_the_old_file(
    old_file: Path, error: type[BaseException]
) -> None:
    def rows() -> Any:
        yield {"text": "new"}
        raise error

    with pytest.raises(error):
        write_jsonl(old_file, rows())
    assert_untouched(old_file)


def test_a_row_that_is_not_json_leaves_the_old_file(old_file: Path) -> None:
    with pytest.raises(TypeError):
        write_jsonl(old_file, [{"text": "new"}, {"text": object()}])
    assert_untouched(old_file)


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_disk_that_fails_at_any_step_leaves_the_old_file(
    old_file: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*scores\.jsonl'"):
        write_jsonl(old_file, [{"text": "new"}])
    monkeypatch.undo()
    assert_untouched(old_file)


WRITE_A_MEGABYTE = """
import os, resource, signal, sys
from pathlib import Path
from hidden_context.records import atomic_write
{before}
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"x" * 500_000)
    file.flush()
    {midway}
    file.write(b"x" * 500_000)
"""


def write_in_another_process(path: Path, *, before: str = "", midway: str = "pass") -> Any:
    program = WRITE_A_MEGABYTE.format(before=before, midway=midway)
    return subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("midway", "status"),
    [("os._exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)],
)
def test_a_killed_process_leaves_the_old_file(old_file: Path, midway: str, status: int) -> None:
    assert write_in_another_process(old_file, midway=midway).returncode == status
    assert_untouched(old_file, leftovers=1)  # nobody was left to remove the unfinished file
    write_jsonl(old_file, [{"text": "new"}])
    assert list(old_file.parent.iterdir()) == [old_file]


def test_writers_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"first")
        second.write(b"second")
        write_json(tmp_path / "file.bin.meta.json", {})  # its name begins alike
    assert path.read_bytes() == b"first"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file.bin", "file.bin.meta.json"]


def test_a_file_system_without_locks_is_written_to(
    old_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing tells abandoned files from others, so they stay."""

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    other = old_file.with_name(f".{old_file.name}.0123abcd.partial")
    other.write_bytes(b"another writer's")
    write_jsonl(old_file, ROWS)
    assert_untouched(old_file, leftovers=1)
    assert other.read_bytes() == b"another writer's"


def test_a_writer_whose_file_was_taken_for_abandoned_makes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making a file and locking it another process may lock and remove it."""
    lock, taken = fcntl.flock, []

    def late(file: Any, operation: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write_json(tmp_path / "file.json", [1])
    assert len(taken) == 1
    assert read_json(tmp_path / "file.json") == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_the_old_file(old_file: Path) -> None:
    small_disk = (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))"
    )
    finished = write_in_another_process(old_file, before=small_disk)
    assert finished.returncode == 1
    assert "File too large" in finished.stderr
    assert_untouched(old_file)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    previous = os.umask(umask)
    try:
        write_json(tmp_path / "file.json", {})
        assert os.umask(umask) == umask
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "file.json").stat().st_mode) == 0o666 & ~umask


def test_writing_leaves_the_umask_of_the_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may be making a file meanwhile."""
    monkeypatch.setattr(os, "umask", None)
    write_json(tmp_path / "file.json", {})
    assert read_json(tmp_path / "file.json") == {}


NOT_FINITE = {"reward": -math.inf, "of": [math.nan, {"each": (1.5, math.inf)}], "text": "NaN"}


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".jsonl.gz"])
def test_numbers_that_json_does_not_have_are_null(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    if suffix == ".json":
        write_json(path, NOT_FINITE)
        found = read_json(path)
    else:
        write_jsonl(path, [NOT_FINITE])
        (found,) = read_jsonl(path)
    assert found == {"reward": None, "of": [None, {"each": [1.5, None]}], "text": "NaN"}
    assert json.loads(json_text(NOT_FINITE, indent=2)) == found


def test_the_file_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with atomic_write(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"


# ScoringOptions

GOOD = b'{"a": 1}\n'


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(GOOD + b'{"a": \n' + GOOD, 2, id="cut off"),
        pytest.param(GOOD + GOOD + b"[1, 2]\n", 3, id="a list"),
        pytest.param(b"3\n", 1, id="a number"),
        pytest.param(b"null\n", 1, id="null"),
        pytest.param(GOOD + b"\n\n" + b"{'a': 1}\n", 4, id="after blank lines"),
        pytest.param(GOOD + b'{"a": "\xff\xfe"}\n', 2, id="not UTF-8"),
        pytest.param(b"prompt,response\n", 1, id="CSV"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_line_that_cannot_be_read_is_numbered(
    tmp_path: Path, content: bytes, line: int, compress: Any
) -> None:
    path = tmp_path / ("file.jsonl" if compress is bytes else "file.jsonl.gz")
    path.write_bytes(compress(content))
    with pytest.raises(UserError) as refusal:
        read_jsonl(path)
    assert str(path) in str(refusal.value)
    assert f"line {line}:" in str(refusal.value)


def test_a_gzipped_file_reads_as_the_plain_one(tmp_path: Path, old_file: Path) -> None:
    path = tmp_path / "scores.jsonl.gz"
    path.write_bytes(gzip.compress(old_file.read_bytes()))
    assert read_jsonl(path) == ROWS


def test_blank_lines_and_a_missing_last_line_end_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n  \n{"a": 2}')
    assert read_jsonl(path) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-40], id="truncated"),
        pytest.param(lambda content: b"not gzip at all", id="not gzip"),
        pytest.param(
            lambda content: content[:40] + bytes(20) + content[60:], id="overwritten within"
        ),
        pytest.param(lambda content: content[:-8] + bytes(8), id="wrong checksum"),
    ],
)
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "file.jsonl.gz"
    rows = [{"number": number, "square": number**2} for number in range(1000)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(damage(gzip.compress(lines.encode())))
    with pytest.raises(UserError) as refusal:
        read_jsonl(path)
    assert str(path) in str(refusal.value)
    assert "damaged" in str(refusal.value) or "line " in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"\n \n"], ids=["empty", "blank"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes, compress: Any) -> None:
    path = tmp_path / ("file.jsonl" if compress is bytes else "file.jsonl.gz")
    path.write_bytes(compress(content))
    with pytest.raises(UserError, match="no rows"):
        read_jsonl(path)


@pytest.mark.parametrize("read", [read_json, read_jsonl])
def test_a_missing_file_is_refused(tmp_path: Path, read: Any) -> None:
    with pytest.raises(UserError, match=r"nowhere\.json does not exist"):
        read(tmp_path / "nowhere.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00"])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.json is not JSON"):
        read_json(path)


# Records of how files were made


def test_the_record_lies_beside_its_file() -> None:
    assert meta_path(Path("a/scores.jsonl")) == Path("a/scores.jsonl.meta.json")


def test_provenance_is_json_and_names_version_and_stack() -> None:
    record = json.loads(json.dumps(provenance()))
    assert record["format_version"] == 1
    assert {"hidden_context", "commit"} <= set(record)
    assert {"torch", "transformers", "numpy"} <= set(record["versions"])


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "a: 1\na: 2", "b:\n  - {a: 1, a: 1}"])
def test_a_key_that_is_said_twice_is_refused(tmp_path: Path, text: str):
    with pytest.raises(UserError, match=r"settings: the key 'a' is there 2 times; leave one"):
        parse_value(text, "settings")
    if text.startswith("{"):
        (tmp_path / "x.json").write_text(text)
        for read in (read_json, read_jsonl):
            with pytest.raises(UserError, match=r"x.json.*: the key 'a' is there 2 times"):
                read(tmp_path / "x.json")
