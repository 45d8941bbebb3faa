"""Commands in several processes leave, byte for byte, what one process leaves."""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from kill.run_and_kill import EVENTS, STDERR, STDOUT, Moment, Scene, finish, start
from kill.scenes import styled
from many_processes import array_task, as_one_of_several, python_path, torchrun
from test_audit import rows_of
from test_train_evaluate_score import make_rows
from tiny_models import tiny_model

from hidden_context.audits import state_cache
from hidden_context.commands.cli import main
from hidden_context.distributions import make_family
from hidden_context.llm import score_rows
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.reward_model import RewardModel
from hidden_context.records import meta_path, write_jsonl
from hidden_context.scores.score_files import load_scores

Run = Callable[..., tuple[int, str, str]]
EVALUATE = [
    "evaluate",
    "--reward_model_checkpoint=a",
    "--data_path=pairs.jsonl",
    "--output=e.jsonl",
]
EVALUATE += ["--risk=quantile:0.01", "--max_length=40", "--overlong=drop"]
SCORE = ["score", "--input=responses.jsonl", "--output=out/s.jsonl", "--risk=quantile:0.01"]
SCORE += ["--reward_model_checkpoints", "a", "b", "--reward_model_names", "first", "second"]
BENCHMARK = ["benchmark", "rm-bench", "a", "b", "--data_path=rm_bench.jsonl", "--risk=lcb:1"]
AUDIT = ["audit", "audited.jsonl", "--data_subset", "both", "helpful", "--cache_dir=cache"]
AUDIT += ["--num_seeds=1", "--num_folds=3", "--num_null_draws=0", "--families=base"]
AUDIT += ["--jailbreaks=responses.jsonl", "--out=audit", "--max_length=20"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints and data, of 37 rows: three chunks of 16, the last of them of 5."""
    folder = tmp_path_factory.mktemp("inputs")
    name = str(tiny_model())
    for seed, checkpoint in enumerate("ab"):
        torch.manual_seed(seed)
        backbone = load_backbone(name, 2, dtype=torch.float32).eval()
        torch.nn.init.normal_(backbone.score.weight)
        family = make_family("mean_and_variance")
        RewardModel(backbone, load_tokenizer(name), family, name).save_pretrained(
            folder / checkpoint
        )
    pairs = make_rows(37, "helpful", 1)
    pairs[20]["chosen"] += " bread" * 30
    write_jsonl(folder / "pairs.jsonl", pairs)
    responses = [{"prompt": row["prompt"], "responses": [" no", " flour " * 3]} for row in pairs]
    write_jsonl(folder / "responses.jsonl", responses)
    write_jsonl(folder / "rm_bench.jsonl", styled(37))
    write_jsonl(folder / "audited.jsonl", rows_of(60))
    return folder


@pytest.fixture
def room(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with small chunks, as one of no processes."""
    return into_room(tmp_path / "room", inputs, monkeypatch)


def into_room(folder: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RANK", "WORLD_SIZE", *array_task(0, 0, 1)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(score_rows, "ROWS_A_CHUNK", 16)
    monkeypatch.setattr(state_cache, "TEXTS_A_CHUNK", 16)
    shutil.copytree(inputs, folder)  # with times, by which a checkpoint is known
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path, inputs: Path) -> dict[str, bytes]:
    """Every file that was written."""
    return {
        name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not (inputs / (name := str(path.relative_to(folder)))).exists()
    }


@pytest.fixture(scope="module")
def whole(
    inputs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[list[str]], dict[str, bytes]]:
    """What one process leaves of a command."""

    @cache
    def run_whole(*command: str) -> dict[str, bytes]:
        with pytest.MonkeyPatch.context() as patched:
            folder = into_room(tmp_path_factory.mktemp("whole") / "room", inputs, patched)
            assert main([*command]) == 0
        return contents(folder, inputs)

    return lambda command: run_whole(*command)


def task(monkeypatch: pytest.MonkeyPatch, number: int, count: int) -> None:
    for name, value in array_task(number, 1, count).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("count", [2, 3])
def test_a_slurm_array_in_sequence_evaluates_as_one_process(
    count: int, room: Path, inputs: Path, whole: Any, run: Run, monkeypatch: pytest.MonkeyPatch
):
    for number in range(1, count):
        task(monkeypatch, number, count)
        status, out, error = run(*EVALUATE)
        assert status == 0, error
        assert f"shard {number} of {count} is done; " in out
        assert "whoever is last puts all together" in out
        assert not (room / "e.jsonl").exists()
    task(monkeypatch, count, count)
    status, out, error = run(*EVALUATE)
    assert status == 0, error
    assert "wrote e.jsonl" in out
    assert "36 comparisons (0 with equal texts); 1 over-long texts, 1 comparisons left out" in out
    assert contents(room, inputs) == whole(EVALUATE)


def test_a_slurm_array_scores_with_several_models_as_one_process(
    room: Path, inputs: Path, whole: Any, run: Run, monkeypatch: pytest.MonkeyPatch
):
    """The second task ends its share of the first model before the first task does."""
    task(monkeypatch, 2, 2)
    scored, calls = RewardModel.score_responses, []

    def score_responses(*args: Any, **options: Any) -> Any:
        calls.append(None)
        if len(calls) == 2:  # the second task is at its second model
            with pytest.MonkeyPatch.context() as first:
                task(first, 1, 2)
                assert main(SCORE) == 0
            assert not (room / "out" / "s.jsonl").exists()
        return scored(*args, **options)

    monkeypatch.setattr(RewardModel, "score_responses", score_responses)
    status, out, error = run(*SCORE)
    assert status == 0, error
    assert "shard 1 of 2 is done" in out
    assert "wrote out/s.jsonl" in out
    assert contents(room, inputs) == whole(SCORE)


def test_a_slurm_array_measures_on_a_benchmark_as_one_process(
    room: Path, inputs: Path, whole: Any, run: Run, monkeypatch: pytest.MonkeyPatch
):
    for number in (2, 3, 1):
        task(monkeypatch, number, 3)
        status, out, error = run(*BENCHMARK)
        assert status == 0, error
        assert ("total_avg_acc" in out) == (number == 1)
    assert contents(room, inputs) == whole(BENCHMARK)


def test_a_run_without_shares_ends_what_an_array_began(
    room: Path, inputs: Path, whole: Any, run: Run, monkeypatch: pytest.MonkeyPatch
):
    """A share may be given by hand; 1/1 is all of it, in an array too."""
    assert run(*EVALUATE, "--shard=2/3")[0] == 0
    task(monkeypatch, 1, 5)
    status, out, error = run(*EVALUATE, "--shard=1/1")
    assert status == 0, error
    assert "e.jsonl.partial has 16 of 37 rows; going on from there" in out
    assert contents(room, inputs) == whole(EVALUATE)


def test_shares_of_another_checkpoint_or_of_other_data_are_refused(
    room: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    assert run(*EVALUATE, "--shard=1/2")[0] == 0
    begun = "error: e.jsonl.partial holds the beginning of another run: its "
    for change, field in (
        (["--reward_model_checkpoint=b"], "checkpoint"),
        (["--data_path=audited.jsonl"], "rows"),
        (["--split=test[:37]", "--eval_dataset_size=30"], "rows"),
        (["--max_length=41"], "--max_length"),
        (["--batching=padded"], "batching"),
    ):
        status, _, error = run(*EVALUATE, *change, "--shard=2/2")
        assert (status, error.startswith(begun + field)) == (2, True), error
        assert error.endswith("Remove it, or give another output.")
    assert not (room / "e.jsonl").exists()
    changed = room / "a" / "model.safetensors"
    changed.write_bytes(changed.read_bytes())  # a new time
    status, _, error = run(*EVALUATE, "--shard=2/2")
    assert (status, error.startswith(begun + "checkpoint")) == (2, True), error


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--shard=0/2", "error: shard '0/2': there are 1/2 to 2/2."),
        ("--shard=2", "error: shard '2' is not of the form i/n, such as 2/8."),
    ],
)
def test_a_share_that_cannot_be_is_one_line(room: Path, run: Run, flag: str, message: str):
    for command in (EVALUATE, SCORE, BENCHMARK, AUDIT):
        status, _, error = run(*command, flag)
        assert (status, error) == (2, message)


def test_processes_of_a_launcher_are_checked_at_the_start(
    room: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for command in (EVALUATE, SCORE, BENCHMARK, AUDIT):
        status, _, error = run(*command)
        assert status == 2
        assert error.startswith("error: WORLD_SIZE is 2, but there is no RANK")


def test_a_slurm_array_audits_as_one_process(
    room: Path, inputs: Path, whole: Any, run: Run, monkeypatch: pytest.MonkeyPatch
):
    command = [*AUDIT, f"--model_name={tiny_model()}"]
    expected = whole(command)
    for number in (3, 1):
        task(monkeypatch, number, 3)
        status, out, error = run(*command)
        assert status == 0, error
        assert f"shard {number} of 3 is done" in out
        assert not (room / "audit").exists()
    task(monkeypatch, 2, 3)
    status, out, error = run(*command)
    assert status == 0, error
    assert "wrote audit/audit.json" in out
    found = contents(room, inputs)
    assert found.keys() == expected.keys()
    assert len([name for name in found if name.endswith(".states")]) > 3
    assert found == expected


def started(number: int, folder: Path, command: list[str], moment: Moment | None = None) -> Any:
    """Task `number` of an array of three, in a process of its own."""
    prepare = partial(as_one_of_several, array_task(number, 0, 2))
    return start(Scene("task", folder, command, prepare=prepare), folder, moment=moment)


@pytest.mark.slow
def test_a_slurm_array_at_once_one_of_which_is_killed_ends_as_one_process(
    room: Path, inputs: Path, whole: Any
):
    """The killed one is started again: what the others did is there, and it puts together."""
    kill = Moment(2, after=True)  # its chunk was renamed
    tasks = [started(number, room, EVALUATE, kill if number == 1 else None) for number in range(3)]
    statuses = [finish(each) for each in tasks]
    assert [statuses[0], statuses[2]] == [0, 0], (room / STDERR).read_text()
    assert statuses[1] < 0
    again = finish(started(1, room, EVALUATE))
    assert again == 0, (room / STDERR).read_text()
    found = contents(room, inputs)
    said = {name: found.pop(name) for name in (STDOUT, STDERR, EVENTS)}
    assert b"wrote e.jsonl" in said[STDOUT]
    assert found == whole(EVALUATE)


@pytest.mark.slow
def test_two_processes_of_torchrun_leave_what_one_does(room: Path, inputs: Path, whole: Any):
    """The first puts together and alone prints."""
    done = torchrun(2, [EVALUATE, SCORE, BENCHMARK], room)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("wrote e.jsonl") == 1
    assert done.stdout.count("wrote out/s.jsonl") == 1
    assert contents(room, inputs) == whole(EVALUATE) | whole(SCORE) | whole(BENCHMARK)


@pytest.mark.slow
def test_three_processes_of_torchrun_leave_what_one_does(room: Path, inputs: Path, whole: Any):
    audit = [*AUDIT, f"--model_name={tiny_model()}"]
    done = torchrun(3, [EVALUATE, SCORE, audit], room)
    assert done.returncode == 0, done.stderr[-3000:]
    assert contents(room, inputs) == whole(EVALUATE) | whole(SCORE) | whole(audit)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_of_torchrun_that_dies_ends_all_and_the_same_goes_on(
    rank: int, room: Path, inputs: Path, whole: Any
):
    """The first after it has written a chunk, or the second before."""
    done = torchrun(2, [EVALUATE], room, DIES=str(rank))
    assert done.returncode != 0
    assert not (room / "e.jsonl").exists()
    kept = [path.name for path in (room / "e.jsonl.partial").glob("*.jsonl")]
    assert len(kept) < 3
    done = torchrun(2, [EVALUATE], room)
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("going on from there" in done.stdout) == bool(kept)
    assert contents(room, inputs) == whole(EVALUATE)


def test_a_task_that_comes_late_does_nothing(
    room: Path, inputs: Path, whole: Any, run: Run, monkeypatch: pytest.MonkeyPatch
):
    """Such as one that is queued again, or begins after the others ended what was begun before."""
    for command, again in ((EVALUATE, ("--risk=mean",)), (SCORE, ("--batching=padded",))):
        assert run(*command)[0] == 0
        before = contents(room, inputs)
        for number in (1, 2):
            task(monkeypatch, number, 2)
            status, out, _ = run(*command)
            assert status == 0
            assert f"shard {number} of 2 has nothing to do: the scores of all are saved" in out
        assert contents(room, inputs) == before
        status, out, error = run(*command, *again)  # what is written would be another
        assert status == 0, error
        assert "shard 2 of 2 is done; " in out
        for name in array_task(0, 0, 1):
            monkeypatch.delenv(name)


def test_records_do_not_say_who_scored(room: Path, run: Run):
    assert run(*EVALUATE, "--shard=1/1")[0] == 0
    assert b"shard" not in meta_path(room / "e.jsonl").read_bytes()


def of_page(language: str) -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def page_room(room: Path) -> Path:
    """What the page speaks of is there."""
    shutil.copytree(room / "a", room / "rm")
    return room


def test_the_array_of_the_page_runs(page_room: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    """Every task runs what is wrapped; here there are three chunks for eight."""
    program, *flags = shlex.split(of_page("bash")[1])
    assert (program, flags[0]) == ("sbatch", "--array=1-8")
    wrapped, *arguments = shlex.split(flags[-1])
    assert wrapped == "hidden-context"
    for number in (8, 1, 2, 3, 4):
        task(monkeypatch, number, 8)
        status, out, error = run(*arguments)
        assert status == 0, error
        assert ("wrote scores.jsonl" in out) == (number == 3)
        assert ("shard 4 of 8 has nothing to do" in out) == (number == 4)
    assert len(load_scores("scores.jsonl")) == 37
    assert not Path("scores.jsonl.partial").exists()


def test_the_program_of_the_page_runs(page_room: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    (program,) = of_page("python")
    for number in (1, 2):
        task(monkeypatch, number, 2)
        with redirect_stdout(io.StringIO()) as said:
            exec(program, {})
        assert ("shard 1 of 2 is done" in said.getvalue()) == (number == 1)
    alone = ["evaluate", "--reward_model_checkpoint=rm", "--data_path=pairs.jsonl"]
    assert run(*alone, "--output=alone.jsonl", "--shard=1/1")[0] == 0
    assert Path("scores.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()
    assert not Path("scores.partial").exists()


@pytest.mark.slow
def test_the_torchrun_of_the_page_runs(page_room: Path):
    line = of_page("bash")[0].replace("--nproc_per_node=8", "--nproc_per_node=2")
    scripts = str(Path(sys.executable).parent)
    environ = {"PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"}
    environ["PATH"] = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(line),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(load_scores("scores.jsonl")) == 37
