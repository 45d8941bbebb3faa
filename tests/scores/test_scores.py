"""`Scores`: rows, distributions, likelihoods, and what a file keeps of them."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.row_files import read_rows
from hidden_context.comparisons.streamed import Streamed
from hidden_context.distributions import FAMILIES, Family, Normal, Point, SharedContext
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes
from hidden_context.records import meta_path, read_json, read_jsonl, write_json, write_jsonl
from hidden_context.risk import Risk
from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks
from hidden_context.scores.score_files import columns_of, load_scores, write_scores
from hidden_context.scores.scores import Scores, check_pairs, scores_of_comparisons

RNG = np.random.default_rng(0)
every_family = pytest.mark.parametrize("family", [make() for make in FAMILIES.values()], ids=repr)


def ragged(family: Family | None = None, **fields: Any) -> Scores:
    """Four rows of 2, 3, 1 and 2 responses."""
    family = family or Normal()
    sizes = np.array([2, 3, 1, 2])
    rows = [
        {"prompt": f"P{number}", "responses": [f"{number}{'x' * k}" for k in range(size)]}
        for number, size in enumerate(sizes.tolist())
    ]
    return Scores(
        family,
        np.random.default_rng(1).normal(size=(8, family.num_outputs)).astype(np.float32),
        sizes,
        np.array([f"P{number}" for number in range(4)]),
        rows=rows,
        lengths=np.array([1.0, 2, 1, 2, 3, 1, 1, 2]),
        **({"name": "model"} | fields),  # pyrefly: ignore
    )


def pairs(n: int = 6, family: Family | None = None, **fields: Any) -> Scores:
    """n comparisons with something in every field."""
    family = family or Normal()
    rng = np.random.default_rng(2)
    weight = rng.integers(1, 5, n).astype(float)
    return Scores.of_pairs(
        family,
        rng.normal(size=(n, 2, family.num_outputs)).astype(np.float32),
        **{
            "rows": [{"number": number} for number in range(n)],
            "lengths": np.arange(2.0 * n),
            "outcomes": Outcomes(rng.dirichlet([1, 1, 1], n), weight / weight.mean()),
            "objective": np.array(["helpful", "harmless"] * (n // 2)),
            "training": np.arange(n) % 2,
            "centered_within": np.arange(n) // 2,
            **fields,
        },
    )


# Rows


@pytest.mark.parametrize(
    ("index", "numbers"),
    [
        (slice(1, 4), [1, 2, 3]),
        (np.array([True, False, False, True, False, True]), [0, 3, 5]),
        ([1, 4], [1, 4]),
        ([4, 1, 1], [4, 1, 1]),
        (slice(None, None, -2), [5, 3, 1]),
        (2, [2]),
        (-1, [5]),
        (slice(0, 0), []),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_every_field_of_a_row_goes_with_it(index: Any, numbers: list[int], streamed: bool) -> None:
    edges: Any = np.linspace(0.1, 0.6, 6)
    scores = pairs(outcome_model=OutcomeModel("threshold", (edges,)))
    if streamed:
        rows = scores.rows
        scores = replace(scores, rows=Streamed(lambda: rows, 6))
    some = scores[index]
    assert len(some) == len(numbers)
    assert [row["number"] for row in some.rows] == numbers
    np.testing.assert_array_equal(some.raw, scores.raw.reshape(6, 2, -1)[numbers].reshape(-1, 2))
    np.testing.assert_array_equal(some.lengths, np.arange(12.0).reshape(6, 2)[numbers].ravel())
    for name in ("prompt", "objective", "training", "centered_within", "votes", "win_share"):
        np.testing.assert_array_equal(getattr(some, name), getattr(scores, name)[numbers])
    np.testing.assert_array_equal(some.outcome_model.thresholds[0], edges[numbers])
    if numbers:
        np.testing.assert_array_equal(some.log_likelihood, scores.log_likelihood[numbers])


def test_rows_of_different_sizes_keep_their_responses() -> None:
    scores = ragged()
    some = scores[[3, 1]]
    assert some.sizes.tolist() == [2, 3]
    np.testing.assert_array_equal(some.raw, scores.raw[[6, 7, 2, 3, 4]])
    np.testing.assert_array_equal(some.lengths, [1, 2, 1, 2, 3])
    assert [row["prompt"] for row in some.rows] == ["P3", "P1"]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(UserError, match="3 raw outputs, 4 responses and 2 prompts of 2 rows"):
        Scores(Normal(), np.zeros((3, 2)), np.array([2, 2]), np.arange(2))
    with pytest.raises(UserError, match="2 responses and 1 prompts of 2 rows"):
        Scores(Normal(), np.zeros((2, 2)), np.array([1, 1]), np.arange(1))
    with pytest.raises(UserError, match="a comparison is of two responses"):
        Scores(Normal(), np.zeros((3, 2)), np.array([3]), np.arange(1), kind="comparisons")
    with pytest.raises(IndexError):
        pairs()[[6]]


def test_it_says_what_it_is() -> None:
    assert repr(pairs(name="run")) == "Scores(mean_and_variance by run: 6 comparisons, 6 prompts)"
    assert repr(ragged(name="")) == "Scores(mean_and_variance: 4 responses, 4 prompts)"
    assert len(ragged()) == 4


# Distributions


@every_family
def test_utilities_have_the_shape_of_the_rows(family: Family) -> None:
    scores = ragged(family)
    two = scores[scores.sizes == 2]
    assert np.shape(two.utility.mean) == (2, 2)
    assert np.shape(scores[1].utility.mean) == (1, 3)
    assert np.shape(scores[2].utility.mean) == (1, 1)
    assert two.by_row.shape == (2, 2, family.num_outputs)
    assert two.by_row.dtype == np.float64
    for risk in (Risk("mean", None), Risk("quantile", 0.3)):
        assert scores[1].rewards(risk).shape == (1, 3)


def test_rows_of_different_sizes_have_no_one_shape() -> None:
    scores = ragged()
    for of in ("utility", "by_row", "num_responses"):
        with pytest.raises(UserError, match=r"1 or 2 or 3 responses; select rows of one size"):
            getattr(scores, of)
    with pytest.raises(UserError, match="rows have 3 responses; a comparison has two"):
        _ = scores[1].log_prob
    with pytest.raises(UserError, match="rows have no responses"):
        _ = scores[:0].utility


def test_rewards_are_those_of_the_formula() -> None:
    scores = pairs()
    mean, std = scores.by_row[..., 0], np.log1p(np.exp(scores.by_row[..., 1]))
    quantile = mean + stats.norm.ppf(0.01) * std
    np.testing.assert_allclose(scores.rewards(Risk("quantile", 0.01)), quantile)
    np.testing.assert_allclose(scores.rewards(Risk("lcb", 2.0)), mean - 2 * std)


def test_contexts_that_responses_share_are_centred_within_their_row() -> None:
    scores = ragged(SharedContext(num_contexts=2))[[0, 3]]
    utility: Any = scores.utility
    contexts = utility.contexts
    np.testing.assert_allclose(contexts.sum(1), 0, atol=1e-12)
    shifted = replace(scores, raw=scores.raw + np.array([5, -3, 0, 0], np.float32))
    worst = Risk("worst_context", None)
    np.testing.assert_allclose(shifted.rewards(worst), scores.rewards(worst), atol=1e-5)


# Likelihood


@every_family
def test_the_likelihood_is_that_of_the_loss(family: Family) -> None:
    model = OutcomeModel("threshold", (0.2,))
    scores = pairs(family=family, outcome_model=model)
    raw = scores.raw.astype(np.float64).reshape(6, 2, -1)
    expected = log_likelihood(family, [raw[:, 0], raw[:, 1]], scores.outcomes, model)
    np.testing.assert_allclose(scores.log_likelihood, expected)
    won = replace(scores, outcomes=None, outcome_model=OutcomeModel())
    np.testing.assert_allclose(won.log_likelihood, won.log_prob)
    np.testing.assert_allclose(np.exp(scores.log_prob) + np.exp(scores.log_reverse), 1)
    np.testing.assert_array_equal(won.win_share, np.ones(6))
    np.testing.assert_array_equal(won.votes, np.ones(6))


def test_every_row_may_have_thresholds_of_its_own() -> None:
    """As the folds of a cross-validation have: Rao and Kupper's P(tie) = P(|U - U'| ≤ edge)."""
    edges: Any = np.linspace(0.1, 0.6, 6)
    ties = Outcomes(np.tile([0.0, 1.0, 0.0], (6, 1)), np.ones(6))
    model = OutcomeModel("threshold", (edges,))
    scores = pairs(family=Point(), outcomes=ties, outcome_model=model)
    gap = scores.by_row[:, 0, 0] - scores.by_row[:, 1, 0]
    expected = np.log(stats.logistic.cdf(gap + edges) - stats.logistic.cdf(gap - edges))
    np.testing.assert_allclose(scores.log_likelihood, expected)


def test_near_certain_preferences_have_a_log_probability_of_their_reverse() -> None:
    raw = np.array([[[60.0], [0.0]]])
    scores = Scores.of_pairs(Point(), raw)
    assert scores.log_prob[0] <= 0
    assert scores.log_reverse[0] == pytest.approx(-60)


# Rows that others scored too


def test_the_same_rows_are_those_of_equal_prompts_sizes_and_lengths() -> None:
    scores = pairs()
    assert scores.same_rows(replace(scores, family=Point(), raw=scores.raw[:, :1]))
    assert replace(scores, lengths=None).same_rows(replace(scores, lengths=None))
    for other in (
        scores[:-1],
        scores[::-1],
        replace(scores, lengths=None),
        replace(scores, lengths=np.arange(12.0) + 1),
        replace(scores, prompt=scores.prompt + 1),
    ):
        assert not scores.same_rows(other)


# Lengths


USER = {"role": "user", "content": "Bread?"}
SHORT, LONG = (
    [USER, {"role": "assistant", "content": text}] for text in ("Flour", "Flour and water")
)
DIALOGUE = "\n\nHuman: Bread?\n\nAssistant:"
LAYOUTS: dict[str, dict[str, Any]] = {
    "conversations": {"chosen": LONG, "rejected": SHORT},
    "conversations with their prompt": {"prompt": [USER], "chosen": LONG, "rejected": SHORT},
    "dialogue": {
        "chosen": f"{DIALOGUE} First\n\nHuman: And?\n\nAssistant:Flour and water",
        "rejected": f"{DIALOGUE} First\n\nHuman: And?\n\nAssistant:Flour",
    },
    "dialogue with its prompt": {
        "prompt": DIALOGUE,
        "chosen": f"{DIALOGUE}Flour and water",
        "rejected": f"{DIALOGUE}Flour",
    },
    "dialogue with a prompt that ends before Assistant:": {
        "prompt": DIALOGUE.removesuffix("\n\nAssistant:"),
        "chosen": f"{DIALOGUE}Flour and water",
        "rejected": f"{DIALOGUE}Flour",
    },
    "responses alone": {"prompt": "Bread?", "chosen": "Flour and water", "rejected": "Flour"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_length_of_a_response_is_that_of_its_own_characters(
    layout: str, tmp_path: Path
) -> None:
    """Neither the prompt counts nor how a conversation is written down; in memory and in files."""
    data = Comparisons.from_rows([LAYOUTS[layout]], "memory")
    scores = scores_of_comparisons(data, np.zeros((1, 2, 2)), Normal())
    np.testing.assert_array_equal(scores.lengths_of_pairs, [[15, 5]])
    scores.save(tmp_path / "scores.jsonl")
    loaded = load_scores(tmp_path / "scores.jsonl")
    np.testing.assert_array_equal(loaded.lengths_of_pairs, [[15, 5]])


def test_a_missing_text_has_no_length(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    row = {"reward_output_chosen": [1.0], "reward_output_rejected": [0.0]}
    write_jsonl(file, [row, row | {"reward_output_chosen": [2.0]}])
    scores = load_scores(file, family=Point())
    np.testing.assert_array_equal(scores.lengths, np.full(4, np.nan))
    assert scores.lengths_of_pairs is None
    assert len(set(scores.prompt)) == 2  # nothing says that they have one prompt
    assert replace(scores, lengths=None).lengths_of_pairs is None


# Comparisons


def test_a_ranking_is_all_its_pairs_of_weight_two_over_k() -> None:
    rows = [
        {"prompt": "Q", "responses": ["best", "mid", "low"], "ranking": [0, 1, 2]},
        {"prompt": "R", "responses": ["no", "yes"], "ranking": [1, 0]},
    ]
    data = Comparisons.from_rows(rows, "memory")
    raw = RNG.normal(size=(4, 2, 2))
    scores = scores_of_comparisons(data, raw, Normal(), name="run")
    assert (len(scores), scores.kind, scores.source, scores.name) == (
        4,
        "comparisons",
        "memory",
        "run",
    )
    np.testing.assert_allclose(scores.votes, np.array([2, 2, 2, 3]) / 2.25)  # 2/3 against 1
    np.testing.assert_allclose(scores.win_share, 1)
    assert scores.prompt[0] == scores.prompt[1] == scores.prompt[2] != scores.prompt[3]
    assert [(row["chosen"], row["rejected"]) for row in scores.rows] == [
        ("Qbest", "Qmid"),
        ("Qbest", "Qlow"),
        ("Qmid", "Qlow"),
        ("Ryes", "Rno"),
    ]
    np.testing.assert_array_equal(scores.lengths_of_pairs, [[4, 3], [4, 3], [3, 3], [3, 2]])


def test_plain_wins_need_no_outcomes() -> None:
    rows = [{"chosen": "a", "rejected": "b"}, {"chosen": "c", "rejected": "d"}]
    data = Comparisons.from_rows(rows, "memory")
    scores = scores_of_comparisons(data, np.zeros((2, 2, 2)), Normal())
    assert scores.outcomes is None
    assert all("outcome" not in row for row in scores.rows)


# Files


def assert_same(loaded: Scores, scores: Scores) -> None:
    assert loaded.family == scores.family
    np.testing.assert_array_equal(loaded.raw, scores.raw)
    np.testing.assert_array_equal(loaded.sizes, scores.sizes)
    np.testing.assert_array_equal(loaded.prompt, scores.prompt)
    np.testing.assert_array_equal(loaded.lengths, scores.lengths)
    assert loaded.same_rows(scores)
    assert (loaded.outcomes is None) == (scores.outcomes is None)
    if loaded.outcomes is not None and scores.outcomes is not None:
        np.testing.assert_allclose(loaded.outcomes.shares, scores.outcomes.shares)
        np.testing.assert_allclose(loaded.outcomes.weight, scores.outcomes.weight)
    assert loaded.outcome_model == scores.outcome_model
    assert loaded.stopping_rule == scores.stopping_rule
    assert loaded.kind == scores.kind


ROWS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"prompt": "P", "chosen": "Pa", "rejected": "Pbb", "objective": "helpful"}] * 3,
    "votes and ties": [
        {"prompt": f"P{a}", "response_a": "a", "response_b": "b", "votes_a": a, "votes_b": 4 - a}
        for a in range(1, 4)
    ],
    "strengths": [
        {"prompt": f"P{s}", "response_1": "x", "response_2": "yy", "preference_strength": s}
        for s in (-2, 0, 1)
    ],
    "ranking": [{"prompt": "P", "responses": ["a", "b", "c"], "ranking": [2, 0, 1]}],
}


@every_family
@pytest.mark.parametrize("layout", ROWS)
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_comparisons_are_read_as_they_were_saved(
    family: Family, layout: str, suffix: str, tmp_path: Path
) -> None:
    data = Comparisons.from_rows(ROWS[layout], "memory")
    raw = np.random.default_rng(3).normal(size=(3, 2, family.num_outputs)).astype(np.float32)
    grades = max(len(comparison.outcome.shares) // 2 for comparison in data)
    model = OutcomeModel("threshold", tuple(0.25 * (k + 1) for k in range(grades)))
    scores = scores_of_comparisons(
        data, raw, family, outcome_model=model, stopping_rule="after 3 epochs of 90 observations"
    )
    if scores.outcomes is None:  # a model of ties reads outcomes; without it these are wins
        scores = replace(scores, outcome_model=OutcomeModel())
    file = tmp_path / f"scores.{suffix}"
    scores.save(file)
    loaded = load_scores(file)
    assert_same(loaded, scores)
    np.testing.assert_allclose(loaded.log_likelihood, scores.log_likelihood)
    assert loaded.objective is None or set(loaded.objective) == {"helpful"}
    again = tmp_path / f"again.{suffix}"
    loaded.save(again)
    assert read_jsonl(again) == read_jsonl(file)
    assert_same(load_scores(again), scores)


@every_family
def test_responses_of_several_models_are_read_as_they_were_saved(
    family: Family, tmp_path: Path
) -> None:
    models = [ragged(family, name="first"), ragged(Point(), name="second", stopping_rule="at once")]
    models[1] = replace(models[1], stopping_rule=models[0].stopping_rule)
    file = tmp_path / "scores.jsonl"
    write_scores(file, models)
    assert columns_of(file) == ["reward_outputs_first", "reward_outputs_second"]
    for model in models:
        loaded = load_scores(file, f"reward_outputs_{model.name}")
        assert_same(loaded, model)
        assert loaded.name == model.name
    with pytest.raises(UserError, match="reward_outputs_first, reward_outputs_second; choose one"):
        load_scores(file)
    with pytest.raises(UserError, match="no column 'reward_outputs_third'"):
        load_scores(file, "reward_outputs_third")


def test_rewards_by_risk_are_written_beside_the_outputs(tmp_path: Path) -> None:
    risks = [Risk("quantile", 0.01), Risk("cvar", 0.05)]
    file = tmp_path / "pairs.jsonl"
    scores = pairs(outcomes=None)
    scores.save(file, risks=risks)
    for risk in risks:
        written = [row["rewards"][str(risk)] for row in read_jsonl(file)]
        np.testing.assert_allclose(written, scores.rewards(risk), rtol=1e-5)
    assert read_json(meta_path(file))["risks"] == ["quantile:0.01", "cvar:0.05"]
    file = tmp_path / "responses.jsonl"
    write_scores(file, [ragged()], risks=risks, utilities=[0.1])
    for number, row in enumerate(read_jsonl(file)):
        (expected,) = ragged()[number].rewards(risks[0])
        np.testing.assert_allclose(row["rewards_model"]["quantile:0.01"], expected, rtol=1e-5)
        assert list(row["utility"]) == ["mean", "std", "quantile:0.1"]


def test_written_rewards_centre_shared_contexts_by_row_but_not_of_single_responses(
    tmp_path: Path,
) -> None:
    risk, file = Risk("quantile", 0.3), tmp_path / "scores.jsonl"
    scores = ragged(SharedContext(num_contexts=2))
    for some in (scores, scores[[2, 2]]):
        write_scores(file, [some], risks=[risk])
        written = [row["rewards_model"]["quantile:0.3"] for row in read_jsonl(file)]
        contexts = some.raw.astype(float)[:, :2]
        expected = some.family.decode(some.raw.astype(float)).quantile(0.3)
        if some is scores:
            index = np.repeat(np.arange(4), some.sizes)
            means = np.stack([contexts[index == number].mean(0) for number in range(4)])
            centred = np.concatenate([contexts - means[index], some.raw[:, 2:]], axis=1)
            expected = some.family.decode(centred).quantile(0.3)
        np.testing.assert_allclose(np.concatenate(written), expected, atol=1e-6)


def test_no_file_holds_nan_or_infinity(tmp_path: Path) -> None:
    """An infinite reward is null; lengths that nobody knows are not written."""
    file = tmp_path / "scores.jsonl"
    scores = replace(pairs(lengths=np.full(12, np.nan)), raw=np.full((12, 2), 30, np.float32))
    with np.errstate(over="ignore"):
        scores.save(file, risks=[Risk("lcb", 1e308)])

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for path in (file, meta_path(file)):
        for text in path.read_text().splitlines() if path == file else [path.read_text()]:
            json.loads(text, parse_constant=refuse)
    assert read_jsonl(file)[0]["rewards"] == {"lcb:1e+308": [None, None]}


def test_what_cannot_be_written_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    refused: list[tuple[str, Sequence[Scores]]] = [
        ("holds the scores of one model, not 2", [pairs(), pairs()]),
        ("two models are called 'model'", [ragged(), ragged()]),
        ("has 0 rows of texts to write", [pairs(rows=())]),
    ]
    for words, scores in refused:
        with pytest.raises(UserError, match=words):
            write_scores(file, scores)
    assert list(tmp_path.iterdir()) == []


def test_a_file_says_what_it_was_given_to_say(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    write_scores(file, [pairs(record={"counts": {"rows": 6}})], record={"config": {"seed": 3}})
    record = read_json(meta_path(file))
    assert (record["counts"], record["config"]) == ({"rows": 6}, {"seed": 3})
    assert record["families"] == {"reward_output": Normal().to_dict()}
    assert record["kind"] == "comparisons"
    assert load_scores(file).record == record


def test_thresholds_of_folds_are_written_as_their_median(tmp_path: Path) -> None:
    edges: Any = np.array([0.1, 0.1, 0.2, 0.3, 0.9, 0.9])
    model = OutcomeModel("threshold", (edges,))
    file = tmp_path / "scores.jsonl"
    pairs(outcome_model=model).save(file)
    assert load_scores(file).outcome_model == OutcomeModel("threshold", (0.25,))


@every_family
def test_a_table_has_a_line_for_every_response(family: Family) -> None:
    scores = ragged(family)
    frame = scores.to_frame()
    assert list(frame.columns) == ["row", "response", "prompt", "mean", "std", "quantile_0.01"]
    assert frame["row"].tolist() == [0, 0, 1, 1, 1, 2, 3, 3]
    assert frame["response"].tolist() == [0, 1, 0, 1, 2, 0, 0, 1]
    assert frame["prompt"].tolist() == ["P0", "P0", "P1", "P1", "P1", "P2", "P3", "P3"]
    utility = scores[1].utility
    of_row = frame[frame["row"] == 1]
    np.testing.assert_allclose(of_row["mean"], utility.mean[0], atol=1e-12)
    np.testing.assert_allclose(of_row["std"], utility.std[0], atol=1e-12)
    np.testing.assert_allclose(of_row["quantile_0.01"], utility.quantile(0.01)[0], atol=1e-9)


# Prompts and objectives


def test_rows_of_one_prompt_have_one_label_however_the_prompt_is_written(tmp_path: Path) -> None:
    outputs = {"reward_output_chosen": [1.0], "reward_output_rejected": [0.0]}
    dialogue = "\n\nHuman: bread?\n\nAssistant:"
    texts = {"chosen": f"{dialogue} flour and", "rejected": f"{dialogue} flour or"}
    user = [{"role": "user", "content": "bread?"}]
    chat = {
        side: [*user, {"role": "assistant", "content": side}] for side in ("chosen", "rejected")
    }
    rows: list[dict[str, Any]] = [
        {**outputs, **texts},
        {**outputs, **texts, "prompt": dialogue.strip()},
        {**outputs, **chat},
        {**outputs, **chat, "prompt": user},
        outputs,
        {**outputs, "reward_output_chosen": [2.0]},
    ]
    file = tmp_path / "scores.jsonl"
    write_jsonl(file, rows)
    labels = load_scores(file, family=Point()).prompt
    assert labels[0] == labels[1] == "Human: bread?"
    assert labels[2] == labels[3]
    assert len(set(labels)) == 4


def test_the_objective_counts_before_the_subset(tmp_path: Path) -> None:
    row = {"chosen": "a", "rejected": "b", "reward_output_chosen": 1, "reward_output_rejected": 0}
    file = tmp_path / "scores.jsonl"
    write_jsonl(file, [row | {"data_subset": "harmless", "objective": "helpful"}])
    objective = load_scores(file, family=Point()).objective
    assert objective is not None
    assert objective.tolist() == ["helpful"]
    write_jsonl(file, [row])
    assert load_scores(file, family=Point()).objective is None


# Damaged files

PAIR: dict[str, Any] = {
    "chosen": "a",
    "rejected": "b",
    "reward_output_chosen": [1.0, 0.0],
    "reward_output_rejected": [0.0, 0.0],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward_output_rejected": [0.0]}, "row 2: raw outputs are not numbers of one width"),
        ({"reward_output_chosen": None}, "row 2: raw outputs are not numbers of one width"),
        ({"reward_output_chosen": ["x", 0.0]}, "row 2: raw outputs are not numbers"),
        ({"reward_output_chosen": [math.nan, 0.0]}, r"row 2: .*shape \(2, 2\); expected finite"),
        (
            {"reward_output_chosen": [1.0], "reward_output_rejected": [0.0]},
            r"row 2: .*shape \(2, 1\); expected finite numbers, 2 for each response",
        ),
        ({"outcome": {"shares": [0.5, 0.5], "weight": 1.0}}, "row 2: outcome"),
        ({"outcome": {"shares": [0.0, 0.0, 1.0]}}, "row 2: outcome"),
        ({"outcome": {"shares": [0.0, 0.0, 1.0], "weight": -1.0}}, "row 2: outcome"),
        ({"outcome": {"shares": [0.0, "x", 1.0], "weight": 1.0}}, "row 2: outcome"),
        ({"outcome": "tie"}, "row 2: outcome"),
    ],
)
def test_a_damaged_comparison_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "scores.jsonl"
    text = "\n".join(json.dumps(row) for row in (PAIR, PAIR | change))
    file.write_text(text)
    with pytest.raises(UserError, match=rf"scores\.jsonl, {message}"):
        load_scores(file, family=Normal())


def test_a_row_without_outputs_is_named(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    write_jsonl(file, [PAIR, {"chosen": "a", "rejected": "b"}])
    with pytest.raises(
        UserError, match=r"row 2: no column 'reward_output_chosen'; columns present"
    ):
        load_scores(file, family=Normal())
    write_jsonl(file, [{"chosen": "a", "rejected": "b"}])
    with pytest.raises(UserError, match="columns of raw outputs: none"):
        load_scores(file, family=Normal())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Q", "responses": ["A"]}, "row 1: 1 responses; expected safe and unsafe"),
        (
            {"prompt": "Q", "responses": ["A", "B"], "reward_outputs_both": [[[1.0]], [1.0, 2.0]]},
            "row 1: raw outputs are not numbers of one width",
        ),
        (
            {"prompt": "Q", "responses": ["A", "B"]},
            "row 1: outputs of 1 responses, but 2 texts",
        ),
        ({"prompt": "Q"}, "row 1: no column 'responses'"),
        (
            {"prompt": "Q", "responses": False, "reward_outputs_both": [1.0, 2.0]},
            "row 1: column 'responses' is bool; expected a list of texts",
        ),
        ({"responses": ["A"]}, "row 1: no column 'prompt'"),
    ],
)
def test_damaged_jailbreaks_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    file = tmp_path / "jailbroken_evaluations_base.jsonl"
    write_jsonl(file, [{"reward_outputs_both": [[1.0]], **row}])
    with pytest.raises(UserError, match=rf"jailbroken_evaluations_base\.jsonl, {message}"):
        find_jailbreaks(tmp_path)


def test_jailbreaks_have_two_responses() -> None:
    assert check_pairs(pairs()).kind == "comparisons"
    with pytest.raises(UserError, match="row 2: 3 responses; expected safe and unsafe"):
        check_pairs(ragged())


def test_a_family_is_read_from_the_record_a_published_name_or_the_caller(tmp_path: Path) -> None:
    def save(name: str) -> Path:
        run = tmp_path / f"reward_models/any/both/{name}_last_checkpoint/eval_results_both.jsonl"
        write_jsonl(run, [PAIR])
        return run

    file = save("mean_and_variance_m__0_3e-06_cosine_1_0.0_peft")
    assert load_scores(file).family == Normal(link="paper")
    (scores,) = find_comparisons(tmp_path)
    assert (scores.family, scores.trained_on) == (Normal(link="paper"), "both")
    other = save("nothing_known")
    with pytest.raises(UserError, match="its family is recorded nowhere"):
        find_comparisons(tmp_path)
    assert load_scores(other, family=Normal(link="logit")).family == Normal(link="logit")
    write_json(meta_path(other), {"families": {"reward_output": Normal(link="logit").to_dict()}})
    assert load_scores(other, family=Normal()).family == Normal(link="logit")
    write_json(meta_path(other), ["no record"])
    with pytest.raises(UserError, match=r"meta\.json holds list; expected a JSON object"):
        load_scores(other)


def test_scalar_outputs_may_be_plain_numbers(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    write_jsonl(file, [PAIR | {"reward_output_chosen": 1.5, "reward_output_rejected": 0}])
    scores = load_scores(file, family=Point())
    np.testing.assert_array_equal(scores.raw, [[1.5], [0]])


def test_when_training_stopped_is_read_from_the_scores_or_the_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "eval_results_both.jsonl"
    write_jsonl(file, [PAIR])
    assert load_scores(file, family=Normal()).stopping_rule == "not recorded"
    training = {"num_observations": 90, "epochs": 2.0, "steps": 5}
    write_json(tmp_path / "hidden_context.json", {"training": training})
    scores = load_scores(file, family=Normal())
    assert scores.stopping_rule == "after 2 epochs of 90 observations"
    write_json(meta_path(file), {"stopping_rule": "at once"})
    assert load_scores(file, family=Normal()).stopping_rule == "at once"


@pytest.mark.parametrize("times", [0.5, 2])
def test_a_file_of_other_than_the_recorded_rows_is_refused(tmp_path: Path, times: float) -> None:
    """Cut at a line's end, or written twice: each line is right, and the whole is not."""
    for scores, counts in ((ragged(), {}), (ragged(), {"rows": 4}), (pairs(4), {"comparisons": 4})):
        file = tmp_path / "scores.jsonl"
        scores.save(file)
        assert len(Scores.load(file)) == 4
        record = read_json(meta_path(file))
        if counts:  # of an earlier version
            del record["num_rows"]
            write_json(meta_path(file), record | {"counts": counts})
            assert len(Scores.load(file)) == 4
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join((lines * 2)[: int(len(lines) * times)]))
        if "comparisons" in counts and times > 1:
            continue  # rankings are read as all their pairs
        with pytest.raises(
            UserError, match=rf"has {int(4 * times)} rows, but .* says 4: it was cut"
        ):
            Scores.load(file)
        with pytest.raises(UserError, match="says 4: it was cut"):
            read_rows(file)  # as data to train on, to score again or to aggregate
