"""The example on relabelled HH-RLHF, on a slice: what it writes, keeps apart, skips and refuses."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from hidden_context.commands.command_line import run_command
from hidden_context.distributions import PUBLISHED
from hidden_context.records import read_json, read_jsonl, write_jsonl

FILE = Path(__file__).parents[2] / "examples" / "relabeled_hh_rlhf.py"
SUBSETS = ("helpful", "harmless", "both")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def example() -> Any:
    """The example as a module, with a smaller backbone."""
    spec = importlib.util.spec_from_file_location("relabeled_hh_rlhf", FILE)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their annotations up there
    spec.loader.exec_module(module)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    module.SMALL_LLAMA.update(small, max_position_embeddings=64)
    module.VOCABULARY_SIZE, module.MAX_LENGTH, module.BATCH_SIZE = 300, 64, 32
    return module


@pytest.fixture
def run(example: Any, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the example with flags; returns its status, its output and the last line of errors."""

    def run_example(*flags: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run_command(example.Config, example.run, [str(flag) for flag in flags])
        captured = capfd.readouterr()
        return status, captured.out, (captured.err.strip().splitlines() or [""])[-1]

    return run_example


@pytest.fixture
def data_dir(tmp_path: Path, published_data: Path) -> Path:
    """The published comparisons and, since they are long, few of the jailbreaks."""
    folder = tmp_path / "published"
    folder.mkdir()
    name = "jailbroken_responses.jsonl"
    write_jsonl(folder / name, read_jsonl(published_data / name)[:20])
    (folder / "relabeled_hh_rlhf").symlink_to((published_data / "relabeled_hh_rlhf").absolute())
    return folder


def test_a_slice_is_split_trained_evaluated_and_summarised_once(
    tmp_path: Path, data_dir: Path, run: Run
):
    out_dir = tmp_path / "out"
    flags = [f"--data_dir={data_dir}", f"--out_dir={out_dir}", "--max_rows=80"]
    status, first, error = run(*flags)
    assert status == 0, error
    runs = check_files(out_dir)
    assert "quantile:0.01" in first
    assert "| longer" in first
    assert "Not found" not in first  # every family on every training set is in the tables
    assert "categorical on both: " in first
    before = {file: file.stat().st_mtime_ns for folder in runs for file in folder.rglob("*")}
    status, second, error = run(*flags)
    assert status == 0, error
    assert before == {file: file.stat().st_mtime_ns for file in before}
    assert second.count("is there already") == len(runs)
    assert second[second.index("###") :] == first[first.rindex("### r²") :]
    status, _, error = run(*flags, "--seed=1")
    assert status == 2
    assert "config.json has other settings; remove its folder, or give another --out" in error


def check_files(out_dir: Path) -> list[Path]:
    """All files are there and the sets are what they should be; returns the runs' folders."""
    data = out_dir / "data" / "relabeled_hh_rlhf"
    rows = {
        (subset, split): read_jsonl(data / subset / f"{split}.jsonl")
        for subset in SUBSETS
        for split in ("train", "test")
    }
    prompts = {
        split: {row["prompt"] for subset in SUBSETS for row in rows[subset, split]}
        for split in ("train", "test")
    }
    assert prompts["train"].isdisjoint(prompts["test"])
    assert len({len(rows[subset, "train"]) for subset in SUBSETS}) == 1
    for subset in ("helpful", "harmless"):
        assert {row["objective"] for row in rows[subset, "train"]} == {subset}
        mixed = [row for row in rows["both", "train"] if row["objective"] == subset]
        assert 2 * len(mixed) == len(rows["both", "train"])
    assert len(rows["both", "test"]) == sum(len(rows[name, "test"]) for name in SUBSETS[:2])
    runs = sorted((data.parent / "reward_models").glob("*/*/*_last_checkpoint"))
    assert len(runs) == len(PUBLISHED) * len(SUBSETS)
    for folder in runs:
        assert len(read_jsonl(folder / "eval_results_both.jsonl")) == len(rows["both", "test"])
        assert not read_json(folder / "hidden_context.json")["config"]["use_peft"]
    for family in PUBLISHED:
        scored = read_jsonl(data.parent / f"jailbroken_evaluations_{family}.jsonl")
        assert sum(column.startswith("reward_outputs_") for column in scored[0]) == len(SUBSETS)
    return runs


def test_the_special_tokens_of_the_small_llama_are_distinct(
    tmp_path: Path, published_data: Path, example: Any
):
    config = example.Config(data_dir=published_data, out_dir=tmp_path)
    for name in ("helpful", "harmless"):
        write_jsonl(config.data / name / "train.jsonl", [{"chosen": "Human: a", "rejected": "b"}])
    tokenizer: Any = AutoTokenizer.from_pretrained(example.write_small_llama(config))
    ids = [getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "unk")]
    assert sorted(set(ids)) == sorted(ids)
    text = tokenizer("Human: ü")["input_ids"]
    assert text[0] == tokenizer.bos_token_id
    assert text[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(text[1:-1]) == "Human: ü"


def test_turns_of_one_dialogue_are_on_the_same_side(example: Any):
    openings = [f"Human: question {number}" for number in range(500)]
    sides = [example.is_held_out({"prompt": opening}) for opening in openings]
    later = [opening + "\n\nAssistant: yes\n\nHuman: why?" for opening in openings]
    assert sides == [example.is_held_out({"prompt": prompt}) for prompt in later]
    assert 0.1 < sum(sides) / len(sides) < 0.3


def test_missing_data_are_told_how_to_get(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    status, out, error = run()
    assert status == 2
    assert out == ""
    assert error.startswith("error: ")
    assert "`hidden-context download relabeled-hh-rlhf jailbroken --to data`" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--max_rows=-1", "--max_rows -1 is not between 0 and 4043"),
        ("--max_rows=3", "--max_rows 3 leaves an empty set; give more"),
        ("--sed=1", "unknown flag --sed; did you mean --seed?"),
    ],
)
def test_mistakes_in_flags_are_one_clear_line(
    tmp_path: Path, published_data: Path, run: Run, flag: str, message: str
):
    status, _, error = run(f"--data_dir={published_data}", f"--out_dir={tmp_path / 'out'}", flag)
    assert status == 2
    assert message in error
    assert not (tmp_path / "out").exists()
