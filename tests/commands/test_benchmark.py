"""`hidden-context benchmark`: scores kept, files of leaderboards, what is refused and what told."""

import json
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from reward_benchmarks.made_rows import (
    PRIOR,
    ROWS,
    judgebench_rows,
    rewardbench2_rows,
    rewardbench_rows,
    rm_bench_rows,
)
from tiny_models import save_tiny_model, tiny_model

import hidden_context as hc
from hidden_context.commands.benchmark import Config
from hidden_context.llm.reward_model import RewardModel
from hidden_context.records import meta_path, read_json, read_jsonl, write_json, write_jsonl
from hidden_context.reward_benchmarks.benchmark import BENCHMARKS
from hidden_context.reward_benchmarks.rewardbench import ALL_PRIOR_SETS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints `rm` and `base`, and the rows of every benchmark."""
    folder = tmp_path_factory.mktemp("benchmark")
    prompt = "Human: bread?\n\nAssistant:"
    rows = [{"chosen": f"{prompt} flour {n}", "rejected": f"{prompt} no {n}"} for n in range(8)]
    data = hc.Comparisons.from_rows(rows, "rows")
    for name, family in (("rm", "mean_and_variance"), ("base", "base")):
        tiny = str(tiny_model())
        settings: dict[str, Any] = {"learning_rate": 1e-3, "max_length": 64}
        hc.train(data, model=tiny, family=family, output_dir=folder / name, **settings)
    for name, rows_of in ROWS.items():
        write_jsonl(folder / f"{name}.jsonl", rows_of())
    return folder


def test_the_names_of_benchmarks_are_those_of_the_library() -> None:
    assert get_args(get_type_hints(Config)["benchmark"]) == tuple(BENCHMARKS)


@pytest.mark.parametrize("name", ROWS)
def test_figures_are_those_of_the_model_text_by_text(
    name: str, work: Path, tmp_path: Path, run: Run
) -> None:
    flags = [f"--data_path={work / f'{name}.jsonl'}", f"--output_dir={tmp_path}"]
    status, out, _ = run("benchmark", name, work / "rm", *flags, "--risk", "cvar:0.1")
    assert status == 0
    assert f"{name}: rm (mean_and_variance)" in out
    assert "by cvar:0.1" in out
    result = read_json(tmp_path / name / "results" / "rm.json")
    model = hc.RewardModel.from_pretrained(work / "rm")
    items = BENCHMARKS[name].read(ROWS[name](), "rows")
    rows = [[*item.chosen, *item.rejected] for item in items]
    asked = [(item.prompt, text) for item, row in zip(items, rows, strict=True) for text in row]
    ends = np.cumsum([len(row) for row in rows])
    for risk in ("mean", "cvar:0.1"):
        reward = model.reward(*zip(*asked, strict=True), risk=risk)
        rewards = np.split(np.array(reward), ends[:-1])
        points = BENCHMARKS[name].points(items, rewards)
        for figure, weights in BENCHMARKS[name].figures(points.strata).items():
            expected = points.estimate(weights, np.arange(len(items)))
            of_file = result["figures"][risk][figure]
            assert of_file["value"] == pytest.approx(expected.value, abs=1e-3)
            assert of_file["how"] == expected.how
    assert result["config"]["risk"] == ["cvar:0.1"]
    assert result["hidden_context"] == hc.__version__


def files_of(folder: Path) -> dict[str, bytes]:
    """Content by name, without times and paths, which no file here has."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_scored_is_not_scored_again(
    work: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["benchmark", "rm-bench", work / "rm", work / "base"]
    arguments += [f"--data_path={work / 'rm-bench.jsonl'}", f"--output_dir={tmp_path}"]
    status, first, _ = run(*arguments)
    assert status == 0
    before = files_of(tmp_path)
    assert len(before) == 8

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model scored again")

    monkeypatch.setattr(RewardModel, "score_responses", never)
    status, second, _ = run(*arguments)
    assert status == 0
    assert second.count("has the scores already") == 2
    assert files_of(tmp_path) == before
    assert first.splitlines()[-5:] == second.splitlines()[-5:]
    assert "model    family" in second
    status, third, _ = run(*arguments[:3], *arguments[4:], "--risk", "lcb:1")
    assert status == 0
    assert "by lcb:1" in third


def test_an_interrupted_run_goes_on_where_it_stopped(
    work: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hidden_context.llm.score import Scorer

    monkeypatch.setattr("hidden_context.llm.score_rows.ROWS_A_CHUNK", 8)
    arguments = ["benchmark", "judgebench", work / "rm"]
    arguments += [f"--data_path={work / 'judgebench.jsonl'}"]
    assert run(*arguments, f"--output_dir={tmp_path / 'whole'}")[0] == 0
    raw_outputs, calls = Scorer.raw_outputs, []

    def interrupted(self: Scorer, *given: Any) -> Any:
        calls.append(len(given[0]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return raw_outputs(self, *given)

    monkeypatch.setattr(Scorer, "raw_outputs", interrupted)
    status, _, error = run(*arguments, f"--output_dir={tmp_path / 'killed'}")
    assert (status, error) == (130, "interrupted")
    partial = tmp_path / "killed/judgebench/scores/rm.jsonl.partial"
    kept = sorted(partial.iterdir())
    assert [len(read_jsonl(file)) for file in kept] == [1 + 8] * 2
    assert {tmp_path / "killed" / name for name in files_of(tmp_path / "killed")} == set(kept)
    status, out, _ = run(*arguments, f"--output_dir={tmp_path / 'killed'}")
    assert status == 0
    assert "has 16 of 27 rows; going on from there" in out
    assert calls[3:] == [16, 6]
    whole, resumed = (files_of(tmp_path / folder) for folder in ("whole", "killed"))
    assert [name for name in whole if whole[name] != resumed[name]] == [
        "judgebench/results/rm.json",  # these name the folder
        "judgebench/scores/rm.jsonl.meta.json",
    ]
    scores = "judgebench/scores/rm.jsonl"
    assert whole[scores] == resumed[scores]


def test_leaderboards_find_the_files_that_their_code_writes(
    work: Path, tmp_path: Path, run: Run
) -> None:
    write_jsonl(
        tmp_path / "prior.jsonl",
        [row for row in rewardbench_rows(prior=True) if row["subset"] in PRIOR],
    )
    named = ["--names", "mine/rm", f"--output_dir={tmp_path}"]
    for name in ROWS:
        flags = [f"--data_path={work / f'{name}.jsonl'}", *named]
        if name == "rewardbench":
            flags.append(f"--prior_sets_path={tmp_path / 'prior.jsonl'}")
        assert run("benchmark", name, work / "rm", *flags)[0] == 0
    core = read_json(tmp_path / "rewardbench/eval-set/mine/rm.json")
    older = read_json(tmp_path / "rewardbench/pref-sets/mine/rm.json")
    described = {"model", "model_type", "chat_template"}
    assert set(core) == {row["subset"] for row in rewardbench_rows()} | described
    assert set(older) == set(PRIOR) | described
    assert (core["model"], core["model_type"]) == ("mine/rm", "Seq. Classifier")
    second = read_json(tmp_path / "rewardbench2/eval-set/mine/rm.json")
    assert set(second) - described == {
        "Factuality",
        "Focus",
        "Math",
        "Precise IF",
        "Safety",
        "Ties",
    }
    scored = read_json(tmp_path / "rm-bench/scored/mine/rm.json")
    for row, given in zip(scored, rm_bench_rows(), strict=True):
        assert {name: row[name] for name in given} == given
        assert len(row["score_chosen"]) == len(row["score_rejected"]) == 3
    (outputs,) = (tmp_path / "judgebench/outputs").iterdir()
    assert outputs.name == (
        "dataset=judgebench,response_model=gpt-4o-2024-05-13,judge_name=reward_model,"
        "judge_model=mine_rm.jsonl"
    )
    for row, given in zip(read_jsonl(outputs), judgebench_rows(), strict=True):
        assert {name: row[name] for name in given} == given
        straight, swapped = row["judgments"]
        first, second_score = straight["judgment"]["scores"]
        assert swapped["judgment"]["scores"] == [second_score, first]
        assert straight["decision"] == ("A>B" if first > second_score else "B>A")
        assert swapped["decision"] == ("A>B" if second_score > first else "B>A")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose tokenizer has a chat template."""
    folder = tmp_path_factory.mktemp("chat")
    tiny = save_tiny_model(folder / "tiny")
    config = read_json(tiny / "tokenizer_config.json")
    turn = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    write_json(tiny / "tokenizer_config.json", config | {"chat_template": turn})
    rows = [{"prompt": f"Bread {n}?", "chosen": "flour", "rejected": "no"} for n in range(8)]
    data = hc.Comparisons.from_rows(rows, "rows")
    hc.train(data, model=str(tiny), family="base", output_dir=folder / "chat")
    return folder / "chat"


def test_a_chat_model_is_recorded_as_the_released_code_calls_it(
    work: Path, chat: Path, tmp_path: Path, run: Run
) -> None:
    flags = [f"--data_path={work / 'judgebench.jsonl'}", f"--output_dir={tmp_path}"]
    status, out, _ = run("benchmark", "judgebench", chat, *flags)
    assert status == 0
    assert "'<user>Question 0?<assistant>another answer to 0'" in out
    flags[0] = f"--data_path={work / 'rewardbench2.jsonl'}"
    assert run("benchmark", "rewardbench2", chat, *flags)[0] == 0
    described = read_json(tmp_path / "rewardbench2/eval-set/chat.json")
    assert described["chat_template"] == "tokenizer"


def test_the_data_are_where_the_benchmark_publishes_them(
    chat: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the hub's name, with its splits, in place of the hub."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("allenai/reward-bench/filtered.jsonl"), rewardbench_rows())
    for name in ("anthropic_harmless", "anthropic_helpful", "anthropic_hhh", "shp", "summarize"):
        rows = [{"prompt": f"{name} {n}", "chosen": "a b", "rejected": "c"} for n in range(3)]
        write_jsonl(Path(f"allenai/pref-test-sets/{name}.jsonl"), rows)
    flags = [chat, "--prior_sets_path=allenai/pref-test-sets"]
    status, _, error = run("benchmark", "rewardbench", *flags)
    assert status == 2
    assert "mtbench_gpt4" in error
    for name in ("mtbench_gpt4", "mtbench_human"):
        row = {"prompt": [{"role": "user", "content": f"{name}"}], "subset": "own"}
        write_jsonl(
            Path(f"allenai/pref-test-sets/{name}.jsonl"), [row | {"chosen": "a", "rejected": "b"}]
        )
    status, out, error = run("benchmark", "rewardbench", *flags, "--split", "filtered[:40]")
    assert status == 0, error
    assert "rewardbench: 57 rows of allenai/reward-bench and allenai/pref-test-sets" in out
    older = read_json(Path("benchmarks/rewardbench/pref-sets/chat.json"))
    assert len(older) == 7 + 3


def test_overlong_rows_are_counted_and_told_or_refused(
    work: Path, tmp_path: Path, run: Run
) -> None:
    flags = [f"--data_path={work / 'rm-bench.jsonl'}", f"--output_dir={tmp_path}"]
    status, out, _ = run("benchmark", "rm-bench", work / "rm", *flags, "--max_length=20")
    assert status == 0
    meta = read_json(meta_path(tmp_path / "rm-bench/scores/rm.jsonl"))
    assert 0 < meta["counts"]["overlong_rows"] <= 25 <= meta["counts"]["overlong_texts"]
    told = f"note: {meta['counts']['overlong_rows']} of 25 rows have an over-long text, which was"
    assert told in out
    flags[1] += "/refused"
    status, _, error = run(
        "benchmark", "rm-bench", work / "rm", *flags, "--max_length=20", "--overlong=error"
    )
    assert status == 2
    assert f"error: {work / 'rm-bench.jsonl'}, row 1, response " in error


def test_scores_of_other_work_are_refused(work: Path, tmp_path: Path, run: Run) -> None:
    data = tmp_path / "data.jsonl"
    write_jsonl(data, judgebench_rows())
    arguments = ["benchmark", "judgebench", work / "rm", f"--data_path={data}"]
    arguments += [f"--output_dir={tmp_path}"]
    assert run(*arguments)[0] == 0
    path = tmp_path / "judgebench/scores/rm.jsonl"
    before = path.read_bytes()
    status, _, error = run(*arguments, "--max_length=99")
    assert status == 2
    assert f"{path} holds other scores: their --max_length was 2048, and is 99 now" in error
    write_jsonl(data, judgebench_rows()[1:])
    assert "holds other scores: they are of other rows; remove it" in run(*arguments)[2]
    write_jsonl(data, judgebench_rows())
    other = [*arguments[:2], work / "base", *arguments[3:], "--names=rm"]
    assert "holds other scores: their family was {'name': 'mean_and_variance'" in run(*other)[2]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["arena", "rm"], "benchmark: invalid choice: 'arena' (choose from"),
        (
            [],
            "missing: benchmark (rewardbench, rewardbench2, rm-bench or judgebench), reward_model_",
        ),
        (["judgebench"], "missing: reward_model_checkpoints (Folders"),
        (["judgebench", "rm", "--data_path=nowhere.jsonl"], "nowhere.jsonl"),
        (["judgebench", "rm", "--prior_sets_path=x"], "judgebench has no older test sets"),
        (["judgebench", "rm", "rm"], "checkpoints are called rm rm; give distinct --names"),
        (["judgebench", "rm", "--names", "a", "b"], "1 checkpoints but 2 --names; give one for ea"),
        (["judgebench", "rm", "--names=../x"], "--names '../x' is no name of a file"),
        (["judgebench", "rm", "--names=/x"], "--names '/x' is no name of a file"),
        (["judgebench", "nothing"], "nothing"),
        (["judgebench", "base", "--risk=worst_context"], "worst_context"),
        (["judgebench", "rm", "--overlong=drop"], "invalid choice: 'drop'"),
        (["rm-bench", "rm"], "judgebench.jsonl, row 1: no column 'prompt'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    message: str,
    work: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(work)
    data = (
        [] if any("data_path" in each for each in arguments) else ["--data_path=judgebench.jsonl"]
    )
    status, _, error = run("benchmark", *arguments, *data, f"--output_dir={tmp_path / 'out'}")
    assert (status, error[:7]) == (2, "error: ")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_what_is_written_is_strict_json(work: Path, tmp_path: Path, run: Run) -> None:
    """An entropic reward of heavy tails is -∞."""
    flags = [f"--data_path={work / 'rm-bench.jsonl'}", f"--output_dir={tmp_path}"]
    assert run("benchmark", "rm-bench", work / "rm", *flags)[0] == 0

    def refuse(name: str) -> None:
        raise AssertionError(name)

    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)


def test_the_commands_and_the_program_of_the_page_run(
    work: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With small rows in folders of the hub's names."""
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    monkeypatch.chdir(tmp_path)
    Path("rm").symlink_to(work / "rm")
    Path("other_rm").symlink_to(work / "base")
    rows = rewardbench_rows(prior=True)
    for subset in ALL_PRIOR_SETS:
        of_subset = [row for row in rows if row["subset"] == subset] or rows[:2]
        write_jsonl(Path(f"allenai/pref-test-sets/{subset}.jsonl"), of_subset)
    write_jsonl(Path("allenai/reward-bench/filtered.jsonl"), rewardbench_rows())
    write_jsonl(Path("allenai/reward-bench-2/test.jsonl"), rewardbench2_rows())
    write_jsonl(Path("THU-KEG/RM-Bench/train.jsonl"), rm_bench_rows())
    write_jsonl(Path("ScalerLab/JudgeBench/claude.jsonl"), judgebench_rows())
    (commands,) = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "hidden-context"
        assert run(*arguments)[0] == 0, line
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    with redirect_stdout(StringIO()) as printed:
        exec(code, {})
    assert "rewardbench2: rm (mean_and_variance), 50 rows" in printed.getvalue()
    assert Path("figures.csv").read_text().startswith(",by,figure,value,low,high,how\n")
