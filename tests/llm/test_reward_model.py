"""`RewardModel`: the same distributions whatever a text is given as, and wherever it is loaded."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import forked
from tiny_checkpoints import CPU, make
from tiny_models import tiny_model

from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.distributions import FAMILIES, Normal, SharedContext
from hidden_context.errors import UserError
from hidden_context.llm.reward_model import RewardModel
from hidden_context.risk import parse_risk

PROMPTS = ["Human: bread? Assistant:", "Human: water? Assistant:"]
RESPONSES = [[" flour", " no", " yeast and salt"], [" a", " b, please", " c"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    return make(tmp_path_factory.mktemp("model") / "rm")


def means(model: RewardModel, *texts: Any, **options: Any) -> np.ndarray:
    return np.asarray(model.score(*texts, **options).mean)


def test_texts_and_their_token_ids_have_the_same_utility(model: RewardModel):
    whole = [prompt + row[0] for prompt, row in zip(PROMPTS, RESPONSES, strict=True)]
    expected = means(model, whole)
    assert expected.shape == (2,)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_array_equal(means(model, PROMPTS, [row[0] for row in RESPONSES]), expected)
    ids = model.tokenizer(whole)["input_ids"]
    np.testing.assert_array_equal(means(model, ids), expected)
    np.testing.assert_array_equal(means(model, [np.array(text) for text in ids]), expected)
    parts = [text[:5] for text in ids], [text[5:] for text in ids]
    np.testing.assert_array_equal(means(model, *parts), expected)


def test_conversations_go_through_the_chat_template(tmp_path: Path):
    model = make(tmp_path / "rm")
    turns = [{"role": "user", "content": "bread?"}], [{"role": "assistant", "content": "flour"}]
    with pytest.raises(UserError, match="no chat template"):
        model.score([turns[0]], [turns[1]])
    template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
    model.tokenizer.chat_template = template
    found = means(model, [turns[0]], [turns[1]])
    np.testing.assert_allclose(found, means(model, ["user: bread?assistant: flour"]), atol=1e-6)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_candidates_are_read_as_rows_of_their_prompt(tmp_path: Path, name: str):
    """Contexts that responses share are centred over the candidates, as in score files."""
    family = FAMILIES[name]()
    model = make(tmp_path / "rm", family=family)
    utility = model.score(PROMPTS, RESPONSES)
    assert utility.shape == (2, 3)
    rows = [
        {"prompt": prompt, "responses": row} for prompt, row in zip(PROMPTS, RESPONSES, strict=True)
    ]
    scores = model.score_responses(rows, "rows")
    for text in ("mean", "quantile:0.1", *(["worst_context"] * isinstance(family, SharedContext))):
        expected = scores.rewards(parse_risk(text))
        rewards = model.reward(PROMPTS, RESPONSES, risk=text)
        np.testing.assert_allclose(rewards, expected, rtol=1e-5, atol=1e-6)


def test_lengths_are_those_of_the_responses_that_are_scored(model: RewardModel):
    rows = [{"prompt": "Q", "responses": ["a", "bcd"], "chosen": "another text", "rejected": "x"}]
    lengths = model.score_responses(rows, "rows").lengths
    assert lengths is not None
    assert lengths.tolist() == [1, 3]


def test_a_risk_that_the_family_lacks_is_refused_before_scoring(model: RewardModel):
    with pytest.raises(UserError, match="worst_context needs contexts that responses share"):
        model.reward([None], risk="worst_context")  # pyrefly: ignore (no text: never read)


def test_cut_texts_are_warned_of_with_their_number(model: RewardModel):
    long = ["bread " * 40, "salt", "water " * 40]
    with pytest.warns(UserWarning, match="2 of 3 texts over 20 tokens: cut at the beginning"):
        cut = means(model, long, max_length=20)
    ids = [np.array(text[-20:]) for text in model.tokenizer(long)["input_ids"]]
    np.testing.assert_array_equal(means(model, ids), cut)
    with pytest.raises(UserError, match=r"prompt 1 has .* tokens, more than .*max_length 20"):
        model.score(long, max_length=20, overlong="error")
    with pytest.raises(UserError, match="a text that is left out has no utility"):
        model.score(long, max_length=20, overlong="drop")


def test_comparisons_with_a_text_left_out_are_counted(model: RewardModel):
    rows = [{"chosen": "bread", "rejected": "salt " * (40 if k == 1 else 1)} for k in range(3)]
    comparisons = load_comparisons(rows)
    with pytest.warns(UserWarning, match="1 of 6 texts over 20 tokens: left out"):
        scores = model.score_comparisons(comparisons, max_length=20, overlong="drop")
    counts = {"comparisons": 2, "equal_texts": 0, "overlong_texts": 1, "left_out": 1}
    assert (len(scores), scores.record["counts"]) == (2, counts)
    expected = means(model, ["bread", "salt "])
    np.testing.assert_allclose(scores.utility.mean[0], expected, atol=1e-6)


def test_a_ranking_is_scored_once_and_is_all_its_pairs(model: RewardModel):
    rows = [{"prompt": "a ", "responses": ["x", "y", "z"], "ranking": [2, 0, 1]}] * 2
    scores = model.score_comparisons(load_comparisons(rows))
    expected = means(model, ["a x", "a y", "a z"])[[2, 0, 2, 1, 0, 1]]
    np.testing.assert_allclose(scores.utility.mean, np.tile(expected.reshape(3, 2), (2, 1)))
    assert scores.outcomes is not None
    np.testing.assert_allclose(scores.outcomes.weight, 1.0)  # 2/3 each, divided by their mean


def test_a_second_call_tries_no_batching_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = make(tmp_path / "rm")
    first = means(model, PROMPTS * 3)

    def tried(*args: Any, **options: Any) -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr("hidden_context.llm.batching.share_prefixes", tried)
    np.testing.assert_array_equal(means(model, PROMPTS * 3), first)


def test_nothing_is_printed_without_progress(model: RewardModel, capfd: Any):
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score(PROMPTS)
    assert capfd.readouterr() == ("", "")
    model.score(PROMPTS, progress=True)
    assert "scoring" in capfd.readouterr().err


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bert"])
@pytest.mark.parametrize("full", [False, True])
def test_a_saved_model_and_a_pickle_give_the_same_scores(
    tmp_path: Path, architecture: str, full: bool, capfd: Any
):
    model = make(tmp_path / "rm", architecture, full=full)
    expected = means(model, PROMPTS, RESPONSES)
    capfd.readouterr()
    model.save_pretrained(tmp_path / "again")
    saved = RewardModel.from_pretrained(tmp_path / "again", **CPU)
    assert capfd.readouterr() == ("", "")
    for again in (saved, pickle.loads(pickle.dumps(model))):
        assert (again.family, again.outcome_model) == (model.family, model.outcome_model)
        assert repr(again) == repr(model)
        np.testing.assert_array_equal(means(again, PROMPTS, RESPONSES), expected)
    with pytest.raises(UserError, match="is there already"):
        model.save_pretrained(tmp_path / "again")


def test_threads_that_share_a_model_give_the_same_scores(model: RewardModel):
    """While it scores, adapters are merged and its attention is another, for one thread alone."""
    ways: list[dict[str, Any]] = [{"batching": "shared_prefix"}, {"batching": "padded"}]
    expected = [means(model, PROMPTS * 9, RESPONSES * 9, **way) for way in ways]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(means, model, PROMPTS * 9, RESPONSES * 9, **way) for way in ways * 10]
        for number, call in enumerate(calls):
            np.testing.assert_array_equal(call.result(), expected[number % 2])


def test_another_process_gives_the_same_scores(model: RewardModel):
    with forked().Pool(1) as pool:
        found = pool.apply(model.reward, (PROMPTS,))
    assert found == pytest.approx(model.reward(PROMPTS), rel=1e-6)


def test_it_says_what_it_is(model: RewardModel):
    assert repr(model) == f"RewardModel({Normal()}, made from {tiny_model()}, on cpu)"
    assert (model.name, model.stopping_rule) == ("rm", "not recorded")


def test_scores_say_what_the_model_was_trained_on(model: RewardModel):
    """As `load_scores` does: the training set, or the name where it is not recorded."""
    comparisons = load_comparisons([{"chosen": "bread", "rejected": "salt"}])
    rows = [{"prompt": PROMPTS[0], "responses": RESPONSES[0]}]
    of_a_subset = replace(model, record={"config": {"data_subset": "helpful"}})
    for scoring, expected in ((model, "rm"), (of_a_subset, "helpful")):
        assert scoring.score_comparisons(comparisons).trained_on == expected
        assert scoring.score_responses(rows, "rows").trained_on == expected
