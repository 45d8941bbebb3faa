"""Files, folders and the hub as sources of rows."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from hidden_context.comparisons.sources import Subset, load_rows, read_rows
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl

ROWS = [
    {"chosen": "line\nbreak, comma", "rejected": 'a "quote"'},
    {"chosen": "ünï", "rejected": "plain"},
]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".jsonl.gz"):
        with gzip.open(path, "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        write_jsonl(path, rows)
    return path


def objective_rows(objective: str, split: str) -> list[dict[str, str]]:
    return [{"chosen": f"{objective} {split}", "rejected": "B"}]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet", "csv"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str):
    assert load_rows(str(write(tmp_path / f"data.{suffix}", ROWS)), "both", "train") == ROWS


@pytest.mark.parametrize("folders", [("helpful", "harmless"), ("helpful-base", "harmless-base")])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_subset_selects_a_folder_and_both_joins_the_two(
    tmp_path: Path, folders: tuple[str, str], split: Any
):
    for folder, objective in zip(folders, ("helpful", "harmless"), strict=True):
        for each in ("train", "test"):
            write(tmp_path / folder / f"{each}.jsonl.gz", objective_rows(objective, each))
    expected: dict[Subset, list[str]] = {
        "helpful": [f"helpful {split}"],
        "harmless": [f"harmless {split}"],
        "both": [f"helpful {split}", f"harmless {split}"],
    }
    for subset, texts in expected.items():
        rows = load_rows(str(tmp_path), subset, split)
        assert [row["chosen"] for row in rows] == texts
        assert all(row["chosen"].startswith(row["data_subset"]) for row in rows)


def test_the_folder_of_both_is_read_once_and_alone(tmp_path: Path):
    for subset in ("helpful", "harmless", "both"):
        write(tmp_path / subset / "test.jsonl.gz", objective_rows(subset, "test"))
    assert [row["chosen"] for row in load_rows(str(tmp_path), "both", "test")] == ["both test"]


def test_a_flat_folder_is_selected_from_by_column(tmp_path: Path):
    rows = [{**ROWS[0], "objective": name} for name in ("helpful", "harmless")]
    write(tmp_path / "train.parquet", rows)
    assert load_rows(str(tmp_path), "harmless", "train") == rows[1:]


def test_the_published_test_split_is_selected_by_objective(published_data: Path):
    counts = {"helpful": 2157, "harmless": 1886, "both": 4043}
    for subset, count in counts.items():
        rows = load_rows(str(published_data / "relabeled_hh_rlhf"), subset, "test")  # type: ignore
        assert len(rows) == count
        assert subset == "both" or {row["objective"] for row in rows} == {subset}


def test_a_name_on_the_hub_is_loaded_through_datasets(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load_dataset(name: str, **options: str) -> datasets.Dataset:
        asked.append((name, options))
        return datasets.Dataset.from_list([dict(ROWS[0])])

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    rows = load_rows("Anthropic/hh-rlhf", "both", "train")
    assert [row["data_subset"] for row in rows] == ["helpful", "harmless"]
    assert [options["data_dir"] for _, options in asked] == ["helpful-base", "harmless-base"]
    assert list(load_rows("someone/else", "both", "test")) == [ROWS[0]]
    assert asked[-1] == ("someone/else", {"split": "test"})


def test_a_hub_out_of_reach_is_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    def load_dataset(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach it\nsecond line")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(
        UserError, match="no such file or folder, nor on the hub: Couldn't reach it"
    ):
        load_rows("someone/else", "both", "test")


def test_what_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="neither a file nor a folder, nor a hub name"):
        load_rows(str(tmp_path / "nothing"), "both", "train")
    write(tmp_path / "helpful" / "train.jsonl", ROWS)
    with pytest.raises(UserError, match=r"has no folder harmless \(it has helpful\)"):
        load_rows(str(tmp_path), "harmless", "train")
    with pytest.raises(UserError, match=r"has no file test.jsonl .* found train.jsonl"):
        load_rows(str(tmp_path), "helpful", "test")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.txt", b"A", "cannot read '.txt'"),
        ("data.parquet", b"not parquet", "data.parquet cannot be read"),
        ("data.csv", b"chosen,rejected\nA,B\nA,B,C\n", "Row #3"),
        ("data.csv", b"chosen,rejected\n", "has no rows"),
        ("data.csv", b"", "cannot be read"),
        ("data.jsonl", b'{"chosen": "A"}\n{"chosen": \n', "line 2"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / name)
