"""Train a language model as a reward model on preference data."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from hidden_context.commands.command_line import run_command
from hidden_context.distributions import Family, make_family
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Ties
from hidden_context.llm.packing import Batching
from hidden_context.published.run_names import LAST, run_name
from hidden_context.records import read_json, write_json

if TYPE_CHECKING:
    from hidden_context.comparisons.sources import Split
    from hidden_context.llm.observations import TokenizedObservations
    from hidden_context.llm.trainer import PreferenceTrainer


@dataclass(frozen=True)
class Config:
    """Train a language model as a reward model of any family on preference data."""

    model_name: str = "gpt2"
    """Backbone: folder or hub name of any model that AutoModelForSequenceClassification loads."""
    tokenizer_name: str | None = None
    """Folder or hub name of the tokenizer, if not the backbone's."""
    data_path: str = "Anthropic/hh-rlhf"
    """Hub name, folder or file (jsonl, jsonl.gz, parquet, csv) of chosen and rejected texts."""
    eval_data_path: str | None = None
    """Where to evaluate, if not on the test split of data_path."""
    data_subset: Literal["both", "helpful", "harmless"] = "both"
    """Train on comparisons judged by this objective."""
    reward_model_type: str = "base"
    """Family: base, mean_and_variance, categorical, quantile, mixture or shared_context."""
    link: str | None = None
    """How comparisons follow from utilities (mean_and_variance): probit, paper or logit."""
    num_atoms: int | None = None
    """Number of bins (categorical; 10 if not given)."""
    entropy_coeff: float | None = None
    """Weight of the entropy that the loss rewards (categorical; 0.1 if not given)."""
    entropy: str | None = None
    """Entropy of each response's distribution, or of their mean over the batch (categorical)."""
    variance_penalty: float | None = None
    """Weight of the unexplained share of variance (mean_and_variance; 0 if not given)."""
    family_options: tuple[str, ...] = ()
    """Any options of the family, as name=value."""
    learn: tuple[str, ...] = ()
    """Options of the family that are learned with the weights: correlation (mean_and_variance)."""
    ties: Ties | None = None
    """What a tie says: half a win and half a loss (half), no utility ahead by more than a threshold
    (threshold), or Davidson's model (davidson); if not given, threshold if the data have ties."""
    thresholds: tuple[float, ...] = ()
    """Where ties end, then where each further strength of preference begins, in units of utility;
    learned if not given."""
    davidson: float | None = None
    """ν of Davidson's model; learned if not given."""
    likelihood_learning_rate: float = 0.01
    """Peak learning rate of thresholds, ν and correlation."""
    learning_rate: float = 3e-6
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.001
    """Weight decay of AdamW."""
    lr_scheduler_type: str = "cosine"
    """Schedule: cosine (to a tenth), step (1, 0.1, 0.01 by thirds) or any of the Trainer's."""
    num_train_epochs: float = 1.0
    """Passes over the training data."""
    per_device_train_batch_size: int = 2
    """Comparisons a device and step."""
    per_device_eval_batch_size: int = 1
    """Comparisons a device and evaluation step."""
    gradient_accumulation_steps: int = 1
    """Steps whose gradients are averaged before an update."""
    batching: Batching | None = None
    """shared_prefix, grouped (by length) or padded; if not given, the fastest that is exact."""
    gradient_checkpointing: bool = False
    """Trade computation for memory."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["drop", "truncate_left", "error"] = "drop"
    """Comparisons with a longer text: left out, cut at the beginning, or refused; all counted."""
    train_dataset_size: int = 0
    """Number of training comparisons, split evenly over objectives; 0 for all."""
    eval_dataset_size: int = 0
    """Number of evaluation comparisons, split evenly over objectives; 0 for all."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it (the loss is in float32 in any case)."""
    use_peft: bool = True
    """Train LoRA adapters (r 8, alpha 32, dropout 0.1) and the head, or all weights."""
    optim: str = "adamw_torch"
    """Optimiser, by the Trainer's names."""
    deepspeed: str | None = None
    """DeepSpeed configuration file."""
    local_rank: int = -1
    """Rank on this machine, for launchers that pass it as a flag."""
    resume_from_checkpoint: bool = False
    """Continue an interrupted run from its last saved step."""
    eval_first_step: bool = False
    """Evaluate before the first step too."""
    eval_steps: int = 1000
    """Steps between evaluations."""
    save_steps: int = 1000
    """Steps between saved checkpoints."""
    logging_steps: int = 10
    """Steps between logged losses."""
    log_dir: Path = Path("data/reward_models/hh_rlhf")
    """Folder under which the run's folder is named as published."""
    output_dir: Path | None = None
    """Folder of the final checkpoint, in place of the one under log_dir."""
    seed: int = 0
    """Seed of the head's weights, the order of the data and dropout."""


FAMILY_FLAGS = ("link", "num_atoms", "entropy_coeff", "entropy", "variance_penalty")
"""Flags that are options of a family."""
FREE_TO_CHANGE = {"resume_from_checkpoint", "per_device_eval_batch_size", "logging_steps"}
"""Flags that may differ when a run is resumed; the losses do not depend on them."""


def run(config: Config) -> None:
    """Load, check, train, evaluate, save."""
    _check(config)
    from hidden_context.llm.backbone import load_tokenizer, longest_text
    from hidden_context.llm.checkpoint import refusing_full_disks
    from hidden_context.llm.trainer import final_metrics

    family = make_family_of(config)
    final = final_folder(config, family)
    steps_folder = final.with_name(final.name.removesuffix(LAST) + "_steps")
    resume_from = _last_step(config, final, steps_folder)
    tokenizer = load_tokenizer(config.tokenizer_name or config.model_name)
    max_length = longest_text(config.model_name, tokenizer, config.max_length)
    train_data = _observations(config, "train", tokenizer, max_length)
    eval_data = _observations(config, "test", tokenizer, max_length)
    assert train_data is not None
    trainer = _trainer(config, family, tokenizer, steps_folder, train_data, eval_data)
    if trainer.is_world_process_zero():
        write_json(steps_folder / "config.json", resolved(config))
    with refusing_full_disks(steps_folder):
        trainer.train(resume_from_checkpoint=resume_from)
    metrics = final_metrics(trainer) if eval_data else {}
    _save(trainer, config, final, metrics)
    if trainer.is_world_process_zero():
        shutil.rmtree(steps_folder)  # only there to continue from


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context train`."""
    return run_command(Config, run, argv, prog="hidden-context train")


def make_family_of(config: Config) -> Family:
    """The family with the options that were given."""
    given = {name: getattr(config, name) for name in FAMILY_FLAGS}
    options = {name: value for name, value in given.items() if value is not None}
    for option in config.family_options:
        name, equals, text = option.partition("=")
        if not equals:
            raise UserError(f"--family_options {option!r} is not of the form name=value.")
        options[name] = yaml.safe_load(text)
    return make_family(config.reward_model_type, options)


def final_folder(config: Config, family: Family) -> Path:
    """Folder of the final checkpoint."""
    if config.output_dir is not None:
        return config.output_dir
    name = run_name(
        family,
        model_name=config.model_name,
        train_dataset_size=config.train_dataset_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        num_train_epochs=config.num_train_epochs,
        use_peft=config.use_peft,
    )
    return config.log_dir / config.data_subset / name


def resolved(config: Config) -> dict[str, Any]:
    """The configuration as JSON keeps it."""
    return json.loads(json.dumps(asdict(config), default=str))


def _check(config: Config) -> None:
    for name in (
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "gradient_accumulation_steps",
        "max_length",
        "eval_steps",
        "save_steps",
        "logging_steps",
        "num_train_epochs",
        "learning_rate",
        "likelihood_learning_rate",
    ):
        if not getattr(config, name) > 0:
            raise UserError(f"--{name} is {getattr(config, name)}; give a number above 0.")
    if config.davidson is not None and config.ties != "davidson":
        raise UserError("--davidson is the number of --ties=davidson; give that too.")


def _last_step(config: Config, final: Path, steps_folder: Path) -> str | None:
    """The saved step to continue from, or nothing where a run begins."""
    if final.exists():
        raise UserError(f"{final} is there already; remove it, or give another --output_dir.")
    complete = sorted(
        (state.parent for state in steps_folder.glob("checkpoint-*/trainer_state.json")),
        key=lambda folder: int(folder.name.rpartition("-")[2]),
    )
    if not config.resume_from_checkpoint:
        if complete:
            raise UserError(
                f"{steps_folder} holds an unfinished run; continue it with "
                "--resume_from_checkpoint, or remove it."
            )
        return None
    if not complete:
        print(f"{steps_folder} holds no saved step; the run begins anew.")
        return None
    before = read_json(steps_folder / "config.json")
    for name, value in resolved(config).items():
        if name not in FREE_TO_CHANGE and before.get(name) != value:
            raise UserError(
                f"--{name} is {value}, but the run in {steps_folder} has {before.get(name)}; "
                "a resumed run keeps its configuration."
            )
    return str(complete[-1])


def _observations(
    config: Config, split: "Split", tokenizer: Any, max_length: int
) -> "TokenizedObservations | None":
    from hidden_context.comparisons.objectives import take_stratified
    from hidden_context.comparisons.sources import load_rows
    from hidden_context.llm.observations import tokenize_observations

    source, size = config.data_path, config.train_dataset_size
    if split == "test":
        if config.eval_data_path is None and Path(config.data_path).is_file():
            print("evaluation: none, since --data_path is one file; give --eval_data_path.")
            return None
        source, size = config.eval_data_path or config.data_path, config.eval_dataset_size
    try:
        rows = load_rows(source, config.data_subset, split)
    except UserError as error:
        if split == "train" or config.eval_data_path is not None:
            raise
        raise UserError(
            f"{error} To evaluate on other data give --eval_data_path; to train without "
            "evaluation give the training file as --data_path."
        ) from error
    rows = take_stratified(rows, size)
    tokenized = tokenize_observations(
        rows, source, tokenizer, max_length=max_length, overlong=config.overlong
    )
    print(tokenized.account(split, max_length, config.overlong))
    return tokenized


def _trainer(
    config: Config,
    family: Family,
    tokenizer: Any,
    steps_folder: Path,
    train_data: "TokenizedObservations",
    eval_data: "TokenizedObservations | None",
) -> "PreferenceTrainer":
    import torch
    from transformers import set_seed

    from hidden_context.device import default_device, has_bfloat16
    from hidden_context.llm.adapters import with_adapters
    from hidden_context.llm.backbone import load_backbone
    from hidden_context.llm.likelihood import likelihood_settings
    from hidden_context.llm.schedules import SCHEDULES
    from hidden_context.llm.trainer import PreferenceTrainer

    likelihood = likelihood_settings(
        family,
        train_data,
        ties=config.ties,
        thresholds=config.thresholds,
        davidson=config.davidson,
        options=config.learn,
        learning_rate=config.likelihood_learning_rate,
    )
    eval_data = eval_data and eval_data.with_num_grades(train_data.num_grades)
    set_seed(config.seed)
    bf16 = config.bf16 and has_bfloat16(default_device())
    dtype = torch.bfloat16 if bf16 and config.use_peft else torch.float32
    model = load_backbone(
        config.model_name, family.num_outputs, dtype=dtype, head_scales=family.head_scales
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    return PreferenceTrainer(
        family=family,
        pad_token_id=tokenizer.pad_token_id,
        batching=config.batching,
        likelihood=likelihood,
        schedule=SCHEDULES.get(config.lr_scheduler_type),
        model=with_adapters(model) if config.use_peft else model,
        args=_training_arguments(config, steps_folder, bf16=bf16, evaluate=bool(eval_data)),
        train_dataset=train_data.observations,
        eval_dataset=eval_data and eval_data.observations,
        processing_class=tokenizer,
    )


def _training_arguments(config: Config, steps_folder: Path, *, bf16: bool, evaluate: bool) -> Any:
    import torch
    from transformers import TrainingArguments

    from hidden_context.device import default_device
    from hidden_context.llm.backbone import quietly
    from hidden_context.llm.schedules import SCHEDULES

    if config.local_rank >= 0:
        os.environ.setdefault("LOCAL_RANK", str(config.local_rank))
    name = config.lr_scheduler_type
    with quietly():  # the checkpointing flag has a new name in later versions
        try:
            return TrainingArguments(
                output_dir=str(steps_folder),
                learning_rate=config.learning_rate,
                weight_decay=config.weight_decay,
                lr_scheduler_type="constant" if name in SCHEDULES else name,
                num_train_epochs=config.num_train_epochs,
                per_device_train_batch_size=config.per_device_train_batch_size,
                per_device_eval_batch_size=config.per_device_eval_batch_size,
                gradient_accumulation_steps=config.gradient_accumulation_steps,
                gradient_checkpointing=config.gradient_checkpointing,
                optim=config.optim,
                bf16=bf16,
                use_cpu=default_device().type == "cpu",  # or processes would not find each other
                deepspeed=config.deepspeed,
                eval_strategy="steps" if evaluate else "no",
                eval_on_start=config.eval_first_step and evaluate,
                eval_steps=config.eval_steps,
                save_steps=config.save_steps,
                save_total_limit=2,
                logging_steps=config.logging_steps,
                seed=config.seed,
                label_names=[],
                remove_unused_columns=False,
                report_to="none",
                dataloader_pin_memory=torch.cuda.is_available(),
            )
        except (ValueError, ImportError) as error:  # a name that the Trainer does not know
            raise UserError(str(error)) from error


def _save(
    trainer: "PreferenceTrainer",
    config: Config,
    final: Path,
    metrics: Mapping[str, float],
) -> None:
    """Write the final checkpoint beside its place and rename it when it is whole."""
    from hidden_context.llm.checkpoint import refusing_full_disks, save_record
    from hidden_context.llm.trainer import LEARNED

    partial = final.with_name(f".{final.name}.partial")
    with refusing_full_disks(partial):
        trainer.save_model(str(partial))
    if trainer.is_world_process_zero():
        (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle
        (partial / LEARNED).unlink(missing_ok=True)  # its values are in the record
        family, outcome_model = trainer.likelihood.fitted()
        save_record(
            partial,
            family=family,
            outcome_model=outcome_model,
            model_name=config.model_name,
            config=resolved(config),
            metrics=metrics,
            history=trainer.state.log_history,
            training={
                "num_observations": len(trainer.train_dataset),  # pyrefly: ignore
                "epochs": trainer.state.epoch or 0.0,
                "steps": trainer.state.global_step,
            },
        )
        partial.rename(final)
        learned = [f"{name} {getattr(family, name):.3g}" for name in config.learn]
        if trainer.likelihood.learns_outcomes:
            learned.append(str(outcome_model))
        if learned:
            print(f"learned: {'; '.join(learned)}")
        print(f"saved {final}")


if __name__ == "__main__":
    sys.exit(main())
