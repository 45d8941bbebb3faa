"""Scores do not depend on batches, order or company."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_model

from hidden_context.distributions import Normal
from hidden_context.errors import UserError
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.checkpoint import RewardModel
from hidden_context.llm.score import Reading, score

TEXTS = [
    "Human: bread?",
    "Assistant: " + "flour and water, " * 9,
    "I",
    "Human: bread?",
    "yeast " * 5,
]


def padded(batch_size: int) -> Reading:
    return Reading(max_length=512, batching="padded", batch_size=batch_size)


def reward_model(folder: Path, architecture: str) -> RewardModel:
    name = str(save_tiny_model(folder, architecture))
    model = load_backbone(name, 2, dtype=torch.float32).eval()
    with torch.no_grad():
        head = model.score if hasattr(model, "score") else model.classifier
        head.weight.mul_(100)  # large enough to tell texts apart
    return RewardModel(model, load_tokenizer(name), Normal(), name)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
def test_scores_are_those_of_each_text_alone(tmp_path: Path, architecture: str):
    model = reward_model(tmp_path, architecture)
    alone = np.concatenate([score(model, [t], padded(1)).raw for t in TEXTS])
    assert np.ptp(alone[:, 0]) > 0.01
    for batch_size in (1, 2, 5):
        together = score(model, TEXTS, padded(batch_size)).raw
        np.testing.assert_allclose(together, alone, atol=1e-5)


def test_equal_texts_have_equal_scores_to_the_last_bit(tmp_path: Path):
    model = reward_model(tmp_path, "llama")
    raw = score(model, [*TEXTS, "yeast flour"] * 2, padded(2)).raw
    np.testing.assert_array_equal(raw[:6], raw[6:])


def test_dropped_texts_have_no_score(tmp_path: Path):
    model = reward_model(tmp_path, "llama")
    scores = score(model, TEXTS, Reading(max_length=30, overlong="drop"))
    assert scores.kept.tolist() == [True, False, True, True, True]
    assert scores.overlong.tolist() == [False, True, False, False, False]


def test_a_bfloat16_backbone_has_a_float32_head(tmp_path: Path):
    """Scores then need not tie where bfloat16 has one number for both."""
    name = str(save_tiny_model(tmp_path, "llama"))
    model = load_backbone(name, 2, dtype=torch.bfloat16).eval()
    half = RewardModel(model, load_tokenizer(name), Normal(), name)
    raw = score(half, TEXTS, padded(2)).raw
    rounded = torch.from_numpy(raw).bfloat16().float().numpy()
    assert np.abs(raw - rounded).max() > 0
    assert model.model.norm.weight.dtype == torch.bfloat16


def test_scoring_keeps_no_gradients(tmp_path: Path):
    model = reward_model(tmp_path, "llama")
    seen = []
    model.model.register_forward_hook(lambda *given: seen.append(given[2].logits.requires_grad))
    score(model, TEXTS, padded(2))
    assert seen == [False, False]


def test_damaged_weights_are_noticed(tmp_path: Path):
    model = reward_model(tmp_path, "llama")
    with torch.no_grad():
        model.model.score.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="scores that are not finite"):
        score(model, TEXTS, padded(2))


def test_impossible_sizes_are_refused():
    for name in ("batch_size", "token_budget", "max_length"):
        sizes: dict[str, Any] = {"max_length": 9, name: 0}
        with pytest.raises(UserError, match=f"--{name} is 0; give at least 1"):
            Reading(**sizes)
