"""The model that training begins with: a backbone as the settings want it, with its new head."""

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.hub import is_hub_name
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import (
    load_backbone,
    load_tokenizer,
    start_from_head,
    trained_head,
)
from hidden_context.llm.training_settings import TrainingSettings

logger = logging.getLogger(__name__)
TEMPLATE_SUFFIXES = (".jinja", ".j2", ".jinja2")
"""Of files that are a chat template; other paths are of tokenizers."""


def new_model(model_name: str, family: Family, settings: TrainingSettings, *, bf16: bool) -> Any:
    """Load the backbone with a head for the family; the head says aloud what it replaces.

    Raises:
        UserError: It cannot be loaded so, or is to keep a head that it does not have.
    """
    half = bf16 and settings.use_peft
    dtype = settings.dtype or ("bfloat16" if half else "float32")
    options: dict[str, Any] = {}
    if settings.attn_implementation is not None:
        options["attn_implementation"] = settings.attn_implementation
    if settings.load_in_8bit or settings.load_in_4bit:
        options |= _quantised(settings, dtype=torch.bfloat16 if half else torch.float32)
    model = load_backbone(
        model_name,
        family.num_outputs,
        dtype=dtype if dtype == "auto" else getattr(torch, dtype),
        head_scales=family.head_scales,
        revision=settings.model_revision,
        **options,
    )
    _begin_with_head(model, model_name, family, settings)
    return model


def to_train(model: Any, settings: TrainingSettings) -> Any:
    """The model with its adapters, if it has any, and without dropout, if so wished."""
    if settings.use_peft:
        if settings.load_in_8bit or settings.load_in_4bit:
            from peft import prepare_model_for_kbit_training

            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        model = with_adapters(
            model,
            rank=settings.lora_r,
            alpha=settings.lora_alpha,
            dropout=settings.lora_dropout,
            targets=settings.lora_target_modules,
            also_in_full=settings.lora_modules_to_save,
            use_rslora=settings.use_rslora,
            use_dora=settings.use_dora,
        )
    if settings.disable_dropout:
        _without_dropout(model)
    return model


def check_revision(model_name: str, settings: TrainingSettings) -> None:
    """Refuse a revision of a folder, which would be loaded as it is.

    Raises:
        UserError: The backbone is a folder here.
    """
    if settings.model_revision is not None and Path(model_name).is_dir():
        raise UserError(
            f"model_revision is {settings.model_revision}, but {model_name} is a folder, not the "
            "name of a model on the hub; leave it out."
        )


def tokenizer_to_train(model_name: str, settings: TrainingSettings) -> Any:
    """The backbone's tokenizer, or the one given, with the chat template that was asked for.

    Raises:
        UserError: There is none, or no such template.
    """
    own = settings.tokenizer_name is None
    tokenizer = load_tokenizer(
        settings.tokenizer_name or model_name, revision=settings.model_revision if own else None
    )
    given = settings.chat_template_path
    if given is None:
        return tokenizer
    if given.endswith(TEMPLATE_SUFFIXES):
        try:
            tokenizer.chat_template = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"chat_template_path {given} cannot be read: {error}.") from error
        return tokenizer
    if Path(given).is_file():
        raise UserError(f"chat_template_path {given} is a file of another kind; give a .jinja.")
    if not (Path(given).is_dir() or is_hub_name(given)):
        raise UserError(f"chat_template_path {given} is neither a template nor a tokenizer.")
    template = load_tokenizer(given).chat_template
    if template is None:
        raise UserError(f"chat_template_path: the tokenizer {given} has no chat template.")
    tokenizer.chat_template = template
    return tokenizer


def _quantised(settings: TrainingSettings, *, dtype: torch.dtype) -> dict[str, Any]:
    """Options of `from_pretrained` for a backbone of 8 or 4 bits, its head left as it is."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("load_in_8bit and load_in_4bit need a package (pip install bitsandbytes).")
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_8bit=settings.load_in_8bit,
        load_in_4bit=settings.load_in_4bit,
        bnb_4bit_quant_type=settings.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=settings.use_bnb_nested_quant,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["score", "classifier", "logits_proj"],
    )
    return {"quantization_config": config}


def _without_dropout(model: Any) -> None:
    """Set every dropout to 0: layers, and the numbers that attention takes."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name, value in vars(module).items():
            if isinstance(value, float) and _is_dropout(name):
                setattr(module, name, 0.0)


def _is_dropout(name: str) -> bool:
    return "dropout" in name or name.endswith(("pdrop", "_drop"))


def _begin_with_head(model: Any, name: str, family: Family, settings: TrainingSettings) -> None:
    """Say which weights are made anew; a trained head is replaced only aloud, or kept.

    Raises:
        UserError: It is to be kept, and there is none of one output, or no output is the mean.
    """
    inner = f"{model.base_model_prefix}."
    unread = sorted(key for key in model.unread_keys if key.startswith(inner))
    if unread:
        warnings.warn(
            f"{len(unread)} weights of {name} are not read, as its config.json has no place for "
            f"them (first: {unread[0]})",
            stacklevel=6,
        )
    head = trained_head(model, name, revision=settings.model_revision)
    is_kept = settings.keep_head or (head is not None and family.num_outputs == 1)
    can_be_kept = head is not None and head.out_features == 1 and family.mean_output is not None
    if settings.keep_head and not can_be_kept:
        had = "no head" if head is None else f"a head of {head.out_features} outputs"
        raise UserError(
            f"keep_head: {name} has {had} that is replaced; it takes one of one output, and a "
            "family of which one output is the mean (base, mean_and_variance)."
        )
    if head is not None and is_kept and can_be_kept:
        start_from_head(model, head, family.mean_output or 0)
    if head is not None or model.replaced_width is not None:
        width = model.replaced_width if head is None else head.out_features
        fate = "; the mean starts from it" if is_kept and can_be_kept else " (see keep_head)"
        warnings.warn(
            f"the trained head of {name}, of {width} outputs, is replaced by one of "
            f"{family.num_outputs}{fate}",
            stacklevel=6,
        )
    elif model.fresh_keys:
        logger.info("made anew and trained: %s", ", ".join(sorted(model.fresh_keys)))
