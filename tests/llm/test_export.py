"""Models for other tools: merged, exported, uploaded; and what a checkpoint says to them."""

import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_model, tiny_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
from upload_stand_in import hub_stand_in

import hidden_context as hc
from hidden_context.distributions import FAMILIES, Mixture, Normal, Point, QuantileFunction
from hidden_context.errors import UserError
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.backbone_place import without_folders
from hidden_context.llm.portable import with_old_names
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.saved_check import raw_of
from hidden_context.records import read_json, write_json
from hidden_context.risk import linear_weights, parse_risk

TEXTS = ["Human: bread?", "flour and water, salt and yeast", "I would rather not"]
CPU: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}


def make(
    family: Any = None, architecture: str = "llama", *, adapters: bool = True, name: str = ""
) -> RewardModel:
    """A model with random weights."""
    torch.manual_seed(1)
    family = family or Normal()
    name = name or str(tiny_model(architecture))
    model = load_backbone(name, family.num_outputs, dtype=torch.float32)
    model = with_adapters(model) if adapters else model
    for key, value in model.named_parameters():
        if value.requires_grad and "original_module" not in key and value.ndim > 1:
            torch.nn.init.normal_(value, std=0.1)
    return RewardModel(model.eval(), load_tokenizer(name), family, name)


def raw(model: RewardModel) -> np.ndarray:
    return raw_of(model.model, [np.array(model.tokenizer(text)["input_ids"]) for text in TEXTS])


def stock_outputs(folder: Path) -> np.ndarray:
    """What transformers alone makes of a folder, texts of unlike lengths in one batch."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "bert"])
def test_a_scalar_export_gives_the_mean_and_a_default_pipeline_returns_it(
    tmp_path: Path, architecture: str
):
    model = make(architecture=architecture)
    hc.export(model, tmp_path / "scalar")
    expected = raw(model)[:, :1]
    np.testing.assert_allclose(stock_outputs(tmp_path / "scalar"), expected, atol=1e-6)
    answers = pipeline("text-classification", model=str(tmp_path / "scalar"))(TEXTS)
    np.testing.assert_allclose([one["score"] for one in answers], expected[:, 0], atol=1e-6)
    assert {one["label"] for one in answers} == {"reward"}
    config = read_json(tmp_path / "scalar" / "config.json")
    assert config["problem_type"] == "regression"
    assert config["pad_token_id"] not in (None, config.get("eos_token_id"))
    assert config["torch_dtype"] == "float32"
    assert not (tmp_path / "scalar" / "hidden_context.json").exists()


def test_an_export_leaves_the_model_as_it_was(tmp_path: Path):
    model = make(architecture="gpt2")  # whose vocabulary grows by a pad token
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    hc.export(model, tmp_path / "a")
    for name, value in model.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    vocabulary = len(model.model.get_input_embeddings().weight)
    assert read_json(tmp_path / "a" / "config.json")["pad_token_id"] == vocabulary
    assert model.tokenizer.pad_token is None


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_native_export_has_all_outputs_and_stays_ours(tmp_path: Path, name: str):
    model = make(FAMILIES[name]())
    hc.export(model, tmp_path / "native", to="native")
    np.testing.assert_allclose(stock_outputs(tmp_path / "native"), raw(model), atol=1e-6)
    again = RewardModel.from_pretrained(tmp_path / "native", **CPU)
    assert again.family == model.family
    np.testing.assert_allclose(raw(again), raw(model), atol=1e-6)
    labels = read_json(tmp_path / "native" / "config.json")["id2label"]
    assert list(labels.values()) == list(model.family.output_names)


def test_what_is_linear_is_found_for_every_family_and_risk():
    """Against the definitions: w · raw must be the reward of any raw outputs, and nothing else."""
    expected = {
        ("base", "mean"): [1],
        ("base", "cvar:0.05"): [1],
        ("base", "lcb:2.0"): [1],
        ("mean_and_variance", "mean"): [1, 0],
        ("mean_and_variance", "quantile:0.5"): [1, 0],
        ("quantile", "mean"): [1, *[0] * 7],
    }
    for name, family_class in FAMILIES.items():
        for text in ("mean", "quantile:0.5", "cvar:0.05", "lcb:2.0", "entropic:1.0"):
            weights = linear_weights(family_class(), parse_risk(text))
            if (name, text) in expected:
                np.testing.assert_array_equal(weights, expected[name, text])
            else:
                is_scalar = name == "base"
                assert (weights is not None) == is_scalar, (name, text)
    np.testing.assert_array_equal(
        linear_weights(Mixture(num_components=1), parse_risk("mean")), [0, 1, 0]
    )
    assert linear_weights(Point(), parse_risk("prob_below:-1e9")) is None  # the same for all


def test_a_mean_that_is_not_the_first_output_is_exported(tmp_path: Path):
    model = make(Mixture(num_components=1))
    hc.export(model, tmp_path / "a")
    np.testing.assert_allclose(stock_outputs(tmp_path / "a"), raw(model)[:, 1:2], atol=1e-6)


def test_a_reward_that_is_not_linear_is_refused_with_the_reason(tmp_path: Path):
    with pytest.raises(UserError, match=r"lcb:1.0 of family mean_and_variance is not linear.*mean"):
        hc.export(make(), tmp_path / "a", risk="lcb:1")
    with pytest.raises(UserError, match=r"mean of family categorical is not linear.*no reward"):
        hc.export(make(FAMILIES["categorical"]()), tmp_path / "a")
    with pytest.raises(UserError, match="a risk belongs to a scalar one"):
        hc.export(make(), tmp_path / "a", to="native", risk="cvar:0.1")
    with pytest.raises(UserError, match="expected scalar or native"):
        hc.export(make(), tmp_path / "a", to="onnx")  # pyrefly: ignore
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="is there already"):
        hc.export(make(), tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_scores_otherwise_when_loaded_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def other_base(folder: Path, _: Any) -> None:
        config = read_json(folder / "config.json")
        config["rope_parameters"]["rope_theta"] = 2.0
        write_json(folder / "config.json", config)

    monkeypatch.setattr("hidden_context.llm.export.make_portable", other_base)
    with pytest.raises(UserError, match="gives other rewards, by up to"):
        hc.export(make(), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_half_precision_takes_half_the_space(tmp_path: Path):
    model = make()
    hc.export(model, tmp_path / "whole")
    hc.export(model, tmp_path / "half", dtype="bfloat16")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    assert next(model.model.parameters()).dtype == torch.float32


LLAMA = {"model_type": "llama", "max_position_embeddings": 128, "dtype": "float32"}


def old_names(kind: str = "llama", **rope: Any) -> dict[str, Any]:
    return with_old_names({**LLAMA, "model_type": kind, "rope_parameters": rope})


def test_rotary_positions_are_said_as_4_57_reads_them():
    named = old_names(rope_type="default", rope_theta=5e5, partial_rotary_factor=0.5)
    assert (named["rope_theta"], named["rope_scaling"]) == (5e5, None)
    assert named["partial_rotary_factor"] == 0.5
    named = old_names(rope_type="linear", rope_theta=1e4, factor=4.0)
    assert named["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}
    factors = {"short_factor": [1.0], "long_factor": [2.0]}
    length = {"original_max_position_embeddings": 32}
    named = old_names(rope_type="longrope", rope_theta=1e4, **factors, **length)
    assert named["original_max_position_embeddings"] == 32
    attention = named["rope_scaling"]["attention_factor"]
    assert attention == pytest.approx(math.sqrt(1 + math.log(4) / math.log(32)))
    named = old_names("phi3", rope_type="longrope", rope_theta=1e4, **factors, **length)
    assert named["rope_scaling"] == {"type": "longrope", **factors}
    named = old_names("gpt_neox", rope_type="default", rope_theta=2e4, partial_rotary_factor=0.25)
    assert (named["rotary_emb_base"], named["rotary_pct"]) == (2e4, 0.25)
    layers = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    named = old_names("gemma3_text", **layers)
    assert (named["rope_theta"], named["rope_local_base_freq"]) == (1e6, 1e4)
    assert named["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}


@pytest.mark.parametrize(
    ("kind", "rope", "reason"),
    [
        ("llama", {"rope_type": "proportional"}, "rotary positions of type proportional"),
        ("olmo3", {"full_attention": {"rope_theta": 1.0}}, "by kind of layer .full_attention"),
        (
            "gemma3_text",
            {"full_attention": {}, "sliding_attention": {"rope_type": "linear"}},
            "linear rotary positions in sliding layers",
        ),
        (
            "modernbert",
            {"full_attention": {"rope_type": "yarn"}, "sliding_attention": {}},
            "with yarn rotary positions",
        ),
    ],
)
def test_rotary_positions_that_4_57_lacks_are_refused(kind: str, rope: dict, reason: str):
    with pytest.raises(UserError, match=f"{reason}.* cannot be exported"):
        old_names(kind, **rope)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bert"])
def test_a_merged_model_scores_the_same_and_needs_no_backbone(tmp_path: Path, architecture: str):
    backbone = save_tiny_model(tmp_path / "backbone", architecture)
    model = make(architecture=architecture, name=str(backbone))
    merged = model.merge()
    np.testing.assert_allclose(raw(merged), raw(model), atol=1e-5)
    merged.save_pretrained(tmp_path / "merged")
    backbone.rename(tmp_path / "gone")
    again = RewardModel.from_pretrained(tmp_path / "merged", **CPU)
    np.testing.assert_allclose(raw(again), raw(model), atol=1e-5)
    assert again.family == model.family
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    with pytest.raises(UserError, match="has no adapters: its weights are whole"):
        again.merge()


def test_merging_shares_what_it_does_not_change_and_changes_nothing():
    model = make()
    before = raw(model)
    merged = model.merge()
    np.testing.assert_array_equal(raw(model), before)
    own = {value.data_ptr() for value in model.model.parameters()}
    shared = [value.data_ptr() in own for value in merged.model.parameters()]
    assert 0 < sum(shared) < len(shared)


def test_a_merged_checkpoint_is_a_backbone_to_train_from_and_an_adapter_is_not(tmp_path: Path):
    model = make()
    model.save_pretrained(tmp_path / "adapter")
    model.merge().save_pretrained(tmp_path / "merged")
    rows = [{"prompt": "Bread? ", "chosen": "flour", "rejected": "sand"}] * 4
    data = hc.load_comparisons(rows)
    with pytest.raises(UserError, match=r"adapter is an adapter.*merge it"):
        hc.train(data, model=str(tmp_path / "adapter"), output_dir=tmp_path / "a")
    trained = hc.train(data, model=str(tmp_path / "merged"), output_dir=tmp_path / "a")
    assert trained.model_name == str(tmp_path / "merged")
    np.testing.assert_allclose(raw(trained), raw(model), atol=1e-2)  # its head is kept


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Trained with an evaluation, from a backbone and data under folders with telling names."""
    home = tmp_path / "home" / "alice"
    backbone = save_tiny_model(home / "models" / "tiny")
    rows = [
        {"prompt": f"{number}? ", "chosen": "flour and eggs", "rejected": f"sand {number}"}
        for number in range(12)
    ]
    file = home / "data" / "pairs.jsonl"
    file.parent.mkdir()
    file.write_text("\n".join(map(json.dumps, rows)))
    data = hc.load_comparisons(str(file))
    settings: dict[str, Any] = {"tokenizer_name": str(backbone), "learning_rate": 1e-2}
    folder = home / "runs" / "rm"
    hc.train(data, model=str(backbone), output_dir=folder, eval_data=data, **settings)
    return folder


def test_a_checkpoint_holds_no_path_and_its_card_says_what_it_is(checkpoint: Path):
    for file in checkpoint.iterdir():
        content = file.read_bytes()
        for secret in (str(checkpoint.parent), "alice", os.path.expanduser("~/")):
            assert secret.encode() not in content, (file.name, secret)
    card = (checkpoint / "README.md").read_text()
    for said in (
        "pipeline_tag: text-classification",
        "family `mean_and_variance`",
        "| family: link | probit |",
        "| data: data_path | pairs.jsonl |",
        "comparisons 12",
        "(n = 12)",
        "accuracy of the mean",
        " to 1.000)",
        "## Intended use",
        "## Limits",
        "made from tiny",
    ):
        assert said in card, said
    assert "More Information Needed" not in card
    config = read_json(checkpoint / "config.json")
    assert config["problem_type"] == "regression"
    assert config["id2label"] == {"0": "mean", "1": "raw_std"}
    assert config["pad_token_id"] == 0


def test_a_local_backbone_is_found_where_it_was_and_where_both_were_moved(
    checkpoint: Path, tmp_path: Path
):
    found = RewardModel.from_pretrained(checkpoint, **CPU)
    assert found.model_name == str(tmp_path / "home" / "alice" / "models" / "tiny")
    checkpoint.rename(tmp_path / "rm")  # alone: this machine remembers the backbone
    np.testing.assert_array_equal(
        raw(RewardModel.from_pretrained(tmp_path / "rm", **CPU)), raw(found)
    )
    (tmp_path / "rm").rename(checkpoint)
    (tmp_path / "home" / "alice").rename(tmp_path / "moved")  # both
    moved = tmp_path / "moved" / "runs" / "rm"
    np.testing.assert_array_equal(raw(RewardModel.from_pretrained(moved, **CPU)), raw(found))
    backbone = (tmp_path / "moved" / "models" / "tiny").rename(tmp_path / "away")
    with pytest.raises(UserError, match=r"local model called tiny.*not where it was; give its fo"):
        RewardModel.from_pretrained(moved, **CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it has another name
        again = RewardModel.from_pretrained(moved, model_name=str(backbone), **CPU)
    np.testing.assert_array_equal(raw(again), raw(found))


def test_another_model_where_the_backbone_was_is_refused(checkpoint: Path, tmp_path: Path):
    backbone = tmp_path / "home" / "alice" / "models" / "tiny"
    config = read_json(backbone / "config.json")
    write_json(backbone / "config.json", {**config, "rms_norm_eps": 0.1})
    with pytest.raises(UserError, match=r"called tiny, and .* has changed since"):
        RewardModel.from_pretrained(checkpoint, **CPU)


def test_folders_are_left_out_of_texts_and_addresses_are_not():
    assert without_folders("/home/alice/data/x.jsonl") == "x.jsonl"
    assert without_folders({"a": ["path: /data/x y/z.csv, w: 1"]}) == {
        "a": ["path: x y/z.csv, w: 1"]
    }
    assert without_folders("~/models/tiny") == "tiny"
    for text in (
        "Anthropic/hh-rlhf",
        "data/pairs",
        "https://hub.co/a/b",
        "1/2",
        "a / b",
        "../tiny",
    ):
        assert without_folders(text) == text
    assert without_folders(Path("/a/b/c")) == "c"


def test_other_tools_load_a_checkpoint_or_refuse_it(checkpoint: Path, tmp_path: Path):
    from peft import AutoPeftModelForSequenceClassification, PeftModel

    found = RewardModel.from_pretrained(checkpoint, **CPU)
    with pytest.raises(ValueError, match="trust_remote_code"):
        pipeline("text-classification", model=str(checkpoint))
    with pytest.raises(OSError, match=r"tiny .a local folder: see README.md"):
        AutoPeftModelForSequenceClassification.from_pretrained(checkpoint)
    base = AutoModelForSequenceClassification.from_pretrained(found.model_name, num_labels=2)
    adapted = PeftModel.from_pretrained(base, str(checkpoint)).eval()
    batch = found.tokenizer(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        outputs = adapted(**batch).logits.numpy()
    np.testing.assert_allclose(outputs[0], raw(found)[0], atol=1e-5)
    merged = tmp_path / "merged"
    found.merge().save_pretrained(merged)
    with pytest.raises(ValueError, match="trust_remote_code"):
        pipeline("text-classification", model=str(merged))
    allowed = pipeline("text-classification", model=str(merged), trust_remote_code=True)
    answers = allowed(TEXTS)
    assert {one["label"] for one in answers} == {"mean"}
    np.testing.assert_allclose([one["score"] for one in answers], raw(found)[:, 0], atol=1e-5)


def test_an_adapter_on_a_hub_model_loads_by_peft_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from peft import AutoPeftModelForSequenceClassification

    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "elsewhere")
    model = make(name="elsewhere")
    save_tiny_model(tmp_path / "owner" / "tiny")
    object.__setattr__(model, "model_name", "owner/hub-tiny")
    monkeypatch.setattr("hidden_context.llm.reward_model.check_saved", lambda *_: None)
    model.save_pretrained(tmp_path / "rm")
    assert read_json(tmp_path / "rm" / "adapter_config.json")["base_model_name_or_path"] == (
        "owner/hub-tiny"
    )
    assert "base_model: owner/hub-tiny" in (tmp_path / "rm" / "README.md").read_text()
    (tmp_path / "owner" / "tiny").rename(tmp_path / "owner" / "hub-tiny")  # stands for the hub
    loaded = AutoPeftModelForSequenceClassification.from_pretrained("rm", num_labels=2).eval()
    with torch.inference_mode():
        outputs = loaded(**model.tokenizer(TEXTS[0], return_tensors="pt")).logits
    np.testing.assert_allclose(outputs[0], raw(model)[0], atol=1e-5)


def test_what_no_output_means_is_not_answered_by_a_pipeline(tmp_path: Path):
    model = make(QuantileFunction(), adapters=False)
    model.save_pretrained(tmp_path / "quantile")
    answer = pipeline("text-classification", str(tmp_path / "quantile"), trust_remote_code=True)
    assert answer(TEXTS[0])[0]["score"] == pytest.approx(raw(model)[0, 0], abs=1e-5)
    make(FAMILIES["categorical"](), adapters=False).save_pretrained(tmp_path / "categorical")
    answer = pipeline("text-classification", str(tmp_path / "categorical"), trust_remote_code=True)
    with pytest.raises(ValueError, match="no output of this model is the mean"):
        answer(TEXTS[0])


def test_a_model_is_uploaded_to_the_hub_and_fetched_from_it(monkeypatch: pytest.MonkeyPatch):
    model = make().merge()
    with hub_stand_in(monkeypatch) as hub:
        address = model.push_to_hub("me/rm", private=True)
        assert address == f"{hub.address}/me/rm"
        assert hub.private == {"me/rm": True}
        assert {"hidden_context.json", "config.json", "model.safetensors", "README.md"} <= {
            *hub.names("me/rm")
        }
        again = RewardModel.from_pretrained("me/rm", **CPU)
        np.testing.assert_allclose(raw(again), raw(model), atol=1e-6)
        with pytest.raises(UserError, match=r"me/rm cannot be uploaded to http://127.*401"):
            model.push_to_hub("me/rm", token="hf_wrong")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UserError, match=r"me/rm cannot be uploaded to http://127.*refused"):
        model.push_to_hub("me/rm")
