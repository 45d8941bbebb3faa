"""The generator: exact values against simulation, and what the data promise."""

import random
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from hidden_context.demo.conversation_words import (
    HARMFUL_TOPICS,
    HARMFUL_VERBS,
    HARMLESS_VERBS,
    PERSONS,
    REFUSALS,
)
from hidden_context.demo.conversations import (
    Prompt,
    compare,
    draw_jailbreaks,
    draw_response,
    split_prompts,
)
from hidden_context.demo.judges import (
    JUDGES,
    NOISE_STD,
    Attributes,
    Judge,
    borda_count,
    mean_utility,
    population,
    preference_probability,
    true_explained_variance,
    utility_quantile,
    utility_variance,
)

REFUSAL = Attributes()
COMPLIANCE = Attributes(harmful_steps=3)
ADVICE = Attributes(alternatives=2, courtesy=1)

every_judge_mix = pytest.mark.parametrize("judges", JUDGES.values(), ids=JUDGES)


@pytest.fixture(scope="module")
def prompts() -> tuple[list[Prompt], list[Prompt]]:
    return split_prompts(0)


def sampled_utilities(attributes: Attributes, judges: tuple[Judge, ...]) -> np.ndarray:
    source = np.random.default_rng(0)
    means = np.array([judge.utility(attributes) for judge in judges])
    return source.choice(means, 200_000) + NOISE_STD * source.standard_normal(200_000)


@every_judge_mix
def test_moments_and_quantile_are_those_of_sampled_judgements(judges: tuple[Judge, ...]) -> None:
    utilities = sampled_utilities(COMPLIANCE, judges)
    assert mean_utility(COMPLIANCE, judges) == pytest.approx(utilities.mean(), abs=0.02)
    assert utility_variance(COMPLIANCE, judges) == pytest.approx(utilities.var(), rel=0.02)
    for level in (0.01, 0.3, 0.9):
        exact = utility_quantile(COMPLIANCE, judges, level)
        assert exact == pytest.approx(np.quantile(utilities, level), abs=0.05)


@every_judge_mix
def test_labels_have_the_exact_preference_probability(
    judges: tuple[Judge, ...], prompts: tuple[list[Prompt], list[Prompt]]
) -> None:
    comparisons = compare(prompts[0], judges, size=2500, seed=0)
    exact = [
        preference_probability(first.attributes, second.attributes, judges)
        for first, second in (comparison.responses for comparison in comparisons)
    ]
    first_wins = np.array([comparison.label == 0 for comparison in comparisons])
    residuals = first_wins - np.array(exact)
    margin = 4 / np.sqrt(len(comparisons))
    assert abs(residuals.mean()) < margin
    assert abs(np.mean(residuals * np.sign(np.array(exact) - 0.5))) < margin


def test_the_population_is_what_is_drawn(prompts: tuple[list[Prompt], list[Prompt]]) -> None:
    shares = population()
    assert sum(share for _, share in shares) == pytest.approx(1)
    comparisons = compare(prompts[0], JUDGES["both"], size=2000, seed=1)
    drawn = [response.attributes for item in comparisons for response in item.responses]
    for field in fields(Attributes):
        exact = sum(share * getattr(attributes, field.name) for attributes, share in shares)
        sampled = np.mean([getattr(attributes, field.name) for attributes in drawn])
        assert sampled == pytest.approx(exact, abs=0.08)


@every_judge_mix
def test_explained_variance_is_that_of_drawn_responses(
    judges: tuple[Judge, ...], prompts: tuple[list[Prompt], list[Prompt]]
) -> None:
    comparisons = compare(prompts[0], judges, size=1500, seed=2)
    drawn = [response.attributes for item in comparisons for response in item.responses]
    explained = np.var([mean_utility(attributes, judges) for attributes in drawn])
    unexplained = np.mean([utility_variance(attributes, judges) for attributes in drawn])
    sampled = explained / (explained + unexplained)
    assert true_explained_variance(judges) == pytest.approx(sampled, abs=0.03)


def test_borda_count_is_the_share_of_responses_beaten(
    prompts: tuple[list[Prompt], list[Prompt]],
) -> None:
    source = random.Random(0)
    prompt = next(prompt for prompt in prompts[0] if prompt.harmful)
    rivals = [draw_response(prompt, source).attributes for _ in range(2000)]
    judges = JUDGES["both"]
    beaten = np.mean([preference_probability(ADVICE, rival, judges) for rival in rivals])
    assert borda_count(ADVICE, judges, harmful=True) == pytest.approx(beaten, abs=0.02)


def test_judges_agree_on_courtesy_and_advice_but_not_on_harmful_steps() -> None:
    helpful, harmless, both = JUDGES["helpful"], JUDGES["harmless"], JUDGES["both"]
    for judges in JUDGES.values():
        assert preference_probability(ADVICE, REFUSAL, judges) > 0.9
    assert preference_probability(COMPLIANCE, REFUSAL, helpful) > 0.9
    assert preference_probability(COMPLIANCE, REFUSAL, harmless) < 0.1
    assert preference_probability(COMPLIANCE, REFUSAL, both) == pytest.approx(0.5, abs=0.01)
    assert utility_variance(COMPLIANCE, both) > 4 * utility_variance(REFUSAL, both)


def test_every_judge_has_mean_utility_zero() -> None:
    for judges in JUDGES.values():
        mean = sum(share * mean_utility(attributes, judges) for attributes, share in population())
        assert mean == pytest.approx(0, abs=1e-12)


def test_no_test_prompt_is_a_training_prompt(prompts: tuple[list[Prompt], list[Prompt]]) -> None:
    train, test = ({prompt.text for prompt in split} for split in prompts)
    assert len(test) == pytest.approx(0.2 * len(train | test), abs=1)
    assert not train & test
    jailbreaks = draw_jailbreaks(prompts[1], size=50, seed=0)
    assert not train & {jailbreak.prompt.text for jailbreak in jailbreaks}


def test_the_three_data_sets_differ_only_in_who_judged(
    prompts: tuple[list[Prompt], list[Prompt]],
) -> None:
    helpful, harmless, both = (
        compare(prompts[0], JUDGES[name], size=200, seed=3)
        for name in ("helpful", "harmless", "both")
    )
    assert both[::2] == helpful[::2]
    assert both[1::2] == harmless[1::2]
    assert [item.responses for item in helpful] == [item.responses for item in harmless]
    cells = Counter((item.judge.objective, item.prompt.harmful) for item in both)
    assert set(cells.values()) == {50}


def test_a_seed_gives_the_same_rows_and_another_gives_others() -> None:
    def rows(seed: int) -> list[dict[str, object]]:
        train, _ = split_prompts(seed)
        return [item.row() for item in compare(train, JUDGES["both"], size=20, seed=seed)]

    assert rows(5) == rows(5)
    assert rows(5) != rows(6)


def test_rows_have_the_relabelled_layout(prompts: tuple[list[Prompt], list[Prompt]]) -> None:
    for item in compare(prompts[0], JUDGES["both"], size=40, seed=4):
        row = item.row()
        assert row["chosen"] == f"{row['prompt']}\n\nAssistant: {row['responses'][row['label']]}"
        assert row["rejected"].endswith(row["responses"][1 - row["label"]])
        assert row["prompt"].startswith("Human: ")
        assert row["data_subset"] == ("harmless" if item.prompt.harmful else "helpful")
        assert row["objective"] == item.judge.objective


def test_attributes_can_be_read_from_the_text(prompts: tuple[list[Prompt], list[Prompt]]) -> None:
    verbs = {verb.capitalize() for verb in (*HARMLESS_VERBS, *HARMFUL_VERBS)}
    for item in compare(prompts[0], JUDGES["both"], size=200, seed=5):
        for response in item.responses:
            seen = response.attributes
            sentences = response.text.split(". ")
            steps = sum(sentence.split()[0] in verbs for sentence in sentences[1:-1])
            alternatives = sum(sentence.endswith(PERSONS) for sentence in sentences)
            assert steps == seen.steps + seen.harmful_steps
            assert alternatives == seen.alternatives
            assert seen.harmful_steps == (steps if item.prompt.harmful else 0)


def test_jailbreaks_pair_a_refusal_with_a_harmful_response(
    prompts: tuple[list[Prompt], list[Prompt]],
) -> None:
    refusing = {refusal.split()[0].capitalize() for refusal in REFUSALS}
    for jailbreak in draw_jailbreaks(prompts[1], size=50, seed=0):
        row = jailbreak.row()
        assert row["prompt"].endswith("\n\nAssistant: ")
        assert any(task in row["prompt"] for task in HARMFUL_TOPICS)
        assert jailbreak.unsafe.attributes.harmful_steps >= 2
        assert jailbreak.safe.attributes.harmful_steps == 0
        assert refusing & set(row["responses"][0].split())


def test_both_findings_of_the_paper_are_true_of_the_generator(
    prompts: tuple[list[Prompt], list[Prompt]],
) -> None:
    r2 = {name: true_explained_variance(judges) for name, judges in JUDGES.items()}
    assert r2["both"] < 0.6 < 0.8 < min(r2["helpful"], r2["harmless"])
    both = JUDGES["both"]
    pairs = [
        (jailbreak.unsafe.attributes, jailbreak.safe.attributes)
        for jailbreak in draw_jailbreaks(prompts[1], size=100, seed=1)
    ]
    by_mean, by_quantile, by_borda_count = (
        sum(statistic(unsafe) >= statistic(safe) for unsafe, safe in pairs) / len(pairs)
        for statistic in (
            lambda content: mean_utility(content, both),
            lambda content: utility_quantile(content, both, 0.01),
            lambda content: borda_count(content, both, harmful=True),
        )
    )
    assert by_quantile < by_mean < by_borda_count
