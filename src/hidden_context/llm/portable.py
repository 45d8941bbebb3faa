"""Configurations that transformers 4.57 reads as 5.x means them, and 5.x as before.

Version 5 moved what it says of rotary positions to `rope_parameters`, and gave tokenizers classes
that 4.57 does not have. 4.57 passes over names that it does not know, and would compute other
scores without a word; so the old names are written beside the new ones, or the model is refused.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.records import read_record, write_json

ROPE_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
"""Kinds of rotary positions that 4.57 has under the same name, with the same formula."""
BASES_BY_LAYER = {
    "gemma3_text": ("rope_theta", "rope_local_base_freq"),
    "modernbert": ("global_rope_theta", "local_rope_theta"),
    "modernbert-decoder": ("global_rope_theta", "local_rope_theta"),
}
"""What 4.57 calls the bases of layers of full and of sliding attention."""
OF_THE_MACHINE = ("backend", "is_local", "local_files_only")
"""Fields of a tokenizer's configuration that say how it was loaded."""
FAST = "PreTrainedTokenizerFast"
"""The class of tokenizers that are all in `tokenizer.json`, in both versions."""


def make_portable(folder: Path, tokenizer: Any) -> None:
    """Rewrite the configurations of a model and its tokenizer in place.

    The tokenizer's class becomes the one that reads `tokenizer.json` as it is: 4.57's classes for
    single models change what they read. It needs to be told which inputs the model takes.

    Raises:
        UserError: 4.57 could not compute what this model does.
    """
    config = read_record(folder / "config.json")
    write_json(folder / "config.json", with_old_names(config))
    make_tokenizer_portable(folder)
    if tokenizer.is_fast:
        file = folder / "tokenizer_config.json"
        config = {**read_record(file), "tokenizer_class": FAST}
        write_json(file, {**config, "model_input_names": list(tokenizer.model_input_names)})


def make_tokenizer_portable(folder: Path) -> None:
    """Rewrite the configuration of a tokenizer, if `tokenizer.json` holds all of it."""
    file, definition = folder / "tokenizer_config.json", folder / "tokenizer.json"
    if not (file.is_file() and definition.is_file()):
        return
    config = read_record(file)
    for name in OF_THE_MACHINE:
        config.pop(name, None)
    if config.get("tokenizer_class") == "TokenizersBackend":  # version 5's name for it
        config["tokenizer_class"] = FAST
    extra = config.get("extra_special_tokens")
    if isinstance(extra, list):  # 4.57 has names for these
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    before_words = read_record(definition).get("pre_tokenizer") or {}
    if "add_prefix_space" in before_words:  # or 4.57 would take False
        config["add_prefix_space"] = before_words["add_prefix_space"]
    write_json(file, config)


def with_old_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that holds what it says under the names of 4.57 too.

    Raises:
        UserError: See `make_portable`.
    """
    named = dict(config)
    if "dtype" in config:
        named["torch_dtype"] = config["dtype"]
    if "num_local_experts" in config:  # of Qwen's mixtures; 4.57 took its default
        named.setdefault("num_experts", config["num_local_experts"])
    rope = config.get("rope_parameters")
    if not rope:
        return named
    by_layer = {name: part for name, part in rope.items() if isinstance(part, Mapping)}
    return named | (_names_by_layer(config, by_layer) if by_layer else _names(config, rope))


def _names(config: Mapping[str, Any], rope: Mapping[str, Any]) -> dict[str, Any]:
    kind = rope.get("rope_type", "default")
    if kind not in ROPE_TYPES:
        raise _refusal(config, f"rotary positions of type {kind}")
    named: dict[str, Any] = {"rope_theta": rope.get("rope_theta"), "rope_scaling": None}
    if "partial_rotary_factor" in rope:
        named["partial_rotary_factor"] = rope["partial_rotary_factor"]
    if config.get("model_type") == "gpt_neox":
        named["rotary_emb_base"] = rope.get("rope_theta")
        named["rotary_pct"] = rope.get("partial_rotary_factor", 1.0)
    if kind != "default":
        apart = ("rope_theta", "partial_rotary_factor", "type")
        named["rope_scaling"] = {name: rope[name] for name in rope if name not in apart}
    if kind == "longrope":
        named |= _names_of_longrope(config, named["rope_scaling"])
    return named


def _names_of_longrope(config: Mapping[str, Any], scaling: Mapping[str, Any]) -> dict[str, Any]:
    """4.57 has the original length outside, and derives the factor from it, whatever is said."""
    original = scaling.get("original_max_position_embeddings")
    original = original or config["max_position_embeddings"]
    ratio = config["max_position_embeddings"] / original
    factor = scaling.get("factor") or ratio
    attention = scaling.get("attention_factor")
    if config.get("model_type") == "phi3":
        if attention is not None or factor != ratio:
            raise _refusal(config, "a factor of longrope that is not the ratio of both lengths")
        named = {"type": "longrope"}
        named |= {name: scaling[name] for name in ("short_factor", "long_factor")}
        return {"rope_scaling": named, "original_max_position_embeddings": original}
    if config.get("model_type") == "phimoe":
        raise _refusal(config, "longrope with scales of its own")
    if attention is None:  # Ding et al. 2024 (LongRoPE), as both versions compute it
        attention = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    scaling = {**scaling, "factor": factor, "attention_factor": attention}
    return {"rope_scaling": scaling, "original_max_position_embeddings": original}


def _names_by_layer(
    config: Mapping[str, Any], by_layer: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    names = BASES_BY_LAYER.get(config.get("model_type", ""))
    full, sliding = by_layer.get("full_attention"), by_layer.get("sliding_attention")
    if names is None or full is None or sliding is None:
        raise _refusal(config, f"rotary positions by kind of layer ({', '.join(by_layer)})")
    if sliding.get("rope_type", "default") != "default":
        raise _refusal(config, f"{sliding['rope_type']} rotary positions in sliding layers")
    named = {names[0]: full.get("rope_theta"), names[1]: sliding.get("rope_theta")}
    of_full = _names(config, full)
    if of_full["rope_scaling"] is not None:
        if names[0] != "rope_theta":
            raise _refusal(config, f"{full['rope_type']} rotary positions")
        named["rope_scaling"] = of_full["rope_scaling"]
    return named


def _refusal(config: Mapping[str, Any], what: str) -> UserError:
    return UserError(
        f"a model of type {config.get('model_type')} with {what} cannot be exported: transformers "
        "4.57 has no way to say so, and would compute other scores silently; save it as a "
        "checkpoint, which this project and transformers 5 read."
    )
