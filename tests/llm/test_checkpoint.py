"""Checkpoints: what they are, and what is refused."""

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import VOCABULARY, make_tokenizer, save_tiny_model, tiny_model
from transformers import GPT2Config, GPT2LMHeadModel

from hidden_context.distributions import FAMILIES, Categorical, Normal, Point
from hidden_context.errors import UserError
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, opening
from hidden_context.llm.checkpoint import CHECKPOINT_RECORD, find_checkpoint, save_record
from hidden_context.llm.reward_model import RewardModel

CPU: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
TEXTS = ["Human: bread?", "flour and water", "I would rather not"]


def save_adapter(folder: Path, backbone: Path, family: Any, *, seed: int = 1) -> Path:
    """An adapter with random weights and its record."""
    torch.manual_seed(seed)
    model = load_backbone(str(backbone), family.num_outputs, dtype=torch.float32)
    model = with_adapters(model)
    for name, value in model.named_parameters():
        if value.requires_grad and "original_module" not in name:
            torch.nn.init.normal_(value, std=0.3)
    model.save_pretrained(folder)
    save_record(folder, family=family, model_name=str(backbone))
    return folder


def raw_of(folder: Path | RewardModel) -> np.ndarray:
    model = folder
    if isinstance(folder, Path):
        model = RewardModel.from_pretrained(folder, **CPU)
    assert isinstance(model, RewardModel)
    rows = [{"prompt": text, "responses": [""]} for text in TEXTS]
    return model.score_responses(rows, "rows").raw


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
@pytest.mark.parametrize("name", list(FAMILIES))
def test_adapters_come_back_with_their_family(tmp_path: Path, architecture: str, name: str):
    family = FAMILIES[name]()
    backbone = tiny_model(architecture)
    folder = save_adapter(tmp_path / "adapter", backbone, family)
    model = RewardModel.from_pretrained(folder, **CPU)
    assert model.family == family
    raw = raw_of(model)
    assert raw.shape == (3, family.num_outputs)
    assert np.ptp(raw[:, 0]) > 1e-4


def test_a_backbone_that_adapters_share_is_loaded_once_and_gives_the_same_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    backbone = tiny_model()
    other = tiny_model("gpt2")
    families = [Normal(), Categorical(), Point(), Normal()]
    folders = [
        save_adapter(tmp_path / str(seed), other if seed == 2 else backbone, family, seed=seed)
        for seed, family in enumerate(families)
    ]
    expected = [raw_of(folder) for folder in folders]
    loaded = []

    def counting(name: str, *given: Any, **options: Any) -> Any:
        loaded.append(name)
        return load_backbone(name, *given, **options)

    monkeypatch.setattr("hidden_context.llm.checkpoint.load_backbone", counting)
    records = [find_checkpoint(str(folder)) for folder in folders]
    outputs = [raw_of(model) for model in RewardModel.load_in_turn(records, **CPU)]
    for raw, alone in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(raw, alone)
    assert loaded == [str(backbone), str(other), str(backbone)]


def test_fully_trained_models_come_back(tmp_path: Path):
    backbone = tiny_model()
    model = load_backbone(str(backbone), 10, dtype=torch.float32)
    model.save_pretrained(tmp_path / "full")
    make_tokenizer().save_pretrained(tmp_path / "full")
    save_record(tmp_path / "full", family=Categorical(), model_name=str(backbone))
    assert raw_of(tmp_path / "full").shape == (3, 10)
    save_record(tmp_path / "full", family=Normal(), model_name=str(backbone))
    with pytest.raises(UserError, match="head of 10 outputs, but family mean_and_variance reads 2"):
        find_checkpoint(str(tmp_path / "full"))


def test_the_record_says_how_a_checkpoint_was_made(tmp_path: Path):
    folder = save_adapter(tmp_path / "a", tiny_model(), Normal())
    record = json.loads((folder / CHECKPOINT_RECORD).read_text())
    assert record["family"] == Normal().to_dict()
    assert record["family"]["link"] == "probit"
    assert {"hidden_context", "versions", "commit", "format_version"} <= record.keys()
    assert not list(folder.glob("*.bin"))


def test_what_contradicts_a_checkpoint_is_refused(tmp_path: Path):
    backbone = tiny_model()
    folder = str(save_adapter(tmp_path / "a", backbone, Normal()))
    assert find_checkpoint(folder, num_outputs=2).family == Normal()
    assert find_checkpoint(folder, link="paper").family == Normal(link="paper")
    with pytest.raises(UserError, match=r"num_outputs 10 contradicts .* has 2"):
        find_checkpoint(folder, num_outputs=10)
    with pytest.raises(UserError, match=r"reward_model_type base contradicts .* mean_and_var"):
        find_checkpoint(folder, reward_model_type="base")
    with pytest.raises(UserError, match="link 'tobit' is unknown; choose one of probit, paper, lo"):
        find_checkpoint(folder, link="tobit")
    gpt2 = str(tiny_model("gpt2"))
    with pytest.raises(UserError, match=r"does not fit .*gpt2 with 2 outputs"):
        RewardModel.from_pretrained(folder, model_name=gpt2, **CPU)


def test_another_backbone_than_the_recorded_one_is_warned_of(tmp_path: Path):
    backbone = save_tiny_model(tmp_path / "llama")
    folder = str(save_adapter(tmp_path / "a", backbone, Normal()))
    moved = save_tiny_model(tmp_path / "elsewhere" / "llama")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_checkpoint(folder, model_name=str(moved)).model_name == str(moved)
    with pytest.warns(UserWarning, match="was made from"):
        find_checkpoint(folder, model_name="llama-chat")


def test_a_checkpoint_without_record_needs_its_family(tmp_path: Path):
    folder = save_adapter(tmp_path / "a", tiny_model(), Normal())
    (folder / CHECKPOINT_RECORD).unlink()
    with pytest.raises(UserError, match="what its outputs mean is unknown; give reward_model_ty"):
        find_checkpoint(str(folder))
    found = find_checkpoint(str(folder), reward_model_type="mean_and_variance")
    assert found.family == Normal(link="paper")
    with pytest.raises(UserError, match="neither a folder nor the name of a hub repository"):
        find_checkpoint(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match=r"holds neither adapter_config\.json nor config\.json"):
        find_checkpoint(str(tmp_path))


def test_an_encoder_whose_pooler_was_never_saved_is_refused(tmp_path: Path):
    """Pretraining made none, and adapters of before saved none: a new one would be a guess."""
    folder = save_adapter(tmp_path / "a", tiny_model("bert"), Normal())
    config = json.loads((folder / "adapter_config.json").read_text())
    assert set(config["modules_to_save"]) >= {"bert.pooler.dense"}
    without(folder / "adapter_model.safetensors", "pooler")
    with pytest.raises(UserError, match=r"has bert.pooler.dense.bias, bert.pooler.dense.w"):
        RewardModel.from_pretrained(folder, **CPU)


def without(file: Path, part: str, *, renamed: str | None = None) -> None:
    """Remove the tensors whose names hold a part, or rename it."""
    tensors = load_file(file)
    kept = {name: tensor for name, tensor in tensors.items() if part not in name}
    if renamed is not None:
        kept |= {
            name.replace(part, renamed): tensor for name, tensor in tensors.items() if part in name
        }
    save_file(kept, file, {"format": "pt"})


def full_model(folder: Path, architecture: str = "llama", *, num_outputs: int = 1) -> Path:
    """A reward model of any tool: all weights, without a record of ours."""
    model = load_backbone(str(tiny_model(architecture)), num_outputs, dtype=torch.float32)
    torch.manual_seed(3)
    torch.nn.init.normal_(model.get_parameter("score.weight"), std=0.3)
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("head", ["v_head.summary", "value_head", "v_head", "reward_head"])
def test_a_head_under_another_tools_name_is_read(tmp_path: Path, head: str):
    right = RewardModel.from_pretrained(
        full_model(tmp_path / "right"), reward_model_type="base", **CPU
    )
    other = full_model(tmp_path / "other")
    without(other / "model.safetensors", "score", renamed=head)
    model = RewardModel.from_pretrained(other, reward_model_type="base", **CPU)
    np.testing.assert_array_equal(raw_of(model), raw_of(right))


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_head_named_in_the_configuration_and_in_a_pickle_is_read(tmp_path: Path, is_zip: bool):
    right = RewardModel.from_pretrained(
        full_model(tmp_path / "right"), reward_model_type="base", **CPU
    )
    other = full_model(tmp_path / "other")
    without(other / "model.safetensors", "score", renamed="my_head")
    config = json.loads((other / "config.json").read_text()) | {"value_head_prefix": "my_head"}
    (other / "config.json").write_text(json.dumps(config))
    torch.save(
        load_file(other / "model.safetensors"),
        other / "pytorch_model.bin",
        _use_new_zipfile_serialization=is_zip,
    )
    (other / "model.safetensors").unlink()
    model = RewardModel.from_pretrained(other, reward_model_type="base", **CPU)
    np.testing.assert_array_equal(raw_of(model), raw_of(right))


def test_a_head_with_a_bias_in_a_file_of_its_own_is_read(tmp_path: Path):
    right = full_model(tmp_path / "right")
    weight = load_file(right / "model.safetensors")["score.weight"]
    raw = raw_of(RewardModel.from_pretrained(right, reward_model_type="base", **CPU))
    without(right / "model.safetensors", "score")
    head = {"v_head.summary.weight": weight, "v_head.summary.bias": torch.tensor([2.0])}
    save_file(head, right / "value_head.safetensors")
    model = RewardModel.from_pretrained(right, reward_model_type="base", **CPU)
    np.testing.assert_allclose(raw_of(model), raw + 2, atol=1e-6)


def test_a_model_without_its_head_is_refused_and_not_scored_at_random(tmp_path: Path):
    folder = full_model(tmp_path / "a")
    without(folder / "model.safetensors", "score")
    with pytest.raises(UserError, match=r"lacks score.weight, so its scores would be those of"):
        RewardModel.from_pretrained(folder, reward_model_type="base", **CPU)
    without(folder / "model.safetensors", "layers.1.mlp.up_proj")
    with pytest.raises(UserError, match=r"lacks weights that fit, among them model.layers.1.mlp"):
        RewardModel.from_pretrained(folder, reward_model_type="base", **CPU)
    plain = tiny_model("llama")  # a causal language model
    with pytest.raises(UserError, match=r"lacks score.weight"):
        RewardModel.from_pretrained(plain, reward_model_type="base", **CPU)
    wide = full_model(tmp_path / "wide", num_outputs=2)
    without(wide / "model.safetensors", "score", renamed="v_head")
    config = json.loads((wide / "config.json").read_text()) | {
        "architectures": ["LlamaForCausalLM"]
    }
    (wide / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"has a head of 2 outputs, but family base reads 1"):
        RewardModel.from_pretrained(wide, reward_model_type="base", **CPU)


def test_an_adapter_without_its_head_or_task_is_refused(tmp_path: Path):
    folder = save_adapter(tmp_path / "a", tiny_model("llama"), Point())
    config = json.loads((folder / "adapter_config.json").read_text())
    for kind in ("CAUSAL_LM", None):
        (folder / "adapter_config.json").write_text(json.dumps(config | {"task_type": kind}))
        with pytest.raises(UserError, match=rf"task type {kind}; a reward model's is SEQ_CLS"):
            RewardModel.from_pretrained(folder, **CPU)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    without(folder / "adapter_model.safetensors", "score")
    with pytest.raises(UserError, match=r"nor .* has score.weight, so scores would be those"):
        RewardModel.from_pretrained(folder, **CPU)
    (folder / "adapter_model.safetensors").write_bytes(b"\x10")
    with pytest.raises(UserError, match=r"adapter .* cannot be read: "):
        RewardModel.from_pretrained(folder, **CPU)
    (folder / "adapter_model.safetensors").unlink()
    with (folder / "adapter_model.bin").open("wb") as file:
        pickle.dump({"x": Path("y")}, file)
    with pytest.raises(UserError, match=r"is a pickle of more than tensors.*save_file"):
        RewardModel.from_pretrained(folder, **CPU)


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path):
    folder = full_model(tmp_path / "a")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cannot be loaded: "):
        RewardModel.from_pretrained(folder, reward_model_type="base", **CPU)
    other = full_model(tmp_path / "b")
    config = json.loads((other / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"cannot be loaded: "):
        RewardModel.from_pretrained(other, reward_model_type="base", **CPU)


def add_one(_: Any, __: Any, answer: Any) -> None:
    answer.logits.add_(1.0)


def test_a_checkpoint_that_scores_otherwise_once_loaded_is_refused(tmp_path: Path):
    model = RewardModel.from_pretrained(
        save_adapter(tmp_path / "a", tiny_model("bert"), Normal()), **CPU
    )
    model.save_pretrained(tmp_path / "same")
    embeddings = model.model.get_base_model().bert.embeddings.word_embeddings.weight
    before = embeddings.data.clone()
    embeddings.data += torch.randn(embeddings.shape, generator=torch.manual_seed(0))  # not saved
    with pytest.raises(UserError, match=r"weights of .*bert are not those of training"):
        model.save_pretrained(tmp_path / "other")
    embeddings.data = before
    model.model.register_forward_hook(add_one)
    with pytest.raises(UserError, match=r"its scores of 2 texts differ from the model's by up to"):
        model.save_pretrained(tmp_path / "other")
    assert not (tmp_path / "other").exists()


PUBLISHED = {
    "base_gpt2__8_2e-05_linear_1_peft_last_checkpoint": Point(),
    "mean_and_variance_gpt2__8_2e-05_linear_1_0.0_peft_last_checkpoint": Normal(link="paper"),
    "categorical_gpt2__8_2e-05_linear_1_10_0.1_peft_last_checkpoint": Categorical(entropy="batch"),
}


@pytest.fixture(scope="module")
def gpt2_sized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone of GPT-2's widths and depth, with few tokens and positions."""
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    with torch.device("meta"):  # the usual start takes seconds for so many weights
        model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=64))
    model.to_empty(device="cpu").tie_weights()
    for weight in model.parameters():
        torch.nn.init.uniform_(weight, -0.03, 0.03)
    model.save_pretrained(folder)
    make_tokenizer(eos_is_pad=True).save_pretrained(folder)
    return folder


def test_the_published_pickles_load_and_score_as_what_their_names_say(
    gpt2_sized: Path, published_data: Path
):
    folder = published_data / "reward_models" / "hh_rlhf" / "both"
    records = [
        find_checkpoint(str(folder / name), model_name=str(gpt2_sized)) for name in PUBLISHED
    ]
    assert [record.family for record in records] == list(PUBLISHED.values())
    for record, model in zip(records, RewardModel.load_in_turn(records, **CPU), strict=True):
        state = torch.load(record.folder / "adapter_model.bin", "cpu", weights_only=True)
        loaded = model.model.state_dict()
        for key, value in state.items():
            ours = key.replace(".score.", ".score.modules_to_save.default.")
            ours = ours.replace("lora_A.weight", "lora_A.default.weight")
            ours = ours.replace("lora_B.weight", "lora_B.default.weight")
            torch.testing.assert_close(loaded[ours], value.float(), rtol=0, atol=0)
        assert raw_of(model).shape == (3, record.family.num_outputs)


def test_a_published_name_may_be_overruled(gpt2_sized: Path, published_data: Path):
    folder = published_data / "reward_models" / "hh_rlhf" / "both" / list(PUBLISHED)[1]
    assert find_checkpoint(str(folder), link="probit").family == Normal()
    assert find_checkpoint(str(folder), reward_model_type="base").family == Point()


def changed(file: Path, change: Any) -> None:
    """A file of weights with something in it changed."""
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def test_weights_that_nothing_reads_or_that_are_no_numbers_are_refused(tmp_path: Path):
    adapter = (
        save_adapter(tmp_path / "a", tiny_model("llama"), Normal()) / "adapter_model.safetensors"
    )
    whole = adapter.read_bytes()
    name = "base_model.model.model.layers.0.self_attn.{}_proj.lora_A.weight"
    extra = torch.zeros_like(load_file(adapter)[name.format("q")])
    changed(adapter, lambda weights: weights.update({name.format("k"): extra}))
    with pytest.raises(
        UserError, match=r"layers.0.self_attn.k_proj.* adapter_config.json does not"
    ):
        RewardModel.from_pretrained(adapter.parent, **CPU)
    adapter.write_bytes(whole)
    changed(adapter, lambda weights: weights[name.format("q")].fill_(torch.nan))
    with pytest.raises(UserError, match=r"adapter .* has numbers in .*q_proj.* not finite"):
        RewardModel.from_pretrained(adapter.parent, **CPU)
    full = full_model(tmp_path / "full")
    whole = (full / "model.safetensors").read_bytes()
    for lost in ("model.layers.9.mlp.up_proj.weight", "score.bias", "v_head.summary.weight"):
        (full / "model.safetensors").write_bytes(whole)
        changed(full / "model.safetensors", lambda weights, key=lost: weights.update({key: extra}))
        with pytest.raises(UserError, match=rf"has {lost}, for which Llama.* has no place"):
            RewardModel.from_pretrained(full, reward_model_type="base", **CPU)
    (full / "model.safetensors").write_bytes(whole)
    changed(full / "model.safetensors", lambda weights: weights["score.weight"].fill_(torch.inf))
    with pytest.raises(UserError, match=r"numbers in score.weight that are not finite"):
        RewardModel.from_pretrained(full, reward_model_type="base", **CPU)


def test_an_adapter_scaled_otherwise_than_it_was_trained_is_refused(tmp_path: Path):
    folder = save_adapter(tmp_path / "a", tiny_model("llama"), Point())
    record = json.loads((folder / CHECKPOINT_RECORD).read_text())
    for alpha in (32, 64):
        training = {"config": {"lora_alpha": alpha, "lora_r": 8, "use_dora": None}}
        (folder / CHECKPOINT_RECORD).write_text(json.dumps(record | training))
        if alpha == 32:
            RewardModel.from_pretrained(folder, **CPU)
    with pytest.raises(
        UserError, match=r"lora_alpha is 32 in adapter_config.json.* 64 was trained"
    ):
        RewardModel.from_pretrained(folder, **CPU)


def test_what_is_missing_of_a_checkpoint_is_named(tmp_path: Path):
    folder = save_adapter(tmp_path / "a", tiny_model("llama"), Normal())
    make_tokenizer().save_pretrained(folder)
    record = folder / CHECKPOINT_RECORD
    for lost, message in {
        "tokenizer.json": "its tokenizer.json .* is missing",
        "tokenizer_config.json": "a tokenizer.json without tokenizer_config.json",
        "adapter_model.safetensors": "has no weights .adapter_model.safetensors",
        "adapter_config.json": "an adapter without its adapter_config.json",
    }.items():
        (folder / lost).rename(tmp_path / lost)
        with pytest.raises(UserError, match=message):
            RewardModel.from_pretrained(folder, **CPU)
        (tmp_path / lost).rename(folder / lost)
    written = json.loads(record.read_text())
    record.write_text(json.dumps({**written, "training": {}}))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.warns(UserWarning, match="has lost its tokenizer"):
        RewardModel.from_pretrained(folder, **CPU)
    del written["family"]
    record.write_text(json.dumps(written))
    with pytest.raises(UserError, match=r"hidden_context.json has no field 'family'"):
        RewardModel.from_pretrained(folder, **CPU)


def test_a_backbone_overwritten_in_place_is_not_taken_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    backbone = save_tiny_model(tmp_path / "base", "llama")
    folder = save_adapter(tmp_path / "a", backbone, Point())
    weights = backbone / "model.safetensors"
    size = weights.stat().st_size
    changed(weights, lambda of: of["model.layers.1.self_attn.q_proj.weight"].add_(0.01))
    assert weights.stat().st_size == size
    with pytest.raises(UserError, match=r"local model called base, and .*base has changed since"):
        find_checkpoint(str(folder))
    with pytest.warns(UserWarning, match="was trained on other weights"):
        find_checkpoint(str(folder), model_name=str(backbone))
    record = json.loads((folder / CHECKPOINT_RECORD).read_text())
    del record["backbone"]["weights"]  # of an earlier version
    (folder / CHECKPOINT_RECORD).write_text(json.dumps(record))
    assert find_checkpoint(str(folder)).model_name == str(backbone)


def test_too_little_memory_is_told_in_one_line():
    for error in (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("out of memory"),
    ):
        with (
            pytest.raises(UserError, match="cannot be loaded: it needs more memory"),
            opening("model", "gpt2"),
        ):
            raise error


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"format_version": 99}, r"hidden_context.json has format_version 99; .* Update"),
        ({"reading": [1]}, r"field reading is list; expected a JSON object"),
        ({"reading": {"render": "x"}}, r"the recorded render is 'x'; expected plain or chat"),
    ],
)
def test_a_record_that_cannot_be_understood_is_refused(tmp_path: Path, field: Any, message: str):
    folder = save_adapter(tmp_path / "a", tiny_model("llama"), Normal())
    record = folder / CHECKPOINT_RECORD
    record.write_text(json.dumps(json.loads(record.read_text()) | field))
    with pytest.raises(UserError, match=message):
        find_checkpoint(str(folder))
