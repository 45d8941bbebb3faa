"""The best of several candidates: by the model's own rewards, by each rule, by several models."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import CPU, make

import hidden_context as hc
from hidden_context.aggregation import RULES, evidence_from_contexts, evidence_from_outputs
from hidden_context.aggregation.best_of import BestOf, Preference, rewards_of
from hidden_context.distributions import Normal, Point, SharedContext
from hidden_context.llm.best_of import preference_of
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.records import read_json, read_jsonl
from hidden_context.risk import parse_risk
from hidden_context.scores.scores import Scores

PROMPTS = ["Human: bread? Assistant:", "Human: water? Assistant:", "Human: salt? Assistant:"]
CANDIDATES = [
    [" flour", " no", " yeast and salt", " flour"],
    [" a", " b, please"],
    [" mix flour, water, salt", " I would rather not", " the dough"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("best of")
    make(folder / "rm")
    make(folder / "shared", family=SharedContext())
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> RewardModel:
    return RewardModel.from_pretrained(folder / "rm", **CPU)


@pytest.fixture(scope="module")
def shared(folder: Path) -> RewardModel:
    return RewardModel.from_pretrained(folder / "shared", **CPU)


def scores_of(*rows: list[list[float]], family: Any = None) -> Scores:
    """Scores of rows of candidates, from raw outputs."""
    sizes = np.array(list(map(len, rows)))
    texts = [{"prompt": f"{n}", "responses": ["text"] * len(row)} for n, row in enumerate(rows)]
    raw = np.array([outputs for row in rows for outputs in row], np.float32)
    return Scores(
        family or Normal(), raw, sizes, np.arange(len(rows)), rows=texts, source="f", name="rm"
    )


@pytest.mark.parametrize("risk", ["mean", "kl:0.5", "quantile:0.1"])
def test_by_a_risk_the_best_has_the_highest_reward(model: RewardModel, risk: str):
    found = hc.best_of(model, PROMPTS, CANDIDATES, risk=risk)
    assert len(found) == 3
    for number, (prompt, texts) in enumerate(zip(PROMPTS, CANDIDATES, strict=True)):
        (expected,) = model.reward([prompt], [texts], risk=risk)
        ranking = found.rankings[number]
        np.testing.assert_allclose(ranking.rewards, expected, atol=1e-5)
        assert list(ranking.order) == sorted(range(len(texts)), key=lambda i: -expected[i])
        assert found.best[number] == texts[int(np.argmax(expected))]
    assert found.chosen == [ranking.order[0] for ranking in found.rankings]


def test_shared_contexts_are_centred_over_the_candidates(shared: RewardModel):
    found = hc.best_of(shared, PROMPTS, CANDIDATES, risk="worst_context")
    by_rule = hc.best_of(shared, PROMPTS, CANDIDATES, rule="worst_group")
    for number, (prompt, texts) in enumerate(zip(PROMPTS, CANDIDATES, strict=True)):
        (expected,) = shared.reward([prompt], [texts], risk="worst_context")
        np.testing.assert_allclose(found.rankings[number].rewards, expected, atol=1e-5)
        np.testing.assert_allclose(by_rule.rankings[number].rewards, expected, atol=1e-5)


@pytest.mark.parametrize("rule", [name for name in RULES if name not in ("nash", "worst_group")])
def test_by_a_rule_candidates_are_scored_as_in_aggregation(model: RewardModel, rule: str):
    reference = 1 if rule == "reference" else None
    found = hc.best_of(model, PROMPTS, CANDIDATES, rule=rule, reference=reference)
    (scores,) = found.scores
    for raw, ranking in zip(np.split(scores.raw, [4, 6]), found.rankings, strict=True):
        evidence = evidence_from_outputs(model.family, raw, reference=reference)
        np.testing.assert_allclose(ranking.rewards, RULES[rule].score(evidence), atol=1e-12)
        assert ranking.rewards[ranking.order[0]] == max(ranking.rewards)


@pytest.mark.parametrize("rule", ["worst_group", "nash", "borda", "maximin", "copeland"])
def test_of_several_models_each_is_a_group_with_its_borda_counts(
    folder: Path, model: RewardModel, shared: RewardModel, rule: str
):
    """A path and a loaded model; against the rules on Borda counts as utilities of two groups."""
    found = hc.best_of([folder / "rm", shared], PROMPTS, CANDIDATES, rule=rule)
    for prompt, texts, ranking in zip(PROMPTS, CANDIDATES, found.rankings, strict=True):
        supports = []
        for one in (model, shared):
            utility = one.score([prompt], [texts])[0]
            rows = [
                [float(utility[i].prob_preferred_to(utility[j])) for j in range(len(texts))]
                for i in range(len(texts))
            ]
            supports.append(np.array(rows))
        bordas = np.array([support.mean(1) for support in supports])
        pooled = np.mean(supports, axis=0)
        off = pooled + np.diag([2.0] * len(texts))
        wins = (pooled > 0.5).astype(float) + (np.abs(pooled - 0.5) < 1e-9) / 2
        expected = {
            "worst_group": bordas.min(0),
            "nash": np.log(bordas).mean(0),
            "borda": pooled.mean(1),
            "maximin": off.min(1),
            "copeland": (wins - np.eye(len(texts)) / 2).sum(1) / (len(texts) - 1),
        }[rule]
        np.testing.assert_allclose(ranking.rewards, expected, atol=1e-5)


@contextmanager
def counted(model: RewardModel) -> Iterator[list[int]]:
    """Tokens of each forward pass."""
    counts: list[int] = []
    embeddings = model.model.get_input_embeddings()
    hook = embeddings.register_forward_hook(lambda _, given, __: counts.append(given[0].numel()))
    yield counts
    hook.remove()


def test_the_prompt_of_many_candidates_is_computed_once(model: RewardModel):
    """The first call tries the model on its texts in both ways; so the second is counted."""
    prompt = "Human: " + "flour, water, salt and yeast, " * 12 + "Assistant:"
    candidates = [f" wait {word} for the dough" for word in "abcdefghijkl"]
    whole = [len(model.tokenizer(prompt + text).input_ids) for text in candidates]
    length = len(model.tokenizer(prompt).input_ids)
    assert length > 4 * (max(whole) - length)
    hc.best_of(model, [prompt], [candidates])
    with counted(model) as once:
        shared = hc.best_of(model, [prompt], [candidates])
    assert model.scorer(ScoringOptions())._batching == "shared_prefix"
    assert sum(once) <= length + sum(size - length + 2 for size in whole)
    with counted(model) as padded:
        apart = hc.best_of(model, [prompt], [candidates], batching="padded")
    assert sum(padded) >= len(candidates) * length
    np.testing.assert_allclose(shared.rankings[0].rewards, apart.rankings[0].rewards, atol=1e-4)


def test_of_equal_candidates_the_first_is_taken_and_the_tie_is_counted(model: RewardModel):
    found = hc.best_of(model, PROMPTS[:1], [[" flour", " flour", " flour"]])
    (ranking,) = found.rankings
    assert (ranking.order, ranking.num_best) == ((0, 1, 2), 3)
    assert found.summary["tied"] == 1


def test_a_single_candidate_is_the_best_and_counts_in_no_share():
    scores = scores_of([[0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]])
    by_rule = BestOf((scores,), preference_of(None, "borda", None))
    assert by_rule.chosen == [0, 1]
    assert np.isnan(by_rule.rankings[0].rewards).all()
    by_risk = BestOf((scores,), preference_of("mean", None, None))
    assert by_risk.chosen == [0, 1]
    assert by_risk.summary["chance"] == 0.5
    assert by_risk.summary["first_is_best"] == 0.0
    alone = BestOf((scores_of([[0.0, 0.0]]),), preference_of("mean", None, None))
    assert "chance" not in alone.summary
    assert str(alone) == "1 prompts with 1 candidates, the best by mean of rm"


def test_an_infinite_penalty_comes_last(tmp_path: Path):
    """θσ²/2 overflows for all but one; those keep their order, and JSON has no infinity."""
    scores = scores_of([[3.0, 40.0], [0.0, -1e9], [2.0, 40.0]])
    with np.errstate(over="ignore"):
        found = BestOf((scores,), preference_of("kl:6e-307", None, None))
    assert found.rankings[0].order == (1, 0, 2)
    found.save(tmp_path / "best.jsonl")
    (row,) = read_jsonl(tmp_path / "best.jsonl")
    assert [reward is None for reward in row["rewards"]] == [True, False, True]
    assert row["ranking"] == [1, 0, 2]


def test_the_summary_says_what_was_chosen_against_chance_length_and_mean():
    """Three prompts: the mean's choice is the second each time, risk's the first in two."""
    wide, narrow = 3.0, -3.0
    scores = scores_of(
        [[0.0, narrow], [1.0, wide]],
        [[0.0, narrow], [1.0, wide]],
        [[0.0, wide], [1.0, narrow]],
    )
    found = BestOf((scores,), preference_of("lcb:2.0", None, None)).summary
    assert (found["first_is_best"], found["best_by_mean"]) == (
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    )
    rewards = rewards_of(scores, parse_risk("lcb:2.0")).reshape(3, 2)
    assert found["reward_of_best"] == pytest.approx(rewards.max(1).mean())
    assert found["reward_of_all"] == pytest.approx(rewards.mean())
    assert "longest_is_best" not in found  # there are no lengths


def test_of_candidates_of_one_length_each_is_the_longest_by_its_share():
    """Chosen: one of two longest; the shorter; one of three longest."""
    scores = scores_of([[1.0], [0.0], [0.5]], [[1.0], [2.0]], [[0.0], [1.0], [0.0]], family=Point())
    lengths = np.array([9.0, 9.0, 1.0, 5.0, 2.0, 4.0, 4.0, 4.0])
    found = BestOf((replace(scores, lengths=lengths),), preference_of("mean", None, None)).summary
    assert found["longest_is_best"] == pytest.approx((1 / 2 + 0 + 1 / 3) / 3)
    assert found["chance"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 3) / 3)


def test_what_is_saved_is_read_as_rankings_and_says_how_it_was_made(
    model: RewardModel, tmp_path: Path
):
    found = hc.best_of(model, PROMPTS, CANDIDATES, risk="kl:0.5")
    found.save(tmp_path / "best.jsonl", record={"counts": {"rows": 3}})
    rows = read_jsonl(tmp_path / "best.jsonl")
    for row, ranking in zip(rows, found.rankings, strict=True):
        assert row["rewards"] == list(ranking.rewards)
        assert row["chosen_index"] == row["ranking"][0] == ranking.order[0]
    for row, comparison in zip(rows, hc.load_comparisons(tmp_path / "best.jsonl"), strict=True):
        ordered = [row["prompt"] + row["responses"][index] for index in row["ranking"]]
        assert list(comparison.texts) == ordered
    meta = read_json(tmp_path / "best.jsonl.meta.json")
    assert (meta["kind"], meta["by"], meta["counts"]) == ("best_of", "kl:0.5", {"rows": 3})
    assert meta["families"] == [{"rm": Normal().to_dict()}]
    assert meta["summary"] == json.loads(json.dumps(found.summary))


def test_conversations_are_candidates_too(tmp_path: Path):
    model = make(tmp_path / "rm")
    model.tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
    )
    prompt: Any = [{"role": "user", "content": "bread?"}]
    answers: Any = [[{"role": "assistant", "content": text}] for text in ("flour", "no")]
    found = hc.best_of(model, [prompt], [answers])
    expected = model.reward([f"user: bread?assistant: {text}" for text in ("flour", "no")])
    np.testing.assert_allclose(found.rankings[0].rewards, expected, atol=1e-5)
    assert found.best == [answers[int(np.argmax(expected))]]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"risk": "mean", "rule": "borda"}, "by a risk or by a rule; give one of the two"),
        ({"rule": "luck"}, "luck"),
        ({"risk": "luck"}, "risk 'luck' is not understood"),
        ({"risk": "worst_context"}, "worst_context needs contexts"),
        ({"rule": "worst_group"}, "worst_context needs contexts"),
        ({"rule": "nash"}, "rule nash needs groups: give several models"),
        ({"rule": "reference"}, "a reference and rule 'reference' go together"),
        ({"rule": "borda", "reference": 0}, "a reference and rule 'reference' go together"),
        ({"rule": "reference", "reference": -1}, "the index of a candidate, from 0"),
        (
            {"rule": "reference", "reference": 2},
            "row 2: no response 3 to compare with; there are 2",
        ),
    ],
)
def test_what_cannot_rank_is_refused(model: RewardModel, how: dict[str, Any], message: str):
    with pytest.raises(hc.UserError, match=message):
        hc.best_of(model, PROMPTS, CANDIDATES, **how)


def test_utilities_of_several_models_are_not_mixed(folder: Path):
    ways: list[dict[str, Any]] = [{}, {"risk": "quantile:0.1"}, {"rule": "expected_utility"}]
    for how in ways:
        with pytest.raises(
            hc.UserError, match="utilities of different models have no common scale"
        ):
            hc.best_of([folder / "rm", folder / "shared"], PROMPTS, CANDIDATES, **how)


def test_what_is_not_there_is_refused(model: RewardModel):
    with pytest.raises(hc.UserError, match="3 prompts but 2 lists of candidates"):
        hc.best_of(model, PROMPTS, CANDIDATES[:2])
    with pytest.raises(hc.UserError, match="there are no prompts"):
        hc.best_of(model, [], [])
    with pytest.raises(hc.UserError, match="there is no model to rank by"):
        hc.best_of([], PROMPTS, CANDIDATES)
    with pytest.raises(hc.UserError, match="row 2: 'responses' is not a list of at least one"):
        hc.best_of(model, PROMPTS[:2], [[" a"], []])


def test_scores_of_other_rows_are_refused():
    one, other = scores_of([[0.0], [1.0]], family=Point()), scores_of([[0.0]], family=Point())
    with pytest.raises(hc.UserError, match="the models have scored different rows"):
        BestOf((one, other), Preference(rule="borda"))


def test_support_of_models_is_coherent_evidence():
    """Two scalar models that agree are as one whose P is theirs."""
    from hidden_context.aggregation import evidence_from_models

    raw = np.array([[0.0], [1.0], [3.0]])
    both = evidence_from_models([Point(), Point()], [raw, raw])
    np.testing.assert_allclose(both.support, evidence_from_outputs(Point(), raw).support)
    assert both.is_complete
    contexts = evidence_from_contexts(np.array([[0.0, 1.0], [1.0, 0.0]]))
    opposed = evidence_from_models(
        [Point()] * 2, [np.array([[0.0], [40.0]]), np.array([[40.0], [0.0]])]
    )
    np.testing.assert_allclose(opposed.support, contexts.support, atol=1e-12)
