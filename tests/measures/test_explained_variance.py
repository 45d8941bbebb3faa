"""r² on every scale against definitions, simulation and closed forms; its interval over prompts."""

import math

import numpy as np
import pytest
import torch
from measures.measures import MEASURES
from measures.normal_outputs import NORMAL, example, outputs
from measures.resampled_rows import assert_same_numbers, rows_bootstrap

from hidden_context.distributions import Categorical, Point
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.point import PointUtility
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import ONE_PROMPT, Resampling
from hidden_context.measures.explained_variance import (
    MOST_RANKED,
    SCALES,
    Training,
    each_prompt_explained_variance,
    explained_variance,
    explained_variance_estimate,
    rank_explained_variance,
    within_prompt_explained_variance,
)

RAW, PROMPTS = example()
MEAN, STD = np.array([-1.0, 0.5, 2.0, 2.5]), np.array([0.3, 1.0, 2.0, 0.1])
every_scale = pytest.mark.parametrize("scale", SCALES)


# Pooled


def test_pooled_r2_is_the_variance_of_the_mean_over_the_total() -> None:
    expected = MEAN.var() / (MEAN.var() + np.mean(STD**2))
    for mean, std in ((MEAN, STD), (torch.from_numpy(MEAN), torch.from_numpy(STD))):
        r2 = explained_variance(NormalUtility(mean, std, "probit"))
        assert isinstance(r2, float)
        assert r2 == pytest.approx(expected, rel=1e-12)


def test_pooled_r2_is_the_share_within_a_mixture_of_all_responses() -> None:
    """By the law of total variance, the total is that of utilities pooled over responses."""
    draws = np.random.default_rng(0).normal(MEAN, STD, (200_000, 4))
    expected = MEAN.var() / draws.var()
    r2 = explained_variance(NormalUtility(MEAN, STD, "probit"))
    assert r2 == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("shift", "scale"), [(100.0, 1.0), (0.0, 1e-3), (-7.0, 1e3)])
@pytest.mark.parametrize(
    ("dtype", "precision"), [(np.float32, 1e-5), (np.float64, 1e-9)], ids=["float32", "float64"]
)
def test_pooled_r2_ignores_a_common_shift_and_scale(
    shift: float, scale: float, dtype: type, precision: float
) -> None:
    moved = NormalUtility(
        (shift + scale * MEAN).astype(dtype), (scale * STD).astype(dtype), "probit"
    )
    unmoved = NormalUtility(MEAN, STD, "probit")
    assert explained_variance(moved) == pytest.approx(explained_variance(unmoved), abs=precision)


def test_one_response_explains_nothing_and_without_any_variance_there_is_no_share() -> None:
    assert explained_variance(NormalUtility(MEAN[:1], STD[:1], "probit")) == 0.0
    assert math.isnan(explained_variance(PointUtility(np.array([2.0, 2.0]))))


def test_utilities_without_spread_are_wholly_explained() -> None:
    assert explained_variance(PointUtility(MEAN)) == 1.0


# Within prompts


def test_within_prompt_r2_is_that_of_its_definition() -> None:
    """Three prompts of 3, 2 and 1 responses; the last is left out."""
    mean = np.array([0.0, 1, 5, 2, 4, 100])
    std = np.array([1.0, 2, 3, 1, 1, 50])
    utility = NORMAL.decode(outputs(mean, std))
    prompts = np.array(["a", "a", "a", "b", "b", "c"])
    explained = np.array([np.var([0, 1, 5], ddof=1), np.var([2, 4], ddof=1)])
    unexplained = np.array([14 / 3, 1.0])
    assert within_prompt_explained_variance(utility, prompts) == pytest.approx(
        explained.mean() / (explained.mean() + unexplained.mean())
    )
    assert each_prompt_explained_variance(utility, prompts) == pytest.approx(
        np.mean(explained / (explained + unexplained))
    )


def test_of_two_responses_the_r2_of_each_prompt_is_a_function_of_the_margin() -> None:
    """S = Δ²/2 and v = (v_a + v_b)/2, so S/(S + v) = z²/(1 + z²)."""
    raw, prompts = example(rows=2)
    utility = NORMAL.decode(raw)
    difference = utility.mean[::2] - utility.mean[1::2]
    z_squared = difference**2 / (utility.variance[::2] + utility.variance[1::2])
    assert each_prompt_explained_variance(utility, prompts) == pytest.approx(
        np.mean(z_squared / (1 + z_squared))
    )


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_within_prompt_r2_recovers_the_share_however_many_responses_a_prompt_has(
    rows: int,
) -> None:
    """Means vary by τ² = 1 within a prompt, utilities by 2 around them: r² is 1/3.

    S_p is unbiased with variance 2τ⁴/(K - 1); r² = S/(S + 2) has slope 2/9 at S = 1.
    """
    num_prompts = 20_000
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(num_prompts), rows)
    mean = rng.normal(size=len(prompts)) + 10 * rng.normal(size=num_prompts)[prompts]
    utility = NORMAL.decode(outputs(mean, np.full(len(prompts), math.sqrt(2))))
    margin = 4 * 2 / 9 * math.sqrt(2 / (rows - 1) / num_prompts)
    assert within_prompt_explained_variance(utility, prompts) == pytest.approx(1 / 3, abs=margin)


def test_a_prompt_without_difference_explains_nothing_and_the_order_of_rows_is_free() -> None:
    raw, prompts = example()
    shuffled = np.random.default_rng(3).permutation(len(prompts))
    for measure in (within_prompt_explained_variance, each_prompt_explained_variance):
        same = outputs(np.full(4, 2.0), np.arange(1.0, 5.0))
        assert measure(NORMAL.decode(same), [0, 0, 1, 1]) == pytest.approx(0)
        assert measure(NORMAL.decode(raw[shuffled]), prompts[shuffled]) == pytest.approx(
            measure(NORMAL.decode(raw), prompts)
        )


def test_a_histogram_has_the_r2_of_its_moments_within_prompts() -> None:
    """Means and variances of the atoms, by hand."""
    raw = np.random.default_rng(4).normal(size=(30, 10))
    mass = np.exp(raw) / np.exp(raw).sum(-1, keepdims=True)
    family = Categorical()
    middle = np.asarray(family.decode(np.diag(np.full(10, 500.0))).mean)
    mean = mass @ middle
    of_atom = np.asarray(family.decode(np.diag(np.full(10, 500.0))).variance)
    variance = mass @ (middle**2 + of_atom) - mean**2
    explained = mean.reshape(10, 3).var(1, ddof=1).mean()
    expected = explained / (explained + variance.mean())
    r2 = within_prompt_explained_variance(family.decode(raw), np.arange(30) // 3)
    assert r2 == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "measure", [within_prompt_explained_variance, each_prompt_explained_variance]
)
def test_what_has_no_r2_is_refused(measure) -> None:
    raw, prompts = example(num_prompts=3)
    with pytest.raises(UserError, match="scalar"):
        measure(Point().decode(raw[:, :1]), prompts)
    with pytest.raises(UserError, match="no prompt has two"):
        measure(NORMAL.decode(raw), np.arange(9))
    with pytest.raises(UserError, match=r"expected \(9,\)"):
        measure(NORMAL.decode(raw), prompts[:-1])
    with pytest.raises(UserError, match="shape"):
        measure(NORMAL.decode(raw[None]), prompts)
    with pytest.raises(UserError, match="scalar"):
        measure(NORMAL.decode(raw[:0]), prompts[:0])


# Estimates


def training(num_prompts: int, seed: int, first_prompt: int = 0) -> Training:
    raw = np.random.default_rng(seed).normal(size=(2 * num_prompts, 2))
    prompt = first_prompt + np.arange(2 * num_prompts) // 2
    return Training(raw, prompt, prompt)


@every_scale
def test_the_value_is_that_of_the_measure(scale: str) -> None:
    one = Training(RAW, PROMPTS, PROMPTS)
    estimate = explained_variance_estimate(NORMAL, [one], scale=scale)
    assert estimate.value == pytest.approx(MEASURES[scale](NORMAL, RAW, PROMPTS))
    assert estimate.low < estimate.value < estimate.high
    assert estimate.how == "bootstrap, 40 prompts"


@every_scale
def test_the_interval_is_that_of_measuring_again_on_resampled_prompts(scale: str) -> None:
    """A prompt that is drawn twice counts as two prompts."""
    raw, prompts = example(num_prompts=6)
    resampling = Resampling(num_resamples=30)

    def again(rows: np.ndarray) -> float:
        copies = np.array([np.sum(rows[:i] == row) for i, row in enumerate(rows)])
        return MEASURES[scale](NORMAL, raw[rows], prompts[rows] + 6 * copies)

    estimate = explained_variance_estimate(
        NORMAL, [Training(raw, prompts, prompts)], scale=scale, resampling=resampling
    )
    assert_same_numbers(estimate, rows_bootstrap(again, prompts, resampling=resampling))


@every_scale
def test_scalar_families_are_refused_and_a_single_prompt_has_no_interval(scale: str) -> None:
    points = Training(RAW[:, :1], PROMPTS, PROMPTS)
    with pytest.raises(UserError, match="scalar"):
        explained_variance_estimate(Point(), [points], scale=scale)
    same = np.zeros(len(RAW))
    estimate = explained_variance_estimate(NORMAL, [Training(RAW, same, same)], scale=scale)
    value = MEASURES[scale](NORMAL, RAW, same)
    assert (estimate.value, estimate.how) == (pytest.approx(value), ONE_PROMPT)
    assert (estimate.low, estimate.high) == (None, None)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(UserError, match="pooled, within_prompt, each_prompt, rank"):
        explained_variance_estimate(NORMAL, [training(3, 0)], scale="best")


@every_scale
def test_several_trainings_are_averaged_by_themselves(scale: str) -> None:
    several = [training(30, seed=0), training(30, seed=1, first_prompt=30)]
    values = [MEASURES[scale](NORMAL, each.raw, each.prompt) for each in several]
    estimate = explained_variance_estimate(NORMAL, several, scale=scale)
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.low < estimate.value < estimate.high
    assert estimate.how == "bootstrap, 60 prompts"


def test_an_origin_of_its_own_changes_no_r2() -> None:
    one, other = training(30, seed=0), training(30, seed=1, first_prompt=30)
    moved = Training(other.raw + np.array([100.0, 0.0]), other.prompt, other.prompt)
    before, after = (
        explained_variance_estimate(NORMAL, [one, each], scale="pooled") for each in (other, moved)
    )
    assert before.value == pytest.approx(after.value)


def test_ranks_are_taken_among_a_sample_of_the_responses_of_all_prompts() -> None:
    """Of 2000 responses 500 are ranked: r² of rank is that of all but for their number.

    Each of the four prompts has near 125 of them, so that prompts can be resampled. Among n
    responses a sample's mean ranks vary by about (1 - r²)/n more; the rest is the sampling error
    of a variance, √(2/500) of r² (4 of them).
    """
    rng = np.random.default_rng(0)
    raw, prompt = rng.normal(size=(2000, 2)), np.repeat(np.arange(4), 500)
    many = [Training(raw, prompt, np.arange(2000))]
    sample = explained_variance_estimate(NORMAL, many, scale="rank")
    whole = rank_explained_variance(NORMAL, raw)
    assert MOST_RANKED == 500
    assert sample.how == "bootstrap, 4 prompts"
    assert sample.value != whole
    assert sample.value == pytest.approx(whole, rel=4 * math.sqrt(2 / 500))
    assert sample.low < sample.value < sample.high


@every_scale
def test_a_training_that_is_not_drawn_is_left_out_of_the_resample(scale: str) -> None:
    """Six trainings of two prompts each: in 40 % of resamples at least one is not drawn."""
    few = [training(2, seed=number, first_prompt=2 * number) for number in range(6)]
    resampling = Resampling(num_resamples=40)
    of_training = np.concatenate([np.full(4, number) for number in range(6)])
    raw = np.concatenate([each.raw for each in few])
    prompts = np.concatenate([each.prompt for each in few])

    def again(rows: np.ndarray) -> float:
        copies = np.array([np.sum(rows[:i] == row) for i, row in enumerate(rows)])
        labels = prompts[rows] + 12 * copies
        drawn = [of_training[rows] == number for number in set(of_training[rows])]
        return float(
            np.mean([MEASURES[scale](NORMAL, raw[rows][own], labels[own]) for own in drawn])
        )

    estimate = explained_variance_estimate(NORMAL, few, scale=scale, resampling=resampling)
    expected = rows_bootstrap(again, prompts, resampling=resampling)
    assert_same_numbers(estimate, expected)


def test_there_is_no_interval_where_every_prompt_has_the_same_responses() -> None:
    """Such as full rankings of one list: resampled prompts then change nothing."""
    raw = np.random.default_rng(0).normal(size=(10, 2))
    training = Training(np.tile(raw, (30, 1)), np.repeat(np.arange(30), 10), np.arange(300))
    found = explained_variance_estimate(NORMAL, [training], scale="pooled")
    assert found.low is None
    assert "nothing varies" in found.how
    assert found.value == pytest.approx(explained_variance(NORMAL.decode(raw)))
