"""Train, evaluate, score and summarise, end to end on tiny models; and what users get wrong."""

import json
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_models import save_tiny_model

from hidden_context.distributions import FAMILIES
from hidden_context.llm.score import Scorer
from hidden_context.records import read_json, read_jsonl, write_jsonl

Run = Callable[..., tuple[int, str, str]]
WORDS = ["bread", "flour", "water", "salt", "yeast", "dough", "rise", "bake"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny-llama")


def make_rows(number: int, objective: str, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(number):
        prompt = f"Human: {rng.choice(WORDS)}?\n\nAssistant:"
        responses = [" ".join(["", *rng.choice(WORDS, size=5)]) for _ in range(2)]
        rows.append(
            {
                "chosen": prompt + responses[0],
                "rejected": prompt + responses[1],
                "prompt": prompt,
                "objective": objective,
                "data_subset": "helpful",
                "Index": index,
            }
        )
    return rows


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The relabelled layout, small: 12 training and 6 test comparisons of each objective."""
    folder = tmp_path / "relabeled"
    for split, number in (("train", 12), ("test", 6)):
        helpful, harmless = (make_rows(number, name, 1) for name in ("helpful", "harmless"))
        parts = {"helpful": helpful, "harmless": harmless, "both": helpful + harmless}
        for subset, rows in parts.items():
            write_jsonl(folder / subset / f"{split}.jsonl", rows)
    return folder


def train_flags(llama: Path, data: Path, log_dir: Path, *more: object) -> list[object]:
    return [
        "train",
        f"--model_name={llama}",
        f"--data-path={data}",
        f"--log_dir={log_dir}",
        "--num_train_epochs=1",
        "--learning_rate=0.001",
        *more,
    ]


def test_every_family_is_trained_evaluated_scored_and_summarised(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    data_dir = tmp_path / "data"
    log_dir = data_dir / "reward_models" / "relabeled_hh_rlhf"
    jailbreaks = tmp_path / "jailbroken_responses.jsonl"
    rows = [{"prompt": "Human: bread?\n\nAssistant:", "responses": [" no", " flour", " a"][:2]}] * 4
    write_jsonl(jailbreaks, rows)
    for name in FAMILIES:
        status, out, error = run(
            *train_flags(llama, data, log_dir, f"--reward_model_type={name}", "--data_subset=both")
        )
        assert status == 0, error
        assert "train: 24 comparisons (0 with equal texts); 0 over 1024 tokens, left out" in out
        (checkpoint,) = (log_dir / "both").glob(f"{name}_tiny-llama__0_0.001_cosine_1*")
        num_outputs = FAMILIES[name]().num_outputs
        status, out, error = run(
            "evaluate",
            f"--model_name={llama}",
            f"--num_outputs={num_outputs}",
            f"--reward_model_checkpoint={checkpoint}",
            f"--data_path={data}",
        )
        assert status == 0, error
        assert "accuracy " in out
        assert ("r²" in out) == (name != "base")
        scored = read_jsonl(checkpoint / "eval_results_both.jsonl")
        assert [row["Index"] for row in scored] == [*range(6), *range(6)]
        assert {len(row["reward_output_chosen"]) for row in scored} == {num_outputs}
        assert {"data_subset", "prompt", "objective", "reward_output_rejected"} <= scored[0].keys()
        column = "both" if name == "base" else f"both_{name}"
        output = data_dir / f"jailbroken_evaluations_{name}.jsonl"
        status, out, error = run(
            "score",
            f"--input={jailbreaks}",
            "--reward-model-checkpoints",
            checkpoint,
            checkpoint,
            "--reward-model-names",
            column,
            "again",
            f"--output={output}",
        )
        assert status == 0, error
        assert "Jailbreak rates" in out
        (row, *_) = read_jsonl(output)
        assert row[f"reward_outputs_{column}"] == row["reward_outputs_again"]
        assert np.shape(row["reward_outputs_again"]) == (2, num_outputs)
    status, out, error = run("summarize", f"--data_dir={data_dir}", "--json")
    assert status == 0, error
    summary = json.loads(out)
    evaluations = summary["evaluations"]
    assert [evaluation["family"]["name"] for evaluation in evaluations] == list(FAMILIES)
    assert {evaluation["trained_on"] for evaluation in evaluations} == {"both"}
    assert {evaluation["num_jailbreaks"] for evaluation in evaluations} == {4}
    assert len(summary["missing"]) == 12


def test_evaluation_prints_what_training_measured(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    run(*train_flags(llama, data, tmp_path, "--reward_model_type=mean_and_variance"))
    (checkpoint,) = (tmp_path / "both").iterdir()
    record = json.loads((checkpoint / "hidden_context.json").read_text())
    run("evaluate", f"--reward_model_checkpoint={checkpoint}", f"--data_path={data}")
    meta = json.loads((checkpoint / "eval_results_both.jsonl.meta.json").read_text())
    for key, value in meta["metrics"].items():
        assert record["metrics"][f"eval_{key}"] == pytest.approx(value, abs=1e-5)
    assert record["config"]["num_train_epochs"] == 1.0
    assert meta["families"]["reward_output"] == record["family"]


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.parametrize("use_peft", [True, False])
def test_encoders_and_decoders_are_trained_with_and_without_adapters(
    tmp_path: Path, data: Path, run: Run, architecture: str, use_peft: bool
):
    model = save_tiny_model(tmp_path / architecture, architecture)
    flags = [
        "--reward_model_type=categorical",
        "--family_options",
        "num_atoms=5",
        "moments=atoms",
        f"--use_peft={str(use_peft).lower()}",
        f"--output_dir={tmp_path / 'out'}",
        "--bf16=false",
    ]
    status, _, error = run(*train_flags(model, data, tmp_path, *flags))
    assert status == 0, error
    assert (tmp_path / "out" / "adapter_config.json").exists() == use_peft
    record = json.loads((tmp_path / "out" / "hidden_context.json").read_text())
    assert (record["family"]["num_atoms"], record["family"]["moments"]) == (5, "atoms")
    assert list((tmp_path / "out").glob("*.safetensors"))
    assert not list((tmp_path / "out").glob("*.bin"))
    status, out, error = run(
        "evaluate", f"--reward_model_checkpoint={tmp_path / 'out'}", f"--data_path={data}"
    )
    assert status == 0, error
    assert "12 comparisons" in out


def test_chat_data_go_through_the_template(tmp_path: Path, llama: Path, run: Run):
    model = save_tiny_model(tmp_path / "chat")
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["chat_template"] = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
    )
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    row = {
        "prompt": [{"role": "user", "content": "bread?"}],
        "chosen": [{"role": "assistant", "content": "flour"}],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    write_jsonl(tmp_path / "chat.jsonl", [row] * 4)
    flags = [f"--output_dir={tmp_path / 'out'}"]
    status, out, error = run(*train_flags(model, tmp_path / "chat.jsonl", tmp_path, *flags))
    assert status == 0, error
    assert "evaluation: none, since data_path is one file" in out
    status, _, error = run(*train_flags(llama, tmp_path / "chat.jsonl", tmp_path))
    assert status == 2
    assert "has no chat template" in error


def history(checkpoint: Path) -> list[dict[str, float]]:
    """All that was logged, but for times."""
    record = json.loads((checkpoint / "hidden_context.json").read_text())
    return [
        {name: value for name, value in entry.items() if not name.endswith(("runtime", "_second"))}
        for entry in record["history"]
    ]


def test_a_killed_run_is_resumed_with_the_same_losses(
    tmp_path: Path, llama: Path, data: Path, run: Run, start: Any
):
    """Also where a logged loss is a mean over steps before and after the kill."""
    flags = ["--num_train_epochs=4", "--save_steps=8", "--logging_steps=3", "--eval_steps=1000"]
    flags += ["--eval_first_step"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(*train_flags(llama, data, tmp_path, *flags, f"--output_dir={whole}"))
    command = train_flags(llama, data, tmp_path, *flags, f"--output_dir={killed}")
    process = start(command, tmp_path / "stderr")
    deadline = time.monotonic() + 120
    saved = tmp_path / "killed_steps" / "checkpoint-16" / "trainer_state.json"
    while not saved.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert saved.exists()
    assert not killed.exists()
    resume = [f"--output_dir={killed}", "--resume_from_checkpoint"]
    status, _, error = run(*train_flags(llama, data, tmp_path, *flags))
    assert status == 0, error  # another folder is another run
    status, _, error = run(*train_flags(llama, data, tmp_path, *flags, resume[0]))
    assert status == 2
    assert "holds an unfinished run; continue it with --resume_from_checkpoint" in error
    status, _, error = run(*train_flags(llama, data, tmp_path, *flags, *resume, "--seed=1"))
    assert status == 2
    assert "seed is 1, but the run in" in error
    status, _, error = run(*train_flags(llama, data, tmp_path, *flags, *resume))
    assert status == 0, error
    assert history(killed) == history(whole)
    assert [entry["step"] for entry in history(whole)] == [0, *range(3, 49, 3), 48, 48]
    for file in ("tokenizer.json", "adapter_model.safetensors"):
        assert (killed / file).read_bytes() == (whole / file).read_bytes()
    assert not (tmp_path / "killed_steps").exists()


def test_a_finished_run_is_not_made_again(tmp_path: Path, llama: Path, data: Path, run: Run):
    """As the same command finds it after a kill between the last rename and the end."""
    command = train_flags(llama, data, tmp_path, f"--output_dir={tmp_path / 'out'}")
    run(*command)
    before = (tmp_path / "out" / "hidden_context.json").read_bytes()
    (tmp_path / "out_steps" / "checkpoint-8").mkdir(parents=True)
    status, out, _ = run(*command, "--resume_from_checkpoint")
    assert status == 0
    assert f"{tmp_path / 'out'} is finished already" in out
    assert (tmp_path / "out" / "hidden_context.json").read_bytes() == before
    assert not (tmp_path / "out_steps").exists()
    status, _, error = run(*command, "--resume_from_checkpoint", "--seed=1")
    assert status == 2
    assert "seed is 1, but the run in" in error
    assert "out has 0" in error
    (tmp_path / "out" / "hidden_context.json").unlink()
    status, _, error = run(*command, "--resume_from_checkpoint")
    assert status == 2
    assert "is there already; remove it" in error


def test_a_loss_that_is_not_a_number_stops_at_its_step(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    status, _, error = run(*train_flags(llama, data, tmp_path, "--learning_rate=1e30"))
    assert status == 2
    assert error.startswith("error: the loss is nan at step ")


@pytest.mark.parametrize(("kilobytes", "use_peft"), [(8, True), (150, False)])
def test_a_disk_that_is_full_is_one_clear_line(
    tmp_path: Path, llama: Path, data: Path, start: Any, kilobytes: int, use_peft: bool
):
    """A limit on the size of files stands for the disk: it stops the weights, or the optimizer."""
    flags = ["--save_steps=8", "--num_train_epochs=2", f"--output_dir={tmp_path / 'out'}"]
    command = train_flags(llama, data, tmp_path, *flags, f"--use_peft={use_peft}")
    process = start(command, tmp_path / "stderr", largest_file=1024 * kilobytes)
    process.join(timeout=120)
    assert process.exitcode == 2
    error = (tmp_path / "stderr").read_text()
    assert "Traceback" not in error
    assert re.match(r"error: .*(cannot be written|File too large)", error.splitlines()[-1])
    assert not (tmp_path / "out").exists()


def test_overlong_comparisons_are_counted_and_may_be_refused(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    rows = make_rows(6, "helpful", 3)
    rows[2]["rejected"] += " bread" * 100
    write_jsonl(tmp_path / "long.jsonl", rows)
    flags = ["--max_length=90", f"--eval_data_path={data}"]
    command = train_flags(llama, tmp_path / "long.jsonl", tmp_path, *flags)
    status, out, error = run(*command, f"--output_dir={tmp_path / 'a'}")
    assert status == 0, error
    assert "train: 5 comparisons (0 with equal texts); 1 over 90 tokens, left out" in out
    status, out, _ = run(*command, f"--output_dir={tmp_path / 'b'}", "--overlong=truncate_left")
    assert "train: 6 comparisons (0 with equal texts); 1 over 90 tokens, cut at the" in out
    status, _, error = run(*command, f"--output_dir={tmp_path / 'c'}", "--overlong=error")
    assert status == 2
    assert "row 3, rejected has " in error
    status, _, error = run(*command, f"--output_dir={tmp_path / 'c'}", "--max_length=3")
    assert status == 2
    assert "all 6 comparisons are over 3 tokens" in error
    evaluate = ["evaluate", "--reward_model_checkpoint", tmp_path / "a", "--max_length=90"]
    data_flags = ["--data_path", tmp_path / "long.jsonl", "--output", tmp_path / "scores.jsonl"]
    for overlong, kept in (("truncate_left", 6), ("drop", 5)):
        status, out, error = run(*evaluate, *data_flags, f"--overlong={overlong}")
        assert status == 0, error
        assert f"{kept} comparisons (0 with equal texts); 1 over-long texts" in out
        assert len(read_jsonl(tmp_path / "scores.jsonl")) == kept


def test_equal_texts_get_half_credit(tmp_path: Path, llama: Path, data: Path, run: Run):
    run(*train_flags(llama, data, tmp_path, f"--output_dir={tmp_path / 'a'}"))
    rows = [{**row, "rejected": row["chosen"]} for row in make_rows(5, "helpful", 3)]
    write_jsonl(tmp_path / "equal.jsonl", rows)
    status, out, error = run(
        "evaluate",
        "--reward_model_checkpoint",
        tmp_path / "a",
        "--data_path",
        tmp_path / "equal.jsonl",
    )
    assert status == 0, error
    assert "5 comparisons (5 with equal texts)" in out
    assert "accuracy 0.5000, NLL 0.6931" in out


def test_scores_of_any_number_of_responses(tmp_path: Path, llama: Path, data: Path, run: Run):
    run(*train_flags(llama, data, tmp_path, f"--output_dir={tmp_path / 'a'}"))
    rows = [
        {"prompt": "junk Human: bread?", "responses": [" a", " b", " c"], "id": 7},
        {"prompt": "Human: bread?", "responses": [" a"]},
    ]
    write_jsonl(tmp_path / "in.jsonl", rows)
    flags = ["--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl"]
    status, out, error = run(
        "score", *flags, "--reward_model_checkpoints", tmp_path / "a", "--reward_model_names", "x"
    )
    assert status == 0, error
    assert "no jailbreak rates: they need two responses in every row" in out
    first, second = read_jsonl(tmp_path / "out.jsonl")
    assert first["id"] == 7
    assert first["reward_outputs_x"][0] != second["reward_outputs_x"][0]
    checkpoint = ["--reward_model_checkpoints", tmp_path / "a", "--reward_model_names", "x"]
    status, _, error = run("score", *flags, *checkpoint, "--from_first_turn")
    assert status == 0, error
    first, second = read_jsonl(tmp_path / "out.jsonl")
    assert first["reward_outputs_x"][0] == second["reward_outputs_x"][0]
    status, _, error = run(
        "score", *flags, "--reward_model_checkpoints", "a", "b", "--reward_model_names", "x"
    )
    assert status == 2
    assert "2 --reward_model_checkpoints but 1 --reward_model_names" in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--reward_model_type=gaussian"],
            "family 'gaussian' is unknown; choose one of base, mean",
        ),
        (["--data_subset=hepful"], "--data_subset: invalid choice: 'hepful'"),
        (["--reward_model_type=mean_and_variance", "--link=tobit"], "link 'tobit' is unknown"),
        (["--num_atoms=5"], "num_atoms is not an option of family base (its options: none)"),
        (["--family_options", "scale=2"], "scale is not an option of family base"),
        (["--family_options", "scale"], "'scale' is not of the form name=value"),
        (["--learning_rat=1"], "unknown flag --learning_rat; did you mean --learning_rate?"),
        (["--train_dataset_size=99"], "size is 99; there are 24 rows"),
        (["--train_dataset_size=-1"], "size is -1; there are 24 rows"),
        (["--per_device_train_batch_size=0"], "per_device_train_batch_size is 0; give a number"),
        (["--data_path=nothing/at/all"], "nothing/at/all is neither a file nor"),
        (["--model_name=./nothing"], "tokenizer ./nothing is neither a folder nor"),
        (["--lr_scheduler_type=zigzag"], "zigzag"),
        (["--lr_scheduler_type=warmup_stable_decay"], "it needs num_decay_steps, such as"),
        (["--family_options", "a=!!python/object/apply:os.system [ls]"], "YAML of plain values"),
        (["--family_options", "a={b"], "neither JSON nor YAML"),
        (["--family_options", "a=2020-99-99"], "neither JSON nor YAML"),
        (["--lr_scheduler_kwargs", "{a"], "lr_scheduler_kwargs is neither JSON nor YAML"),
        (["--learning_rate=inf"], "learning_rate is inf; give a number above 0"),
    ],
)
def test_mistakes_in_flags_are_one_clear_line(
    tmp_path: Path, llama: Path, data: Path, run: Run, flags: list[str], message: str
):
    status, _, error = run(*train_flags(llama, data, tmp_path / "log", *flags))
    assert status == 2
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "log").exists()


def test_a_schedule_of_the_trainer_is_followed(tmp_path: Path, llama: Path, data: Path, run: Run):
    """Its last steps go down to the share of the peak that was asked for."""
    flags = ["--lr_scheduler_type=warmup_stable_decay", "--logging_steps=1"]
    options = '--lr_scheduler_kwargs={"num_decay_steps": 4, "min_lr_ratio": 0.5}'
    output = f"--output_dir={tmp_path / 'out'}"
    status, _, error = run(*train_flags(llama, data, tmp_path, *flags, options, output))
    assert status == 0, error
    history = read_json(tmp_path / "out" / "hidden_context.json")["history"]
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    assert rates[: len(rates) - 4] == pytest.approx([1e-3] * (len(rates) - 4))
    assert 5e-4 <= rates[-1] < rates[-2] < rates[-3] < 1e-3


def test_data_without_a_test_split_say_what_to_do(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    (data / "both" / "test.jsonl").unlink()
    status, _, error = run(*train_flags(llama, data, tmp_path))
    assert status == 2
    assert "both has no split 'test' (it has train)" in error
    assert "give --eval_split or --eval_data_path; to hold out a part give --test_size" in error


def test_a_part_by_prompt_is_held_out(tmp_path: Path, llama: Path, run: Run):
    """Of 20 comparisons of 5 prompts a fifth are those of one."""
    rows = [
        {"prompt": f"{prompt}? ", "chosen": f"salt {answer}", "rejected": "rise"}
        for prompt in WORDS[:5]
        for answer in WORDS[:4]
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    flags = train_flags(llama, tmp_path / "rows.jsonl", tmp_path)
    checkpoint = tmp_path / "out"
    status, out, error = run(*flags, "--test_size=0.2", "--seed=3", f"--output_dir={checkpoint}")
    assert status == 0, error
    assert "train: 16 comparisons" in out
    assert "test: 4 comparisons" in out
    record = json.loads((checkpoint / "hidden_context.json").read_text())
    assert (record["config"]["test_size"], record["config"]["seed"]) == (0.2, 3)
    assert record["metrics"]["eval_loss"] > 0
    following = shlex.split(out.splitlines()[-1].removeprefix("next: hidden-context "))
    assert following[-6:] == ["--test_size", "0.2", "--seed", "3", "--split", "train"]
    status, out, error = run(*following)
    assert status == 0, error
    assert "4 comparisons (0 with equal texts)" in out
    assert "test: 8 comparisons" in run(*flags, "--test_size=8")[1]
    of_checkpoint = [f"--reward_model_checkpoint={checkpoint}", "--split=any[5:8]"]
    status, out, error = run("evaluate", *of_checkpoint, f"--data_path={tmp_path / 'rows.jsonl'}")
    assert status == 0, error
    scored = read_jsonl(checkpoint / "eval_results_both.jsonl")
    assert [row["chosen"] for row in scored] == [row["chosen"] for row in rows[5:8]]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--test_size=0.2", "--eval_split=test"], "--test_size and --eval_split both say what to"),
        (["--test_size=0.2", "--eval_dataset_size=3"], "--test_size and --eval_dataset_size both"),
        (["--test_size=inf"], "test_size is inf; expected a share between 0 and 1"),
        (["--test_size=0"], "test_size is 0.0; expected a share"),
        (["--test_size=24"], "test_size is 24; expected a share between 0 and 1, or a number"),
        (["--split=train_prefs"], "has no split 'train_prefs' (it has test, train)"),
        (["--split=test"], "split 'test' would be trained and evaluated on"),
        (["--eval_split=train"], "split 'train' would be trained and evaluated on"),
        (["--datasets"], "datasets is empty; give a list of data sets"),
        (["--eval_split=dev"], "has no split 'dev' (it has test, train); choose one of them"),
        (["--dataset_config=v2"], "dataset_config is 'v2', but"),
    ],
)
def test_splits_that_are_not_there_are_refused(
    tmp_path: Path, llama: Path, data: Path, run: Run, flags: list[str], message: str
):
    status, _, error = run(*train_flags(llama, data, tmp_path / "log", *flags))
    assert status == 2
    assert message in error


def test_one_file_has_no_split_to_evaluate_on(tmp_path: Path, llama: Path, data: Path, run: Run):
    file = data / "both" / "train.jsonl"
    status, _, error = run(*train_flags(llama, file, tmp_path, "--eval_split=test"))
    assert status == 2
    assert "eval_split is 'test', but" in error
    assert "--data_path is one file; give --eval_data_path, or --test_size" in error


def test_several_data_sets_of_a_yaml_file_are_trained_on_by_weight(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    """The same losses as of one file whose rows have these weights."""
    rows = [{"chosen": row["chosen"], "rejected": row["rejected"]} for row in make_rows(6, "", 4)]
    votes = {"response_a": "rise bread", "response_b": "it's", "probability": 0.7}
    write_jsonl(tmp_path / "it's.jsonl", rows)
    write_jsonl(tmp_path / "votes" / "train_prefs.jsonl", [votes, votes])
    first = [row | {"weight": 1, "probability": 1} for row in rows]
    second = {"chosen": "rise bread", "rejected": "it's", "probability": 0.7, "weight": 2.5}
    write_jsonl(tmp_path / "all.jsonl", [*first, second, second])
    items = [
        {"path": str(tmp_path / "it's.jsonl"), "weight": 1, "split": None},
        {"path": str(tmp_path / "votes"), "weight": 2.5, "split": "train_prefs"},
    ]
    (tmp_path / "mixed.yaml").write_text(yaml.safe_dump({"datasets": items, "test_size": 2}))
    flags = [f"--log_dir={tmp_path}", f"--model_name={llama}", "--logging_steps=1"]
    mixed = ["train", f"--config={tmp_path / 'mixed.yaml'}", f"--output_dir={tmp_path / 'a'}"]
    status, out, error = run(*mixed, *flags)
    assert status == 0, error
    assert "it's.jsonl: 6 comparisons, of weight 1" in out
    assert "votes: 2 comparisons, of weight 2.5" in out
    one = ["train", f"--data_path={tmp_path / 'all.jsonl'}", f"--output_dir={tmp_path / 'b'}"]
    status, _, error = run(*one, *flags, "--test_size=2")
    assert status == 0, error
    losses, of_one_file = (
        [entry["loss"] for entry in history(tmp_path / name) if "loss" in entry] for name in "ab"
    )
    assert len(losses) == 3
    assert losses == pytest.approx(of_one_file, rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data_path=x"], "data_path is of one data set; give each of datasets its path"),
        (["--train_dataset_size=3"], "train_dataset_size is of one data set"),
        (["--eval_split=test"], "eval_split is 'test', but there are several datasets"),
        (["--datasets", "nothing/at/all"], "nothing/at/all is neither a file nor a folder"),
        (["--datasets", "{path: 3}"], "datasets, item 1: path is '3': input should be a valid str"),
        (["--datasets", "{weight: 3}"], "item 1 is {weight: 3}; expected a path, or {path: ..."),
        (["--datasets", "{path: x, wait: 3}"], "item 1 has 'wait'; known are path, weight, split"),
        (["--datasets", "{path: [x"], "item 1 is {path: [x; expected a path"),
        (["--datasets", "{path: DATA, weight: -1}"], "weight is -1.0; expected a number above 0"),
        (["--datasets", "{path: DATA, weight: one}"], "item 1: weight is 'one': input should be"),
        (["--datasets", "{path: DATA, split: dev}"], "has no split 'dev' (it has test, train)"),
        (["--datasets", "{path: DATA, name: x}"], "item 1: only --eval_datasets have a name"),
        (["--eval_datasets", "DATA"], "eval_datasets, item 1: name is None; give each a name"),
        (
            ["--eval_datasets", "{path: DATA, name: a}", "{path: DATA, name: a}"],
            "eval_datasets, item 2: name is 'a'; give each a name of its own",
        ),
        (["--eval_datasets", "{path: DATA, name: train}"], "an evaluation set is called 'train'"),
        (["--eval_datasets", "{path: DATA, name: a/b}"], "an evaluation set is called 'a/b'"),
        (["--eval_datasets", "{path: DATA, name: a, weight: 2}"], "weight is 2, but nothing is"),
        (
            ["--eval_datasets", "DATA", "--eval_data_path=x"],
            "--eval_datasets and --eval_data_path both",
        ),
        (["--eval_datasets", "DATA", "--test_size=3"], "--test_size and --eval_datasets both say"),
    ],
)
def test_data_sets_that_cannot_be_read_are_refused(
    tmp_path: Path, llama: Path, data: Path, run: Run, flags: list[str], message: str
):
    given = [f"--datasets={data}", *(flag.replace("DATA", str(data)) for flag in flags)]
    folders = [f"--model_name={llama}", f"--log_dir={tmp_path / 'log'}"]
    status, _, error = run("train", *folders, *given)
    assert status == 2
    assert message in error


def test_several_named_sets_are_evaluated_on(tmp_path: Path, llama: Path, data: Path, run: Run):
    """Each measured as it is alone."""
    other = tmp_path / "other.jsonl"
    write_jsonl(other, make_rows(5, "helpful", 9))
    sets = [f"{{name: helpful, path: {data / 'helpful'}}}", f"{{name: other, path: {other}}}"]
    log = ["--eval_steps=12"]  # once, since an evaluation draws random numbers
    named = [*log, f"--output_dir={tmp_path / 'named'}", "--eval_datasets", *sets]
    status, out, error = run(*train_flags(llama, data, tmp_path, *named))
    assert status == 0, error
    assert "helpful: 6 comparisons" in out
    assert "other: 5 comparisons" in out
    record = json.loads((tmp_path / "named" / "hidden_context.json").read_text())
    alone = [*log, f"--output_dir={tmp_path / 'alone'}", f"--eval_data_path={data / 'helpful'}"]
    status, _, error = run(*train_flags(llama, data, tmp_path, *alone))
    assert status == 0, error
    expected = json.loads((tmp_path / "alone" / "hidden_context.json").read_text())["metrics"]
    for name in ("eval_loss", "eval_accuracy"):
        of_name = name.replace("eval_", "eval_helpful_")
        assert record["metrics"][of_name] == pytest.approx(expected[name], rel=1e-5)
    assert record["metrics"]["eval_other_loss"] != record["metrics"]["eval_helpful_loss"]
    assert record["counts"].keys() == {"train", "helpful", "other"}
    steps = [entry["step"] for entry in record["history"] if "eval_other_loss" in entry]
    assert steps == [12]


def test_a_finished_checkpoint_is_not_overwritten(
    tmp_path: Path, llama: Path, data: Path, run: Run
):
    (tmp_path / "out").mkdir()
    status, _, error = run(*train_flags(llama, data, tmp_path, f"--output_dir={tmp_path / 'out'}"))
    assert status == 2
    assert "is there already; remove it, or give another --output_dir" in error


def test_killed_scoring_goes_on(
    tmp_path: Path, llama: Path, data: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    """The file of a killed run says so, refuses other settings, and ends as an unbroken run."""
    monkeypatch.setattr("hidden_context.llm.score_rows.ROWS_A_CHUNK", 4)
    run(*train_flags(llama, data, tmp_path, f"--output_dir={tmp_path / 'a'}"))
    output = tmp_path / "scores.jsonl"
    command = ["evaluate", f"--reward_model_checkpoint={tmp_path / 'a'}", f"--data_path={data}"]
    status, whole, error = run(*command, f"--output={tmp_path / 'whole.jsonl'}")
    assert status == 0, error
    scored = Scorer.outputs_of_chunks

    def killed(*args: Any, **kwargs: Any) -> Any:
        yield next(scored(*args, **kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr(Scorer, "outputs_of_chunks", killed)
    status, _, error = run(*command, f"--output={output}")
    assert (status, output.exists()) == (130, False)
    monkeypatch.setattr(Scorer, "outputs_of_chunks", scored)
    status, _, error = run(*command, f"--output={output}", "--max_length=9")
    assert status == 2
    assert "scores.jsonl.partial holds the beginning of another run: its --max_length was" in error
    status, out, error = run(*command, f"--output={output}")
    assert status == 0, error
    assert "has 4 of 12 rows; going on from there" in out
    resumed, unbroken = (text.splitlines() for text in (out, whole))
    assert [line for line in resumed if "going on from there" not in line][:-2] == unbroken[:-2]
    assert not list(tmp_path.glob("*.partial"))
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_published_gpt2_adapters_are_evaluated_from_the_command_line(
    tmp_path: Path, published_data: Path, run: Run
):
    folder = published_data / "reward_models" / "hh_rlhf" / "both"
    name = "categorical_gpt2__8_2e-05_linear_1_10_0.1_peft_last_checkpoint"
    status, _, error = run(
        "evaluate", f"--reward_model_checkpoint={folder / name}", "--num_outputs=2"
    )
    assert status == 2
    assert "num_outputs 2 contradicts" in error
    assert not list(tmp_path.iterdir())
