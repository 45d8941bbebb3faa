"""Large files are gone through again and again, and never held."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from hidden_context.comparisons import row_files
from hidden_context.comparisons.objectives import select_objective, take_stratified
from hidden_context.comparisons.schema import read_comparisons
from hidden_context.comparisons.streamed import Streamed, chained, mapped, selected
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl

ROWS = [
    {"chosen": f"a{i}", "rejected": "b", "objective": ("helpful", "harmless")[i % 2]}
    for i in range(6)
]


def write_rows(path: Path) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.suffix == ".csv":
        csv.write_csv(pa.Table.from_pylist(ROWS), path)
    else:
        write_jsonl(path, ROWS)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet", "rows.csv"])
def test_a_large_file_gives_what_a_small_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    write_rows(tmp_path / name)
    monkeypatch.setattr(row_files, "ROWS_A_BATCH", 4)
    small = row_files.read_rows(tmp_path / name)
    monkeypatch.setattr(row_files, "LARGEST_IN_MEMORY", 0)
    large = row_files.read_rows(tmp_path / name)
    assert isinstance(small, list)
    assert isinstance(large, Streamed)
    for rows in (small, large):
        assert list(rows) == list(rows) == ROWS
        helpful = select_objective(rows, "helpful", "file")
        assert (len(helpful), [row["chosen"] for row in helpful]) == (3, ["a0", "a2", "a4"])
        taken = read_comparisons(take_stratified(rows, 3), "file")[0]
        assert [pair.chosen for pair in taken] == ["a0", "a1", "a3"]
    assert isinstance(read_comparisons(large, "file")[0], Streamed)


def test_a_bad_line_of_a_large_file_is_named_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(row_files, "LARGEST_IN_MEMORY", 0)
    with gzip.open(tmp_path / "rows.jsonl.gz", "wb") as file:
        file.write(b'{"a": 1}\n\n[2]\n')
    with pytest.raises(UserError, match="line 3: not a JSON object"):
        row_files.read_rows(tmp_path / "rows.jsonl.gz")


def test_a_bad_row_of_a_large_table_is_told_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(row_files, "LARGEST_IN_MEMORY", 0)
    (tmp_path / "rows.csv").write_text("chosen,rejected\nA,B\nA,B,C\n")
    with pytest.raises(UserError, match="line 3: 3 cells; expected 2"):
        row_files.read_rows(tmp_path / "rows.csv")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 but nothing more")
    with pytest.raises(UserError, match=r"rows.parquet cannot be read"):
        row_files.read_rows(tmp_path / "rows.parquet")


def test_streams_are_read_anew_each_time():
    started = []

    def read() -> list[int]:
        started.append(1)
        return [1, 2, 3]

    rows = Streamed(read, 3)
    doubled = mapped(lambda row: 2 * row, rows)
    odd = selected(chained([doubled, [7]]), [True, False, False, True])
    assert started == []
    assert list(odd) == list(odd) == [2, 7]
    assert (len(odd), len(started)) == (2, 2)
    assert 7 in odd
    assert 4 not in odd
