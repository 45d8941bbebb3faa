from dataclasses import asdict

import numpy as np
import pytest

from hidden_context.distributions import make_family
from hidden_context.measures.explained_variance_report import SCALES, explained_variance_report
from hidden_context.measures.several_trainings import (
    MOST_RESPONSES_RANKED,
    Training,
    explained_variance_of_trainings,
    explained_variance_value,
)

FAMILY = make_family("mean_and_variance")


def training(num_prompts: int, seed: int, first_prompt: int = 0) -> Training:
    raw = np.random.default_rng(seed).normal(size=(2 * num_prompts, 2))
    prompt = first_prompt + np.arange(2 * num_prompts) // 2
    return Training(raw, prompt, prompt)


@pytest.mark.parametrize("scale", SCALES)
def test_one_training_has_the_ordinary_report(scale):
    one = training(40, seed=0)
    found = explained_variance_of_trainings(FAMILY, [one], scale=scale, stopping_rule="s")
    peer = explained_variance_report(FAMILY, one.raw, one.prompt, scale=scale, stopping_rule="s")
    assert asdict(found) == pytest.approx(asdict(peer))


@pytest.mark.parametrize("scale", SCALES)
def test_several_trainings_are_averaged_each_on_its_own(scale):
    several = [training(30, seed=0), training(30, seed=1, first_prompt=30)]
    values = [explained_variance_value(FAMILY, [each], scale) for each in several]
    found = explained_variance_of_trainings(FAMILY, several, scale=scale, stopping_rule="s")
    assert found.value == pytest.approx(np.mean(values))
    assert found.num_prompts == 60
    assert found.low < found.value < found.high


def test_a_scale_of_its_own_changes_no_r2():
    one, other = training(30, seed=0), training(30, seed=1, first_prompt=30)
    moved = Training(other.raw + np.array([100.0, 0.0]), other.prompt, other.compared_within)
    values = [explained_variance_value(FAMILY, [one, each], "pooled") for each in (other, moved)]
    assert values[0] == pytest.approx(values[1])


def test_ranks_are_taken_among_a_sample_of_the_responses_of_all_prompts():
    """Four prompts of 500 responses each: all take part, so that resampling prompts means much."""
    rng = np.random.default_rng(0)
    raw, prompt = rng.normal(size=(2000, 2)), np.repeat(np.arange(4), 500)
    many = Training(raw, prompt, np.arange(2000))
    found = explained_variance_of_trainings(FAMILY, [many], scale="rank", stopping_rule="s")
    assert found.num_responses == MOST_RESPONSES_RANKED
    assert found.num_prompts == 4
    assert found.low < found.value < found.high


@pytest.mark.parametrize("scale", SCALES)
def test_a_training_that_is_not_drawn_is_left_out_of_the_resample(scale):
    few = [training(2, seed=number, first_prompt=2 * number) for number in range(6)]
    found = explained_variance_of_trainings(FAMILY, few, scale=scale, stopping_rule="s")
    assert 0 <= found.low <= found.high <= 1
