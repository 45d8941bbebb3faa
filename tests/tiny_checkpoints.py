"""Tiny reward models with random weights, saved and loaded as users do."""

from pathlib import Path
from typing import Any

import torch
from tiny_models import tiny_model

from hidden_context.distributions import Normal
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.checkpoint import save_record
from hidden_context.llm.reward_model import RewardModel

CPU: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}


def make(folder: Path, architecture: str = "llama", family: Any = None, **how: Any) -> RewardModel:
    """A checkpoint with random weights, an adapter unless `full`."""
    family = family or Normal()
    torch.manual_seed(1)
    name = str(tiny_model(architecture))
    model = load_backbone(name, family.num_outputs, dtype=torch.float32)
    model = model if how.get("full") else with_adapters(model)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    if how.get("full"):
        load_tokenizer(name).save_pretrained(folder)
    save_record(folder, family=family, model_name=name)
    return RewardModel.from_pretrained(folder, **CPU)
