"""A journal keeps whole chunks of the same work, and nothing else."""

from pathlib import Path

import pytest

from hidden_context.errors import UserError
from hidden_context.journal import Journal, identity

HEADER = {"model": "a", "data": [1, 2]}


def rows(first: int, number: int = 3) -> list[dict[str, int]]:
    return [{"row": index} for index in range(first, first + number)]


def test_work_goes_on_after_the_last_whole_chunk(tmp_path: Path):
    file = tmp_path / "folder" / "journal"
    journal = Journal(file, HEADER, chunk_size=3)
    assert list(journal) == []
    journal.append(rows(0))
    journal.append(rows(3))
    with file.open("ab") as torn:
        torn.write(b'{"row": 6}\n{"ro')
    again = Journal(file, HEADER, chunk_size=3)
    assert list(again) == [*rows(0), *rows(3)]
    again.append(rows(6, 1))
    assert list(again) == [*rows(0), *rows(3), *rows(6, 1)]


def test_other_work_is_refused_by_name_and_left_alone(tmp_path: Path):
    file = tmp_path / "journal"
    Journal(file, HEADER, chunk_size=1).append(rows(0))
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"another run: its model was a, and is b now\. Remove it"):
        Journal(file, {**HEADER, "model": "b"}, chunk_size=1)
    assert file.read_bytes() == before


def test_a_journal_without_a_whole_chunk_is_begun_anew(tmp_path: Path):
    """Nothing is lost by it, and a run that failed at once stands in nobody's way."""
    Journal(tmp_path / "journal", HEADER, chunk_size=3).append(rows(0, 2))
    journal = Journal(tmp_path / "journal", {"model": "b"}, chunk_size=3)
    journal.append(rows(0))
    assert list(journal) == rows(0)


def test_the_identity_of_a_file_changes_with_it(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("x")
    (tmp_path / "b.log").write_text("x")
    before = identity(tmp_path, (".txt",))
    assert [name for name, *_ in before] == ["a.txt"]
    file.write_text("xy")
    assert identity(tmp_path, (".txt",)) != before
    assert identity(file, (".txt",))[0][:2] == ["a.txt", 2]
    assert identity(tmp_path / "nothing", (".txt",)) == []
