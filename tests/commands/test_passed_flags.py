"""Flags and keys that are passed on to the Trainer, TRL's names, and what is said of the others."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_train_evaluate_score import make_rows
from tiny_models import tiny_model

from hidden_context.commands.command_line import parse
from hidden_context.commands.train import Config
from hidden_context.errors import UserError
from hidden_context.llm.trainer_arguments import REFUSED, passed_on
from hidden_context.llm.training_settings import own_names
from hidden_context.records import read_json, write_jsonl

Run = Callable[..., tuple[int, str, str]]


def parsed(*flags: str) -> Config:
    return parse(Config, flags, prog="hidden-context train")


def refusal(*flags: str) -> str:
    with pytest.raises(UserError) as error:
        parsed(*flags)
    return str(error.value)


def test_flags_of_the_trainer_are_passed_on():
    config = parsed("--max-steps=3", "--warmup_steps", "0.1", "--report_to", "wandb", "trackio")
    assert config.trainer == {
        "max_steps": 3,
        "warmup_steps": 0.1,
        "report_to": ["wandb", "trackio"],
    }
    assert parsed("--dataloader_drop_last", "--fp16", "no").trainer["dataloader_drop_last"] is True
    kwargs = '--gradient_checkpointing_kwargs={"use_reentrant": false}'
    config = parsed("--gradient_checkpointing", kwargs)
    assert config.trainer == {"gradient_checkpointing_kwargs": {"use_reentrant": False}}
    assert parsed().trainer == {}


def test_keys_of_a_file_are_passed_on(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text(
        "model_name_or_path: a\nmax_steps: 3\nreport_to: [wandb]\nlora_target_modules: all-linear\n"
        "gradient_checkpointing: true\ngradient_checkpointing_kwargs: {use_reentrant: false}\n"
    )
    config = parsed("--config", str(file), "--max_steps=4")
    assert (config.model_name, config.lora_target_modules) == ("a", ("all-linear",))
    assert config.trainer == {
        "max_steps": 4,
        "report_to": ["wandb"],
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }
    file.write_text("max_stebs: 3\n")
    assert "max_stebs; did you mean max_steps?" in refusal("--config", str(file))
    file.write_text("label_smoothing_factor: 0.1\n")
    assert "label_smoothing_factor is not taken: " in refusal("--config", str(file))


def test_names_of_trl_are_ours():
    config = parsed(
        "--model_name_or_path=a",
        "--dataset_name=b",
        "--dataset_train_split=c",
        "--test_split_size=0.5",
        "--activation_checkpointing",
        "--eval_on_start",
    )
    assert (config.model_name, config.data_path, config.split) == ("a", "b", "c")
    assert config.test_size == 0.5
    assert config.gradient_checkpointing
    assert config.eval_first_step


def test_the_same_settings_are_made_in_a_program():
    """With the Trainer's other names of ours, and what is passed on."""
    given = {"activation_checkpointing": True, "max_steps": 3, "lora_r": 4}
    config = parsed("--activation_checkpointing", "--max_steps=3", "--lora_r=4")
    assert {name: config.to_dict()[name] for name in ("max_steps", "lora_r")} == {
        "max_steps": 3,
        "lora_r": 4,
    }
    assert config.to_dict().items() >= Config.of(given).to_dict().items()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--label_smoothing_factor", "0.1"], "label_smoothing_factor is not taken: there are no"),
        (["--hub_strategy=every_save"], "hub_strategy is not taken: a checkpoint is uploaded once"),
        (["--hub_always_push"], "hub_always_push is not taken: a checkpoint is uploaded once"),
        (["--hub_model_id=me/rm"], "hub_model_id changes nothing without push_to_hub"),
        (["--torch_compile=true"], "torch_compile is not taken: batches of shared prefixes"),
        (["--trust_remote_code"], "trust_remote_code is not taken: no code of a model is run"),
        (["--max_stebs=3"], "unknown flag --max_stebs; did you mean --max_steps?"),
        (["--zebra=3"], "unknown flag --zebra; see hidden-context train --help."),
        (["--max_steps=x"], "max_steps: invalid int value: 'x'"),
        (["--eval_strategy=often"], "--eval_strategy: invalid choice: 'often'"),
        (["--run_name=a"], "run_name changes nothing without report_to"),
    ],
)
def test_a_flag_that_cannot_be_is_refused_with_the_reason(flags: list[str], message: str):
    assert message in refusal(*flags)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("batch_size", "per_device_train_batch_size"),
        ("eval_batch_size", "per_device_eval_batch_size"),
        ("epochs", "num_train_epochs"),
        ("steps", "max_steps"),
        ("lora_rank", "lora_r"),
        ("model", "model_name"),
        ("data", "data_path"),
        ("dataset", "dataset_name"),
        ("output", "output_dir"),
        ("wieght_decay", "weight_decay"),
        ("warmup", "warmup_steps"),
        ("lr", None),
        ("size", None),
        ("temperature", None),
    ],
)
def test_what_other_tools_call_a_flag_is_understood_or_not_guessed(given: str, meant: str | None):
    told = f"did you mean --{meant}?" if meant else "see hidden-context train --help."
    assert refusal(f"--{given}=1") == f"unknown flag --{given}; {told}"


@pytest.mark.parametrize(
    "flag",
    [
        "--hub_strategy=end",
        "--do_train",
        "--lora_task_type=SEQ_CLS",
        "--remove_unused_columns=False",
    ],
)
def test_what_is_so_anyway_may_be_said(flag: str):
    assert parsed(flag).trainer == {}
    name = flag.partition("=")[0][2:]
    assert name in REFUSED


def test_help_all_has_every_flag(run: Run):
    status, out, _ = run("train", "--help", "all")
    assert status == 0
    for name in {*passed_on(), *REFUSED, *own_names()}:
        assert f"--{name} " in out or f"--{name}," in out or f"--{name}\n" in out, name
    assert "Weight decay" in out


def test_help_says_where_the_rest_is(run: Run):
    with pytest.raises(SystemExit):
        run("train", "--help")
    finished = subprocess.run(
        [sys.executable, "-m", "hidden_context.commands.cli", "train", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hidden-context train --help all" in finished.stdout
    assert "--max_steps" not in finished.stdout


def test_a_run_as_trl_users_do(tmp_path: Path, run: Run):
    """Its record has what was passed on, and its last measure is that of the best step."""
    write_jsonl(tmp_path / "data.jsonl", make_rows(8, "helpful", 1))
    flags = {
        "model_name_or_path": tiny_model(),
        "dataset_name": tmp_path / "data.jsonl",
        "output_dir": tmp_path / "rm",
        "max_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        "test_split_size": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "accuracy",
        "warmup_steps": 1,
        "lora_r": 4,
        "lora_target_modules": "all-linear",
        "use_rslora": True,
    }
    status, _, error = run("train", *(f"--{name}={value}" for name, value in flags.items()))
    assert status == 0, error
    record: dict[str, Any] = read_json(tmp_path / "rm" / "hidden_context.json")
    assert record["training"]["steps"] == 2
    assert record["training"]["best_step"] in (1, 2)
    assert record["config"]["metric_for_best_model"] == "accuracy"
    assert record["config"]["lora_target_modules"] == ["all-linear"]
    assert "trainer" not in record["config"]


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is not installed")
def test_the_page_of_flags_is_up_to_date():
    from trl_flags import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(), "run tests/trl_flags.py"


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is not installed")
def test_no_flag_of_trl_is_unknown():
    from trl_flags import flags_of_trl, own_flags

    known = {*passed_on(), *REFUSED, *own_flags()}
    assert set(flags_of_trl()) <= known
