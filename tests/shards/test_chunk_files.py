"""A folder keeps the chunks of one run, and what is of another is found whatever its name."""

from pathlib import Path

import pytest

from hidden_context.errors import UserError
from hidden_context.records import read_jsonl, write_jsonl
from hidden_context.shards.chunk_files import ChunkFiles

HEADER = {"model": "a", "rows": 5}
OTHER = {"model": "b", "rows": 5}


def rows(first: int, number: int = 2) -> list[dict[str, int]]:
    return [{"row": index} for index in range(first, first + number)]


def test_chunks_come_in_any_order_and_from_anybody(tmp_path: Path):
    one, other = (ChunkFiles(tmp_path / "run", HEADER, num_chunks=3) for _ in range(2))
    assert one.missing() == [0, 1, 2]
    other.write(2, rows(4, 1))
    one.write(0, rows(0))
    assert one.missing() == other.missing() == [1]
    other.write(1, rows(2))
    read = [ChunkFiles(tmp_path / "run", HEADER, num_chunks=3).read(n, num_lines=2) for n in (0, 1)]
    assert read == [rows(0), rows(2)]
    with pytest.raises(UserError, match=r"000002\.jsonl is damaged: it has 1 rows; expected 2"):
        one.read(2, num_lines=2)


def test_chunks_of_another_run_are_refused_by_what_differs(tmp_path: Path):
    ChunkFiles(tmp_path / "run", OTHER, num_chunks=1).write(0, rows(0))
    message = r"run holds the beginning of another run: its model was b, and is a now\. Remove it"
    with pytest.raises(UserError, match=message):
        ChunkFiles(tmp_path / "run", HEADER, num_chunks=1)


def test_another_run_that_comes_later_is_refused_when_all_is_put_together(tmp_path: Path):
    files = ChunkFiles(tmp_path / "run", HEADER, num_chunks=1)
    other = ChunkFiles(tmp_path / "run", OTHER, num_chunks=1)
    other.write(0, rows(0))
    files.write(0, rows(0))
    with pytest.raises(UserError, match="another run: its model was b"):
        files.refuse_others()


def test_a_stale_chunk_under_the_name_of_this_run_is_refused(tmp_path: Path):
    other = ChunkFiles(tmp_path / "other", OTHER, num_chunks=1)
    other.write(0, rows(0))
    files = ChunkFiles(tmp_path / "run", HEADER, num_chunks=2)
    (tmp_path / "run").mkdir()
    other.path(0).rename(files.path(0))
    with pytest.raises(UserError, match="its model was b, and is a now"):
        files.read(0, num_lines=2)
    files.write(0, rows(0))
    files.path(0).rename(files.path(1))
    with pytest.raises(UserError, match="its chunk was 0, and is 1 now"):
        files.read(1, num_lines=2)


def test_a_chunk_under_the_name_of_another_run_is_refused(tmp_path: Path):
    files = ChunkFiles(tmp_path / "run", HEADER, num_chunks=1)
    files.write(0, rows(0))
    files.path(0).rename(tmp_path / "run" / f"{'0' * 32}.000000.jsonl")
    with pytest.raises(UserError, match="its name is of another one; remove it"):
        ChunkFiles(tmp_path / "run", HEADER, num_chunks=1)


def test_what_is_no_chunk_is_passed_over_and_damage_is_named(tmp_path: Path):
    files = ChunkFiles(tmp_path / "run", HEADER, num_chunks=1)
    write_jsonl(tmp_path / "run" / "notes.jsonl", rows(0))
    (tmp_path / "run" / f".{files.path(0).name}.0123abcd.partial").touch()
    assert ChunkFiles(tmp_path / "run", HEADER, num_chunks=1).missing() == [0]
    with pytest.raises(FileNotFoundError):
        files.read(0, num_lines=1)
    files.path(0).write_bytes(b"")
    with pytest.raises(UserError, match=r"000000\.jsonl is empty; remove it"):
        files.read(0, num_lines=1)
    files.path(0).write_bytes(b'{"model": "a')
    with pytest.raises(UserError, match=r"000000\.jsonl, line 1: not a JSON object"):
        files.read(0, num_lines=1)


def test_a_chunk_says_of_what_run_it_is(tmp_path: Path):
    files = ChunkFiles(tmp_path, HEADER, num_chunks=1)
    files.write(0, rows(0))
    assert read_jsonl(files.path(0))[0] == {**HEADER, "chunk": 0}


def test_the_file_of_an_earlier_version_is_refused(tmp_path: Path):
    (tmp_path / "partial").write_text("{}\n")
    with pytest.raises(UserError, match="partial is a file, as earlier versions kept"):
        ChunkFiles(tmp_path / "partial", HEADER, num_chunks=1)
