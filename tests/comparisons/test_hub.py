"""Data sets of a stand-in of the hub, read by the `datasets` library as those of the hub are."""

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hub_stand_in import Client, Hub, Repository, serving
from tiny_models import tiny_model

from hidden_context.comparisons import kept_rows, row_files
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.comparisons.splits import Split
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl

CARD = b"""---
configs:
- config_name: v1
  data_files:
  - {split: train, path: v1/train.parquet}
  - {split: dev_prefs, path: v1/dev.parquet}
- config_name: v2
  data_files:
  - {split: train, path: "v2/train-*.parquet"}
---
Preferences.
"""
COUNTED = b"""---
dataset_info:
  splits:
  - {name: train, num_bytes: 1000, num_examples: 20}
---
"""


def some_rows(name: str, start: int, stop: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"Q{n}? ", "chosen": f"{name} yes {n}", "rejected": f"no {n}", "n": n}
        for n in range(start, stop)
    ]


def as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def as_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def judged(objective: str, count: int) -> list[dict[str, Any]]:
    return [
        {"chosen": f"\n\nHuman: Q{n}\n\nAssistant: {objective}", "rejected": f"\n\nHuman: Q{n}"}
        for n in range(count)
    ]


REPOSITORIES = {
    "someone/prefs": Repository(
        {
            "README.md": CARD,
            "v1/train.parquet": as_parquet(some_rows("v1", 0, 40)),
            "v1/dev.parquet": as_parquet(some_rows("dev", 0, 5)),
            "v2/train-00000-of-00002.parquet": as_parquet(some_rows("v2", 0, 30)),
            "v2/train-00001-of-00002.parquet": as_parquet(some_rows("v2", 30, 60)),
        }
    ),
    "someone/counted": Repository(
        {"README.md": COUNTED, "train.jsonl": as_jsonl(some_rows("counted", 0, 20))}
    ),
    "someone/plain": Repository({"train.jsonl": as_jsonl(some_rows("plain", 0, 6))}),
    "Anthropic/hh-rlhf": Repository(
        {
            f"{name}-base/train.jsonl.gz": gzip.compress(as_jsonl(judged(name, 10)), mtime=0)
            for name in ("helpful", "harmless")
        }
    ),
    "someone/gated": Repository({"README.md": CARD}, gate=401),
    "someone/not-yours": Repository({"README.md": CARD}, gate=403),
    "someone/code": Repository({"README.md": b"", "code.py": b"print('run')"}),
    "someone/empty": Repository({"README.md": b""}),
    "someone/wrong": Repository({"README.md": b"", "train.parquet": b"not parquet"}),
    "someone/broken": Repository({"train.jsonl": as_jsonl(some_rows("", 0, 6))}, broken_after=9),
}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving(REPOSITORIES) as served:
        yield served


@pytest.fixture(scope="module")
def client(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    reader = Client(hub.endpoint, tmp_path_factory.mktemp("home"))
    yield reader
    reader.close()


def texts(answer: dict[str, Any]) -> list[str]:
    return [row["chosen"] for row in answer["rows"]]


both_ways = pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])


@both_ways
def test_a_configuration_and_any_split_are_read(client: Client, streaming: bool):
    asked = {"source": "someone/prefs", "streaming": streaming}
    v1 = client.ask(load={**asked, "dataset_config": "v1"})
    assert texts(v1) == [f"v1 yes {n}" for n in range(40)]
    dev = client.ask(load={**asked, "dataset_config": "v1", "split": "dev_prefs"})
    assert texts(dev) == [f"dev yes {n}" for n in range(5)]
    assert dev["account"]["carried along, not read"] == "n"
    assert dev["account"]["rows"] == "5 (0 rankings, 0 with ties), 5 prompts"
    v2 = client.ask(load={**asked, "dataset_config": "v2", "split": "train[28:32]"})
    assert texts(v2) == [f"v2 yes {n}" for n in range(28, 32)]


def test_a_streamed_slice_downloads_no_file_beyond_it(client: Client, hub: Hub):
    asked = {"source": "someone/prefs", "dataset_config": "v2", "split": "train[:10]"}
    second = "someone/prefs/v2/train-00001-of-00002.parquet"
    before = hub.sent.get(second, 0)
    streamed = client.ask(load={**asked, "streaming": True})
    assert [row["n"] for row in streamed["rows"]] == list(range(10))
    assert hub.sent.get(second, 0) == before
    asked["split"] = "train[:31]"
    assert len(client.ask(load={**asked, "streaming": True})["rows"]) == 31
    assert hub.sent[second] > before


def test_streamed_rows_are_as_many_as_are_asked_for(client: Client, hub: Hub):
    asked = {"source": "someone/prefs", "dataset_config": "v2", "streaming": True}
    second = "someone/prefs/v2/train-00001-of-00002.parquet"
    before = hub.sent.get(second, 0)
    assert texts(client.ask(load={**asked, "size": 3})) == [f"v2 yes {n}" for n in range(3)]
    assert hub.sent.get(second, 0) == before
    few = client.ask(load={**asked, "split": "train[58:1000]"})
    assert texts(few) == ["v2 yes 58", "v2 yes 59"]
    assert "takes none of its rows" in client.ask(load={**asked, "split": "train[60:]"})["error"]


def test_shares_of_a_stream_are_taken_where_its_length_is_known(client: Client):
    for split, expected in (("train[10%:20%]", [2, 3]), ("train[-1:]", [19])):
        asked = {"source": "someone/counted", "split": split, "streaming": True}
        assert [row["n"] for row in client.ask(load=asked)["rows"]] == expected
    asked = {"source": "someone/plain", "split": "train[:50%]"}
    for split in ("train[:50%]", "train[-1:]"):
        error = client.ask(load={**asked, "split": split, "streaming": True})["error"]
        assert "someone/plain does not say how many rows it has" in error
        assert "count from the start, as in train[:1000]" in error
    whole = client.ask(load=asked)
    assert texts(whole) == ["plain yes 0", "plain yes 1", "plain yes 2"]
    counted = client.ask(load={**asked, "streaming": True})  # by the library, in its cache
    assert counted["rows"] == whole["rows"]


@both_ways
def test_the_folders_of_hh_rlhf_are_its_objectives(client: Client, streaming: bool):
    asked = {"source": "Anthropic/hh-rlhf", "streaming": streaming}
    rows = client.ask(load={**asked, "size": 4})["rows"]
    assert [row["data_subset"] for row in rows] == ["helpful"] * 2 + ["harmless"] * 2
    rows = client.ask(load={**asked, "subset": "harmless", "split": "train[8:]"})["rows"]
    assert [row["chosen"].split()[-1] for row in rows] == ["harmless"] * 2


@both_ways
@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("someone/prefs", {}, "choose a dataset_config of v1, v2."),
        ("someone/prefs", {"dataset_config": "v3"}, "choose a dataset_config of v1, v2."),
        (
            "someone/prefs",
            {"dataset_config": "v1", "split": "test"},
            "its splits are train, dev_prefs.",
        ),
        ("someone/gone", {}, "doesn't exist on the Hub or cannot be accessed; check the name"),
        ("someone/gated", {}, "it is gated, and you are not logged in; run `hf auth login`"),
        ("someone/not-yours", {}, "your account has no access yet; ask for it on its page"),
        ("someone/code", {}, "made by code of its own (code.py), which is not run"),
        ("someone/empty", {}, "doesn't contain any data files"),
        ("someone/wrong", {}, "Parquet magic bytes not found in footer"),
        ("someone/broken", {}, "500 Internal Server Error"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line(
    client: Client, streaming: bool, source: str, options: dict[str, str], message: str
):
    error = client.ask(load={"source": source, "streaming": streaming, **options})["error"]
    split = options.get("split", "train")
    assert error.startswith(f"{source} is no file or folder here, and split '{split}' of it")
    assert message in error
    assert "\n" not in error


def test_a_server_that_is_down_is_told_in_one_line(tmp_path: Path):
    with serving({}) as hub:
        pass
    reader = Client(hub.endpoint, tmp_path)
    for streaming in (True, False):
        error = reader.ask(load={"source": "someone/prefs", "streaming": streaming})["error"]
        assert error.startswith("someone/prefs is no file or folder here, and split 'train' of it")
        assert "Couldn't reach 'someone/prefs' on the Hub" in error
        assert error.endswith("check the network.")
    reader.close()


@pytest.mark.slow
def test_the_commands_read_streams_of_the_hub(client: Client, tmp_path: Path):
    data = ["--dataset_config", "v1", "--streaming", "--data_path", "someone/prefs"]
    train = [*data, "--split", "train[:6]", "--eval_split", "dev_prefs"]
    model = ["--model_name", str(tiny_model()), "--output_dir", str(tmp_path / "rm")]
    trained = client.ask(argv=["train", *train, *model])
    assert trained["status"] == 0, trained["err"]
    assert "train: 6 comparisons" in trained["out"]
    assert "test: 5 comparisons" in trained["out"]
    checkpoint = ["--reward_model_checkpoint", str(tmp_path / "rm")]
    evaluated = client.ask(argv=["evaluate", *data, "--split", "dev_prefs", *checkpoint])
    assert evaluated["status"] == 0, evaluated["err"]
    assert "5 comparisons (0 with equal texts)" in evaluated["out"]
    quick = ["--families", "base", "--num_seeds", "1", "--num_null_draws", "0"]
    out = ["--out", str(tmp_path / "audit")]
    audited = client.ask(argv=["audit", "someone/prefs", *data[:-2], *quick, *out])
    assert audited["status"] == 0, audited["err"]
    assert "40 comparisons of 40 prompts" in audited["out"]
    refused = client.ask(argv=["audit", "someone/gated", *data[:-2], *out])
    assert refused["status"] == 2
    assert refused["err"].strip().splitlines()[-1].startswith("error: someone/gated is no file")


ROWS = [{**row, "objective": ("helpful", "harmless")[row["n"] % 2]} for row in some_rows("", 0, 9)]


@pytest.mark.parametrize("place", ["file", "shards"])
def test_streamed_files_are_what_files_are(tmp_path: Path, place: str):
    source = tmp_path / "data"
    if place == "file":
        source = tmp_path / "data.jsonl"
        write_jsonl(source, ROWS)
    else:
        for number in range(3):
            shard = source / f"train-0000{number}-of-00003.jsonl"
            write_jsonl(shard, ROWS[3 * number : 3 * number + 3])
    cases: list[dict[str, Any]] = [
        {},
        {"split": "train[2:7]"},
        {"split": "train[:50%]"},
        {"split": "train[-2:]"},
        {"subset": "harmless", "size": 2},
        {"size": 3},
        {"split": "train[1:]", "subset": "helpful"},
    ]
    for options in cases:
        whole = load_comparisons(source, **options)
        streamed = load_comparisons(source, streaming=True, **options)
        assert isinstance(streamed._comparisons, Streamed)
        assert [one.row for one in streamed] == [one.row for one in whole]
        assert streamed.account == whole.account


def test_no_line_after_a_streamed_slice_is_read(tmp_path: Path):
    file = tmp_path / "rows.jsonl"
    write_jsonl(file, ROWS)
    with file.open("a") as opened:
        opened.write("not JSON\n")
    assert len(load_comparisons(file, split="train[:9]", streaming=True)) == 9
    assert len(load_comparisons(file, size=4, subset="helpful", streaming=True)) == 4
    with pytest.raises(UserError, match="line 10: not a JSON object"):
        load_comparisons(file, streaming=True)
    with pytest.raises(UserError, match="line 10: not a JSON object"):
        load_comparisons(file, split="train[:9]")
    write_jsonl(file, ROWS)
    with pytest.raises(UserError, match=r"split train\[10:20\] takes none of its rows"):
        load_comparisons(file, split="train[10:20]", streaming=True)


def test_an_iterable_data_set_of_a_program_is_gone_through_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kept_rows, "ROWS_A_BLOCK", 2)
    monkeypatch.setattr(kept_rows, "folder_of_rows", lambda: tmp_path / "rows")
    passes = []

    def generate() -> Iterator[dict[str, Any]]:
        passes.append(1)
        yield from ROWS

    stream = datasets.IterableDataset.from_generator(generate)
    data = load_comparisons(datasets.IterableDatasetDict({"train": stream}), split="train[1:6]")
    both = [(a.row["n"], b.row["n"]) for a, b in zip(data, data, strict=True)]
    assert both == [(n, n) for n in range(1, 6)]  # two readers at the same time
    assert data[3].row["n"] == 4
    assert len(passes) == 1
    assert list((tmp_path / "rows").iterdir()) == []  # the file has no name
    with pytest.raises(UserError, match="does not say how many rows it has"):
        load_comparisons(stream, split="train[:50%]")
    with pytest.raises(
        UserError, match="streaming is for files and the hub, but the data are in memory"
    ):
        load_comparisons(ROWS, streaming=True)


def test_rows_that_cannot_be_kept_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_rows, "folder_of_rows", lambda: tmp_path / "rows")
    (tmp_path / "rows").write_text("a file in its place")
    with pytest.raises(OSError, match="rows"):
        load_comparisons(datasets.Dataset.from_list(ROWS).to_iterable_dataset())


def test_a_small_streamed_file_is_not_held_either(tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    rows = row_files.stream_rows(
        [tmp_path / "rows.jsonl"], Split.parse("train[:4]"), tmp_path, lambda given: given
    )
    assert isinstance(rows, Streamed)
    assert list(rows) == list(rows) == ROWS[:4]
