"""Pooled states against a plain forward pass of each text alone, and what tells caches apart."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import make_tokenizer, save_tiny_model
from transformers import AutoModel, AutoTokenizer, T5Config, T5ForConditionalGeneration

from hidden_context.errors import UserError
from hidden_context.llm.pooled_states import PooledStates, Pooling

TEXTS = ["the bread is good", "stone", "a much longer text of flour and water and salt", "!"]


def pooled(folder: Path, pooling: Pooling | None = None, max_length: int = 64) -> PooledStates:
    device = torch.device("cpu")
    return PooledStates(
        str(folder), pooling=pooling, max_length=max_length, device=device, dtype=torch.float32
    )


def token_ids(folder: Path, text: str) -> list[int]:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    return tokenizer(text)["input_ids"]


def states_alone(folder: Path, text: str) -> np.ndarray:
    """Of every token of one text, without padding, by Transformers; shape `(tokens, width)`."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = token_ids(folder, text)
    with torch.inference_mode():
        return model(torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_states_are_those_of_each_text_alone(tmp_path: Path, architecture: str, pooling: Pooling):
    folder = save_tiny_model(tmp_path, architecture)
    found = pooled(folder, pooling).states(TEXTS)
    for text, state in zip(TEXTS, found, strict=True):
        alone = states_alone(folder, text)
        expected = alone[-1] if pooling == "last" else alone.mean(0)
        np.testing.assert_allclose(state, expected, atol=1e-5)


@pytest.mark.parametrize(("architecture", "pooling"), [("llama", "last"), ("bert", "mean")])
def test_a_model_is_pooled_as_its_kind_is_trained(
    tmp_path: Path, architecture: str, pooling: Pooling
):
    folder = save_tiny_model(tmp_path, architecture)
    by_default, given = pooled(folder), pooled(folder, pooling)
    assert by_default.fingerprint == given.fingerprint
    np.testing.assert_array_equal(by_default.states(TEXTS), given.states(TEXTS))


def test_texts_that_are_too_long_lose_their_beginning_and_are_counted(tmp_path: Path):
    folder = save_tiny_model(tmp_path, "llama")
    short = pooled(folder, max_length=6)
    end = "and salt"
    found = short.states([f"a much longer text of flour and water {end}", "stone"])
    assert short.num_overlong == 1
    whole = token_ids(folder, f"water {end}")
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        expected = model(torch.tensor([whole[-6:]])).last_hidden_state[0, -1].numpy()
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_whatever_changes_states_changes_the_fingerprint_and_a_copy_elsewhere_does_not(
    tmp_path: Path,
):
    folder = save_tiny_model(tmp_path / "one", "llama")
    before = pooled(folder)
    assert pooled(save_tiny_model(tmp_path / "copy", "llama")).fingerprint == before.fingerprint
    other = pooled(save_tiny_model(tmp_path / "other", "llama", seed=1))
    assert other.fingerprint != before.fingerprint
    assert pooled(folder, max_length=32).fingerprint != before.fingerprint
    assert pooled(folder, "mean").fingerprint != before.fingerprint
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    after = pooled(folder)
    assert np.abs(after.states(TEXTS) - before.states(TEXTS)).max() > 0.01
    assert after.fingerprint != before.fingerprint


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path):
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    T5ForConditionalGeneration(T5Config(vocab_size=300, **sizes)).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is an encoder with a decoder"):
        pooled(tmp_path)
