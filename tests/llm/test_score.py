"""Scores do not depend on batches, order or company."""

import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from hidden_context.distributions import Normal
from hidden_context.errors import UserError
from hidden_context.llm.adapters import merged, with_adapters
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.score import Chunk, Scorer
from hidden_context.llm.scoring_options import ScoringOptions

TEXTS = [
    "Human: bread?",
    "Assistant: " + "flour and water, " * 9,
    "I",
    "Human: bread?",
    "yeast " * 5,
]


def padded(batch_size: int) -> ScoringOptions:
    return ScoringOptions(max_length=512, batching="padded", batch_size=batch_size)


def score(model: RewardModel, texts: list[str], options: ScoringOptions) -> np.ndarray:
    ((raw, *_),) = model.scorer(options).outputs_of_chunks([(texts, texts)], total=len(texts))
    return raw


def reward_model(architecture: str) -> RewardModel:
    name = str(tiny_model(architecture))
    model = load_backbone(name, 2, dtype=torch.float32).eval()
    with torch.no_grad():
        head = model.score if hasattr(model, "score") else model.classifier
        head.weight.mul_(100)  # large enough to tell texts apart
    return RewardModel(model, load_tokenizer(name), Normal(), name)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
def test_scores_are_those_of_each_text_alone(architecture: str):
    model = reward_model(architecture)
    alone = np.concatenate([score(model, [t], padded(1)) for t in TEXTS])
    assert np.ptp(alone[:, 0]) > 0.01
    readings = [padded(batch_size) for batch_size in (1, 2, 5)]
    readings += [
        ScoringOptions(max_length=512, batching=batching, token_budget=budget)
        for batching in ("shared_prefix", "grouped", None)
        for budget in (1, 40, 1000)
    ]
    for reading in readings:
        together = score(model, TEXTS, reading)
        np.testing.assert_allclose(together, alone, atol=1e-5)
        again = score(model, TEXTS, padded(1))  # the model came back as it was
        np.testing.assert_array_equal(again, alone)


def test_what_is_shared_is_tokens_not_characters():
    """Texts that agree beyond a token's end, in the middle of which they then differ."""
    model = reward_model("llama")
    prompt = "Human: what is a good way to bake bread at home? Assistant: mix flo"
    texts = [prompt + end for end in ("", "ur", "ur, water", "u", ".", "\n", " ", "  wait")]
    ids = model.tokenizer(texts)["input_ids"]
    assert any(own[: len(ids[0])] != ids[0] for own in ids[1:])
    expected = score(model, texts, padded(1))
    shared = score(model, texts, ScoringOptions(max_length=512, batching="shared_prefix"))
    np.testing.assert_allclose(shared, expected, atol=1e-5)


def test_texts_over_the_token_budget_are_alone_with_one_warning():
    model = reward_model("llama")
    chunks = [(TEXTS, TEXTS)] * 3
    scorer = model.scorer(ScoringOptions(max_length=512, token_budget=9))
    message = "is over the token_budget 9; each such text is alone in its batch"
    with pytest.warns(UserWarning, match=message) as warned:
        list(scorer.outputs_of_chunks(chunks, total=15))
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(model, TEXTS, ScoringOptions(max_length=512, token_budget=1000))


def test_chunks_are_tokenised_while_others_are_scored(monkeypatch: pytest.MonkeyPatch):
    """The first waits, in its forward pass, for the second to be taken; no third is taken yet."""
    model, taken, second = reward_model("llama"), [], threading.Event()
    forward = Scorer._forward

    def waiting(*args: Any) -> np.ndarray:
        assert second.wait(timeout=60)
        return forward(*args)

    def chunks() -> Iterator[Chunk]:
        for number in range(4):
            taken.append(number)
            if number == 1:
                second.set()
            yield [TEXTS[number]], ["text"]

    monkeypatch.setattr(Scorer, "_forward", waiting)
    scored = model.scorer(ScoringOptions(max_length=512)).outputs_of_chunks(chunks(), total=4)
    first = next(scored)
    assert taken == [0, 1]
    rest = list(scored)
    monkeypatch.undo()
    expected = score(model, TEXTS[:4], padded(1))
    raw = np.concatenate([raw for raw, *_ in (first, *rest)])
    np.testing.assert_allclose(raw, expected, atol=1e-5)


def test_adapters_are_merged_for_scoring_and_come_back_to_the_last_bit():
    model = reward_model("llama")
    adapted = with_adapters(model.model).eval()
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    text = torch.tensor([[5, 6, 7, 8]])
    mask = torch.ones_like(text)
    with torch.no_grad():
        apart = adapted(text, mask).logits
        with merged(adapted):
            together = adapted(text, mask).logits
            changed = any(
                not torch.equal(value, before[name]) for name, value in adapted.state_dict().items()
            )
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)
    assert changed
    for name, value in adapted.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_adapters_of_a_half_precision_model_stay_apart():
    name = str(tiny_model())
    adapted = with_adapters(load_backbone(name, 2, dtype=torch.bfloat16))
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    with merged(adapted):
        for key, value in adapted.state_dict().items():
            assert torch.equal(value, before[key])


def test_equal_texts_have_equal_scores_to_the_last_bit():
    model = reward_model("llama")
    raw = score(model, [*TEXTS, "yeast flour"] * 2, padded(2))
    np.testing.assert_array_equal(raw[:6], raw[6:])


def test_dropped_texts_have_no_score():
    model = reward_model("llama")
    scorer = model.scorer(ScoringOptions(max_length=30, overlong="drop"))
    ((raw, overlong, _),) = scorer.outputs_of_chunks([(TEXTS, TEXTS)], total=len(TEXTS))
    assert np.isnan(raw[:, 0]).tolist() == [False, True, False, False, False]
    assert overlong.tolist() == [False, True, False, False, False]


def test_a_bfloat16_backbone_has_a_float32_head():
    """Scores then need not tie where bfloat16 has one number for both."""
    name = str(tiny_model())
    model = load_backbone(name, 2, dtype=torch.bfloat16).eval()
    half = RewardModel(model, load_tokenizer(name), Normal(), name)
    raw = score(half, TEXTS, padded(2))
    rounded = torch.from_numpy(raw).bfloat16().float().numpy()
    assert np.abs(raw - rounded).max() > 0
    assert model.model.norm.weight.dtype == torch.bfloat16


def test_scoring_keeps_no_gradients():
    model = reward_model("llama")
    seen = []
    model.model.register_forward_hook(lambda *given: seen.append(given[2].logits.requires_grad))
    score(model, TEXTS, padded(2))
    assert seen == [False, False]


def test_damaged_weights_are_noticed():
    model = reward_model("llama")
    with torch.no_grad():
        model.model.score.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="scores that are not finite"):
        score(model, TEXTS, padded(2))


def test_impossible_sizes_are_refused():
    for name in ("batch_size", "token_budget", "max_length"):
        sizes: dict[str, Any] = {"max_length": 9, name: 0}
        with pytest.raises(UserError, match=f"{name} is 0; give at least 1"):
            ScoringOptions(**sizes)
