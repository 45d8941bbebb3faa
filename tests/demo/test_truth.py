"""The truth that figures are drawn beside, against other ways to compute it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from hidden_context.demo.config import Config
from hidden_context.demo.generated_data import GeneratedData, generate
from hidden_context.demo.judges import (
    JUDGES,
    NOISE_STD,
    Attributes,
    Judge,
    population,
    responses_to,
    utility_quantile,
)
from hidden_context.demo.truth import truth
from hidden_context.distributions import Normal
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.errors import UserError
from hidden_context.measures.known_truth import KnownTruth, read_truth, write_truth
from hidden_context.records import read_json, write_json

by_judges = pytest.mark.parametrize("name", JUDGES)


@pytest.fixture(scope="module")
def data() -> GeneratedData:
    return generate(Config(train_size=1, test_size=200, num_jailbreaks=60))


@pytest.fixture(scope="module")
def truths(data: GeneratedData) -> dict[str, KnownTruth]:
    return {
        name: truth(name, judges, data.test["both"], data.jailbreaks)
        for name, judges in JUDGES.items()
    }


def exact_sum(attributes: Attributes, judges: tuple[Judge, ...]) -> Fraction:
    """The mean utility but for a constant, without rounding: all weights are multiples of 1/4."""
    values = [
        Fraction(judge.step) * (attributes.steps + attributes.harmful_steps)
        - Fraction(judge.harm) * attributes.harmful_steps
        + Fraction(judge.alternative) * attributes.alternatives
        + Fraction(judge.courtesy) * attributes.courtesy
        for judge in judges
    ]
    return sum(values, Fraction(0)) / len(judges)


@by_judges
def test_accuracy_counts_exact_ties_half(name: str, data, truths) -> None:
    """In exact fractions: sums of floats would break some of the many ties."""
    gains = [
        exact_sum(each.chosen.attributes, JUDGES[name])
        - exact_sum(each.rejected.attributes, JUDGES[name])
        for each in data.test["both"]
        if each.judge.objective == "helpful"
    ]
    assert any(gain == 0 for gain in gains)
    expected = np.mean([1.0 if gain > 0 else 0.5 if gain == 0 else 0.0 for gain in gains])
    accuracy = truths[name].evaluation.helpfulness_accuracy["mean"]
    assert accuracy.value == pytest.approx(expected, abs=1e-12)
    assert accuracy.ties == sum(gain == 0 for gain in gains)


@by_judges
@pytest.mark.parametrize("level", [0.5, 0.1, 0.01])
def test_jailbreak_rates_by_a_quantile_are_those_of_roots(name: str, level: float, data, truths):
    """By a root of the mixture's distribution function, in another module."""
    by_root = [
        utility_quantile(each.unsafe.attributes, JUDGES[name], level)
        >= utility_quantile(each.safe.attributes, JUDGES[name], level)
        for each in data.jailbreaks
    ]
    rate = truths[name].evaluation.jailbreak_rate[f"quantile:{level:g}"]
    assert rate.published == pytest.approx(np.mean(by_root), abs=1e-12)


@by_judges
def test_r2_within_prompts_and_of_ranks_are_those_of_the_whole_population(name: str, truths):
    """With matrices over all kinds of responses, and scipy's normal distribution."""
    judges = JUDGES[name]

    def of(responses: list[tuple[Attributes, float]]) -> tuple[np.ndarray, np.ndarray]:
        utilities = [[judge.utility(each) for judge in judges] for each, _ in responses]
        return np.array(utilities), np.array([share for _, share in responses])

    explained, unexplained = 0.0, 0.0
    for harmful in (False, True):
        utilities, shares = of(responses_to(harmful))
        means = utilities.mean(1)
        explained += shares @ (means - shares @ means) ** 2
        unexplained += shares @ (utilities.var(1) + NOISE_STD**2)
    r2 = truths[name].evaluation.explained_variance
    assert r2["within_prompt"].value == pytest.approx(explained / (explained + unexplained))
    utilities, shares = of(population())
    gaps = utilities[:, None] - utilities[None]
    borda = scipy.stats.norm.cdf(gaps / (np.sqrt(2) * NOISE_STD)).mean(-1) @ shares
    assert r2["rank"].value == pytest.approx(12 * shares @ (borda - 0.5) ** 2)


def test_predictions_by_the_judges_who_judged_are_calibrated(truths: dict[str, KnownTruth]):
    """Σ (observed - predicted)² / Var over bins is χ²: 200 comparisons in both orders are 5
    independent bins of [.5, 1], each of variance at most 1 / (4 votes); 5 standard errors. A model
    of one judge is far off on the votes of both: its surest bin is right on 78 % or so."""
    for part in truths["both"].evaluation.reliability:
        margin = 5 * (0.25 / part.num_votes) ** 0.5
        assert part.observed == pytest.approx(part.predicted, abs=margin)
    surest = truths["helpful"].evaluation.reliability[-1]
    assert surest.predicted > 0.95
    assert surest.observed < 0.9


def test_on_the_scale_of_a_model_mean_and_total_variance_are_the_models(truths) -> None:
    known = truths["both"]
    raw = np.random.default_rng(0).normal(2.0, 3.0, size=(len(known.judged), 2, 2))
    model = Normal().decode(raw)
    moved = known.on_scale_of(model)
    assert moved.mean.mean() == pytest.approx(model.mean.mean())
    total = [each.mean.var() + each.variance.mean() for each in (moved, model)]
    assert total[0] == pytest.approx(total[1])
    slope = moved.std / known.utility.std
    assert slope == pytest.approx(np.full(slope.shape, slope[0, 0]))
    line = np.polyfit(known.utility.mean.ravel(), moved.mean.ravel(), 1)
    assert line[0] == pytest.approx(slope[0, 0])


def test_beside_shared_contexts_the_truth_is_the_judges_as_contexts(truths) -> None:
    """A model that found the judges, three times as far apart, is met exactly: without noise, and
    each judge centred within the comparison."""
    known = truths["both"]
    n = len(known.judged)
    contexts = 3 * known.judged.reshape(2 * n, 2) + [5.0, -1.0]
    found = SharedContextUtility(contexts, np.full(contexts.shape, np.log(0.5)))
    found = found.centered(np.repeat(np.arange(n), 2)).reshape(n, 2)
    moved = known.on_scale_of(found)
    assert isinstance(moved, SharedContextUtility)
    np.testing.assert_allclose(moved.contexts, found.contexts, atol=1e-9)


def test_what_is_written_is_read_again(truths: dict[str, KnownTruth], tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    write_truth(path, list(truths.values()))
    read = read_truth(path)
    assert list(read) == list(truths)
    for name, known in truths.items():
        assert read[name].evaluation == known.evaluation
        assert np.array_equal(read[name].judged, known.judged)
        assert read[name].jailbreak_by_borda_count == known.jailbreak_by_borda_count
        assert (read[name].texts, read[name].noise_std) == (known.texts, NOISE_STD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(kind="audit"), "is of kind 'audit'; expected 'truth'"),
        (lambda record: record["training_sets"][0].pop("judged"), "is damaged: KeyError 'judged'"),
        (lambda record: record["training_sets"][0].update(judged=[[1, 2]]), "have shape"),
    ],
    ids=["kind", "missing", "shape"],
)
def test_a_damaged_file_is_refused_by_name(change, message: str, truths, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    write_truth(path, list(truths.values()))
    record = read_json(path)
    change(record)
    write_json(path, record)
    with pytest.raises(UserError, match=message):
        read_truth(path)
