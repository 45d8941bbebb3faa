"""The training loss, its gradients and its metrics."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import make_tokenizer, tiny_model
from transformers import EvalPrediction, TrainingArguments

from hidden_context.distributions import FAMILIES, Family, Normal
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import (
    DEFAULT_OUTCOME_MODEL,
    loss_of_observations,
    preference_loss,
)
from hidden_context.likelihood.outcomes import (
    OutcomeModel,
    Outcomes,
    default_outcome_model,
    normalize_weights,
)
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, load_tokenizer, quietly
from hidden_context.llm.observations import Observation
from hidden_context.llm.packing import Batching
from hidden_context.llm.trainer import PreferenceTrainer, collate
from hidden_context.llm.training_metrics import evaluation_metrics, pairs_of_rankings

WORDS = ["bread", "flour", "water", "salt", "yeast", "dough", "rise", "bake"]


def make_pairs(tokenizer: Any, number: int) -> list[Observation]:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(2, 9))) for _ in range(2 * number)]
    ids = [np.asarray(tokenizer(text)["input_ids"], np.int32) for text in texts]
    return [Observation(pair) for pair in zip(ids[::2], ids[1::2], strict=True)]


def make_trainer(
    folder: Path,
    family: Family[Any],
    *,
    batching: Any = None,
    observations: list[Observation] | None = None,
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL,
    learn_outcomes: bool = False,
    **arguments: Any,
) -> Any:
    name = str(tiny_model("llama"))
    tokenizer = load_tokenizer(name)
    torch.manual_seed(0)
    model = with_adapters(load_backbone(name, family.num_outputs, dtype=torch.float32))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    settings: dict[str, Any] = {
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "max_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "label_names": [],
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        **arguments,
    }
    return PreferenceTrainer(
        likelihood=LearnedLikelihood(family, outcome_model, learn_outcomes=learn_outcomes),
        pad_token_id=tokenizer.pad_token_id,
        batching=batching,
        model=model,
        args=TrainingArguments(output_dir=str(folder / "steps"), **settings),
        train_dataset=observations or make_pairs(tokenizer, 8),
        eval_dataset=observations or make_pairs(tokenizer, 7),
        processing_class=tokenizer,
    )


def trained_weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {
        name: value.detach().clone()
        for name, value in trainer.model.named_parameters()
        if value.requires_grad
    }


def test_batches_alternate_chosen_and_rejected():
    pair = Observation((np.array([5, 6, 7]), np.array([8])))
    (batch,) = collate([pair, pair], "padded", pad_token_id=None)["batches"]
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]] * 2
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]] * 2


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_loss_is_the_one_of_preferences_with_penalty_in_training_only(
    tmp_path: Path, name: str
):
    family = FAMILIES[name]()
    trainer = make_trainer(tmp_path, family)
    assert isinstance(trainer.train_dataset, list)
    batch = collate(trainer.train_dataset[:3], trainer.batching, None)
    for training in (True, False):
        trainer.model.train(training)
        loss, raw = trainer.compute_loss(trainer.model, dict(batch), return_outputs=True)
        assert raw.shape == (3, 2, family.num_outputs)
        assert raw.dtype == torch.float32
        expected = preference_loss(family, raw[:, 0], raw[:, 1], regularize=training)
        torch.testing.assert_close(loss, expected)


def test_accumulating_gradients_equals_one_large_batch(tmp_path: Path):
    """The entropy and likelihood are means over comparisons, so halves average to the whole."""
    family = FAMILIES["categorical"]()
    whole = make_trainer(tmp_path / "a", family, per_device_train_batch_size=8, optim="sgd")
    parts = make_trainer(
        tmp_path / "b",
        family,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        optim="sgd",
    )
    for trainer in (whole, parts):
        trainer.train()
    ours, theirs = trained_weights(parts), trained_weights(whole)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("batching", ["shared_prefix", "grouped"])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_batching_changes_no_weight(tmp_path: Path, batching: Batching, accumulated: int):
    """Ten steps of AdamW: the same random batches, however their texts are put together."""
    family = FAMILIES["categorical"]()  # its entropy looks at the whole batch
    settings: dict[str, Any] = {"max_steps": 10, "gradient_accumulation_steps": accumulated}
    padded = make_trainer(tmp_path / "a", family, batching="padded", **settings)
    other = make_trainer(tmp_path / "b", family, batching=batching, **settings)
    assert (padded.batching, other.batching) == ("padded", batching)
    for trainer in (padded, other):
        trainer.train()
    found = trained_weights(other)
    for name, value in trained_weights(padded).items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)


def test_pairs_of_every_kind_are_trained_as_if_padded(tmp_path: Path):
    """Equal texts, one the beginning of the other, nothing in common, and a giant among them."""
    family = FAMILIES["mean_and_variance"]()
    trainers = [
        make_trainer(tmp_path / name, family, batching=name) for name in ("padded", "shared_prefix")
    ]
    long = np.arange(4, 204, dtype=np.int32)
    pairs = [
        Observation((long[:30], long[:30])),
        Observation((long[:30], long[:40])),
        Observation((long[:9], long[50:52])),
        Observation((long, np.append(long[:150], 5).astype(np.int32))),
        Observation((long[7:8], long[9:10])),
    ]
    losses = []
    for trainer in trainers:
        batch = collate(pairs, trainer.batching, None)
        loss = trainer.compute_loss(trainer.model.eval(), batch)
        loss.backward()
        gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        losses.append((loss.detach(), gradients))
    torch.testing.assert_close(losses[0][0], losses[1][0], atol=1e-6, rtol=1e-6)
    for padded, shared in zip(losses[0][1], losses[1][1], strict=True):
        torch.testing.assert_close(shared, padded, atol=1e-5, rtol=1e-5)


def test_checkpointed_gradients_equal_ordinary_ones(tmp_path: Path):
    family = FAMILIES["mean_and_variance"]()
    plain = make_trainer(tmp_path / "a", family, optim="sgd")
    with quietly():
        saving = make_trainer(tmp_path / "b", family, optim="sgd", gradient_checkpointing=True)
    before = trained_weights(saving)
    for trainer in (plain, saving):
        trainer.train()
    after = trained_weights(saving)
    assert any(not torch.equal(before[name], after[name]) for name in before if "lora_B" in name)
    for name, value in trained_weights(plain).items():
        torch.testing.assert_close(after[name], value, atol=1e-7, rtol=1e-5)


def test_evaluation_covers_every_comparison_whatever_the_batch(tmp_path: Path):
    family = FAMILIES["mean_and_variance"]()
    metrics = [
        make_trainer(tmp_path / str(size), family, per_device_eval_batch_size=size).evaluate()
        for size in (1, 3)
    ]
    for key in ("eval_accuracy", "eval_nll", "eval_r2"):
        assert metrics[0][key] == pytest.approx(metrics[1][key], abs=1e-5)
    assert metrics[0]["eval_loss"] == pytest.approx(metrics[0]["eval_nll"], abs=1e-5)


def test_metrics_give_a_tie_half_credit():
    raw = np.array([[[1.0], [0.0]], [[0.5], [0.5]]])
    metrics = evaluation_metrics(
        FAMILIES["base"](),
        DEFAULT_OUTCOME_MODEL,
        EvalPrediction(predictions=raw, label_ids=np.zeros(2)),
    )
    assert metrics["accuracy"] == 0.75
    assert metrics["margin"] == 0.5


@pytest.mark.parametrize("name", list(FAMILIES))
def test_training_learns_a_preference_that_a_text_shows(tmp_path: Path, name: str):
    """Texts with 'yeast' always win: after 30 steps the model must have found it out."""
    trainer = make_trainer(
        tmp_path,
        FAMILIES[name](),
        max_steps=30,
        learning_rate=1e-2,
        per_device_train_batch_size=8,
        logging_steps=30,
    )
    encode = trainer.processing_class
    pairs = []
    for pair in make_pairs(encode, 64):
        endings = [encode(word)["input_ids"] for word in (" yeast", " salt")]
        texts = zip(pair.texts, endings, strict=True)
        pairs.append(Observation(tuple(np.append(*text).astype(np.int32) for text in texts)))
    trainer.train_dataset, trainer.eval_dataset = pairs[:48], pairs[48:]
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] == 1.0


# Votes, ties, strengths, rankings


def graded(pairs: list[Observation]) -> list[Observation]:
    """The same texts with strengths, ties among them, and weights."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(5), len(pairs))
    weights = normalize_weights(rng.uniform(0.5, 1.5, len(pairs)))
    return [
        Observation(pair.texts, tuple(share), float(weight))
        for pair, share, weight in zip(pairs, shares, weights, strict=True)
    ]


def rankings(pairs: list[Observation]) -> list[Observation]:
    """Rankings of four texts and comparisons in turn."""
    return [
        Observation((*one.texts, *other.texts)) if index % 2 else one
        for index, (one, other) in enumerate(zip(pairs[::2], pairs[1::2], strict=True))
    ]


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_loss_of_votes_is_the_one_of_preferences(tmp_path: Path, name: str):
    family = FAMILIES[name]()
    model = default_outcome_model(family, 2, ties="threshold")
    observations = graded(make_pairs(make_tokenizer(), 6))
    trainer = make_trainer(tmp_path, family, observations=observations, outcome_model=model)
    inputs = collate(observations, trainer.batching, None, with_outcomes=True)
    loss, raw = trainer.compute_loss(trainer.model.eval(), inputs, return_outputs=True)
    outcomes = Outcomes(*inputs["outcomes"])
    expected = preference_loss(family, raw[:, 0], raw[:, 1], outcomes, model, regularize=False)
    torch.testing.assert_close(loss, expected)
    assert trainer.evaluate()["eval_nll"] == pytest.approx(loss.item(), rel=1e-4)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_loss_of_rankings_is_the_one_of_preferences(tmp_path: Path, name: str):
    family = FAMILIES[name]()
    observations = rankings(make_pairs(make_tokenizer(), 8))
    trainer = make_trainer(tmp_path, family, observations=observations)
    inputs = collate(observations, trainer.batching, None, with_outcomes=False)
    loss, raw = trainer.compute_loss(trainer.model.eval(), dict(inputs), return_outputs=True)
    assert raw.shape == (4, 4, family.num_outputs)
    flat = raw[~raw.isnan()].reshape(-1, family.num_outputs)
    expected = loss_of_observations(family, flat, inputs["sizes"], regularize=False)
    torch.testing.assert_close(loss, expected)
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert 0 <= metrics["eval_accuracy"] <= 1


def test_rankings_are_measured_by_their_pairs():
    raw = np.full((2, 3, 1), np.nan)
    raw[0, :, 0], raw[1, :2, 0] = [3.0, 1.0, 2.0], [0.0, 5.0]
    pairs, outcomes = pairs_of_rankings(raw, None)
    assert outcomes is not None
    assert pairs[:, :, 0].tolist() == [[3, 1], [3, 2], [1, 2], [0, 5]]
    np.testing.assert_allclose(outcomes.weight, np.array([2 / 3] * 3 + [1]) * 4 / 3)


def test_what_is_learned_of_the_likelihood_is_saved_and_resumed(tmp_path: Path):
    """Four steps, and two and two more after a restart: the same thresholds and weights."""
    settings: dict[str, Any] = {
        "observations": graded(make_pairs(make_tokenizer(), 8)),
        "outcome_model": OutcomeModel("threshold", (0.5, 1.0)),
        "learn_outcomes": True,
        "max_steps": 4,
        "save_strategy": "steps",
        "save_steps": 2,
    }
    whole = make_trainer(tmp_path / "a", Normal(), **settings)
    whole.train()
    thresholds = whole.likelihood.fitted()[1].thresholds
    assert thresholds != pytest.approx((0.5, 1.0), abs=1e-4)
    resumed = make_trainer(tmp_path / "a", Normal(), **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "a" / "steps" / "checkpoint-2"))
    assert resumed.likelihood.fitted()[1].thresholds == pytest.approx(thresholds, abs=1e-7)
    ours = trained_weights(resumed)
    for weight_name, value in trained_weights(whole).items():
        torch.testing.assert_close(ours[weight_name], value)
