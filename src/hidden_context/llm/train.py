"""`train`: a language model becomes a reward model of any family, from preference data."""

import json
import logging
import math
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainingArguments, set_seed

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.device import default_device, has_bfloat16
from hidden_context.distributions import Family, make_family
from hidden_context.errors import UserError
from hidden_context.llm.backbone import (
    check_token_ids,
    load_config,
    longest_text,
    unwrapped,
    usable_pad_token,
)
from hidden_context.llm.backbone_place import without_folders
from hidden_context.llm.best_model import EVENTS, write_events_to
from hidden_context.llm.checkpoint import refusing_full_disks, save_record
from hidden_context.llm.checkpoint_files import complete_checkpoint
from hidden_context.llm.checkpoint_marks import marks_of
from hidden_context.llm.hub import check_push, push_trained
from hidden_context.llm.likelihood import likelihood_of_data
from hidden_context.llm.new_model import check_revision, new_model, to_train, tokenizer_to_train
from hidden_context.llm.observations import TokenizedObservations, tokenize_observations
from hidden_context.llm.rendering import (
    Render,
    date_of,
    default_render,
    example_line,
    unknown_line,
)
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.saved_check import check_saved
from hidden_context.llm.schedules import SCHEDULES, check_schedule
from hidden_context.llm.shared_prefix import separate_prefixes
from hidden_context.llm.trained_prompts import TrainedPrompts
from hidden_context.llm.trainer import LEARNED, PreferenceTrainer
from hidden_context.llm.trainer_arguments import training_arguments
from hidden_context.llm.training_metrics import final_metrics
from hidden_context.llm.training_settings import DEFAULTS, FREE_TO_CHANGE, TrainingSettings
from hidden_context.published.run_names import LAST
from hidden_context.records import CHECKPOINT_RECORD, read_object, write_json

STEPS = "_steps"
"""What the folder of the saved steps is called, after the run's."""
LOOKED_AT = 100
"""Texts of a set in which tokens are looked for that the tokenizer does not know."""
TRAIN, TEST = "train", "test"
"""What data sets are called that have no name."""
NAME = re.compile(r"[\w-]+", re.ASCII)
"""Of an evaluation set; part of the names of its measures."""
logger = logging.getLogger(__name__)


def train(
    comparisons: Comparisons,
    *,
    model: str,
    family: str | Family = "mean_and_variance",
    output_dir: str | Path,
    eval_data: Comparisons | Mapping[str, Comparisons] | None = None,
    progress: bool = False,
    **settings: Any,
) -> RewardModel:
    """Train a reward model, save it in `output_dir`, and load it from there.

    What is counted, measured and learned is in `record` of the result (docs/formats.md); a warning
    says how many comparisons were left out because a text was too long.

    Args:
        comparisons: To learn from.
        model: Backbone: folder or hub name of any model that AutoModelForSequenceClassification
            loads.
        family: How raw outputs are to be read: a name, or a family with its options.
        output_dir: Folder of the checkpoint; a run that was killed leaves its last saved step
            beside it, and goes on from there with `resume_from_checkpoint=True`, which does nothing
            where the run is finished already.
        eval_data: What to measure the model on, during training and at its end; several sets by
            name, whose measures are `eval_<name>_loss` and so on.
        progress: Show a bar, and print losses as they are logged; without it nothing but warnings
            is printed.
        settings: See `TrainingSettings`; those that it does not have are passed on to
            `transformers.TrainingArguments`, or refused with the reason.

    Raises:
        UserError: The data or settings cannot be used, `output_dir` is there already, the loss is
            not finite, or the checkpoint, which is saved, cannot be uploaded as wished.
    """
    family = make_family(family) if isinstance(family, str) else family
    given = TrainingSettings.of(settings)
    config = {"model_name": model, "data_path": comparisons.source, **given.to_dict()}
    config["family"] = family.to_dict()
    train_to(
        Path(output_dir),
        comparisons,
        model=model,
        family=family,
        eval_data=eval_data,
        settings=given,
        config=config,
        progress=progress,
    )
    push_trained(Path(output_dir), given)
    return RewardModel.from_pretrained(output_dir, tokenizer_name=given.tokenizer_name)


def train_to(
    folder: Path,
    comparisons: Comparisons,
    *,
    model: str,
    family: Family,
    eval_data: Comparisons | Mapping[str, Comparisons] | None,
    settings: TrainingSettings,
    config: Mapping[str, Any],
    progress: bool = False,
    printing: bool = False,
) -> None:
    """Train the checkpoint `folder` without loading it again; see `train`.

    `config` is recorded as the run's configuration, which a resumed run must have too. If
    `printing`, as a command does, what became of the data is logged and losses are printed; else a
    warning says what was over-long, and nothing else.
    """
    check_schedule(
        settings.lr_scheduler_type,
        settings.lr_scheduler_kwargs or {},  # pyrefly: ignore (parsed)
        learning_rate=settings.learning_rate,
    )
    steps_folder = steps_folder_of(folder)
    config = json.loads(json.dumps(config, default=str))
    _check_centring(family, settings)
    check_push(folder, settings)
    if settings.resume_from_checkpoint and _is_finished(folder, steps_folder, config):
        return
    resume_from = last_step(folder, steps_folder, config, resume=settings.resume_from_checkpoint)
    if resume_from is not None:  # what was measured before the first step is in the saved state
        settings = replace(settings, eval_first_step=False)
    arguments = _arguments(settings, steps_folder, evaluate=bool(_by_name(eval_data)), bar=progress)
    check_revision(model, settings)
    tokenizer = tokenizer_to_train(model, settings)
    backbone_config = load_config(model, revision=settings.model_revision)
    max_length = longest_text(backbone_config, tokenizer, settings.max_length)
    render = settings.render or default_render(tokenizer)
    data = {
        name: _tokenized(name, part, tokenizer, max_length, render, settings, printing=printing)
        for name, part in {TRAIN: comparisons, **_by_name(eval_data)}.items()
    }
    trainer = _trainer(model, family, tokenizer, steps_folder, data, settings, arguments)
    if not printing:
        trainer.remove_callback(PrinterCallback)
    if trainer.is_world_process_zero():
        write_json(steps_folder / "config.json", config)
    with refusing_full_disks(steps_folder):
        trainer.train(resume_from_checkpoint=resume_from)
    metrics = dict(sorted(final_metrics(trainer).items())) if len(data) > 1 else {}
    record = {
        "config": config,
        "counts": {name: part.counts for name, part in data.items()},
        "made_anew": sorted(unwrapped(trainer.model).fresh_keys),
        "metrics": metrics,
        "reading": _reading(comparisons, render, tokenizer),
    }
    _save(trainer, model, folder, TrainedPrompts.of(comparisons, model), **record)
    if trainer.is_world_process_zero():
        shutil.rmtree(steps_folder)  # only there to continue from
    trainer.accelerator.wait_for_everyone()


def _arguments(settings: TrainingSettings, steps_folder: Path, *, evaluate: bool, bar: bool) -> Any:
    """The Trainer's, for the device that there is."""
    device = torch.device("cpu") if settings.trainer.get("use_cpu") else default_device()
    return training_arguments(
        settings,
        str(steps_folder),
        device=device.type,
        bf16=settings.bf16 and has_bfloat16(device) and not settings.trainer.get("fp16"),
        evaluate=evaluate,
        progress=bar,
        own_schedule=settings.lr_scheduler_type in SCHEDULES,
    )


def _check_centring(family: Family, settings: TrainingSettings) -> None:
    if settings.center_rewards_coefficient and math.isfinite(family.largest_margin):
        raise UserError(
            f"center_rewards_coefficient pulls mean utilities to zero, but those of family "
            f"{family.name} have a fixed range; leave it out."
        )


def _is_finished(folder: Path, steps_folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether the run of this configuration has ended, so that nothing is left to be done."""
    if not (folder / CHECKPOINT_RECORD).is_file():
        return False
    recorded = read_object(folder / CHECKPOINT_RECORD).get("config") or {}
    _check_same_run(folder, without_folders(recorded), without_folders(config))
    shutil.rmtree(steps_folder, ignore_errors=True)  # where a kill came before this
    logger.info("%s is finished already", folder)
    return True


def _reading(comparisons: Comparisons, render: Render, tokenizer: Any) -> dict[str, str]:
    """How texts were read: conversations, also those made of plain pairs, or plain texts."""
    is_chat = render == "chat" and not isinstance(comparisons.in_turns()[0].chosen, str)
    return {"render": "chat" if is_chat else "plain", "template_date": str(date_of(tokenizer))}


def _by_name(
    eval_data: Comparisons | Mapping[str, Comparisons] | None,
) -> Mapping[str, Comparisons]:
    """Sets to evaluate on; one without a name is called test."""
    if eval_data is None:
        return {}
    if isinstance(eval_data, Comparisons):
        return {TEST: eval_data}
    for name in eval_data:
        if name in (TRAIN, TEST) or not NAME.fullmatch(name):
            raise UserError(
                f"an evaluation set is called {name!r}; expected letters, digits, _ and - (but not "
                f"{TRAIN} or {TEST}, which are those of a run without names)."
            )
    return eval_data


def _tokenized(
    name: str,
    comparisons: Comparisons,
    tokenizer: Any,
    max_length: int,
    render: Render,
    settings: TrainingSettings,
    *,
    printing: bool,
) -> TokenizedObservations:
    """Token ids of a set, and what became of it, in words."""
    data = tokenize_observations(
        comparisons.in_turns() if render == "chat" else comparisons,
        tokenizer,
        max_length=max_length,
        overlong=settings.overlong,
        is_limit_of_model=max_length < settings.max_length,
    )
    account = data.account(name, max_length, settings.overlong)
    if printing:
        logger.info(comparisons.account)
        logger.info(account)
        logger.info(example_line(tokenizer, data.observations[0].texts[0]))
    elif data.num_overlong:
        warnings.warn(account, stacklevel=4)
    texts = (observation.texts[0] for observation in data.observations[:LOOKED_AT])
    if unknown := unknown_line(tokenizer, texts):
        logger.info(unknown) if printing else warnings.warn(f"{name}: {unknown}", stacklevel=4)
    return data


def steps_folder_of(folder: Path) -> Path:
    """Where the steps of a run are saved that ends in a checkpoint `folder`."""
    return folder.with_name(folder.name.removesuffix(LAST) + STEPS)


def _saved_steps(steps_folder: Path) -> list[Path]:
    """Steps that were saved to their end, the last one last."""
    states = steps_folder.glob("checkpoint-*/trainer_state.json")
    saved = (state.parent for state in states if _is_whole(state))
    return sorted(saved, key=lambda step: int(step.name.rpartition("-")[2]))


def how_to_go_on(folder: Path) -> str:
    """What is left of a run that was interrupted, for whoever wants to go on with it."""
    if (folder / CHECKPOINT_RECORD).is_file():
        return f"{folder} is saved; with resume_from_checkpoint the same run has nothing left to do"
    steps = _saved_steps(steps_folder_of(folder))
    if steps:
        number = steps[-1].name.rpartition("-")[2]
        return f"step {number} is saved; with resume_from_checkpoint the same run goes on from it"
    return "no step was saved; with save_steps each so many are, from which a run can go on"


def last_step(
    folder: Path, steps_folder: Path, config: Mapping[str, Any], *, resume: bool
) -> str | None:
    """The saved step to continue from, or nothing where a run begins.

    Raises:
        UserError: The run is finished, unfinished but not to be resumed, or of another
            configuration.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already; remove it, or give another output_dir.")
    complete = _saved_steps(steps_folder)
    if not resume:
        if complete:
            raise UserError(
                f"{steps_folder} holds an unfinished run; continue it with "
                "resume_from_checkpoint, or remove it."
            )
        return None
    if not complete:
        logger.info("%s holds no saved step; the run begins anew.", steps_folder)
        return None
    _check_same_run(steps_folder, read_object(steps_folder / "config.json"), config)
    return str(complete[-1])


def _is_whole(state: Path) -> bool:
    """Whether a step was saved to its end: its state is written last, but not at once."""
    try:
        json.loads(state.read_bytes())
    except ValueError:
        return False
    return True


def _check_same_run(folder: Path, before: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    defaults = json.loads(json.dumps({**DEFAULTS}, default=str))  # of an earlier version
    for name in [*config, *(name for name in before if name not in config)]:
        now, then = (each.get(name, defaults.get(name)) for each in (config, before))
        if name not in FREE_TO_CHANGE and now != then:
            raise UserError(
                f"{name} is {now}, but the run in {folder} has {then}; "
                "a resumed run keeps its configuration."
            )


def _trainer(
    model_name: str,
    family: Family,
    tokenizer: Any,
    steps_folder: Path,
    data: Mapping[str, TokenizedObservations],
    settings: TrainingSettings,
    arguments: TrainingArguments,
) -> PreferenceTrainer:
    train_data = data[TRAIN]
    likelihood = likelihood_of_data(family, train_data, settings)
    tests = {
        name: part.with_num_grades(train_data.num_grades).observations
        for name, part in data.items()
        if name != TRAIN
    }
    set_seed(settings.seed)
    model = new_model(model_name, family, settings, bf16=arguments.bf16)
    check_token_ids([ids for one in train_data.observations for ids in one.texts], model, tokenizer)
    pad_token_id = usable_pad_token(model, tokenizer.pad_token_id)
    model.config.get_text_config().pad_token_id = pad_token_id
    trainer = PreferenceTrainer(
        likelihood=likelihood,
        likelihood_learning_rate=settings.likelihood_learning_rate,
        pad_token_id=pad_token_id,
        batching=settings.batching,
        schedule=SCHEDULES.get(settings.lr_scheduler_type),
        centering=settings.center_rewards_coefficient or 0.0,
        patience=settings.early_stopping_patience,
        threshold=settings.early_stopping_threshold,
        model=to_train(model, settings),
        args=arguments,
        train_dataset=train_data.observations,
        eval_dataset=tests.get(TEST, tests) or None,
        processing_class=tokenizer,
    )
    write_events_to(trainer, steps_folder.with_name(steps_folder.name.removesuffix(STEPS) + EVENTS))
    return trainer


def _best_step(trainer: PreferenceTrainer) -> dict[str, int]:
    """The step whose model was saved, if it is not the last."""
    step = trainer.state.best_global_step
    return {"best_step": step} if trainer.args.load_best_model_at_end and step else {}


def _save(
    trainer: PreferenceTrainer,
    model_name: str,
    folder: Path,
    trained_prompts: TrainedPrompts | None,
    **record: Any,
) -> None:
    """Write the final checkpoint beside its place and rename it when it is whole.

    Measures are sorted by name, as a resumed run finds them: both write the same bytes.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    if trainer.is_world_process_zero() and partial.exists():
        shutil.rmtree(partial)  # what a kill left may have files that this one does not write
    trainer.accelerator.wait_for_everyone()
    with refusing_full_disks(partial):
        trainer.save_model(str(partial))
    if not trainer.is_world_process_zero():
        return
    (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle
    (partial / LEARNED).unlink(missing_ok=True)  # its values are in the record
    family, outcome_model = trainer.likelihood.fitted()
    is_alone = trainer.accelerator.num_processes == 1
    save_record(
        partial,
        marks=marks_of(trainer.model, trainer.processing_class, partial, are_weights_here=is_alone),
        family=family,
        outcome_model=outcome_model,
        model_name=model_name,
        batching=trainer.batching,
        history=[dict(sorted(entry.items())) for entry in trainer.state.log_history],
        training={
            "num_observations": len(trainer.train_dataset),  # pyrefly: ignore
            "epochs": trainer.state.epoch or 0.0,
            "steps": trainer.state.global_step,
            **_best_step(trainer),
        },
        **record,
    )
    if trained_prompts is not None:
        trained_prompts.save(partial)
    complete_checkpoint(partial, trainer.model)
    if not is_alone:
        logger.info("%s is not compared with the model in memory, as by one process", folder)
    elif getattr(unwrapped(trainer.model), "hf_quantizer", None) is not None:
        logger.info("%s was trained on rounded weights; it is loaded on whole ones", folder)
    else:
        texts = [ids for one in trainer.train_dataset[:2] for ids in one.texts]  # pyrefly: ignore
        separate_prefixes(trainer.model)
        check_saved(partial, trainer.model, texts)
    partial.rename(folder)
    learned = [f"{name} {getattr(family, name):.3g}" for name in trainer.likelihood.options]
    if trainer.likelihood.learns_outcomes:
        learned.append(str(outcome_model))
    if learned:
        logger.info("learned: %s", "; ".join(learned))
