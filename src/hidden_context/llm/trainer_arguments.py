"""Which settings of transformers.TrainingArguments are passed on, and which are refused and why.

The fields, their kinds, defaults and help are read from the installed version; transformers is
imported when one of these functions is called.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.errors import UserError
from hidden_context.records import brief, parse_value

if TYPE_CHECKING:
    from hidden_context.llm.training_settings import TrainingSettings

OWN = {"output_dir", "local_rank"}
"""The Trainer's fields that are a command's or a function's own."""
_PUSH = "a checkpoint is uploaded once, when it is finished, to the main branch of hub_model_id"
_OURS = "the data, the loss and the measures are this project's"
_BATCHES = "a batch of comparisons is not one tensor of tokens"
_SCRIPT = "the Trainer itself does not read it: say what to train and evaluate on"
_AS_UNBROKEN = "a resumed run sees the same data in the same order as an unbroken one"
REFUSED: Mapping[str, str] = {
    "activation_offloading": "gradient_checkpointing frees the same memory",
    "accelerator_config": f"{_BATCHES}, which accelerate could split or dispatch",
    "auto_find_batch_size": "a run's batch size is what its record says; give a smaller one and "
    "more gradient_accumulation_steps",
    "average_tokens_across_devices": "the loss is a mean over comparisons, not over tokens",
    "batch_eval_metrics": f"{_OURS}, and are taken over all comparisons at once",
    "bf16_full_eval": "it would round the trained weights for good; bf16 evaluates in bfloat16 "
    "where the device has it",
    "bnb_4bit_quant_storage": "it is for FSDP, which was not tried",
    "dataloader_in_order": _AS_UNBROKEN,
    "dataset_num_proc": "texts are tokenised in one process, in threads",
    "do_eval": _SCRIPT,
    "do_predict": _SCRIPT,
    "do_train": _SCRIPT,
    "eos_token": "texts end as the tokenizer or its chat template ends them",
    "enable_jit_checkpoint": "SIGTERM ends a run at once, and it is resumed from its last saved "
    "step; give a smaller save_steps",
    "eval_do_concat_batches": f"{_OURS}, and are taken over all comparisons at once",
    "eval_use_gather_object": "what is gathered are tensors",
    "evaluation_strategy": "it is called eval_strategy",
    "fp16_full_eval": "it would round the trained weights for good",
    "fsdp": "it was not tried: checkpoints of sharded weights would be untested; give deepspeed, "
    "or train adapters",
    "fsdp_config": "FSDP was not tried; give deepspeed, or train adapters",
    "group_by_length": "batching=grouped groups the texts of a batch by length",
    "hub_always_push": _PUSH,
    "hub_revision": _PUSH,
    "hub_strategy": _PUSH,
    "ignore_data_skip": _AS_UNBROKEN,
    "ignore_bias_buffers": "buffers are not broadcast unless ddp_broadcast_buffers says so",
    "include_for_metrics": _OURS,
    "include_num_input_tokens_seen": _BATCHES,
    "label_names": _OURS,
    "label_smoothing_factor": "there are no classes; what a tie or a vote says is in the data, and "
    "a link with heavier tails allows for wrong labels",
    "length_column_name": "batching=grouped knows the lengths itself",
    "liger_kernel_config": "see use_liger_kernel",
    "lora_target_parameters": "adapters are put on layers; give lora_target_modules",
    "lora_task_type": "it is SEQ_CLS, whatever is said",
    "logging_dir": "set TENSORBOARD_LOGGING_DIR in the environment",
    "logging_nan_inf_filter": "a loss that is not finite ends the run",
    "model_init_kwargs": "give dtype, attn_implementation or model_revision by its name",
    "overwrite_output_dir": "a finished checkpoint is never overwritten; remove it first",
    "pad_to_multiple_of": "padding is masked, or there is none; it would gain nothing",
    "pad_token": "padding is masked; whatever token it is changes no score",
    "parallelism_config": "tensor and context parallelism are not built in",
    "remove_unused_columns": "comparisons are read before training; there are no columns",
    "restore_callback_states_from_checkpoint": "a resumed run continues as an unbroken one anyway",
    "save_on_each_node": "a checkpoint is written once, by the first process",
    "save_only_model": "a step that lacks the optimiser's state could not be resumed from; "
    "save_strategy=no saves no steps",
    "torch_compile": "batches of shared prefixes have another shape each, and would be compiled "
    "again and again",
    "torch_compile_backend": "see torch_compile",
    "torch_compile_mode": "see torch_compile",
    "trust_remote_code": "no code of a model is run",
    "use_cache": "training keeps no keys and values",
    "use_liger_kernel": "its kernels were not tried with shared prefixes; batching=shared_prefix "
    "is faster where prompts are long",
    "warmup_ratio": "give warmup_steps a number below 1",
}
"""Settings that cannot work here, or would change nothing, each with the reason.

Beside those of the installed transformers: older ones, and TRL's.
"""
AS_IT_IS: Mapping[str, Any] = {
    "do_train": True,
    "hub_strategy": "end",
    "lora_task_type": "SEQ_CLS",
    "remove_unused_columns": False,
}
"""What refused settings are here, where that is not the default; to say so is no mistake."""
REFUSED_VALUES: Mapping[str, Mapping[str, str]] = {
    "train_sampling_strategy": {
        "group_by_length": "batching=grouped groups the texts of a batch by length",
        "batch_rebalance": "it reads lengths from a column; batching=grouped has its own",
    },
    "debug": {"tpu_metrics_debug": "TPUs were not tried"},
}
"""Values of settings that are passed on otherwise."""


def passed_on() -> dict[str, Any]:
    """Settings of the Trainer that are passed on: their kinds by name, as in the command line.

    Those that `TrainingSettings` has are its own, under its name and with its default.
    """
    from transformers import TrainingArguments

    from hidden_context.llm.training_settings import own_names

    hints = typing.get_type_hints(TrainingArguments)
    taken = {*own_names(), *OWN, *REFUSED}
    return {
        field.name: _kind(hints[field.name])
        for field in fields(TrainingArguments)
        if field.init and field.name not in taken
    }


def _kind(hint: Any) -> Any:
    """The kind of a field that texts and values are read as, the widest of a union."""
    parts = typing.get_args(hint) if _is_union(hint) else (hint,)
    kinds = [part for part in parts if part is not type(None)]
    enums = [part for part in kinds if isinstance(part, type) and issubclass(part, Enum)]
    if enums:
        return Literal[tuple(str(member.value) for member in enums[0])]  # type: ignore
    if any(typing.get_origin(kind) is list for kind in kinds):
        return tuple[str, ...]
    if any(kind is dict or typing.get_origin(kind) is dict for kind in kinds):
        return dict
    return kinds[0]


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def help_of_passed() -> dict[str, tuple[str, Any]]:
    """What the Trainer says of each setting that is passed on, and the default here."""
    from transformers import TrainingArguments

    own_defaults = {"save_total_limit": 2, "eval_strategy": "steps where there is evaluation data"}
    found = {}
    for field in fields(TrainingArguments):
        default = None if field.default is MISSING else field.default
        default = default.value if isinstance(default, Enum) else default
        sentence = " ".join(str(field.metadata.get("help", "")).replace("%%", "%").split())
        found[field.name] = sentence, own_defaults.get(field.name, default)
    return {name: found[name] for name in passed_on()}


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings to pass on, each as the kind that the Trainer expects.

    Raises:
        UserError: One is refused, or unknown, or of another kind; `None` is one that is not given.
    """
    from pydantic import TypeAdapter, ValidationError

    kinds = passed_on()
    values = {}
    for name, value in given.items():
        if name in REFUSED and _is_so(name, value):
            continue
        if name in REFUSED:
            raise UserError(f"{name} is not taken: {REFUSED[name]}.")
        if name not in kinds:
            raise UserError(f"{name} is no setting of training, nor of the installed Trainer.")
        if value is None:
            continue
        if kinds[name] is dict and isinstance(value, str):
            value = parse_value(value, name)
        if kinds[name] == tuple[str, ...] and isinstance(value, str):
            value = (value,)
        try:
            value = TypeAdapter(kinds[name]).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].lower()
            raise UserError(f"{name} is {value!r:.80}: {reason}.") from error
        for each in value if isinstance(value, tuple) else [value]:
            reason = REFUSED_VALUES.get(name, {}).get(str(each))
            if reason is not None:
                raise UserError(f"{name}={each} is not taken: {reason}.")
        values[name] = list(value) if isinstance(value, tuple) else value
    return values


def _is_so(name: str, value: Any) -> bool:
    """Whether a refused setting is given as it is anyway, as shared files of settings have it."""
    from transformers import TrainingArguments

    so: Any = {field.name: field.default for field in fields(TrainingArguments)}.get(name, False)
    so = AS_IT_IS.get(name, so)
    if isinstance(value, tuple):  # of the command line, where a flag alone means true
        value = " ".join(value) if value else True
    return value is None or str(value).lower() == str(so).lower()


def check_together(settings: "TrainingSettings") -> None:
    """Refuse a setting that would change nothing beside the others.

    Raises:
        UserError: It names both.
    """
    given = settings.trainer
    if (steps := given.get("max_steps", -1)) < 1 and steps != -1:
        raise UserError(
            f"max_steps is {steps}, so nothing would be trained; give a number above 0, or -1 for "
            "num_train_epochs."
        )
    judged = given.get("load_best_model_at_end") or given.get("save_strategy") == "best"
    judged = judged or settings.early_stopping_patience is not None
    judged = judged or settings.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy")
    reported = given.get("report_to", ["none"]) not in ("none", ["none"])
    workers = given.get("dataloader_num_workers", 0) > 0
    packed = settings.batching not in ("grouped", "padded")
    needed: list[tuple[Sequence[str], bool, str]] = [
        (("metric_for_best_model", "greater_is_better"), bool(judged), "load_best_model_at_end"),
        (
            ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs"),
            settings.gradient_checkpointing,
            "gradient_checkpointing",
        ),
        (("run_name",), reported, "report_to"),
        (
            ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
            bool({"trackio", "all"} & {*given.get("report_to", ())}),
            "report_to=trackio",
        ),
        (
            (
                "dataloader_prefetch_factor",
                "dataloader_persistent_workers",
                "dataloader_multiprocessing_context",
            ),
            workers,
            "dataloader_num_workers",
        ),
        (
            ("neftune_noise_alpha",),
            not packed,
            "batching=padded or grouped: its scale is that of "
            "a text, where prefixes are shared that of all of them",
        ),
        (
            ("warmup_steps",),
            settings.lr_scheduler_type not in ("constant", "reduce_lr_on_plateau", "greedy"),
            "a schedule with warm-up, such as constant_with_warmup",
        ),
        (("eval_delay",), given.get("eval_strategy") != "no", "an eval_strategy"),
    ]
    for names, is_there, what in needed:
        for name in names:
            if given.get(name) and not is_there:
                raise UserError(f"{name} changes nothing without {what}.")


def training_arguments(
    settings: "TrainingSettings",
    output_dir: str,
    *,
    device: str,
    bf16: bool,
    evaluate: bool,
    progress: bool,
    own_schedule: bool,
) -> Any:
    """The Trainer's arguments: ours, then what is passed on, then what must be so.

    Args:
        settings: Of the run.
        output_dir: Folder of the saved steps.
        device: Its type, such as cpu.
        bf16: Whether to compute in bfloat16.
        evaluate: Whether there is something to evaluate on.
        progress: Show a bar.
        own_schedule: The learning rate is not the Trainer's to change.

    Raises:
        UserError: The Trainer refuses them, or a package is missing.
    """
    from transformers import TrainingArguments

    from hidden_context.llm.backbone import quietly

    given = {"bf16": bf16, "eval_strategy": "steps" if evaluate else "no"}
    given = _settings_given(settings, given | {"disable_tqdm": not progress})
    if own_schedule:
        given["lr_scheduler_type"] = "constant"
    _check_evaluation(given, settings, evaluate=evaluate)
    if given.get("fp16") and device == "cpu":
        raise UserError("fp16 needs a GPU; without one, training computes in float32.")
    with quietly():  # the checkpointing flag has a new name in later versions
        try:
            arguments = TrainingArguments(
                **given,
                output_dir=output_dir,
                use_cpu=device == "cpu",  # or processes would not find each other
                eval_on_start=settings.eval_first_step and evaluate,
                label_names=[],
                remove_unused_columns=False,
            )
        except (ValueError, TypeError, ImportError) as error:  # what the Trainer does not know
            raise UserError(brief(error)) from error
        _check_reports([*(arguments.report_to or ())])
    return arguments


def _settings_given(settings: "TrainingSettings", defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ours that the Trainer has too, defaults, and over them what is passed on."""
    import torch
    from transformers import TrainingArguments

    from hidden_context.llm.training_settings import FIELDS, OF_UPLOAD

    shared = {*FIELDS} & {field.name for field in fields(TrainingArguments)}
    shared -= {"resume_from_checkpoint", *OF_UPLOAD}
    given: dict[str, Any] = {name: getattr(settings, name) for name in shared}
    given |= {"save_total_limit": 2, "report_to": "none"} | dict(defaults)
    given |= {"dataloader_pin_memory": torch.cuda.is_available()}
    if settings.early_stopping_patience is not None:
        given["metric_for_best_model"] = "loss"
    given |= settings.trainer
    if given.get("greater_is_better") is None and given.get("metric_for_best_model"):
        given["greater_is_better"] = not given["metric_for_best_model"].endswith(("loss", "nll"))
    return given


def _check_evaluation(
    given: Mapping[str, Any], settings: "TrainingSettings", *, evaluate: bool
) -> None:
    """Refuse what is decided by evaluations where there are none."""
    if given["eval_strategy"] != "no" and not evaluate:
        raise UserError(f"eval_strategy is {given['eval_strategy']}, but there is no data for it.")
    if given["eval_strategy"] != "no":
        return
    wanting = [name for name in ("load_best_model_at_end", "eval_delay") if given.get(name)]
    wanting += ["early_stopping_patience"] * (settings.early_stopping_patience is not None)
    wanting += ["save_strategy=best"] * (given.get("save_strategy") == "best")
    if wanting:
        why = "eval_strategy is no" if evaluate else "there is no data to evaluate on"
        raise UserError(f"{wanting[0]} is decided by evaluations during training, but {why}.")


def _check_reports(names: Sequence[str]) -> None:
    """Try the programs that a run is reported to, before a model is loaded.

    Raises:
        UserError: One is unknown, or its package is not installed.
    """
    from transformers.integrations import get_reporting_integration_callbacks

    for name in names:
        try:
            (callback,) = get_reporting_integration_callbacks([name])
            callback()
        except ValueError as error:
            raise UserError(f"report_to: {brief(error)}") from error
        except (RuntimeError, ImportError, AssertionError) as error:
            raise UserError(
                f"report_to {name}: the package {name} is not installed (pip install {name})."
            ) from error
