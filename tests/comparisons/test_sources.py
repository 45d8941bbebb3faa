"""Files, folders and the hub as sources of rows."""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from hidden_context.comparisons import row_files
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.comparisons.objectives import Subset
from hidden_context.comparisons.row_files import read_rows
from hidden_context.comparisons.sources import load_rows
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl

ROWS = [
    {"chosen": "line\nbreak, comma", "rejected": 'a "quote"'},
    {"chosen": "ünï", "rejected": "plain"},
]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(write(path.with_suffix(""), rows).read_bytes()))
        path.with_suffix("").unlink()
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        write_jsonl(path, rows)
    return path


def objective_rows(objective: str, split: str) -> list[dict[str, str]]:
    return [{"chosen": f"{objective} {split}", "rejected": "B"}]


@pytest.mark.parametrize(
    "suffix", ["jsonl", "jsonl.gz", "ndjson", "json", "parquet", "csv", "csv.gz"]
)
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


PREFERENCES = [{**ROWS[0], "n": number} for number in range(6)]
OTHERS = [{"text": "no preference"}] * 6


def numbers(rows: Any) -> list[int]:
    return [row["n"] for row in rows]


def test_a_split_is_its_own_files_and_no_other_of_the_same_beginning(tmp_path: Path):
    write(tmp_path / "train_prefs.jsonl", PREFERENCES)
    write(tmp_path / "train_sft.jsonl", OTHERS)
    write(tmp_path / "train_gen.jsonl", OTHERS)
    assert len(load_comparisons(tmp_path, split="train_prefs")) == 6
    with pytest.raises(UserError, match=r"'train' \(it has train_gen, train_prefs, train_sft\)"):
        load_comparisons(tmp_path)
    write(tmp_path / "train.json", PREFERENCES[:2])
    assert len(load_comparisons(tmp_path)) == 2
    write(tmp_path / "train.parquet", PREFERENCES)
    with pytest.raises(UserError, match=r"'train' in 2 forms \(train.json, train.parquet\)"):
        load_comparisons(tmp_path)


@pytest.mark.parametrize("folder", ["", "data"])
@pytest.mark.parametrize("tail", ["", "-0123456789abcdef"])
def test_the_shards_of_a_split_are_read_in_order_and_none_may_lack(
    tmp_path: Path, folder: str, tail: str
):
    shards = [tmp_path / folder / f"train-0000{i}-of-00003{tail}.parquet" for i in range(3)]
    for shard, start in zip(shards, (0, 2, 4), strict=True):
        write(shard, PREFERENCES[start : start + 2])
    write(tmp_path / folder / "train_sft-00000-of-00001.parquet", OTHERS)
    assert numbers(load_rows(str(tmp_path), "both", "train")) == [0, 1, 2, 3, 4, 5]
    shards[1].unlink()
    with pytest.raises(UserError, match="'train' lacks train-00001-of-00003 of its 3 files"):
        load_rows(str(tmp_path), "both", "train")
    for number in (1, 7):
        write(tmp_path / folder / f"train-0000{number}-of-00003.parquet", PREFERENCES)
    with pytest.raises(UserError, match="is of 3 files, but 4 are there"):
        load_rows(str(tmp_path), "both", "train")


@pytest.mark.parametrize("kind", ["file", "folder", "saved", "saved splits", "in memory"])
def test_a_slice_of_a_split_is_that_of_the_datasets_library(tmp_path: Path, kind: str):
    dataset = datasets.Dataset.from_list(PREFERENCES)
    source: Any = tmp_path / "data"
    if kind == "file":
        source = write(tmp_path / "data.jsonl", PREFERENCES)
    elif kind == "folder":
        write(source / "train.jsonl", PREFERENCES)
    elif kind == "saved":
        dataset.save_to_disk(source)
    elif kind == "saved splits":
        datasets.DatasetDict({"train": dataset, "other": dataset}).save_to_disk(source)
    else:
        source = datasets.DatasetDict({"train": dataset})
    taken = {
        "": [0, 1, 2, 3, 4, 5],
        "[:2]": [0, 1],
        "[50%:]": [3, 4, 5],
        "[-1:]": [5],
        "[1:3]": [1, 2],
    }
    for limits, expected in taken.items():
        rows = [one.row for one in load_comparisons(source, split=f"train{limits}")]
        assert numbers(rows) == expected


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("train[", "a slice is written as in train"),
        ("train[1:2:3]", "a slice is written as in train"),
        ("train[3:3]", "takes none of 6 rows"),
        ("train+train", "give one name"),
        ("", "give one name"),
        ("valid", r"no split 'valid' \(it has train\)"),
    ],
)
@pytest.mark.parametrize("is_saved", [False, True])
def test_a_split_that_is_not_there_is_refused(
    tmp_path: Path, split: str, message: str, is_saved: bool
):
    if is_saved:
        data = datasets.DatasetDict({"train": datasets.Dataset.from_list(PREFERENCES)})
        data.save_to_disk(tmp_path)
    else:
        write(tmp_path / "train.jsonl", PREFERENCES)
    with pytest.raises(UserError, match=message):
        load_rows(str(tmp_path), "both", split)


def test_a_damaged_saved_data_set_is_refused(tmp_path: Path):
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path)
    (arrow,) = tmp_path.glob("*.arrow")
    content = arrow.read_bytes()
    arrow.write_bytes(content.replace("ünï".encode(), b"\xff" * 5))
    with pytest.raises(UserError, match=r"cannot be read as a saved data set: .*UTF8"):
        load_rows(str(tmp_path), "both", "train")
    arrow.write_bytes(content[:100])
    with pytest.raises(UserError, match="cannot be read as a saved data set"):
        load_rows(str(tmp_path), "both", "train")
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read as a saved data set"):
        load_rows(str(tmp_path), "both", "train")
    (tmp_path / "state.json").unlink()
    with pytest.raises(UserError, match="cannot be read as a saved data set"):
        load_rows(str(tmp_path), "both", "train")


def test_a_name_on_the_hub_is_loaded_through_datasets(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load_dataset(name: str, /, **options: str) -> datasets.Dataset:
        asked.append((name, options))
        return datasets.Dataset.from_list([dict(ROWS[0])])

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    rows = load_rows("Anthropic/hh-rlhf", "both", "train")
    assert [row["data_subset"] for row in rows] == ["helpful", "harmless"]
    assert [options["data_dir"] for _, options in asked] == ["helpful-base", "harmless-base"]
    assert list(load_rows("someone/else", "both", "test")) == [ROWS[0]]
    assert asked[-1] == ("someone/else", {"split": "test"})
    load_comparisons("someone/else", split="train_prefs[:1%]", dataset_config="v2")
    assert asked[-1] == ("someone/else", {"split": "train_prefs[:1%]", "name": "v2"})


def test_a_split_or_configuration_that_the_hub_lacks_is_refused_with_the_list(
    monkeypatch: pytest.MonkeyPatch,
):
    def load_dataset(*_: Any, **__: Any) -> None:
        raise ValueError("Unknown split")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("datasets.get_dataset_config_names", lambda name: ["v1", "v2"])
    monkeypatch.setattr("datasets.get_dataset_split_names", lambda name, config: ["train", "dev"])
    with pytest.raises(UserError, match="Unknown split; choose a dataset_config of v1, v2"):
        load_comparisons("someone/else", split="test")
    with pytest.raises(UserError, match="Unknown split; its splits are train, dev"):
        load_comparisons("someone/else", split="test", dataset_config="v2")


def test_only_the_hub_has_configurations(tmp_path: Path):
    file = write(tmp_path / "rows.jsonl", ROWS)
    for source, message in ((file, "is not on the hub"), (ROWS, "the data are in memory")):
        with pytest.raises(UserError, match=f"dataset_config is 'v2', but .*{message}"):
            load_comparisons(source, dataset_config="v2")


def test_the_builders_of_the_datasets_library_are_read_without_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path / "elsewhere" / "someone" / "else" / "train_prefs.jsonl", PREFERENCES)
    load = datasets.load_dataset
    monkeypatch.setattr(
        "datasets.load_dataset",
        lambda name, **options: load(
            str(tmp_path / "elsewhere" / name),
            data_files={"train_prefs": "train_prefs.jsonl"},
            cache_dir=str(tmp_path / "cache"),
            **options,
        ),
    )
    monkeypatch.setattr("datasets.get_dataset_config_names", lambda name: ["default"])
    monkeypatch.setattr("datasets.get_dataset_split_names", lambda name, config: ["train_prefs"])
    assert numbers(load_rows("someone/else", "both", "train_prefs[:2]")) == [0, 1]
    with pytest.raises(UserError, match=r"Unknown split \"test\".*its splits are train_prefs"):
        load_rows("someone/else", "both", "test")


def test_a_hub_out_of_reach_is_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    def load_dataset(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach it\nsecond line")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(
        UserError,
        match=r"no file or folder here, and split 'test' .* from the hub: Couldn't reach it",
    ):
        load_rows("someone/else", "both", "test")


def test_what_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="neither a file nor a folder, nor a hub name"):
        load_rows(str(tmp_path / "nothing"), "both", "train")
    write(tmp_path / "helpful" / "train.jsonl", ROWS)
    with pytest.raises(UserError, match=r"has no folder harmless \(it has helpful\)"):
        load_rows(str(tmp_path), "harmless", "train")
    with pytest.raises(UserError, match=r"helpful has no split 'test' \(it has train\)"):
        load_rows(str(tmp_path), "helpful", "test")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.txt", b"A", "cannot read '.txt'"),
        ("data.parquet", b"not parquet", "data.parquet cannot be read"),
        ("data.csv", b"chosen,rejected\nA,B\nA,B,C\n", "line 3: 3 cells; expected 2"),
        ("data.csv", b"chosen,rejected\nA\n", "line 2: 1 cells; expected 2"),
        ("data.csv", b'chosen,rejected\nA,"B\n', "line 2: unexpected end of data"),
        ("data.csv", b"chosen,chosen\nA,B\n", "several columns 'chosen'"),
        (
            "data.csv",
            "chosen,rejected\nA,é\n".encode("latin-1"),
            "cannot be read: 'utf-8' .*; save it as UTF-8",
        ),
        (
            "data.csv.gz",
            gzip.compress(b"chosen,rejected\n" + b"A,B\n" * 99, mtime=0)[:-20],
            "cannot be read",
        ),
        ("data.jsonl.gz", b"not gzip", "is damaged after line 0"),
        (
            "data.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-20],
            "is damaged after line",
        ),
        ("data.jsonl", '{"a": "é"}\n'.encode("latin-1"), "line 1: not a JSON object"),
        ("data.jsonl", b"[" * 100_000, "line 1: not a JSON object"),
        ("data.jsonl", b"\x00\n", "is no text, or text in UTF-16, not the text in UTF-8"),
        ("data.csv", b"PK\x03\x04xl/workbook.xml", "is a zip archive or an Excel file, not the"),
        ("data.csv", "chosen,rejected\nA,B\n".encode("utf-16"), "is text in UTF-16, not the text"),
        ("data.csv", b"chosen,rejected\nA,B\n,\n", "line 3: all 2 cells are empty; delete"),
        ("data.json", b"PAR1\x15", "is a parquet file, not the text .* save or export it as json"),
        ("data.json", b"[" * 100_000, "is not JSON"),
        ("data.json", b'[{"a": 1}, 2]', "row 2: expected an object, found int"),
        ("data.json", b'[{"a": 1}, ', "is not JSON"),
        ("data.json", b"[]", "has no rows"),
        ("data.json", b"3", "line 1: not a JSON object .found int"),
        ("data.json", b'{\n "data": [{"a": 1}]\n}', "one JSON object, of data; expected an array"),
        ("data.json", b'{"a": 1}\n{"a":', "line 2"),
        ("data.jsonl.zst", b"A", "cannot read '.zst'; unpack it"),
        ("data.tsv", b"A", "cannot read '.tsv'"),
        ("data.csv", b"chosen,rejected\n", "has no rows"),
        ("data.csv", b"", "has no rows"),
        ("data.jsonl", b'{"chosen": "A"}\n{"chosen": \n', "line 2"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / name)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path):
    file = write(tmp_path / "rows.parquet", ROWS)
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"rows.parquet cannot be read"):
        read_rows(file)


def test_what_is_no_file_to_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "rows.jsonl").mkdir()
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "b.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    for name in ("rows.jsonl", "a.jsonl"):
        with pytest.raises(UserError, match=f"{name} is not a file, or a link to nothing"):
            read_rows(tmp_path / name)
    with pytest.raises(UserError, match=r"a.jsonl is not a file, or a link to nothing"):
        load_rows(str(tmp_path / "a.jsonl"), "both", "train")
    with pytest.raises(UserError, match="has no split 'train' and no other"):
        load_rows(str(tmp_path / "rows.jsonl"), "both", "train")
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(UserError, match="neither a file nor a folder"):
            load_rows(name, "both", "train")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    file = write(tmp_path / "c.jsonl", ROWS)
    for method, source in (("open", file), ("iterdir", tmp_path)):
        monkeypatch.setattr(Path, method, refuse)
        with pytest.raises(UserError, match=f"{source} cannot be read: .*Permission denied"):
            load_rows(str(source), "both", "train")


def test_the_cells_of_csv_are_texts_and_none_where_empty(tmp_path: Path):
    """Also where the first megabyte of a column is empty or looks like numbers."""
    filler = "x" * 2**11
    first = [{"prompt": "007", "chosen": "1e5", "rejected": filler, "note": ""}] * 2**9
    last = {"prompt": "What?", "chosen": "1e5", "rejected": "nan", "note": "late"}
    rows = read_rows(write(tmp_path / "rows.csv", [*first, last]))
    assert list(rows) == [{**row, "note": row["note"] or None} for row in [*first, last]]
    (comparison,) = load_comparisons(write(tmp_path / "one.csv", [last]))
    assert comparison.texts == ("What?1e5", "What?nan")


def test_long_cells_and_byte_order_marks_of_csv_are_read(tmp_path: Path):
    long = "y" * 3 * 2**20
    (tmp_path / "rows.csv").write_bytes(f"\ufeffchosen,rejected\r\n{long},\0\r\n\r\n".encode())
    assert read_rows(tmp_path / "rows.csv") == [{"chosen": long, "rejected": "\0"}]


@pytest.mark.parametrize("dump", [json.dumps, lambda rows: json.dumps(rows, indent=2)])
@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz"])
def test_a_json_array_of_objects_is_its_rows(
    tmp_path: Path, dump: Callable[[Any], str], name: str, monkeypatch: pytest.MonkeyPatch
):
    content = ("\ufeff \n" + dump(ROWS)).encode()
    (tmp_path / name).write_bytes(
        gzip.compress(content, mtime=0) if name.endswith("gz") else content
    )
    assert read_rows(tmp_path / name) == ROWS
    monkeypatch.setattr(row_files, "LARGEST_IN_MEMORY", 0)
    with pytest.raises(UserError, match="has to be read at once; make it one object a line"):
        read_rows(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["t.jsonl", "t.ndjson", "t.json", "t.csv", "t.parquet", "t.csv.gz", "t.jsonl.gz"]
)
def test_suffixes_are_read_whatever_their_case(tmp_path: Path, name: str):
    file = write(tmp_path / name, ROWS)
    rows = list(read_rows(file))
    for suffix in (name[1:].upper(), name[1:].title()):
        other = tmp_path / suffix / f"train{suffix}"
        other.parent.mkdir()
        other.write_bytes(file.read_bytes())
        assert list(read_rows(other)) == rows
        assert list(load_rows(str(other.parent), "both", "train")) == rows


def test_a_split_in_two_cases_is_refused(tmp_path: Path):
    for name in ("train.csv", "train.CSV"):
        (tmp_path / name).write_text("chosen,rejected\na,b\n")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("a file system that does not tell capitals apart")
    with pytest.raises(UserError, match="has split 'train' in 2 forms"):
        load_rows(str(tmp_path), "both", "train")
