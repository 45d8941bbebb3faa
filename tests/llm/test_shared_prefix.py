"""Sharing prefixes changes the time alone: rewards and gradients are those of padded texts."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import quietly, read_in_batches, unwrapped
from hidden_context.llm.batching import choose_batching, model_inputs
from hidden_context.llm.packed_attention import Paths, attend
from hidden_context.llm.packing import Batching
from hidden_context.llm.shared_prefix import (
    ATTENTION,
    NotExactError,
    last_layer,
    separate_prefixes,
    share_prefixes,
)

VOCABULARY = 97
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # large enough for tokens to matter to one another
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED: dict[str, Any] = {"num_key_value_heads": 2}
HEADS_OF_8: dict[str, Any] = {**GROUPED, "head_dim": 8}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 512},
    "llama": GROUPED,
    "mistral": GROUPED,
    "qwen2": GROUPED,
    "qwen3": HEADS_OF_8,
    "gemma": HEADS_OF_8,
    "gemma2": HEADS_OF_8,
    "gemma3_text": HEADS_OF_8,
    "phi": {},
    "phi3": GROUPED,
    "olmo2": GROUPED,
    "smollm3": GROUPED,
    "gpt_neox": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
}
WITH_WINDOW = ("mistral", "qwen2", "gemma2", "gemma3_text", "phi3")
DIFFERENT = ("bloom", "falcon")
"""Attention of their own: positions by bias, or no interface."""


def make_model(family: str, *, adapters: bool = False, **options: Any) -> Any:
    torch.manual_seed(0)
    sizes = {**SIZES, **FAMILIES.get(family, {}), **options}
    config = AutoConfig.for_model(family, **sizes, num_labels=2)
    model = AutoModelForSequenceClassification.from_config(config)
    model = read_in_batches(model)
    if adapters:
        model = with_adapters(model)
        for name, value in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(value, std=0.1)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.eval()


def make_texts() -> list[np.ndarray]:
    """Pairs of every kind, and candidates for one prompt."""
    rng = np.random.default_rng(0)

    def some(number: int) -> np.ndarray:
        return rng.integers(3, VOCABULARY, size=number).astype(np.int32)

    prompt, long_prompt = some(30), some(70)
    texts = [
        np.concatenate([prompt, some(9)]),
        np.concatenate([prompt, some(14)]),
        some(11),  # nothing in common
        some(40),
        prompt,  # the beginning of others
        np.concatenate([prompt, some(1)]),
        *[np.concatenate([long_prompt, some(n)]) for n in (3, 8, 8, 20)],
        some(1),
    ]
    branch = np.concatenate([long_prompt, some(20)])
    texts += [np.concatenate([branch, some(n)]) for n in (4, 6)]
    return [*texts, texts[0], texts[3]]  # equal ones


def raw_and_gradients(
    model: Any, texts: list[np.ndarray], batching: Batching
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    raw = model(**model_inputs(texts, batching, 0)).logits
    weights = torch.linspace(-1, 1, raw.numel(), dtype=raw.dtype).reshape(raw.shape)
    (raw * weights).sum().backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return raw.detach(), gradients


def assert_equal_to_padded(model: Any, batching: Batching, texts: list[np.ndarray]) -> None:
    """Within 1e-5 in float32, of the largest gradient for gradients."""
    expected, expected_gradients = raw_and_gradients(model, texts, "padded")
    if batching == "shared_prefix":
        share_prefixes(model, texts, 0, longest=512)
        assert unwrapped(model).last_layer_hooks
    raw, gradients = raw_and_gradients(model, texts, batching)
    assert np.ptp(expected.numpy(), axis=0).min() > 0.1  # texts are told apart
    torch.testing.assert_close(raw, expected, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected_gradients.values())
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5 * largest, rtol=1e-5)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_rewards_and_adapter_gradients_are_those_of_padded_texts(family: str):
    assert_equal_to_padded(make_model(family, adapters=True), "shared_prefix", make_texts())


@pytest.mark.parametrize("family", list(FAMILIES))
def test_all_gradients_are_those_of_padded_texts(family: str):
    assert_equal_to_padded(make_model(family), "shared_prefix", make_texts())


@pytest.mark.parametrize("family", WITH_WINDOW)
def test_sliding_windows_shorter_than_texts(family: str):
    model = make_model(family, sliding_window=16, use_sliding_window=True, max_window_layers=1)
    assert_equal_to_padded(model, "shared_prefix", make_texts())


def test_checkpointed_gradients_are_those_of_padded_texts():
    model = make_model("llama", adapters=True)
    model.train()
    model.enable_input_require_grads()
    with quietly():
        model.gradient_checkpointing_enable()
    assert_equal_to_padded(model, "shared_prefix", make_texts())


@pytest.mark.parametrize("family", ["bert", *DIFFERENT])
def test_other_backbones_are_grouped_with_a_reason(family: str):
    model = make_model(family)
    with pytest.warns(UserWarning, match="batching: grouped, since shared_prefix "):
        assert choose_batching(model, "shared_prefix", make_texts(), 0, longest=512) == "grouped"
    assert_equal_to_padded(model, "grouped", make_texts())


def test_an_encoder_is_grouped_without_a_word():
    """It has no beginnings to share; nobody asked for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_batching(make_model("bert"), None, make_texts(), 0, longest=9) == "grouped"


def test_unknown_kinds_of_layers_are_grouped():
    model = make_model("llama")
    model.config.layer_types = ["full_attention", "linear_attention", "full_attention"]
    with pytest.raises(NotExactError, match="does not know layers of kind linear_attention"):
        share_prefixes(model, make_texts(), 0, longest=512)


def test_a_window_that_attention_is_not_told_of_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """Even if no text at hand is longer than the window: a later one may be."""
    model = make_model("mistral", sliding_window=100)
    texts = [text for text in make_texts() if len(text) < 100]

    def without_window(*args: Any, **kwargs: Any) -> Any:
        kwargs["sliding_window"] = None
        return attend(*args, **kwargs)

    share_prefixes(model, texts, 0, longest=512)
    separate_prefixes(model)
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, ATTENTION, without_window)
    share_prefixes(model, texts, 0, longest=100)
    with pytest.raises(NotExactError, match="changes the states of mistral by up to"):
        share_prefixes(model, texts, 0, longest=512)


def test_a_model_that_fails_on_packed_rows_is_as_it_was(monkeypatch: pytest.MonkeyPatch):
    model = make_model("llama")
    expected, _ = raw_and_gradients(model, make_texts(), "padded")
    monkeypatch.setattr(Paths, "sizes", property(lambda paths: 1 / 0))
    with pytest.raises(NotExactError, match=r"fails for llama \(ZeroDivisionError"):
        share_prefixes(model, make_texts(), 0, longest=512)
    raw, _ = raw_and_gradients(model, make_texts(), "padded")
    torch.testing.assert_close(raw, expected, rtol=0, atol=0)


def test_sharing_can_be_undone_and_done_again():
    model = make_model("llama", adapters=True)
    texts = make_texts()
    expected, _ = raw_and_gradients(model, texts, "padded")
    for _ in range(2):
        share_prefixes(model, texts, 0, longest=512)
        share_prefixes(model, texts, 0, longest=512)
        with pytest.raises(RuntimeError, match="reads packed rows only"):
            raw_and_gradients(model, texts, "padded")
        separate_prefixes(model)
        raw, _ = raw_and_gradients(model, texts, "padded")
        torch.testing.assert_close(raw, expected, rtol=0, atol=0)


def test_the_last_layer_computes_only_what_is_read():
    model = make_model("llama")
    seen = []
    layer = last_layer(unwrapped(model))
    assert layer is not None
    layer.mlp.register_forward_hook(lambda *given: seen.append(given[2].shape[1]))  # pyrefly: ignore
    texts = make_texts()
    share_prefixes(model, texts, 0, longest=512)
    seen.clear()
    model(**model_inputs(texts, "shared_prefix", 0))
    assert seen == [len(texts) - 2]  # two are there twice


def test_what_is_saved_names_no_attention_of_ours(tmp_path: Path):
    model = make_model("llama")
    share_prefixes(model, make_texts(), 0, longest=512)
    model.save_pretrained(tmp_path)
    assert "hidden_context" not in (tmp_path / "config.json").read_text()
    AutoModelForSequenceClassification.from_pretrained(tmp_path)
