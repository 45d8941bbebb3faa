"""Tiny models of many architectures and kinds of rotary positions, exported."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from architectures import tiny_config
from tiny_models import make_tokenizer
from transformers import AutoModel

from hidden_context import Normal, RewardModel, UserError, export
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.saved_check import raw_of
from hidden_context.records import CHECKPOINT_RECORD

TEXTS = (
    "Human: what is a good way to bake bread?",
    "  Two spaces, and a line\n",
    "I would rather not; ask about naïve soufflés.",
)
ORIGINAL, LONGEST = 32, 128
"""Positions that a model was made for, and to which they are stretched (tokens)."""
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
FACTORS = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [1.5, 2.0, 3.0, 4.0]}
STRETCHED = {"factor": 4.0, "original_max_position_embeddings": ORIGINAL}


@dataclass(frozen=True)
class Case:
    """A model to export."""

    kind: str
    """Type of the configuration."""
    rope: Mapping[str, Any] = field(default_factory=dict)
    """What its rotary positions have beside the defaults; by kind of layer, or for all."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of the configuration."""


CASES = {
    **{kind: Case(kind) for kind in ("gpt2", "opt", "bloom", "gpt_bigcode", "falcon")},
    **{kind: Case(kind) for kind in ("bert", "roberta", "distilbert", "deberta-v2", "electra")},
    **{
        kind: Case(kind, {"rope_theta": 500.0})
        for kind in (
            "llama",
            "mistral",
            "mixtral",
            "qwen2",
            "qwen3",
            "qwen3_moe",
            "gemma",
            "gemma2",
            "phi",
            "phi3",
            "gpt_neox",
            "stablelm",
            "glm",
            "smollm3",
            "starcoder2",
        )
    },
    "gemma3_text": Case(
        "gemma3_text",
        {"full_attention": {"rope_theta": 700.0}, "sliding_attention": {"rope_theta": 300.0}},
    ),
    "modernbert": Case(
        "modernbert",
        {"full_attention": {"rope_theta": 700.0}, "sliding_attention": {"rope_theta": 300.0}},
    ),
    "gemma3_text linear": Case(
        "gemma3_text",
        {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 700.0}},
    ),
    "llama linear": Case("llama", {"rope_type": "linear", "factor": 4.0}),
    "llama dynamic": Case("llama", {"rope_type": "dynamic", "factor": 4.0}),
    "llama yarn": Case("llama", {"rope_type": "yarn", **STRETCHED, "rope_theta": 500.0}),
    "qwen2 yarn": Case("qwen2", {"rope_type": "yarn", **STRETCHED, "attention_factor": 0.9}),
    "llama yarn mscale": Case(
        "llama", {"rope_type": "yarn", **STRETCHED, "mscale": 0.7, "mscale_all_dim": 1.2}
    ),
    "llama llama3": Case("llama", {"rope_type": "llama3", **STRETCHED, **LLAMA3}),
    "llama longrope": Case("llama", {"rope_type": "longrope", **STRETCHED, **FACTORS}),
    "llama longrope of another factor": Case(
        "llama", {"rope_type": "longrope", **STRETCHED, **FACTORS, "factor": 2.0}
    ),
    "phi3 longrope": Case(
        "phi3",
        {"rope_type": "longrope", **FACTORS},
        {"original_max_position_embeddings": ORIGINAL},
    ),
}
REFUSED = {
    "olmo3": Case("olmo3"),
    "phi3 of another factor": Case(
        "phi3",
        {"rope_type": "longrope", **FACTORS, "factor": 2.0},
        {"original_max_position_embeddings": ORIGINAL},
    ),
    "llama proportional": Case("llama", {"rope_type": "proportional", "factor": 2.0}),
}
"""What 4.57 cannot compute."""


CONTROL = "llama llama3 without the old names"
"""Not as exported: 4.57 must make other scores of it, or the comparison sees nothing."""


def reward_model(case: Case, folder: Path) -> RewardModel:
    """A model with adapters, all weights random."""
    torch.manual_seed(0)
    config = tiny_config(case.kind)
    for name, value in case.options.items():
        setattr(config, name, value)
    rope = getattr(config, "rope_parameters", None)
    if case.rope and rope is not None:
        for name, value in case.rope.items():
            rope[name] = {**rope.get(name, {}), **value} if isinstance(value, Mapping) else value
    if hasattr(config, "initializer_range"):
        config.initializer_range = 0.08  # so that positions matter
    backbone = AutoModel.from_config(config)
    backbone.save_pretrained(folder)
    is_encoder = "bert" in case.kind or case.kind in ("electra",)
    make_tokenizer(encoder=is_encoder, eos_is_pad=case.kind == "gpt2").save_pretrained(folder)
    model = with_adapters(load_backbone(str(folder), 2, dtype=torch.float32))
    for name, value in model.named_parameters():
        if value.requires_grad and "original_module" not in name:
            torch.nn.init.normal_(value, std=0.08)
    return RewardModel(model.eval(), load_tokenizer(str(folder)), Normal(), str(folder))


def batches(model: RewardModel, texts: Sequence[str] = TEXTS) -> Iterator[dict[str, Any]]:
    """Texts of unlike lengths in one batch, then one beyond the original positions."""
    first = [model.tokenizer(text)["input_ids"] for text in texts]
    generator = np.random.default_rng(0)
    long = [generator.integers(10, 200, LONGEST - 4).tolist(), first[0]]
    for ids in (first, long):
        raw = raw_of(model.model, [np.array(each) for each in ids])
        yield {"input_ids": ids, "outputs": raw[:, :1].tolist()}


def write_cases(root: Path) -> dict[str, str]:
    """Export all cases, and say what is expected of each; returns refusals by name."""
    expected, refusals = {}, {}
    for name, case in {**CASES, **REFUSED}.items():
        model = reward_model(case, root / "backbones" / name)
        try:
            export(model, root / name)
        except UserError as error:
            refusals[name] = str(error)
            continue
        export(model, root / "native" / name, to="native")
        alone = [next(batches(model, [text]))["outputs"][0][0] for text in TEXTS]
        expected[name] = {"texts": TEXTS, "alone": alone, "batches": list(batches(model))}
    control = root / CONTROL
    shutil.copytree(root / "llama llama3", control)
    config = json.loads((control / "config.json").read_text())
    for name in ("rope_theta", "rope_scaling"):
        del config[name]
    (control / "config.json").write_text(json.dumps(config))
    expected[CONTROL] = expected["llama llama3"]
    (root / "cases.json").write_text(json.dumps(expected))
    return refusals


def seen_again(root: Path, version: str, name: str) -> str:
    """What is wrong with a checkpoint that another version wrote again; nothing if it is the same.

    It must be taken for what it was, and its outputs must be the same to 1e-5.
    """
    native, again = root / "native" / name, root / version / name
    shutil.copy(native / CHECKPOINT_RECORD, again)
    try:
        before, now = (
            list(batches(RewardModel.from_pretrained(each, device="cpu", dtype=torch.float32)))
            for each in (native, again)
        )
    except UserError as error:
        return f"written again: {error}"
    for then, found in zip(before, now, strict=True):
        if then["input_ids"] != found["input_ids"]:
            return "written again: other token ids"
        difference = np.abs(np.subtract(then["outputs"], found["outputs"])).max()
        if not difference <= 1e-5:
            return f"written again: differs by {difference:.1e}"
    return ""
