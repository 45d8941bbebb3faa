"""What a model computes with: numbers of its configuration and of its adapters, and weights."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from hidden_context.llm.backbone import AFTER_THE_PAD_TOKEN, is_pooler, unwrapped
from hidden_context.records import json_text

WITHOUT_EFFECT = re.compile(
    r"_.*|architectures|auto_map|torchscript|transformers_version|(torch_)?dtype|use_bfloat16"
    r"|tokenizer_class|prefix|name_or_path|id2label|label2id|num_labels|problem_type"
    r"|finetuning_task|task_specific_params|custom_pipelines|.*_token_id|vocab_size"
    r"|use_cache|cache_implementation|(use_)?return_dict|tie_.*"
    r"|output_(attentions|hidden_states|past|router_logits)"
    r"|gradient_checkpointing|pretraining_tp|chunk_size_feed_forward|attn_implementation"
    r"|initializer_.*|init_.*|.*initializer|.*initializer_range|.*dropout.*|.*_pdrop|.*drop_rate"
    r"|.*layerdrop|.*aux_loss_coef|router_z.*|.*jitter.*|quantization_config"
)
"""Fields of configurations that do not move the scores of a model with given weights, or that show
in its labels and weights."""
OF_ROTATION = "rope_"
OF_ADAPTERS = (
    "r",
    "lora_alpha",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "fan_in_fan_out",
)
"""What of PEFT's configuration scales an adapter, or turns it."""
MIDDLE = 1024
"""Numbers that are looked at in each weight: training changes all of them."""


def configuration_of(model: Any) -> dict[str, Any]:
    """The fields of a model's configuration that move its scores, as JSON has them."""
    inner = unwrapped(model)
    fields = _fields(inner.config.to_dict())
    if inner.config.model_type in AFTER_THE_PAD_TOKEN:  # positions are counted from it
        fields["pad_token_id"] = inner.get_input_embeddings().padding_idx
    return fields


def other_fields(recorded: Mapping[str, Any], model: Any) -> list[tuple[str, Any, Any]]:
    """Names of fields, their values then and now, where these differ.

    What was recorded is read as this version of transformers reads it: fields that it has other
    names or defaults for are the same.
    """
    now = configuration_of(model)
    given = {name: value for name, value in recorded.items() if name != "pad_token_id"}
    then = _fields(type(unwrapped(model).config).from_dict(given).to_dict())
    if "pad_token_id" in recorded:
        then["pad_token_id"] = recorded["pad_token_id"]
    as_written = {name: value for name, value, _ in _differing(recorded, now)}
    return [
        (name, as_written.get(name, before), value)
        for name, before, value in _differing(then, now)
        if name in as_written or not _has(recorded, name)
    ]


def _fields(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: _fields(value) if isinstance(value, Mapping) else value
        for name, value in config.items()
        if not WITHOUT_EFFECT.fullmatch(str(name))
    }
    return json.loads(json_text(kept, default=str))


def _differing(
    then: Mapping[str, Any], now: Mapping[str, Any], before: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Fields that both have; of rotary positions also those that one has."""
    names = dict.fromkeys([*then, *now])
    for name in names:
        if not before.startswith(OF_ROTATION) and (name not in then or name not in now):
            continue
        old, new = then.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differing(old, new, f"{before}{name}.")
        elif old != new:
            yield f"{before}{name}", old, new


def _has(config: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(config, Mapping) or part not in config:
            return False
        config = config[part]
    return True


def scale_of_adapter(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of an adapter's configuration moves its scores."""
    return {name: config[name] for name in OF_ADAPTERS if name in config}


def weights_of_backbone(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """What adapters were put on, by its names without them: not head, pooler, and their own."""
    inner = unwrapped(model)
    for key, weight in inner.named_parameters():
        name = key.replace(".base_layer.", ".").replace(".original_module.", ".")
        is_own = "lora_" in key or ".modules_to_save." in key or is_pooler(key)
        if name.startswith(f"{inner.base_model_prefix}.") and not is_own:
            yield name, weight


def values_mark(weights: Iterable[tuple[str, torch.Tensor]]) -> str:
    """A digest of names, shapes and some values of weights, whatever files they are in.

    Of each weight the numbers in its middle count, in bfloat16: so weights that were written in
    float32 and are read in bfloat16, or the other way round, are the same.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, weight in sorted(weights, key=lambda each: each[0]):
        flat = weight.detach().flatten()
        start = max(0, (len(flat) - MIDDLE) // 2)
        middle = flat[start : start + MIDDLE].to("cpu", torch.bfloat16)
        digest.update(f"{name} {tuple(weight.shape)}\n".encode())
        digest.update(middle.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
