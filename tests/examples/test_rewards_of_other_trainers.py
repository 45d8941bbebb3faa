"""The reward files for OpenRLHF and verl, called as their released workers do."""

import importlib.util
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import CPU, make

from hidden_context.distributions import SharedContext
from hidden_context.errors import UserError
from hidden_context.llm.reward_model import RewardModel

TEMPLATE = (
    "{% for m in messages %}{{ '<s>' + m['role'] + ': ' + m['content'] + '</s>' }}{% endfor %}"
)
EXAMPLES = Path(__file__).parents[2] / "examples"
ASKED = [{"role": "user", "content": "bread?"}]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    folder = tmp_path_factory.mktemp("trainers") / "rm"
    model = make(folder, full=True)
    model.tokenizer.chat_template = TEMPLATE
    model.tokenizer.save_pretrained(folder)
    return RewardModel.from_pretrained(folder, **CPU)


def load(name: str) -> Any:
    """As both load a file that they are given the path of."""
    spec = importlib.util.spec_from_file_location("custom", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_openrlhf_gets_the_reward_of_texts_whose_special_tokens_are_there(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REWARD_CHECKPOINT", str(model.folder))
    monkeypatch.setenv("REWARD_RISK", "kl:0.5")
    reward_func = load("openrlhf_reward.py").reward_func
    turns = [[*ASKED, {"role": "assistant", "content": text}] for text in ("flour", "no")]
    utility: Any = model.score(turns)
    for turn, mean, std in zip(turns, utility.mean, utility.std, strict=True):
        query = model.tokenizer.apply_chat_template(turn, tokenize=False)
        answer = reward_func([query], ["<s>user: bread?</s>"], ["a label"])
        expected = torch.tensor([mean - std**2 / (2 * 0.5)], dtype=torch.float32)
        torch.testing.assert_close(answer["rewards"], expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(answer["scores"], expected, atol=1e-5, rtol=0)
        logs = answer["extra_logs"]
        assert logs["hidden_context/utility_std"].flatten()[0].item() == pytest.approx(std)
        assert torch.tensor([answer["rewards"]]).shape == (1,)  # what its worker makes of it


def test_a_tokenizer_that_adds_special_tokens_does_not_add_them_twice(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The query begins with the token that the tokenizer would put there."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = deepcopy(model.tokenizer)
    start = tokenizer.convert_tokens_to_ids("<s>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", start)]
    )
    replace(model, tokenizer=tokenizer).save_pretrained(tmp_path / "rm")
    again = RewardModel.from_pretrained(tmp_path / "rm", **CPU)
    assert again.tokenizer("bread").input_ids[0] == start
    monkeypatch.setenv("REWARD_CHECKPOINT", str(tmp_path / "rm"))
    monkeypatch.delenv("REWARD_RISK", raising=False)
    answer = load("openrlhf_reward.py").reward_func(["<s>bread"], ["<s>"], [None])
    expected = again.reward(["bread"])
    np.testing.assert_allclose(answer["rewards"].numpy(), expected, atol=1e-5)
    assert again.reward(["<s>bread"]) != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("is_chat", [True, False])
def test_verl_gets_the_score_of_prompt_and_response_and_what_to_log(
    model: RewardModel, is_chat: bool
):
    """Its worker calls by keyword, from several threads, with the configured keywords besides."""
    compute_score = load("verl_reward.py").compute_score
    configured = partial(compute_score, checkpoint=str(model.folder), risk="kl:0.5")
    prompt: Any = ASKED if is_chat else "bread? "
    answer = configured(
        data_source="some/data",
        solution_str="flour",
        ground_truth="not used",
        extra_info={"prompt": prompt, "num_turns": None, "rollout_reward_scores": {}},
        reward_router_address=None,
    )
    whole = [*ASKED, {"role": "assistant", "content": "flour"}] if is_chat else "bread? flour"
    utility: Any = model.score([whole])
    (mean,), (std,) = utility.mean, utility.std
    expected = {"score": mean - std**2, "utility_mean": mean, "utility_std": std}
    assert answer == pytest.approx(expected, abs=1e-5)
    assert all(type(value) is float for value in answer.values())


def test_verl_is_told_where_the_prompt_belongs(model: RewardModel):
    compute_score = load("verl_reward.py").compute_score
    with pytest.raises(UserError, match="extra_info has no 'prompt', and verl gives the response"):
        compute_score("data", "flour", "", {"index": 3}, checkpoint=str(model.folder))


def test_a_family_that_needs_several_completions_is_refused_one_by_one(tmp_path: Path):
    make(tmp_path / "rm", family=SharedContext())
    compute_score = load("verl_reward.py").compute_score
    with pytest.raises(UserError, match="a prompt came with 1 of several"):
        compute_score("data", "flour", "", {"prompt": "bread?"}, checkpoint=str(tmp_path / "rm"))
