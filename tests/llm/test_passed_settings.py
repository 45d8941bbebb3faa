"""Settings of the Trainer and of PEFT that are passed on change what they say, or are refused."""

import importlib.util
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from tiny_models import make_tokenizer, save_tiny_model, tiny_model
from transformers import TrainingArguments

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.distributions import FAMILIES
from hidden_context.errors import UserError
from hidden_context.llm.backbone import load_backbone
from hidden_context.llm.best_model import has_stalled
from hidden_context.llm.new_model import new_model, to_train, tokenizer_to_train
from hidden_context.llm.train import train
from hidden_context.llm.trainer import PreferenceTrainer, squared_sum_of_means
from hidden_context.llm.trainer_arguments import OWN, REFUSED, passed_on
from hidden_context.llm.training_settings import TrainingSettings, own_names
from hidden_context.records import read_json

ROWS = [
    {"prompt": f"q{n}?", "chosen": f"bread and {n} eggs", "rejected": f"{n} stones"}
    for n in range(12)
]


def comparisons(number: int = 12) -> Comparisons:
    return load_comparisons(ROWS[:number])


def run(folder: Path, *, model: str = "llama", **settings: Any) -> Any:
    usual: dict[str, Any] = {"learning_rate": 1e-3, "logging_steps": 1, "disable_dropout": True}
    return train(
        comparisons(),
        model=str(tiny_model(model)),
        output_dir=folder / "rm",
        **{**usual, **settings},
    )


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("usual"))


def logged(model: Any, name: str = "loss") -> list[float]:
    return [entry[name] for entry in model.record["history"] if name in entry]


def refusal(**settings: Any) -> str:
    with pytest.raises(UserError) as error:
        TrainingSettings.of(settings)
    return str(error.value)


# Every field has been gone through


PASSED = """
activation_checkpointing_kwargs adam_beta1 adam_beta2 adam_epsilon data_seed dataloader_drop_last
dataloader_multiprocessing_context dataloader_num_workers dataloader_persistent_workers
dataloader_pin_memory dataloader_prefetch_factor ddp_backend ddp_broadcast_buffers
ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph ddp_timeout debug disable_tqdm
eval_accumulation_steps eval_delay eval_strategy fp16 full_determinism
gradient_checkpointing_kwargs greater_is_better load_best_model_at_end log_level
log_level_replica log_on_each_node logging_first_step logging_strategy max_grad_norm max_steps
metric_for_best_model neftune_noise_alpha optim_args optim_target_modules prediction_loss_only
project report_to run_name save_strategy save_total_limit skip_memory_metrics tf32
torch_empty_cache_steps train_sampling_strategy trackio_bucket_id trackio_space_id
trackio_static_space_id use_cpu warmup_steps
"""


def test_every_field_of_the_trainer_was_gone_through():
    """A field that a later version brings is passed on; here it is known that somebody looked."""
    names = {field.name for field in fields(TrainingArguments) if field.init}
    assert names - own_names() - OWN - REFUSED.keys() <= set(PASSED.split())
    assert set(passed_on()) <= set(PASSED.split())


def test_each_refusal_says_why():
    for name, reason in REFUSED.items():
        assert refusal(**{name: "1"}) == f"{name} is not taken: {reason}."


def test_a_run_of_no_step_is_refused():
    for steps in (0, -2):
        assert refusal(max_steps=steps).startswith(f"max_steps is {steps}, so nothing would be")


# What they change


def test_max_steps_ends_the_run_and_the_schedule(tmp_path: Path):
    model = run(tmp_path, max_steps=3)
    assert model.record["training"]["steps"] == 3
    assert logged(model, "learning_rate")[0] == 1e-3
    assert model.record["config"]["max_steps"] == 3


@pytest.mark.parametrize(("schedule", "warmup"), [("cosine", 2), ("linear", 1 / 3)])
def test_the_learning_rate_warms_up(tmp_path: Path, schedule: str, warmup: float):
    """Also with our own schedules; the logged rate is that of the step that follows."""
    model = run(tmp_path, warmup_steps=warmup, lr_scheduler_type=schedule)
    rates = logged(model, "learning_rate")
    assert rates[:3] == pytest.approx([0, 5e-4, 1e-3])
    assert rates[3] < 1e-3


def test_settings_of_the_optimizer_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []
    create = PreferenceTrainer.create_optimizer

    def keeping(trainer: Any, model: Any = None) -> Any:
        made.append(create(trainer, model))
        return made[-1]

    monkeypatch.setattr(PreferenceTrainer, "create_optimizer", keeping)
    run(tmp_path, adam_beta1=0.5, adam_beta2=0.6, adam_epsilon=0.1, weight_decay=0.3, max_steps=1)
    (optimizer,) = made
    assert optimizer.defaults["betas"] == (0.5, 0.6)
    assert optimizer.defaults["eps"] == 0.1
    assert optimizer.param_groups[0]["weight_decay"] == 0.3


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Weights of the heads that trainings begin with."""
    heads: list[torch.Tensor] = []

    def keeping(model: Any, settings: Any) -> Any:
        heads.append(model.score.weight.detach().clone())
        return to_train(model, settings)

    monkeypatch.setattr("hidden_context.llm.train.to_train", keeping)
    return heads


def test_weights_decay(tmp_path: Path, starts: list[torch.Tensor]):
    """AdamW multiplies a weight by 1 - rate · decay before each step."""
    heads = []
    for decay in (0.0, 100.0):
        model = run(tmp_path / str(decay), weight_decay=decay, max_steps=1, use_peft=False)
        heads.append(model.model.score.weight.detach())
    torch.testing.assert_close(heads[1], heads[0] - 0.1 * starts[0], atol=1e-7, rtol=0)


def test_gradients_are_clipped(tmp_path: Path, starts: list[torch.Tensor]):
    """To a norm of nothing, so that plain gradient descent stays where it is."""
    for norm in (1e-9, 1.0):
        folder = tmp_path / str(norm)
        model = run(folder, max_grad_norm=norm, optim="sgd", use_peft=False, max_steps=1)
        moved = (model.model.score.weight.detach() - starts[-1]).abs().max().item()
        assert (moved < 1e-8) == (norm < 1)


def test_the_seed_of_the_data_changes_their_order(tmp_path: Path, usual: Any):
    other = run(tmp_path, max_steps=2, data_seed=5)
    assert logged(other) != logged(usual)[:2]


def test_data_can_be_taken_in_order_and_without_a_last_smaller_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[torch.Tensor] = []
    step = PreferenceTrainer.training_step

    def keeping(trainer: Any, model: Any, inputs: Any, *more: Any) -> Any:
        seen.extend(inputs["batches"][0]["input_ids"][::2])  # the preferred ones
        return step(trainer, model, inputs, *more)

    monkeypatch.setattr(PreferenceTrainer, "training_step", keeping)
    batches = {"per_device_train_batch_size": 5, "batching": "padded"}
    model = run(
        tmp_path, train_sampling_strategy="sequential", dataloader_drop_last=True, **batches
    )
    assert model.record["training"]["steps"] == 2  # of 12 comparisons, 5 a batch
    texts = [model.tokenizer.decode(ids) for ids in seen]
    assert len(texts) == 10
    for number, text in enumerate(texts):
        assert f"and {number} eggs" in text


def test_workers_load_the_same_batches(tmp_path: Path, usual: Any):
    workers = {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 2}
    assert logged(run(tmp_path, **workers)) == logged(usual)


def test_neftune_makes_noise_where_a_row_is_a_text(tmp_path: Path):
    quiet, noisy = (
        run(tmp_path / str(alpha), batching="padded", neftune_noise_alpha=alpha, max_steps=2)
        for alpha in (None, 50.0)
    )
    assert logged(quiet) != logged(noisy)
    assert "batching=padded or grouped" in refusal(neftune_noise_alpha=5.0)


def test_only_so_many_steps_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = []
    monkeypatch.setattr(
        "hidden_context.llm.train._best_step",
        lambda trainer: (
            kept.append(
                sorted(step.name for step in Path(trainer.args.output_dir).glob("checkpoint-*"))
            )
            or {}
        ),
    )
    run(tmp_path / "usual", save_steps=1, max_steps=3)
    run(tmp_path / "one", save_steps=1, max_steps=3, save_total_limit=1)
    run(tmp_path / "none", save_strategy="no", max_steps=3)
    assert kept == [["checkpoint-2", "checkpoint-3"], ["checkpoint-3"], []]


def test_what_is_logged_when(tmp_path: Path):
    model = run(tmp_path, logging_strategy="epoch", num_train_epochs=2)
    assert [entry["step"] for entry in model.record["history"] if "loss" in entry] == [6, 12]


def test_only_the_loss_is_measured_if_asked(tmp_path: Path):
    model = run(tmp_path, eval_data=comparisons(), prediction_loss_only=True)
    assert "eval_loss" in model.record["metrics"]
    assert "eval_accuracy" not in model.record["metrics"]


# Best model and early stopping


def loss_of(model: Any, data: Comparisons) -> float:
    utility = model.score_comparisons(data).utility
    return -float(np.mean(utility[:, 0].log_prob_preferred_to(utility[:, 1])))


@pytest.mark.parametrize("use_peft", [True, False])
def test_the_best_model_is_saved_with_its_measures(tmp_path: Path, use_peft: bool):
    """The greatest loss is wanted, of a run at so high a rate that its last is not that."""
    model = run(
        tmp_path,
        eval_data=comparisons(4),
        load_best_model_at_end=True,
        greater_is_better=True,
        use_peft=use_peft,
        learning_rate=0.05,
        lr_scheduler_type="constant",
        eval_steps=1,
        save_steps=1,
        max_steps=3,
    )
    losses = logged(model, "eval_loss")
    best = int(np.argmax(losses))
    assert best < 2
    assert model.record["metrics"]["eval_loss"] == losses[best]
    assert loss_of(model, comparisons(4)) == pytest.approx(losses[best], abs=1e-4)
    assert model.record["training"]["best_step"] == 1 + best


def test_what_was_learned_of_the_likelihood_is_that_of_the_best_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = [{"prompt": "q?", "response_a": f"{n} a", "response_b": f"{n} b"} for n in range(4)]
    votes = [{**row, "votes_a": 3, "votes_b": 1, "votes_tie": 2} for row in rows]
    learned, save = [], PreferenceTrainer._save_checkpoint

    def keeping(trainer: Any, *given: Any) -> None:
        learned.append([value.tolist() for value in trainer.likelihood.parameters()])
        save(trainer, *given)

    monkeypatch.setattr(PreferenceTrainer, "_save_checkpoint", keeping)
    wanted = {"load_best_model_at_end": True, "greater_is_better": True, "eval_steps": 1}
    data, ended = load_comparisons(votes), []
    monkeypatch.setattr(
        "hidden_context.llm.train._best_step",
        lambda trainer: ended.append(
            ([value.tolist() for value in trainer.likelihood.parameters()],
             trainer.state.best_global_step)
        ) or {},
    )  # fmt: skip
    train(
        data,
        model=str(tiny_model()),
        output_dir=tmp_path / "rm",
        eval_data=data,
        save_steps=1,
        max_steps=3,
        likelihood_learning_rate=0.5,
        **wanted,
    )
    (found, best) = ended[0]
    assert best < 3
    assert found == learned[best - 1] != learned[-1]


@pytest.mark.parametrize(
    ("losses", "patience", "threshold", "stalled"),
    [
        ([3, 2, 1], 1, 0, False),
        ([3, 2, 2], 1, 0, True),
        ([3, 4, 2, 3], 2, 0, False),
        ([3, 4, 2, 3, 2], 2, 0, True),
        ([3, 2.5], 1, 0.6, True),
        ([], 1, 0, False),
    ],
)
def test_evaluations_that_do_not_improve_stall(
    losses: list[float], patience: int, threshold: float, stalled: bool
):
    history = [{"step": step, "eval_loss": loss} for step, loss in enumerate(losses, start=1)]
    how = {"greater_is_better": False, "patience": patience, "threshold": threshold}
    before = {"step": 0, "eval_loss": 0.0}
    assert has_stalled([before, *history], "eval_loss", **how) == stalled  # pyrefly: ignore
    for entry in history:
        entry["eval_loss"] *= -1
    how["greater_is_better"] = True
    assert has_stalled(history, "eval_loss", **how) == stalled  # pyrefly: ignore


STOPPING: dict[str, Any] = {
    "early_stopping_patience": 2,
    "greater_is_better": True,  # of the loss, which falls
    "eval_steps": 1,
    "save_steps": 1,
}


def killed_after(step: int, monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: Any) -> None:
    """Run until a step is saved."""
    save = PreferenceTrainer._save_checkpoint

    def killed(trainer: Any, *given: Any) -> None:
        save(trainer, *given)
        if trainer.state.global_step == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PreferenceTrainer, "_save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder, **settings)


@pytest.mark.parametrize("killed_at", [2, 3])
def test_a_run_stops_early_and_so_does_a_resumed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
):
    settings: dict[str, Any] = {"eval_data": comparisons(4), **STOPPING}
    killed_after(killed_at, monkeypatch, tmp_path, **settings)
    resumed = run(tmp_path, **settings, resume_from_checkpoint=True)
    losses = logged(resumed, "eval_loss")
    assert losses == sorted(losses, reverse=True)
    assert resumed.record["training"]["steps"] == 3  # the first is the best, and two more


def test_a_run_that_was_killed_after_its_last_step_makes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    killed_after(2, monkeypatch, tmp_path, max_steps=2, save_steps=1)
    resumed = run(tmp_path, max_steps=2, save_steps=1, resume_from_checkpoint=True)
    assert resumed.record["training"]["steps"] == 2


def test_a_changed_setting_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    killed_after(2, monkeypatch, tmp_path, save_steps=1, warmup_steps=1)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"warmup_steps": 2}, r"warmup_steps is 2.0, but the run in .* has 1.0"),
        ({}, "warmup_steps is None, but the run in .* has 1.0"),
        ({"warmup_steps": 1, "adam_beta1": 0.8}, "adam_beta1 is 0.8, but the run in .* has None"),
        ({"warmup_steps": 1, "lora_r": 4}, "lora_r is 4, but the run in .* has 8"),
    ]
    for settings, message in wrong:
        with pytest.raises(UserError, match=message):
            run(tmp_path, save_steps=1, **settings, resume_from_checkpoint=True)


def test_what_cannot_be_judged_is_refused(tmp_path: Path):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"load_best_model_at_end": True}, "there is no data to evaluate on"),
        ({"early_stopping_patience": 1}, "there is no data to evaluate on"),
        ({"eval_strategy": "epoch"}, "there is no data for it"),
        (
            {"eval_data": comparisons(), "eval_strategy": "no", "load_best_model_at_end": True},
            "eval_strategy is no",
        ),
        (
            {"eval_data": comparisons(), "load_best_model_at_end": True},
            "is measured every 1000 steps, but the run has 6",
        ),
        (
            {"eval_data": comparisons(), "early_stopping_patience": 1, "eval_steps": 1}
            | {"metric_for_best_model": "beauty"},
            "metric_for_best_model beauty is not measured; known are loss, accuracy, nll",
        ),
    ]
    for settings, message in wrong:
        with pytest.raises(UserError) as error:
            run(tmp_path, **settings)
        assert message in str(error.value)


# Reports


def test_reports_are_written_or_their_package_is_named(tmp_path: Path):
    for name in ("tensorboard", "wandb", "trackio"):
        if importlib.util.find_spec(name) is not None:
            continue
        with pytest.raises(UserError, match=f"package {name} is not installed .pip install {name}"):
            run(tmp_path, report_to=name)
    with pytest.raises(UserError, match="report_to: zzz is not supported, only"):
        run(tmp_path, report_to=["zzz"])
    assert not list(tmp_path.iterdir())


def test_tensorboard_keeps_its_events_beside_the_checkpoint(tmp_path: Path):
    pytest.importorskip("tensorboard")
    name = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = importlib.import_module(name).EventAccumulator
    model = run(tmp_path, report_to="tensorboard", run_name="bread")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rm", "rm_tensorboard"]
    events = accumulator(str(tmp_path / "rm_tensorboard"))
    events.Reload()
    shown = [event.value for event in events.Scalars("train/loss")]
    assert shown == pytest.approx(logged(model))


# Adapters, precision, dropout, centring


def adapter_config(folder: Path) -> dict[str, Any]:
    return read_json(folder / "rm" / "adapter_config.json")


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bert"])
def test_all_linear_layers_have_adapters_and_the_head_is_trained(architecture: str):
    settings = TrainingSettings.of({"lora_target_modules": ("all-linear",)})
    model = load_backbone(str(tiny_model(architecture)), 2, dtype=torch.float32)
    linear = {
        name
        for name, module in model.base_model.named_modules()
        if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
    }
    head = "classifier" if architecture == "bert" else "score"
    model = to_train(model, settings)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert any(f"{head}.modules_to_save" in name for name in trained)
    assert not any(f"{head}." in name and "lora" in name for name in trained)
    adapted = {name for name in linear if any(f".{name}.lora_A" in each for each in trained)}
    assert adapted == {name for name in linear if "pooler" not in name}


def test_adapters_are_as_asked(tmp_path: Path):
    run(
        tmp_path,
        max_steps=1,
        lora_r=4,
        lora_alpha=16,
        lora_dropout=0.0,
        lora_target_modules=("q_proj", "up_proj"),
        lora_modules_to_save=("norm",),
        use_rslora=True,
    )
    config = adapter_config(tmp_path)
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 16, 0.0)
    assert sorted(config["target_modules"]) == ["q_proj", "up_proj"]
    assert {"norm", "score"} <= set(config["modules_to_save"])
    assert config["use_rslora"]


def test_the_scale_of_rank_stabilised_adapters_is_by_the_root():
    scales = []
    for use_rslora in (False, True):
        model = load_backbone(str(tiny_model()), 2, dtype=torch.float32)
        model = to_train(model, TrainingSettings.of({"use_rslora": use_rslora, "lora_r": 16}))
        layers = [each for each in model.modules() if isinstance(each, LoraLayer)]
        scales.append(layers[0].scaling["default"])
    assert scales == [32 / 16, 32 / 4]


@pytest.mark.parametrize("architecture", ["gpt2"])
def test_dora_is_trained_saved_and_read(tmp_path: Path, architecture: str):
    """The checkpoint was compared with the model in memory; see `check_saved`."""
    model = run(tmp_path, model=architecture, use_dora=True, max_steps=2)
    assert adapter_config(tmp_path)["use_dora"]
    names = [name for name, _ in model.model.named_parameters()]
    assert any("lora_magnitude_vector" in name for name in names)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float32", "auto"])
def test_the_backbone_is_in_the_precision_asked_for(name: str):
    settings = TrainingSettings.of({"dtype": name})
    model = new_model(str(tiny_model()), FAMILIES["base"](), settings, bf16=False)
    weights = torch.float32 if name == "auto" else getattr(torch, name)  # as the file has them
    assert {each.dtype for each in model.model.parameters()} == {weights}
    assert model.score.weight.dtype == torch.float32


def test_half_precision_is_trained(tmp_path: Path):
    assert np.isfinite(logged(run(tmp_path, dtype="float16", max_steps=2))).all()


def test_attention_is_as_asked():
    for name in ("eager", "sdpa"):
        settings = TrainingSettings.of({"attn_implementation": name})
        model = new_model(str(tiny_model()), FAMILIES["base"](), settings, bf16=False)
        assert model.config._attn_implementation == name
    settings = TrainingSettings.of({"attn_implementation": "swift"})
    with pytest.raises(UserError, match=r"cannot be loaded: .*swift"):
        new_model(str(tiny_model()), FAMILIES["base"](), settings, bf16=False)


def test_dropout_is_disabled_everywhere():
    model = load_backbone(str(tiny_model("gpt2")), 2, dtype=torch.float32)
    model = to_train(model, TrainingSettings.of({"disable_dropout": True})).train()
    batch = {"input_ids": torch.arange(10)[None], "attention_mask": torch.ones(1, 10)}
    with torch.no_grad():
        first, second = (model(**batch).logits for _ in range(2))
    assert torch.equal(first, second)
    model = to_train(
        load_backbone(str(tiny_model("gpt2")), 2, dtype=torch.float32), TrainingSettings.of({})
    ).train()
    with torch.no_grad():
        first, second = (model(**batch).logits for _ in range(2))
    assert not torch.equal(first, second)


def test_centring_is_trls_of_pairs_and_counts_a_ranking_as_a_pair():
    mean = torch.tensor([1.0, 2.0, 3.0, -1.0])
    assert squared_sum_of_means(mean, [2, 2]).item() == pytest.approx((3.0**2 + 2.0**2) / 2)
    assert squared_sum_of_means(torch.full((3,), 2.0), [3]).item() == pytest.approx(4.0**2)


def test_utilities_are_centred(tmp_path: Path):
    """A head that starts far from zero comes back with the term, and stays without it."""
    name = str(tmp_path / "model")
    save_tiny_model(tmp_path / "model")
    far = load_backbone(name, 1, dtype=torch.float32)
    with torch.no_grad():
        far.score.weight.fill_(0.5)
    far.save_pretrained(name)
    make_tokenizer().save_pretrained(name)
    means = []
    for coefficient in (None, 1.0):
        model = train(
            comparisons(),
            model=name,
            family="base",
            output_dir=tmp_path / str(coefficient),
            center_rewards_coefficient=coefficient,
            learning_rate=0.02,
            num_train_epochs=4,
        )
        means.append(abs(float(model.score_comparisons(comparisons()).utility.mean.mean())))
    assert means[1] < means[0] / 3


def test_centring_is_refused_where_utilities_have_a_fixed_range():
    with pytest.raises(UserError, match=r"center_rewards_coefficient .* categorical"):
        run(Path("nowhere"), family="categorical", center_rewards_coefficient=0.01)


# Mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_steps": "many"}, "max_steps is 'many': input should be a valid integer"),
        ({"zzz": 1}, "zzz is no setting of training"),
        ({"eval_strategy": "often"}, "eval_strategy is 'often': input should be 'no', 'steps'"),
        ({"train_sampling_strategy": "group_by_length"}, "group_by_length is not taken: batching"),
        ({"run_name": "a"}, "run_name changes nothing without report_to"),
        ({"project": "a", "report_to": "wandb"}, "project changes nothing without report_to=trac"),
        ({"greater_is_better": True}, "changes nothing without load_best_model_at_end"),
        ({"warmup_steps": 3, "lr_scheduler_type": "constant"}, "such as constant_with_warmup"),
        ({"dataloader_prefetch_factor": 3}, "changes nothing without dataloader_num_workers"),
        ({"gradient_checkpointing_kwargs": {"a": 1}}, "without gradient_checkpointing"),
        ({"lora_r": 4, "use_peft": False}, "lora_r is of adapters, but use_peft is false"),
        ({"load_in_4bit": True, "load_in_8bit": True}, "are both given; give one"),
        ({"use_bnb_nested_quant": True}, "changes nothing without load_in_4bit"),
        ({"load_in_8bit": True, "use_peft": False}, "load_in_8bit is of adapters"),
        ({"lora_dropout": 1.0}, "give a share below 1"),
        ({"lora_r": 0}, "lora_r is 0; give a number above 0"),
        ({"early_stopping_patience": 0}, "early_stopping_patience is below 1"),
        ({"center_rewards_coefficient": -1.0}, "give a number that is not negative"),
        ({"disable_dropout": True, "lora_dropout": 0.2}, "contradict each other"),
    ],
)
def test_settings_that_cannot_be_so_are_refused(settings: dict[str, Any], message: str):
    assert message in refusal(**settings)


def test_what_a_run_finds_wrong_is_one_line_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "a.txt").write_text("x")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"lora_target_modules": ("zzz",)}, "lora_target_modules zzz: "),
        ({"lora_target_modules": ("score",)}, "has score, the head, which is trained in full"),
        ({"lora_target_modules": ("all-linear", "q_proj")}, "all-linear is no name of a layer"),
        ({"lora_modules_to_save": ("zzz",)}, "has no zzz"),
        ({"model_revision": "v1"}, "model_revision is v1, but .* is a folder"),
        ({"chat_template_path": str(tmp_path / "a.txt")}, "is a file of another kind"),
        ({"chat_template_path": str(tmp_path / "b.jinja")}, "cannot be read"),
        ({"chat_template_path": str(tiny_model())}, "has no chat template"),
        ({"optim": "galore_adamw", "optim_target_modules": ["q_proj"]}, "galore_torch"),
        ({"fp16": True}, "fp16 needs a GPU"),
    ]
    for settings, message in wrong:
        with pytest.raises(UserError, match=message):
            run(tmp_path, **settings)
    assert not (tmp_path / "rm").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed"
)
def test_a_quantised_backbone_needs_its_package(tmp_path: Path):
    with pytest.raises(UserError, match="pip install bitsandbytes"):
        run(tmp_path, load_in_4bit=True)


TEMPLATE = "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}\n{% endfor %}"


def test_a_chat_template_is_taken_from_a_file_or_a_tokenizer(tmp_path: Path):
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATE)
    model = run(tmp_path, chat_template_path=str(file), max_steps=1)
    assert model.record["reading"]["render"] == "chat"
    assert model.tokenizer.chat_template == TEMPLATE
    settings = TrainingSettings.of({"chat_template_path": str(tmp_path / "rm")})
    assert tokenizer_to_train(str(tiny_model()), settings).chat_template == TEMPLATE


def test_a_revision_of_a_hub_model_is_trained_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two commits of one model in a local cache of the hub, without a network."""
    cache = tmp_path / "hub" / "models--someone--tiny"
    (cache / "refs").mkdir(parents=True)
    for seed, (commit, branch) in enumerate([("a" * 40, "main"), ("b" * 40, "older")]):
        save_tiny_model(cache / "snapshots" / commit, seed=seed)
        (cache / "refs" / branch).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    models = {}
    for revision in (None, "older"):
        models[revision] = train(
            comparisons(),
            model="someone/tiny",
            output_dir=tmp_path / f"rm-{revision}",
            model_revision=revision,
            max_steps=1,
        )
    embeddings = {
        revision: model.model.get_input_embeddings().weight.detach()
        for revision, model in models.items()
    }
    expected = load_backbone(str(cache / "snapshots" / ("b" * 40)), 2, dtype=torch.float32)
    assert torch.equal(embeddings["older"], expected.get_input_embeddings().weight)
    assert not torch.equal(embeddings["older"], embeddings[None])
