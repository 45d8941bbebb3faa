"""LoRA adapters as in the paper, on any backbone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from hidden_context.errors import UserError
from hidden_context.llm.backbone import quietly
from hidden_context.records import brief

RANK, ALPHA, DROPOUT = 8, 32, 0.1
"""DPL paper, appendix."""
ALL_LINEAR = "all-linear"
HEADS = ("classifier", "score", "logits_proj")
"""What modules of a head are called, which are trained in full."""


def with_adapters(
    model: Any,
    *,
    rank: int = RANK,
    alpha: int = ALPHA,
    dropout: float = DROPOUT,
    targets: Sequence[str] | None = None,
    also_in_full: Sequence[str] = (),
    **options: Any,
) -> Any:
    """Add LoRA adapters to the attention projections, and train head and new pooler in full.

    The projections are those that PEFT knows for the architecture (queries and values for Llama and
    Qwen, the joint projection for GPT-2), or else all linear layers. What is trained is in float32,
    whatever the backbone is in.

    Args:
        model: See `load_backbone`.
        rank: Of the adapters' matrices.
        alpha: Their scale, divided by the rank.
        dropout: Before them.
        targets: Names of layers, or one regular expression, or all-linear; see above if None.
        also_in_full: Modules that are trained in full beside the head.
        options: Further ones of PEFT's LoraConfig.

    Raises:
        UserError: No layer is called so, or the head is among them.
    """
    from peft import LoraConfig, TaskType, get_peft_model
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    known = model.config.model_type in KNOWN
    adapters = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=_given(targets) if targets else _targets(model, known=known),
        exclude_modules=f"({'|'.join(HEADS)})(\\..*)?",
        modules_to_save=_in_full(model, also_in_full) or None,
        fan_in_fan_out=model.config.model_type == "gpt2",
        **options,
    )
    try:
        with quietly():
            model = get_peft_model(model, adapters)
    except ValueError as error:
        if targets:
            raise UserError(f"lora_target_modules {' '.join(targets)}: {brief(error)}") from error
        raise UserError(
            f"{type(model).__name__} has no layers for LoRA adapters ({error}); train all of its "
            "weights (use_peft=False)."
        ) from error
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
    return model


def _given(targets: Sequence[str]) -> Any:
    """Names as a list, a regular expression or all-linear as a text, as PEFT tells them apart."""
    heads = sorted({*targets} & {*HEADS})
    if heads:
        raise UserError(f"lora_target_modules has {heads[0]}, the head, which is trained in full.")
    (first, *rest) = targets
    is_pattern = first == ALL_LINEAR or any(sign in first for sign in "*+?()[]{}|^$\\")
    if is_pattern and rest:
        raise UserError(f"lora_target_modules: {first} is no name of a layer; give it alone.")
    return first if is_pattern else list(targets)


def _in_full(model: Any, also: Sequence[str]) -> list[str]:
    """Modules to train in full: new ones, and those asked for, beside the head.

    Raises:
        UserError: There is no such module.
    """
    names = [name for name, _ in model.named_modules()]
    for wanted in also:
        if not any(name == wanted or name.endswith(f".{wanted}") for name in names):
            raise UserError(f"lora_modules_to_save: {type(model).__name__} has no {wanted}.")
    own = {"logits_proj"} if hasattr(model, "logits_proj") else set()  # PEFT knows the others
    return sorted(own | ({*_made_anew(model), *also} - {*HEADS}))


def _targets(model: Any, *, known: bool) -> Any:
    """What adapters are put on; of mixtures of experts the attention alone, never their router."""
    sizes = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    if any(getattr(model.config, name, None) for name in sizes):
        linear = {
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and "attn" in name
        }
        usual = linear & {"q_proj", "v_proj"}
        return sorted(usual if len(usual) == 2 else linear)
    return None if known else "all-linear"


def _made_anew(model: Any) -> list[str]:
    """Modules with weights that the pretrained model lacks, beside the head that PEFT trains."""
    modules = {key.rpartition(".")[0] for key in getattr(model, "fresh_keys", ())}
    return sorted(name for name in modules if name.split(".")[0] not in ("classifier", "score"))


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """LoRA weights added to copies of those they adapt, where that is exact: a faster forward pass.

    In half precision the sum would be rounded to 8 bits, so that there, and for adapters of other
    kinds, nothing is done. Afterwards the weights are the very same as before.
    """
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer, LoraModel

    layers: list[Any] = []
    if isinstance(model, PeftModel) and isinstance(model.base_model, LoraModel):
        layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    weights = [layer.get_base_layer().weight for layer in layers]
    if not all(weight.dtype in (torch.float32, torch.float64) for weight in weights):
        layers, weights = [], []
    saved = [weight.detach().clone() for weight in weights]
    for layer in layers:
        layer.merge()
    try:
        yield
    finally:
        for layer, weight, before in zip(layers, weights, saved, strict=True):
            layer.unmerge()
            weight.data.copy_(before)
