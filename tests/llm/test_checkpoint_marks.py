"""A checkpoint whose folder was changed is refused; one that was merely written again is not."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import tiny_config
from peft import AutoPeftModelForSequenceClassification
from safetensors.torch import load_file, save_file
from tiny_checkpoints import CPU, make
from tiny_models import make_tokenizer, save_tiny_model, tiny_model
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer, UnigramTrainer
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

import hidden_context as hc
from hidden_context.distributions import Normal
from hidden_context.errors import UserError
from hidden_context.llm.backbone import load_backbone
from hidden_context.llm.portable import with_old_names
from hidden_context.llm.reading_marks import other_reading, reading_mark
from hidden_context.llm.reward_model import RewardModel
from hidden_context.records import CHECKPOINT_RECORD, read_json, write_json

TEMPLATE = (
    "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }}{{ eos_token }}{% endfor %}"
)
TEXTS = ["Human: bread?", "flour and water, salt and yeast", "I would rather not"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Checkpoints with a chat template: of whole weights (True), and an adapter."""
    root = tmp_path_factory.mktemp("saved")
    folders = {}
    for full in (True, False):
        model = make(root / f"made {full}", full=full)
        model.tokenizer.chat_template = TEMPLATE
        folders[full] = root / f"saved {full}"
        model.save_pretrained(folders[full])
    return folders


@pytest.fixture
def folder(saved: dict[bool, Path], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy: of whole weights, unless the test asks for an adapter."""
    return shutil.copytree(saved[getattr(request, "param", True)], tmp_path / "checkpoint")


def scores(folder: Path) -> np.ndarray:
    return np.asarray(RewardModel.from_pretrained(folder, **CPU).score(TEXTS).mean)


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = read_json(file)
    change(value)
    write_json(file, value)


def exchange_tokens(definition: dict[str, Any]) -> None:
    vocabulary = definition["model"]["vocab"]
    vocabulary["Ä"], vocabulary["Å"] = vocabulary["Å"], vocabulary["Ä"]


READ_OTHERWISE: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "a merge is gone": lambda of: of["model"]["merges"].pop(),
    "merges come in another order": lambda of: of["model"]["merges"].reverse(),
    "tokens are exchanged": exchange_tokens,
    "lower case": lambda of: of.update(normalizer={"type": "Lowercase"}),
    "spaces before words": lambda of: of["pre_tokenizer"].update(add_prefix_space=True),
}


@pytest.mark.parametrize("change", READ_OTHERWISE.values(), ids=READ_OTHERWISE.keys())
@pytest.mark.parametrize("folder", [True, False], indirect=True, ids=["whole", "adapter"])
def test_a_tokenizer_that_reads_otherwise_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None]
):
    edit(folder / "tokenizer.json", change)
    with pytest.raises(UserError, match=rf"tokenizer of {folder} (reads|has other tokens)"):
        RewardModel.from_pretrained(folder, **CPU)


def test_another_tokenizer_of_equal_size_is_refused_with_a_text_that_shows_it(folder: Path):
    before = Tokenizer.from_file(str(folder / "tokenizer.json"))
    other = Tokenizer.from_str(before.to_str())
    other.train_from_iterator(
        ["Good rewards are harmless helpful honest numbers, of which distributions are made."],
        BpeTrainer(
            vocab_size=before.get_vocab_size(),
            special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
            initial_alphabet=ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    assert other.get_vocab_size() == before.get_vocab_size()
    other.save(str(folder / "tokenizer.json"))
    with pytest.raises(
        UserError, match=r"reads .Human: .* as \d+ tokens .* training had \d+ .* if "
    ):
        RewardModel.from_pretrained(folder, **CPU)


def test_the_tokenizer_of_another_model_is_refused(folder: Path):
    with pytest.raises(UserError, match=r"reads .Human: .* as \d+ tokens .* training had \d+"):
        RewardModel.from_pretrained(
            folder, tokenizer_name=str(tiny_model("bert")), **CPU
        )  # whose texts begin with <s>


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (TEMPLATE.replace("[", "("), "renders a question and its answer and two questions"),
        (
            TEMPLATE.replace("{% for", "{% if messages[0].role == 'system' %}!{% endif %}{% for"),
            "renders a system and a question otherwise",
        ),
        (None, "is lost"),
    ],
)
def test_a_chat_template_that_renders_otherwise_is_refused(
    folder: Path, now: str | None, message: str
):
    file = folder / "chat_template.jinja"
    assert file.read_text() == TEMPLATE
    file.unlink() if now is None else file.write_text(now)
    with pytest.raises(UserError, match=rf"chat template of {folder} {message}"):
        RewardModel.from_pretrained(folder, **CPU)
    if now is not None:  # where older versions have it
        file.unlink()
        edit(folder / "tokenizer_config.json", lambda of: of.update(chat_template=now))
        with pytest.raises(UserError, match=message):
            RewardModel.from_pretrained(folder, **CPU)
        edit(folder / "tokenizer_config.json", lambda of: of.update(chat_template=TEMPLATE))
        RewardModel.from_pretrained(folder, **CPU)


def test_a_special_token_that_the_template_writes_is_part_of_it(folder: Path):
    edit(folder / "tokenizer_config.json", lambda of: of.update(eos_token="<unk>"))
    with pytest.raises(UserError, match=r"chat template .* renders a question"):
        RewardModel.from_pretrained(folder, **CPU)


OF_CONFIGURATION: Mapping[str, Any] = {
    "rms_norm_eps": 1e-3,
    "hidden_act": "gelu",
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "rope_theta": 500.0,
    "rope_scaling": {"rope_type": "linear", "factor": 4.0},
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
}


@pytest.mark.parametrize("name", OF_CONFIGURATION)
def test_a_number_of_the_configuration_that_moves_scores_is_refused(folder: Path, name: str):
    def change(config: dict[str, Any]) -> None:
        if name in ("rope_theta", "rope_scaling"):  # as versions before 5 had them
            config.pop("rope_parameters")
        config[name] = OF_CONFIGURATION[name]
        if name == "num_attention_heads":
            config.update(head_dim=16, num_key_value_heads=1)

    edit(folder / "config.json", change)
    with pytest.raises(UserError, match=rf"{folder}/config.json has .* \(was ") as refused:
        RewardModel.from_pretrained(folder, **CPU)
    field = "rope_parameters." if name.startswith("rope") else f"{name} {OF_CONFIGURATION[name]!r}"
    assert field in str(refused.value)


def test_the_first_position_of_roberta_is_one_of_these(tmp_path: Path):
    config = tiny_config("roberta")
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(tmp_path / "base")
    tokenizer = make_tokenizer(encoder=True)
    tokenizer.save_pretrained(tmp_path / "base")
    model = load_backbone(str(tmp_path / "base"), 2, dtype=torch.float32).eval()
    reward_model = RewardModel(model, tokenizer, Normal(), "roberta")
    reward_model.save_pretrained(tmp_path / "a")
    RewardModel.from_pretrained(tmp_path / "a", **CPU)
    edit(tmp_path / "a" / "config.json", lambda of: of.update(pad_token_id=3))
    with pytest.raises(UserError, match=r"pad_token_id 3 \(was 0\)"):
        RewardModel.from_pretrained(tmp_path / "a", **CPU)


@pytest.mark.parametrize("folder", [False], indirect=True)
@pytest.mark.parametrize(
    ("name", "value"), [("lora_alpha", 8), ("alpha_pattern", {"q_proj": 1}), ("use_rslora", True)]
)
def test_an_adapter_that_is_scaled_otherwise_is_refused(folder: Path, name: str, value: Any):
    edit(folder / "adapter_config.json", lambda of: of.update({name: value}))
    with pytest.raises(UserError, match=rf"adapter_config.json has {name}"):
        RewardModel.from_pretrained(folder, **CPU)


@pytest.mark.parametrize(
    ("folder", "file"),
    [(True, "model.safetensors"), (False, "adapter_model.safetensors")],
    indirect=["folder"],
)
def test_weights_of_another_training_are_refused(folder: Path, file: str):
    weights = load_file(folder / file)
    name = next(name for name in weights if "q_proj" in name)
    weights[name] = weights[name] * 1.02
    save_file(weights, folder / file, {"format": "pt"})
    with pytest.raises(UserError, match=rf"weights in {folder} are not those"):
        RewardModel.from_pretrained(folder, **CPU)


@pytest.mark.parametrize("folder", [False], indirect=True)
def test_another_backbone_of_equal_size_is_refused(folder: Path, tmp_path: Path):
    other = save_tiny_model(tmp_path / "other", seed=5)
    with pytest.raises(UserError, match=rf"weights of {other} are not those of training"):
        RewardModel.from_pretrained(folder, model_name=str(other), **CPU)
    half = tmp_path / "half"
    kind: Any = AutoModelForSequenceClassification
    kind.from_pretrained(tiny_model(), dtype=torch.bfloat16).save_pretrained(half)
    RewardModel.from_pretrained(folder, model_name=str(half), **CPU)


@pytest.mark.parametrize("folder", [False], indirect=True)
def test_a_given_backbone_of_other_numbers_is_refused(folder: Path, tmp_path: Path):
    base = save_tiny_model(tmp_path / "llama")
    edit(base / "config.json", lambda of: of.update(transformers_version="5.0"))
    RewardModel.from_pretrained(folder, model_name=str(base), **CPU)
    edit(base / "config.json", lambda of: of.update(rms_norm_eps=0.01))
    with pytest.raises(UserError, match=rf"{base}/config.json has rms_norm_eps 0.01"):
        RewardModel.from_pretrained(folder, model_name=str(base), **CPU)


def written_again(folder: Path, by: Path, *, dtype: torch.dtype, is_adapter: bool) -> Path:
    """What transformers and PEFT make of a folder, with our record."""
    kind: Any = (
        AutoPeftModelForSequenceClassification if is_adapter else AutoModelForSequenceClassification
    )
    how = {"num_labels": 2} if is_adapter else {}
    if is_adapter:
        edit(
            folder / "adapter_config.json",
            lambda of: of.update(base_model_name_or_path=str(tiny_model())),
        )
    model = kind.from_pretrained(folder, dtype=dtype, **how)
    model.save_pretrained(by, max_shard_size="20KB")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer("a text", truncation=True, max_length=3, padding="max_length")  # leaves its traces
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|new|>"]})
    tokenizer.save_pretrained(by)
    shutil.copy(folder / CHECKPOINT_RECORD, by)
    return by


@pytest.mark.parametrize("folder", [True, False], indirect=True, ids=["whole", "adapter"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_that_is_written_again_is_the_same(
    folder: Path, tmp_path: Path, dtype: torch.dtype, request: pytest.FixtureRequest
):
    expected = scores(folder)
    is_adapter = (folder / "adapter_config.json").is_file()
    again = written_again(folder, tmp_path / "again", dtype=dtype, is_adapter=is_adapter)
    rounding = 1e-5 if dtype == torch.float32 else 0.2
    np.testing.assert_allclose(scores(again), expected, atol=rounding)


def test_what_does_not_move_scores_may_change(folder: Path):
    expected = scores(folder)

    def change(config: dict[str, Any]) -> None:
        config.update(with_old_names(config))  # beside the new ones
        config.update(transformers_version="4.57.0", use_cache=False, attention_dropout=0.5)
        config.update(id2label={"0": "a", "1": "b"}, label2id={"a": 0, "b": 1}, bos_token_id=7)

    edit(folder / "config.json", change)
    np.testing.assert_array_equal(scores(folder), expected)
    edit(folder / "config.json", lambda of: of.pop("rope_parameters"))  # as 4.57 writes it
    np.testing.assert_array_equal(scores(folder), expected)
    RewardModel.from_pretrained(folder, device="cpu", dtype=torch.float16)


@pytest.mark.parametrize("folder", [True, False], indirect=True, ids=["whole", "adapter"])
def test_exports_and_merged_models_have_marks_of_their_own(folder: Path, tmp_path: Path):
    model = RewardModel.from_pretrained(folder, **CPU)
    expected = np.asarray(model.score(TEXTS).mean)
    hc.export(model, tmp_path / "native", to="native")
    hc.export(model, tmp_path / "half", to="native", dtype="bfloat16")
    model.save_pretrained(tmp_path / "copy")
    if (folder / "adapter_config.json").is_file():
        model.merge().save_pretrained(tmp_path / "merged")
    for each in tmp_path.glob("[!c]*"):
        assert "marks" in read_json(each / CHECKPOINT_RECORD), each
        rounding = 0.2 if each.name == "half" else 1e-5
        np.testing.assert_allclose(scores(each), expected, atol=rounding)


def test_an_export_says_more_of_rotary_positions_than_the_model_and_is_the_same(tmp_path: Path):
    """What older versions would not derive is written out."""
    config = tiny_config("llama")
    factors = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [1.5, 2.0, 3.0, 4.0]}
    config.rope_parameters.update(rope_type="longrope", factor=4.0, **factors)
    config.rope_parameters["original_max_position_embeddings"] = 32
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(tmp_path / "base")
    model = load_backbone(str(tmp_path / "base"), 2, dtype=torch.float32).eval()
    reward_model = RewardModel(model, make_tokenizer(), Normal(), "longrope")
    hc.export(reward_model, tmp_path / "native", to="native")
    written = read_json(tmp_path / "native" / "config.json")["rope_scaling"]
    assert written["attention_factor"] > 1
    RewardModel.from_pretrained(tmp_path / "native", **CPU)


def test_without_marks_a_checkpoint_is_read_as_it_is(folder: Path):
    edit(folder / "tokenizer.json", READ_OTHERWISE["lower case"])
    edit(folder / "config.json", lambda of: of.update(rms_norm_eps=0.01))
    edit(folder / CHECKPOINT_RECORD, lambda of: of.pop("marks"))
    RewardModel.from_pretrained(folder, **CPU)


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([1], "field marks is list; expected a JSON object"),
        ({"tokenizer": 3}, "marks.tokenizer is int; expected a JSON object"),
        ({"configuration": {"rope_parameters": 1, "hidden_size": "x"}}, "cannot be read"),
        ({"weights": 3}, "are not those of training"),
    ],
)
def test_damaged_marks_are_one_line(folder: Path, marks: Any, message: str):
    edit(folder / CHECKPOINT_RECORD, lambda of: of.update(marks=marks))
    with pytest.raises(UserError, match=message):
        RewardModel.from_pretrained(folder, **CPU)


def test_likelihoods_of_pieces_are_compared_to_six_digits(tmp_path: Path):
    """Reading what was written moves the seventeenth."""
    backend = Tokenizer(Unigram())
    trainer = UnigramTrainer(vocab_size=80, show_progress=False, unk_token="<unk>")
    backend.train_from_iterator(TEXTS, trainer)
    mark = reading_mark(PreTrainedTokenizerFast(tokenizer_object=backend))
    for factor, is_same in ((1 + 1e-15, True), (1.001, False)):
        definition = json.loads(backend.to_str())
        for piece in definition["model"]["vocab"]:
            piece[1] *= factor
        again = Tokenizer.from_str(json.dumps(definition))
        other = other_reading(mark, PreTrainedTokenizerFast(tokenizer_object=again))
        assert (other is None) == is_same


def test_marking_leaves_a_tokenizer_as_it_was():
    tokenizer = make_tokenizer()
    tokenizer("a text", truncation=True, max_length=3, padding="max_length")
    before = tokenizer.backend_tokenizer.to_str()
    mark = reading_mark(tokenizer)
    assert tokenizer.backend_tokenizer.to_str() == before
    assert mark == reading_mark(make_tokenizer())
