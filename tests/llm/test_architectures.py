"""Architectures that differ in what matters here: heads, positions, experts."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import HEADER, lines, tried
from safetensors.torch import load_file, save_file
from tiny_models import make_tokenizer, tiny_model
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    LlamaConfig,
    Phi3Config,
    RobertaConfig,
    XLNetConfig,
)

from hidden_context import RewardModel, UserError, load_comparisons, train
from hidden_context.distributions import Normal
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, longest_text
from hidden_context.llm.checkpoint import save_record
from hidden_context.llm.saved_check import check_saved

ROWS = [{"chosen": "mix flour and water", "rejected": f"no {number}"} for number in range(4)]
TOKENIZER: Any = make_tokenizer()


@pytest.mark.parametrize(
    "kind", ["distilbert", "electra", "roberta", "deberta-v2", "mixtral", "qwen3_moe", "gemma3"]
)
def test_what_is_trained_is_saved_whatever_the_head_is_called(tmp_path: Path, kind: str):
    trained, same, _ = tried(kind, tmp_path)
    assert (trained, same) == ("yes", "yes")


@pytest.mark.parametrize("kind", ["xlnet", "fnet"])
def test_models_that_read_padding_are_refused(tmp_path: Path, kind: str):
    trained, _, _ = tried(kind, tmp_path)
    assert "gives a text another score beside a longer one" in trained


def test_a_model_that_does_not_read_its_texts_is_refused(tmp_path: Path):
    trained, _, _ = tried("mra", tmp_path)  # its kernel is of CUDA alone
    assert "the very same score: here it does not read its texts" in trained


def test_what_is_saved_of_an_encoder_in_half_precision_is_compared(tmp_path: Path):
    model = with_adapters(load_backbone(str(tiny_model("bert")), 2, dtype=torch.bfloat16))
    model.save_pretrained(tmp_path / "a")
    make_tokenizer(encoder=True).save_pretrained(tmp_path / "a")
    save_record(tmp_path / "a", family=Normal(), model_name=str(tiny_model("bert")))
    check_saved(tmp_path / "a", model)


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_encoders_with_decoders_are_refused_with_the_reason(tmp_path: Path, kind: str):
    trained, _, _ = tried(kind, tmp_path)
    assert "is an encoder with a decoder" in trained


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        (RobertaConfig(max_position_embeddings=514, pad_token_id=1), 512),
        (XLNetConfig(), 1000),
        (LlamaConfig(max_position_embeddings=64), 64),
        (
            LlamaConfig(
                max_position_embeddings=64,
                rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4},
            ),
            64,
        ),
        (
            Phi3Config(
                max_position_embeddings=256,
                original_max_position_embeddings=32,
                rope_parameters={
                    "rope_type": "longrope",
                    "rope_theta": 1e4,
                    "short_factor": [1.0] * 48,
                    "long_factor": [4.0] * 48,
                },
            ),
            32,
        ),
        (
            Gemma3Config(
                text_config={
                    "max_position_embeddings": 64,
                    "rope_parameters": {
                        "full_attention": {
                            "rope_type": "dynamic",
                            "factor": 4.0,
                            "rope_theta": 1e6,
                            "original_max_position_embeddings": 48,
                        },
                        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                    },
                }
            ),
            48,
        ),
    ],
)
def test_only_positions_on_which_no_other_text_has_a_say_are_used(config: Any, longest: int):
    assert longest_text(config, TOKENIZER, 1000) == longest


def test_scores_do_not_depend_on_longer_texts_where_positions_are_stretched(tmp_path: Path):
    config = Phi3Config(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=64,
        max_position_embeddings=256,
        original_max_position_embeddings=16,
        pad_token_id=0,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "short_factor": [1.0] * 4,
            "long_factor": [8.0] * 4,
        },
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "phi")
    make_tokenizer().save_pretrained(tmp_path / "phi")
    data = load_comparisons([*ROWS, {"chosen": "mix flour " * 9, "rejected": "no"}])
    settings = {"family": "base", "output_dir": tmp_path / "rm", "use_peft": False}
    with pytest.warns(UserWarning, match="over 16 tokens"):
        model = train(data, model=str(tmp_path / "phi"), overlong="truncate_left", **settings)
    for batching in ("padded", "grouped"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            both = model.reward(["bread", "bread " * 40], batching=batching)
        assert both[0] == pytest.approx(model.reward(["bread"])[0], abs=1e-6)


def test_tokens_that_the_model_has_no_embedding_for_are_refused_by_name():
    model = RewardModel.from_pretrained(
        saved_model(), reward_model_type="base", device="cpu", dtype=torch.float32
    )
    model.tokenizer.add_tokens(["<new>"])
    with pytest.raises(UserError, match=r"token '<new>' has the id 300, but .* of 300 tokens"):
        model.reward(["bread <new>"])
    model.tokenizer.add_special_tokens({"pad_token": "<far>"})
    assert model.tokenizer.pad_token_id >= 300
    fresh = RewardModel.from_pretrained(
        saved_model(), reward_model_type="base", device="cpu", dtype=torch.float32
    )
    texts = ["bread", "mix flour and water"]
    far = model.reward(texts, batching="padded")
    assert far == pytest.approx(fresh.reward(texts, batching="padded"), abs=1e-6)


def saved_model() -> Path:
    """A reward model of another tool, of one output, trained."""
    folder = Path(tempfile.mkdtemp()) / "model"
    model = load_backbone(str(tiny_model()), 1, dtype=torch.float32)
    torch.manual_seed(3)
    torch.nn.init.normal_(model.get_parameter("score.weight"), std=0.3)
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def test_a_trained_head_is_replaced_aloud_and_kept_if_asked(tmp_path: Path):
    data, backbone = load_comparisons(ROWS), saved_model()
    options: dict[str, Any] = {"model": str(backbone), "family": "mean_and_variance"}
    options |= {"learning_rate": 1e-12, "num_train_epochs": 0.5}
    with pytest.warns(UserWarning, match=r"trained head of .*, of 1 outputs, is replaced by"):
        train(data, output_dir=tmp_path / "new", **options)
    with pytest.warns(UserWarning, match=r"; the mean starts from it"):
        kept = train(data, output_dir=tmp_path / "kept", keep_head=True, **options)
    before = RewardModel.from_pretrained(
        backbone, reward_model_type="base", device="cpu", dtype=torch.float32
    )
    texts = ["bread", "mix flour and water"]
    np.testing.assert_allclose(kept.reward(texts), before.reward(texts), atol=1e-4)
    with pytest.raises(UserError, match=r"keep_head: .* has a head of 1 outputs that is"):
        train(
            data,
            model=str(backbone),
            family="categorical",
            output_dir=tmp_path / "x",
            keep_head=True,
        )
    with pytest.raises(UserError, match=r"keep_head: .* has no head that is replaced"):
        train(
            data,
            model=str(tiny_model()),
            family="base",
            output_dir=tmp_path / "x",
            keep_head=True,
        )


def test_a_head_of_another_tool_is_trained_on_and_not_lost(tmp_path: Path):
    backbone = saved_model()
    tensors = load_file(backbone / "model.safetensors")
    tensors["v_head.summary.weight"] = tensors.pop("score.weight")
    tensors["v_head.summary.bias"] = torch.tensor([2.0])
    save_file(tensors, backbone / "model.safetensors", {"format": "pt"})
    before = RewardModel.from_pretrained(
        backbone, reward_model_type="base", device="cpu", dtype=torch.float32
    )
    options: dict[str, Any] = {"learning_rate": 1e-12, "num_train_epochs": 0.5}
    with pytest.warns(UserWarning, match=r"trained head of .*; the mean starts from it"):
        model = train(
            load_comparisons(ROWS),
            model=str(backbone),
            family="base",
            output_dir=tmp_path / "a",
            **options,
        )
    texts = ["bread", "mix flour and water"]
    shifted = np.array(before.reward(texts)) - 2
    np.testing.assert_allclose(model.reward(texts), shifted, atol=1e-4)


@pytest.mark.slow
def test_the_table_of_architectures_is_what_a_run_gives():
    page = Path(__file__).parents[2] / "docs" / "architectures.md"
    written = page.read_text(encoding="utf-8").splitlines()
    assert written[: len(HEADER.splitlines())] == HEADER.splitlines()
    fates = [
        [[cell.strip().split(":")[0] for cell in line.split("|")] for line in table]
        for table in (written[len(HEADER.splitlines()) :], list(lines()))
    ]
    assert fates[0] == fates[1]
