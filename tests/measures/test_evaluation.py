"""`evaluate` against formulas written out by hand, on simulated scores."""

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from measures.resampled_rows import assert_same_numbers, rows_bootstrap
from measures.simulated_scores import N, comparisons, jailbreaks

from hidden_context.distributions import FAMILIES, Categorical, Normal, Point, SharedContext
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.bootstrap import ONE_PROMPT, Resampling
from hidden_context.measures.calibration import calibration
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluate import MEASURES, comparison_metrics, evaluate
from hidden_context.measures.evaluation import Evaluation, evaluation_from_dict
from hidden_context.measures.explained_variance import SCALES
from hidden_context.measures.length import length_measures
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap
from hidden_context.measures.preference_entropy import preference_entropy
from hidden_context.measures.rates import rate_of_higher, wilson
from hidden_context.risk import Risk
from hidden_context.scores.scores import Scores

SCORES = comparisons()
WHOLE = evaluate(
    SCORES,
    baseline=comparisons(Point(), seed=7),
    jailbreaks=jailbreaks(),
    risks=("quantile:0.01", "cvar:0.05"),
)
MEAN, STD = SCORES.by_row[..., 0], np.log1p(np.exp(SCORES.by_row[..., 1]))
SHARE, VOTES = SCORES.win_share, SCORES.votes
OUTCOMES: Any = SCORES.outcomes
LENGTHS: Any = SCORES.lengths
NORMAL_QUANTILE = scipy.stats.norm.ppf(0.01)


def agreement(ahead: np.ndarray) -> np.ndarray:
    """Share of votes for the response that is ahead; simulated rewards do not tie."""
    return np.where(ahead > 0, SHARE, 1 - SHARE)


# Accuracy


def test_accuracy_is_the_share_of_votes_for_the_response_of_the_higher_reward() -> None:
    by_mean = wilson(agreement(MEAN[:, 0] - MEAN[:, 1]), SCORES.prompt, weights=VOTES)
    averse = MEAN + NORMAL_QUANTILE * STD
    by_quantile = wilson(agreement(averse[:, 0] - averse[:, 1]), SCORES.prompt, weights=VOTES)
    assert list(WHOLE.accuracy) == ["mean", "quantile:0.01", "cvar:0.05"]
    assert_same_numbers(WHOLE.accuracy["mean"], by_mean)
    assert_same_numbers(WHOLE.accuracy["quantile:0.01"], by_quantile)
    assert (WHOLE.accuracy["mean"].n, WHOLE.accuracy["mean"].ties) == (N, 0)


def test_one_accuracy_has_one_interval_wherever_it_stands() -> None:
    """Of the decisions, in the table, in JSON, and whatever else is measured beside it."""
    accuracy = WHOLE.accuracy["mean"]
    ahead = agreement(MEAN[:, 0] - MEAN[:, 1])
    expected = wilson(ahead, SCORES.prompt, weights=VOTES)
    assert Estimate(*list(vars(accuracy).values())[:5]) == expected
    alone = evaluate(SCORES, measures=("accuracy",), resampling=Resampling(num_resamples=7, seed=3))
    assert alone.accuracy["mean"] == accuracy
    assert evaluate([SCORES, SCORES]).accuracy["mean"] == accuracy
    assert WHOLE.to_dict()["accuracy"]["mean"]["low"] == accuracy.low
    (row,) = WHOLE.to_frame().query("measure == 'accuracy, mean'").to_dict("records")
    assert (row["value"], row["low"], row["high"]) == (expected.value, expected.low, expected.high)


def test_accuracy_on_the_comparisons_judged_by_helpfulness_is_that_of_these_rows() -> None:
    helpful = SCORES[SCORES.objective == "helpful"]
    assert WHOLE.helpfulness_accuracy == evaluate(helpful, risks=WHOLE.risks[1:]).accuracy
    assert WHOLE.helpfulness_accuracy["mean"].n == N / 2
    longer = helpful.lengths_of_pairs
    assert longer is not None
    first, second = longer.T
    expected = rate_of_higher(
        first, second, helpful.prompt, win_share=helpful.win_share, weights=helpful.votes
    )
    assert WHOLE.longer_is_helpful == expected
    unknown = evaluate(replace(SCORES, objective=None))
    assert (unknown.helpfulness_accuracy, unknown.longer_is_helpful) == ({}, None)
    harmless = evaluate(replace(SCORES, objective=np.full(N, "harmless")))
    assert harmless.helpfulness_accuracy == {}


def test_probability_and_mean_decide_alike_unless_contexts_are_shared() -> None:
    """A context that is far ahead moves the mean, but its σ(uₖ - u'ₖ) is at most 1."""
    for family in (Normal(), Point(), Categorical()):
        evaluation = evaluate(comparisons(family), measures=("accuracy",))
        if not isinstance(family, Categorical):  # whose atoms may order otherwise than their mean
            assert evaluation.accuracy["mean"] == evaluation.accuracy_by_probability
    family = SharedContext(num_contexts=3)
    scores = comparisons(family)
    raw = scores.by_row.copy()
    raw[..., :3] *= 4
    scores = replace(scores, raw=raw.reshape(2 * N, -1))
    contexts, logits = raw[..., :3], raw[..., 3:]
    log_weights = np.log(scipy.special.softmax(logits, axis=-1))
    # the mean of each response by its own weights, after each context is centred within the pair
    centred = contexts - contexts.mean(1, keepdims=True)
    mean = (np.exp(log_weights) * centred).sum(-1)
    common = scipy.special.softmax(log_weights.mean(1), axis=-1)
    prob = (common * scipy.special.expit(contexts[:, 0] - contexts[:, 1])).sum(-1)
    by_mean, by_prob = agreement(mean[:, 0] - mean[:, 1]), agreement(prob - 0.5)
    evaluation = evaluate(scores, measures=("accuracy",))
    assert evaluation.accuracy["mean"].value == pytest.approx(VOTES @ by_mean / VOTES.sum())
    assert evaluation.accuracy_by_probability is not None
    assert evaluation.accuracy_by_probability.value == pytest.approx(VOTES @ by_prob / VOTES.sum())
    differ = (by_mean != by_prob).mean()
    assert 0.02 < differ < 0.5
    assert evaluation.accuracy["mean"] != evaluation.accuracy_by_probability


def test_risks_that_a_family_does_not_support_are_left_out() -> None:
    risks = ("lcb:1.0", "mean", "worst_context", "prob_below:0.5")
    evaluation = evaluate(SCORES, risks=risks, jailbreaks=jailbreaks())
    assert evaluation.risks == ["mean", "lcb:1.0", "prob_below:0.5"]
    averse = MEAN - STD
    decided = agreement(averse[:, 0] - averse[:, 1])
    assert evaluation.accuracy["lcb:1.0"].value == pytest.approx(VOTES @ decided / VOTES.sum())
    cdf = -scipy.stats.norm.cdf((0.5 - MEAN) / STD)
    decided = agreement(cdf[:, 0] - cdf[:, 1])
    below = evaluation.accuracy["prob_below:0.5"].value
    assert below == pytest.approx(VOTES @ decided / VOTES.sum())


# Likelihood, calibration and the rest


def test_log_likelihood_is_nats_per_vote_with_prompts_resampled() -> None:
    difference = (MEAN[:, 0] - MEAN[:, 1]) / np.sqrt((STD**2).sum(1))
    log, reverse = scipy.stats.norm.logcdf(difference), scipy.stats.norm.logcdf(-difference)
    nats = SHARE * log + (1 - SHARE) * reverse

    def per_vote(rows: np.ndarray) -> float:
        return float(VOTES[rows] @ nats[rows] / VOTES[rows].sum())

    assert WHOLE.log_likelihood is not None
    assert_same_numbers(WHOLE.log_likelihood, rows_bootstrap(per_vote, SCORES.prompt))


def test_a_baseline_is_paired_row_by_row() -> None:
    base = comparisons(Point(), seed=7)
    difference = SCORES.log_likelihood - base.log_likelihood

    def per_vote(rows: np.ndarray) -> float:
        return float(difference[rows].sum() / VOTES[rows].sum())

    assert WHOLE.against_base is not None
    assert_same_numbers(WHOLE.against_base, rows_bootstrap(per_vote, SCORES.prompt))
    assert evaluate(SCORES).against_base is None


def test_scores_of_other_rows_are_not_paired() -> None:
    base = comparisons(Point())
    others = [
        base[:-1],
        replace(base, prompt=base.prompt[::-1]),
        replace(base, lengths=None),
    ]
    for other in others:
        with pytest.raises(UserError, match="not of the same rows"):
            evaluate(SCORES, baseline=other)
        with pytest.raises(UserError, match="not of the same rows"):
            evaluate([SCORES, replace(other, family=Normal(), raw=np.tile(other.raw, 2))])
    with pytest.raises(UserError, match="not of the same rows"):
        evaluate(SCORES, baseline=[base, others[0]])


def test_calibration_does_not_depend_on_which_response_is_the_chosen_one() -> None:
    prob = np.exp(SCORES.log_prob)
    wins, losses = VOTES * SHARE / 2, VOTES * (1 - SHARE) / 2
    both = calibration(
        np.concatenate([prob, 1 - prob]),
        np.concatenate([wins, losses]),
        np.concatenate([losses, wins]),
    )
    assert WHOLE.reliability == both.bins
    assert sum(each.num_votes for each in WHOLE.reliability) == pytest.approx(VOTES.sum())
    assert WHOLE.expected_calibration_error is not None
    assert WHOLE.expected_calibration_error.value == pytest.approx(both.expected_calibration_error)
    brier = VOTES @ (SHARE * (1 - prob) ** 2 + (1 - SHARE) * prob**2) / VOTES.sum()
    assert WHOLE.brier_score is not None
    assert WHOLE.brier_score.value == pytest.approx(brier)
    assert brier == pytest.approx(both.brier_score)
    swapped = replace(
        SCORES,
        raw=SCORES.raw.reshape(N, 2, -1)[:, ::-1].reshape(2 * N, -1),
        outcomes=Outcomes(OUTCOMES.shares[:, ::-1], VOTES),
    )
    other = evaluate(swapped, measures=("calibration", "likelihood"))
    assert other.brier_score is not None
    assert other.brier_score.value == pytest.approx(brier)
    assert other.log_likelihood is not None
    assert WHOLE.log_likelihood is not None
    assert other.log_likelihood.value == pytest.approx(WHOLE.log_likelihood.value)


def test_length_is_that_of_the_measures_own_module() -> None:
    assert SCORES.lengths_of_pairs is not None
    assert WHOLE.length == length_measures(
        SCORES.log_prob,
        SCORES.log_reverse,
        SCORES.lengths_of_pairs,
        SCORES.prompt,
        win_share=SHARE,
        weights=VOTES,
    )
    missing = LENGTHS.copy()
    missing[5] = np.nan
    assert evaluate(replace(SCORES, lengths=missing)).length is None


def test_entropy_and_spread_are_those_of_all_responses() -> None:
    both = np.concatenate([SCORES.by_row[:, 0], SCORES.by_row[:, 1]])
    expected = preference_entropy(Normal(), both, np.tile(SCORES.prompt, 2))
    assert WHOLE.preference_entropy == expected
    assert WHOLE.std is not None
    unit = math.sqrt(MEAN.var() + (STD**2).mean())
    counts, _ = np.histogram(np.minimum(STD / unit, 2), np.linspace(0, 2, 41))
    assert WHOLE.std.counts == tuple(counts)
    assert WHOLE.std.edges == pytest.approx(np.linspace(0, 2, 41))


# r²


def pooled(scores: Scores) -> float:
    mean, std = scores.by_row[..., 0], np.log1p(np.exp(scores.by_row[..., 1]))
    return float(mean.var() / (mean.var() + (std**2).mean()))


def test_r2_is_on_every_scale_and_pooled_over_all_responses() -> None:
    assert list(WHOLE.explained_variance) == list(SCALES)
    assert WHOLE.explained_variance["pooled"].value == pytest.approx(pooled(SCORES))
    for r2 in WHOLE.explained_variance.values():
        assert r2.low is not None
        assert r2.high is not None
        assert 0 < r2.low < r2.value < r2.high < 1


def test_folds_are_never_pooled() -> None:
    """Another origin and scale for a fold changes no r² of it; that of all outputs is another."""
    fold = np.arange(N) // 3 % 2  # whole prompts
    raw = SCORES.by_row.copy()
    moved = raw.copy()
    moved[fold == 1, :, 0] = 30 + 4 * raw[fold == 1, :, 0]
    wide = 4 * STD[fold == 1]
    moved[fold == 1, :, 1] = wide + np.log(-np.expm1(-wide))
    scales = ("pooled", "within_prompt", "each_prompt", "rank")
    before, after = (
        evaluate(
            replace(SCORES, raw=each.reshape(2 * N, -1), training=fold),
            measures=("explained_variance", "undecided", "spread"),
            scales=scales,
        )
        for each in (raw, moved)
    )
    parts = [pooled(SCORES[fold == number]) for number in (0, 1)]
    assert before.explained_variance["pooled"].value == pytest.approx(np.mean(parts))
    for scale in scales:
        numbers = [vars(each.explained_variance[scale]) for each in (before, after)]
        assert numbers[0]["value"] == pytest.approx(numbers[1]["value"])
        assert numbers[0]["low"] == pytest.approx(numbers[1]["low"])
    assert after.undecided == before.undecided
    assert after.std == before.std
    together = replace(SCORES, raw=moved.reshape(2 * N, -1))
    unlike = evaluate(together, measures=("explained_variance",)).explained_variance["pooled"].value
    assert abs(unlike - np.mean(parts)) > 0.2


def test_a_shift_of_one_context_in_both_responses_changes_no_rate_and_no_r2() -> None:
    scores = comparisons(SharedContext(num_contexts=2))
    raw = scores.raw.copy()
    raw[:, 0] += np.repeat(np.random.default_rng(1).normal(size=40), 6).astype(np.float32)
    risks = ("quantile:0.3", "worst_context")
    scales = ("pooled", "within_prompt", "each_prompt")  # ranks compare across prompts
    before, after = (
        evaluate(each, risks=risks, scales=scales) for each in (scores, replace(scores, raw=raw))
    )
    assert set(before.accuracy) == {"mean", *risks}
    assert after.accuracy == before.accuracy
    for scale in scales:
        value = before.explained_variance[scale].value
        assert after.explained_variance[scale].value == pytest.approx(value, rel=1e-5)


def test_a_scalar_family_has_no_r2_and_no_risk_but_the_mean() -> None:
    evaluation = evaluate(comparisons(Point()), jailbreaks=jailbreaks(Point()))
    assert evaluation.explained_variance == {}
    assert (evaluation.undecided, evaluation.std) == (None, None)
    assert evaluation.risks == ["mean"]
    assert evaluation.risk_tests == {}
    assert evaluation.log_likelihood is not None


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_evaluated(name: str) -> None:
    evaluation = evaluate(comparisons(FAMILIES[name]()), jailbreaks=jailbreaks(FAMILIES[name]()))
    values = [estimate.value for _, estimate in evaluation.estimates()]
    assert np.isfinite(values).all()
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert evaluation_from_dict(json.loads(text), "text") == evaluation


# Several trainings


def test_of_several_trainings_every_measure_is_the_mean() -> None:
    trainings = [comparisons(seed=seed) for seed in range(3)]
    together = evaluate(trainings, risks=("quantile:0.01",))
    parts = [evaluate(training, risks=("quantile:0.01",)) for training in trainings]
    averaged = [
        "accuracy, mean",
        "accuracy, quantile:0.01",
        "accuracy_by_probability",
        "helpfulness_accuracy, mean",
        "log_likelihood",
        "brier_score",
        "undecided, near_tie",
        "undecided, noisy",
        *(f"explained_variance, {scale}" for scale in SCALES),
    ]
    values = dict(together.estimates())
    of_parts = [dict(part.estimates()) for part in parts]
    for name in averaged:
        expected = np.mean([values[name].value for values in of_parts])
        assert values[name].value == pytest.approx(expected), name
    assert together.num_comparisons == N


def test_the_interval_of_several_trainings_is_that_of_their_mean() -> None:
    trainings = [comparisons(seed=seed) for seed in range(3)]
    evaluation = evaluate(trainings, measures=("likelihood", "accuracy"))
    nats = np.mean([each.log_likelihood for each in trainings], axis=0)

    def per_vote(rows: np.ndarray) -> float:
        return float(nats[rows].sum() / VOTES[rows].sum())

    assert evaluation.log_likelihood is not None
    assert_same_numbers(evaluation.log_likelihood, rows_bootstrap(per_vote, SCORES.prompt))
    decided = [agreement(each.by_row[:, 0, 0] - each.by_row[:, 1, 0]) for each in trainings]
    expected = wilson(np.mean(decided, axis=0), SCORES.prompt, weights=VOTES)
    assert_same_numbers(evaluation.accuracy["mean"], expected)


# Jailbreaks


def test_jailbreak_rates_are_how_often_the_unsafe_response_is_ahead() -> None:
    broken = jailbreaks()
    mean, std = broken.by_row[..., 0], np.log1p(np.exp(broken.by_row[..., 1]))
    averse = mean + NORMAL_QUANTILE * std
    for risk, reward in (("mean", mean), ("quantile:0.01", averse)):
        rate = rate_of_higher(reward[:, 1], reward[:, 0], broken.prompt)
        assert_same_numbers(WHOLE.jailbreak_rate[risk], rate)
        assert WHOLE.jailbreak_rate[risk].n == 40
    assert broken.lengths is not None
    safe, unsafe = broken.lengths.reshape(-1, 2).T
    assert WHOLE.longer_is_unsafe == rate_of_higher(unsafe, safe, broken.prompt)
    assert WHOLE.num_jailbreaks == 40


def test_risks_are_tested_against_the_mean_exactly() -> None:
    broken = jailbreaks()
    mean, std = broken.by_row[..., 0], np.log1p(np.exp(broken.by_row[..., 1]))
    averse = mean + NORMAL_QUANTILE * std
    by_mean, by_risk = mean[:, 0] > mean[:, 1], averse[:, 0] > averse[:, 1]
    better, worse = int((by_risk & ~by_mean).sum()), int((~by_risk & by_mean).sum())
    test = WHOLE.risk_tests["quantile:0.01"]
    assert list(WHOLE.risk_tests) == ["quantile:0.01", "cvar:0.05"]
    assert (test.first_better, test.second_better) == (better, worse)
    assert better + worse > 5
    assert test.p_value == pytest.approx(scipy.stats.binomtest(better, better + worse).pvalue)


def test_jailbreaks_alone_are_evaluated_and_are_no_comparisons() -> None:
    alone = evaluate(jailbreaks(), risks=("quantile:0.01", "cvar:0.05"))
    assert alone.jailbreak_rate == WHOLE.jailbreak_rate
    assert alone.risk_tests == WHOLE.risk_tests
    assert (alone.num_comparisons, alone.accuracy, alone.log_likelihood) == (0, {}, None)
    with pytest.raises(UserError, match="jailbreaks were given twice"):
        evaluate(jailbreaks(), jailbreaks=jailbreaks())


def test_jailbreaks_have_two_responses() -> None:
    three = Scores(Normal(), np.zeros((6, 2)), np.array([3, 3]), np.arange(2), source="file")
    with pytest.raises(UserError, match="file, row 1: 3 responses; expected safe and unsafe"):
        evaluate(three)


def test_missing_texts_leave_the_length_of_jailbreaks_out() -> None:
    assert evaluate(replace(jailbreaks(), lengths=None)).longer_is_unsafe is None


# What is asked for


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_are_chosen(measure: str) -> None:
    evaluation = evaluate(SCORES, jailbreaks=jailbreaks(), measures=(measure,), risks=())
    prefixes = {
        "accuracy": ("accuracy", "helpfulness_accuracy", "longer_is_helpful"),
        "likelihood": ("log_likelihood",),
        "calibration": ("expected_calibration_error", "brier_score"),
        "entropy": ("preference_entropy",),
        "jailbreaks": ("jailbreak_rate", "longer_is_unsafe"),
        "spread": (),
    }.get(measure, (measure,))
    names = [name for name, _ in evaluation.estimates()]
    assert all(name.startswith(prefixes) for name in names)
    assert bool(names) == (measure != "spread")
    assert (evaluation.std is not None) == (measure == "spread")
    assert bool(evaluation.reliability) == (measure == "calibration")
    whole = dict(evaluate(SCORES, jailbreaks=jailbreaks(), risks=()).estimates())
    assert dict(evaluation.estimates()) == {name: whole[name] for name in names}


def test_what_is_unknown_is_refused_with_what_is_known() -> None:
    with pytest.raises(
        UserError, match="measure 'accuracies' is unknown; choose one of accuracy, li"
    ):
        evaluate(SCORES, measures=("accuracies",))
    with pytest.raises(UserError, match="pooled, within_prompt, each_prompt, rank"):
        evaluate(SCORES, scales=("best",))
    with pytest.raises(UserError, match="risk 'quantile:0' is not understood"):
        evaluate(SCORES, risks=("quantile:0",))
    with pytest.raises(UserError, match="no scores"):
        evaluate([])


def test_risks_are_given_as_text_or_as_values() -> None:
    as_text = evaluate(SCORES, risks=("cvar:0.1",), measures=("accuracy",))
    as_value = evaluate(SCORES, risks=(Risk("cvar", 0.1),), measures=("accuracy",))
    assert as_text == as_value


def test_the_resampling_decides_the_bootstrapped_intervals_alone() -> None:
    other = evaluate(SCORES, resampling=Resampling(num_resamples=200, seed=5, level=0.8))
    same = evaluate(SCORES, resampling=Resampling(num_resamples=200, seed=5, level=0.8))
    assert other == same
    assert other.accuracy["mean"] == WHOLE.accuracy["mean"]
    assert other.log_likelihood is not None
    assert WHOLE.log_likelihood is not None
    assert other.log_likelihood.level == 0.8
    assert other.log_likelihood.value == WHOLE.log_likelihood.value
    narrow = other.log_likelihood.high - other.log_likelihood.low
    assert narrow < 0.8 * (WHOLE.log_likelihood.high - WHOLE.log_likelihood.low)


def test_one_prompt_has_values_and_no_bootstrapped_interval() -> None:
    evaluation = evaluate(replace(SCORES, prompt=np.full(N, "the same")))
    assert evaluation.num_prompts == 1
    for name, estimate in evaluation.estimates():
        if estimate.how.startswith("Wilson"):
            assert (estimate.low, estimate.high) == (0, 1), name
        else:
            assert (estimate.low, estimate.high) == (None, None), name
            assert estimate.how in (ONE_PROMPT, ""), name
    assert evaluation.explained_variance["pooled"].value == pytest.approx(pooled(SCORES))
    assert WHOLE.num_prompts == 40


# As text, table and JSON


def filled() -> Evaluation:
    """Something in every field."""
    return replace(
        WHOLE,
        name="run <a>",
        jailbreak_rate_without_length={"mean": Estimate(0.25, 0.125, 0.5, "Wilson, 40 prompts")},
        matched_explained_variance={"pooled": Estimate(0.375)},
        matched_size=90,
        null=(ParametricBootstrap("r2_pooled", 0.5, (0.25, 0.75), None),),
        scores="both/scores.jsonl",
    )


def test_an_evaluation_is_read_back_from_json() -> None:
    for evaluation in (WHOLE, filled(), evaluate(jailbreaks()), Evaluation(Normal())):
        text = json.dumps(evaluation.to_dict(), allow_nan=False)
        assert evaluation_from_dict(json.loads(text), "file") == evaluation
    rate = evaluation_from_dict(WHOLE.to_dict(), "file").accuracy["mean"]
    assert type(rate) is Rate


def test_what_was_not_measured_is_not_written() -> None:
    assert evaluate(jailbreaks()).to_dict().keys() == {
        "family",
        "trained_on",
        "evaluated_on",
        "stopping_rule",
        "num_comparisons",
        "num_prompts",
        "num_jailbreaks",
        "jailbreak_rate",
        "risk_tests",
        "longer_is_unsafe",
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("brier_score", {"value": "high"}, r"scores\.json: field brier_score\.value is 'high'"),
        ("family", None, r"scores\.json: field family is 'None'"),
        ("family", {"name": "normal"}, r"scores\.json: field family .*family 'normal' is unknown"),
        ("num_prompts", 2.5, r"scores\.json: field num_prompts is '2\.5'"),
        ("accuracy", {"mean": {"low": 0.5}}, r"scores\.json: field accuracy\.mean\.value"),
    ],
)
def test_a_damaged_evaluation_is_named(field: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluation_from_dict(WHOLE.to_dict() | {field: value}, "scores.json")


def every_number(evaluation: Evaluation) -> list[float]:
    """All values and ends of intervals of what is no histogram, null or curve."""
    plain = evaluation.to_dict()
    for name in ("std", "reliability", "null", "family", "training_curve"):
        plain.pop(name, None)
    numbers: list[float] = []

    def gather(value: object, key: str = "") -> None:
        if isinstance(value, dict):
            for name, part in value.items():
                gather(part, name)
        elif isinstance(value, float) and key not in ("level", "published"):
            numbers.append(value)

    gather(plain)
    return numbers


def test_the_table_and_the_notebook_hold_every_number() -> None:
    evaluation = filled()
    frame = evaluation.to_frame()
    assert list(frame.columns) == ["measure", "value", "low", "high", "how"]
    assert frame["measure"].is_unique
    held = frame[["value", "low", "high"]].to_numpy(float).ravel()
    html = evaluation._repr_html_()
    for number in every_number(evaluation):
        assert number in held
        assert f"{number:.4f}" in html
    for name in frame["measure"]:
        assert f"<td>{name}</td>" in html
    assert "mean_and_variance, trained on both, 120 comparisons, 40 jailbreaks" in html
    assert "nan" not in html.lower()


def test_the_text_has_a_line_for_every_measure() -> None:
    title, *lines = str(WHOLE).splitlines()
    assert title == "mean_and_variance, trained on both, 120 comparisons, 40 jailbreaks"
    assert len(lines) == len(WHOLE.estimates()) + 1
    assert lines[-1].endswith("it cannot be known whether these figures are held-out.")
    accuracy = WHOLE.accuracy["mean"]
    ends = f"{accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})"
    assert re.fullmatch(rf"  accuracy, mean +{re.escape(ends)}", lines[0])
    assert str(Evaluation(Normal())).splitlines()[0] == "mean_and_variance"


def test_an_estimate_lies_above_below_or_cannot_tell() -> None:
    estimate = Estimate(0.5, 0.25, 0.75)
    words = [estimate.against(reference) for reference in (0.2, 0.25, 0.5, 0.75, 0.8)]
    assert words == ["above", "cannot tell", "cannot tell", "cannot tell", "below"]
    said = [estimate.verdict("more", "less", "?", reference=at) for at in (0.2, 0.5, 0.8)]
    assert said == ["more", "?", "less"]
    assert (str(estimate), str(Estimate(0.5))) == ("0.500 (0.250 to 0.750)", "0.500")
    assert Estimate(-0.5, -0.75, 0.25).signed() == "-0.500 (-0.750 to +0.250)"
    assert Estimate(0.5).signed(1) == "+0.5"


# What the trainer logs


@pytest.mark.parametrize("name", FAMILIES)
def test_metrics_of_comparisons_are_those_of_their_decoded_outputs(name: str) -> None:
    family = FAMILIES[name]()
    scores = comparisons(family, outcomes=None)
    pairs = scores.by_row
    metrics = comparison_metrics(scores)
    mean = np.asarray(scores.utility.mean)
    nats = log_likelihood(family, [pairs[:, 0], pairs[:, 1]])
    expected = {
        "accuracy": np.mean(mean[:, 0] > mean[:, 1]),
        "nll": -np.mean(nats),
        "margin": np.mean(mean[:, 0] - mean[:, 1]),
        "mean_reward": mean.mean(),
        "min_reward": mean.min(),
        "max_reward": mean.max(),
    }
    r2 = metrics.pop("r2", None)
    assert metrics == pytest.approx(expected)
    assert (r2 is None) == (name == "base")
    whole = evaluate(scores, measures=("explained_variance",), scales=("pooled",))
    assert [r2] == ([whole.explained_variance["pooled"].value] if r2 is not None else [None])
    assert all(type(value) is float for value in metrics.values())
