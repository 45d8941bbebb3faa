"""Backbones, heads, pooling and tokenizers."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
from tiny_models import ARCHITECTURES, make_tokenizer, save_tiny_model, tiny_model
from transformers import AutoModelForSequenceClassification

from hidden_context.distributions import SharedContext
from hidden_context.errors import UserError
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import (
    load_backbone,
    load_config,
    load_tokenizer,
    longest_text,
    opening,
    unwrapped,
)

DECODERS = [name for name in ARCHITECTURES if name != "bert"]


@pytest.mark.parametrize("architecture", DECODERS)
def test_decoders_pool_at_the_last_unmasked_token_whatever_it_is(tmp_path: Path, architecture: str):
    model = load_backbone(str(save_tiny_model(tmp_path, architecture)), 3, dtype=torch.float32)
    model.eval()
    model.config.pad_token_id = 2  # also the eos token, which texts here end in and hold
    text = torch.tensor([[5, 2, 7, 2]])
    padded = torch.nn.functional.pad(text, (0, 3), value=2)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    with torch.no_grad():
        states = model.base_model(text).last_hidden_state
        expected = model.score(states[:, -1])
        pooled = model(input_ids=padded, attention_mask=mask).logits
    torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_a_new_head_is_scaled_by_a_hundredth(tmp_path: Path, architecture: str):
    save_tiny_model(tmp_path, architecture)
    torch.manual_seed(0)
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=4)
    torch.manual_seed(0)
    ours = load_backbone(str(tmp_path), 4, dtype=torch.float32)
    name = "classifier" if architecture == "bert" else "score"
    expected = 0.01 * getattr(stock, name).weight
    torch.testing.assert_close(getattr(ours, name).weight, expected)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_a_family_says_how_each_output_of_a_new_head_starts(tmp_path: Path, architecture: str):
    save_tiny_model(tmp_path, architecture)
    torch.manual_seed(0)
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=4)
    torch.manual_seed(0)
    scales = SharedContext(num_contexts=2).head_scales
    ours = load_backbone(str(tmp_path), 4, dtype=torch.float32, head_scales=scales)
    name = "classifier" if architecture == "bert" else "score"
    expected = torch.tensor([[1.0], [1.0], [0.01], [0.01]]) * getattr(stock, name).weight
    torch.testing.assert_close(getattr(ours, name).weight, expected)


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_saved_backbone_is_the_stock_architecture(tmp_path: Path, architecture: str):
    model = load_backbone(
        str(save_tiny_model(tmp_path / "a", architecture)), 2, dtype=torch.float32
    )
    model.save_pretrained(tmp_path / "b")
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path / "b")
    assert stock.config.architectures == [type(stock).__name__]
    again = load_backbone(str(tmp_path / "b"), 2, dtype=torch.float32)
    torch.testing.assert_close(again.score.weight, model.score.weight, rtol=0, atol=0)


def test_a_head_of_another_width_is_new_too(tmp_path: Path):
    model = load_backbone(str(save_tiny_model(tmp_path / "a", "llama")), 2, dtype=torch.float32)
    model.save_pretrained(tmp_path / "b")
    wider = load_backbone(str(tmp_path / "b"), 10, dtype=torch.float32)
    assert wider.score.weight.shape == (10, 32)
    assert wider.score.weight.abs().max() < 0.01


def test_weights_that_are_missing_are_refused(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    save_tiny_model(tmp_path, "llama")
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks weights that fit, among them model\.norm\.weight"):
        load_backbone(str(tmp_path), 1, dtype=torch.float32)


def test_models_that_are_not_there_are_refused(tmp_path: Path):
    for load in (lambda name: load_backbone(name, 1, dtype=torch.float32), load_tokenizer):
        with pytest.raises(UserError, match="nothing is neither a folder nor the name of a model"):
            load(str(tmp_path / "nothing"))
        with pytest.raises(UserError, match="cannot be loaded"):
            load(str(tmp_path))


def test_the_pad_token_is_never_the_eos_token(tmp_path: Path):
    make_tokenizer(eos_is_pad=True).save_pretrained(tmp_path / "gpt2")
    assert load_tokenizer(str(tmp_path / "gpt2")).pad_token is None
    llama = make_tokenizer()
    llama.pad_token = llama.eos_token
    llama.save_pretrained(tmp_path / "llama")
    assert load_tokenizer(str(tmp_path / "llama")).pad_token == "<unk>"
    make_tokenizer().save_pretrained(tmp_path / "padded")
    assert load_tokenizer(str(tmp_path / "padded")).pad_token == "<pad>"


def test_texts_are_no_longer_than_the_model_has_positions(tmp_path: Path):
    save_tiny_model(tmp_path, "bert")
    tokenizer = load_tokenizer(str(tmp_path))
    config = load_config(str(tmp_path))
    assert longest_text(config, tokenizer, 1024) == 512
    assert longest_text(config, tokenizer, 100) == 100


@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("gpt2", {"c_attn"}),
        ("llama", {"q_proj", "v_proj"}),
        ("qwen2", {"q_proj", "v_proj"}),
        ("bert", {"query", "value"}),
    ],
)
def test_adapters_sit_on_the_attention_and_the_head_is_trained(
    tmp_path: Path, architecture: str, targets: set[str]
):
    model = load_backbone(str(save_tiny_model(tmp_path, architecture)), 2, dtype=torch.bfloat16)
    model = with_adapters(model)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    on = {name.split(".lora_")[0].split(".")[-1] for name in trained if ".lora_" in name}
    assert on == targets
    assert any("modules_to_save" in name for name in trained)
    assert all(v.dtype == torch.float32 for v in model.parameters() if v.requires_grad)


def test_an_unknown_architecture_gets_adapters_on_all_linear_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = load_backbone(str(save_tiny_model(tmp_path, "llama")), 2, dtype=torch.float32)
    monkeypatch.setattr(model.config, "model_type", "novel", raising=False)
    model = with_adapters(model)
    names = [name for name, _ in model.named_parameters() if ".lora_A." in name]
    assert any("gate_proj" in name for name in names)
    assert not any("score" in name for name in names)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("adapters", [False, True])
def test_a_model_comes_back_from_a_pickle_and_a_copy(architecture: str, adapters: bool):
    model = load_backbone(str(tiny_model(architecture)), 2, dtype=torch.float32)
    model = (with_adapters(model) if adapters else model).eval()
    text = torch.tensor([[5, 2, 7, 8]])
    expected = model(text, torch.ones_like(text)).logits
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        found = again(text, torch.ones_like(text)).logits
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert type(unwrapped(again)) is type(unwrapped(model))


def test_a_panic_of_the_tokenizers_is_an_error_and_an_interrupt_is_none():
    panic = type("PanicException", (BaseException,), {})
    refused = pytest.raises(UserError, match="tokenizer gpt2 cannot be loaded: slice index")
    with refused, opening("tokenizer", "gpt2"):
        raise panic("slice index starts at 2 but ends at 0")
    with pytest.raises(KeyboardInterrupt), opening("tokenizer", "gpt2"):
        raise KeyboardInterrupt
