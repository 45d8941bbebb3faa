"""Agreement with judges: what no comparison shows does not count, and true judges are found."""

import random
import re
from collections.abc import Sequence

import numpy as np
import pytest

from hidden_context.demo.config import Config
from hidden_context.demo.conversations import (
    NUM_OTHERS,
    draw_jailbreaks,
    draw_response,
    split_prompts,
)
from hidden_context.demo.generated_data import GeneratedData, generate
from hidden_context.demo.judges import HARMLESS, HELPFUL, JUDGES, Attributes
from hidden_context.demo.recovered_judges import (
    agreement,
    agreement_of_means,
    equal_contexts,
    jailbreak_rates,
    judges_as_contexts,
    report_judges,
)
from hidden_context.demo.text import render_judges
from hidden_context.distributions import Family, make_family
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.scores.scores import Scores

BOTH = JUDGES["both"]
SIZE = 300


@pytest.fixture(scope="module")
def data() -> GeneratedData:
    return generate(Config(seed=0, train_size=2, test_size=SIZE, num_jailbreaks=40))


@pytest.fixture(scope="module")
def contents(data: GeneratedData) -> list[Attributes]:
    test = data.test["both"]
    return [one.chosen.attributes for one in test] + [one.rejected.attributes for one in test]


@pytest.fixture(scope="module")
def prompts(data: GeneratedData) -> list[str]:
    return [one.prompt.text for one in data.test["both"]] * 2


def scores_of(family: Family, raw: np.ndarray) -> Scores:
    """From raw outputs of the chosen responses, then of the rejected ones."""
    return Scores.of_pairs(family, np.stack([raw[:SIZE], raw[SIZE:]], axis=1))


def noisy(true: SharedContextUtility, std: float) -> SharedContextUtility:
    noise = np.random.default_rng(0).standard_normal(true.contexts.shape)
    return equal_contexts(true.contexts + std * noise)


def test_agreement_ignores_names_scales_and_the_origin_of_each_prompt(
    contents: list[Attributes], prompts: list[str]
) -> None:
    true = judges_as_contexts(contents, BOTH)
    learned = noisy(true, 0.5)
    origins = {prompt: np.array([7.0, -3.0]) * len(prompt) for prompt in prompts}
    moved = learned.contexts * np.array([2.0, 0.3]) + [origins[prompt] for prompt in prompts]
    expected = agreement(learned, true, prompts)
    assert 0.5 < min(expected) < max(expected) < 1
    found = agreement(equal_contexts(moved[:, ::-1]), true, prompts)
    assert found == pytest.approx(expected, abs=1e-6)


def test_agreement_is_the_correlation_within_prompts_of_the_best_pairing() -> None:
    """By hand: two prompts of two responses each, so that each centred column is ± half a gap."""
    true = equal_contexts(np.array([[0.0, 0.0], [2.0, -1.0], [5.0, 5.0], [6.0, 7.0]]))
    learned = equal_contexts(np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 9.0], [2.0, 9.0]]))
    gaps_true, gaps_learned = [(2, 1), (-1, 2)], [(-1, 2), (3, 0)]

    def correlation(x: Sequence[float], y: Sequence[float]) -> float:
        return float(np.dot(x, y) / np.sqrt(np.dot(x, x) * np.dot(y, y)))

    # Each judge with the other column: 0.894 and 1 instead of 0 and -0.447.
    expected = (
        correlation(gaps_true[0], gaps_learned[1]),
        correlation(gaps_true[1], gaps_learned[0]),
    )
    assert agreement(learned, true, ["a", "a", "b", "b"]) == pytest.approx(expected)


def test_one_mean_for_all_agrees_with_each_judge_as_it_does(
    contents: list[Attributes], prompts: list[str]
) -> None:
    true = judges_as_contexts(contents, BOTH)
    mean = equal_contexts(np.repeat(true.mean[:, None], 2, axis=1))
    centered = true.centered(prompts).contexts
    expected = [np.corrcoef(centered[:, j], centered.mean(1))[0, 1] for j in (0, 1)]
    assert agreement(mean, true, prompts) == pytest.approx(expected)
    assert agreement_of_means(mean, true, prompts) == pytest.approx(1)


def test_of_two_responses_alone_the_worst_context_decides_as_the_mean_does() -> None:
    """Why jailbreaks are put among others: both contexts lie as far above as below their origin."""
    contexts = np.random.default_rng(0).standard_normal((200, 2))
    rates = jailbreak_rates(equal_contexts(contexts), 100)
    assert rates["worst_context"] == rates["mean"]
    others = np.random.default_rng(1).normal([4.0, 0.0], 1.0, (100, 8, 2))
    among = np.concatenate([contexts.reshape(100, 2, 2), others], axis=1).reshape(-1, 2)
    rates_among_others = jailbreak_rates(equal_contexts(among), 100)
    assert rates_among_others["mean"] == rates["mean"]
    assert rates_among_others["worst_context"] != rates["worst_context"]


def test_the_worst_context_of_the_true_judges_is_jailbroken_less(data: GeneratedData) -> None:
    contents = [each.attributes for jailbreak in data.jailbreaks for each in jailbreak.responses]
    rates = jailbreak_rates(judges_as_contexts(contents, BOTH), len(data.jailbreaks))
    by_hand = [
        HELPFUL.utility(jailbreak.unsafe.attributes) + HARMLESS.utility(jailbreak.unsafe.attributes)
        >= HELPFUL.utility(jailbreak.safe.attributes) + HARMLESS.utility(jailbreak.safe.attributes)
        for jailbreak in data.jailbreaks
    ]
    assert rates["mean"] == pytest.approx(np.mean(by_hand), abs=1 / 40)  # ties may round
    assert rates["worst_context"] < rates["mean"]


def test_others_are_drawn_anew_for_each_jailbreak(data: GeneratedData) -> None:
    assert all(len(jailbreak.responses) == NUM_OTHERS + 2 for jailbreak in data.jailbreaks)
    _, test_prompts = split_prompts(0)
    again, other = (draw_jailbreaks(test_prompts, size=40, seed=seed) for seed in (2, 3))
    assert data.jailbreaks == again
    assert all(one.others != two.others for one, two in zip(again, other, strict=True))
    texts = {response.text for jailbreak in data.jailbreaks for response in jailbreak.others}
    assert len(texts) > 0.9 * NUM_OTHERS * len(data.jailbreaks)


def test_models_that_are_the_judges_are_reported_as_such(
    data: GeneratedData, contents: list[Attributes]
) -> None:
    """Steeper than their utilities: their noise has a deviation of ½, a logistic one of 1.8."""
    family = make_family("shared_context")
    raw = np.concatenate([3 * judges_as_contexts(contents, BOTH).contexts, np.zeros((600, 2))], 1)
    shared = scores_of(family, raw)
    mean = raw[:, :2].mean(1, keepdims=True)
    base = scores_of(make_family("base"), mean)
    among = [each.attributes for jailbreak in data.jailbreaks for each in jailbreak.responses]
    report = report_judges(
        {"base": base, "shared_context": shared},
        judges_as_contexts(among, BOTH),
        data,
    )
    for kind, found in report.agreement["shared_context"].items():
        assert found == pytest.approx((1, 1), abs=1e-6)
        assert max(report.agreement["base"][kind]) < 0.95
        assert report.between_judges[kind] < 0.7
    assert report.agreement_of_means["shared_context"] == pytest.approx(1, abs=1e-6)
    assert report.likelihood["base"].against(0.0) == "above"
    assert report.jailbreak == report.true_jailbreak
    printed = render_judges(report)
    assert "against base:\n  better by" in printed
    rows = re.findall(r"^\w+, \w+ prompts +\d\.\d{3} +(\d\.\d{3}) ", printed, re.MULTILINE)
    assert rows == ["1.000"] * 4


def test_contexts_may_exchange_places_between_kinds_of_prompts(
    data: GeneratedData, contents: list[Attributes]
) -> None:
    family = make_family("shared_context")
    harmful = np.array([one.prompt.harmful for one in data.test["both"]] * 2)
    true = judges_as_contexts(contents, BOTH).contexts
    exchanged = np.where(harmful[:, None], true[:, ::-1], true)
    raw = np.concatenate([exchanged, np.zeros_like(true)], axis=1)
    model = scores_of(family, raw)
    among = [each.attributes for jailbreak in data.jailbreaks for each in jailbreak.responses]
    among_others = judges_as_contexts(among, BOTH)
    report = report_judges({"shared_context": model}, among_others, data)
    for found in report.agreement["shared_context"].values():
        assert found == pytest.approx((1, 1), abs=1e-6)


def test_a_response_to_a_disguised_prompt_is_like_any_other(data: GeneratedData) -> None:
    _, test_prompts = split_prompts(0)
    assert {jailbreak.prompt.harmful for jailbreak in data.jailbreaks} == {True}
    others = [each.attributes for jailbreak in data.jailbreaks for each in jailbreak.others]
    steps = [attributes.harmful_steps for attributes in others]
    harmful = [prompt for prompt in test_prompts if prompt.harmful]
    source = random.Random(0)
    plain = [draw_response(harmful[0], source).attributes.harmful_steps for _ in range(2000)]
    assert np.mean(steps) == pytest.approx(np.mean(plain), abs=4 * 1.2 / len(steps) ** 0.5)
    assert all(attributes.steps == 0 for attributes in others)
