"""Intervals over prompts against theory, against each other, and by their coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.measures import bootstrap as bootstrap_module
from hidden_context.measures.bootstrap import (
    Resampling,
    bootstrap,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_of_sums,
    bootstrap_ratio,
    bootstrap_weighted,
    prompt_weights,
)


def clustered(seed: int, *, num_prompts: int, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Values with mean 0 whose prompts differ as much as the rows of one prompt."""
    rng = np.random.default_rng(seed)
    of_prompt = rng.normal(size=num_prompts)
    values = np.repeat(of_prompt, rows) + rng.normal(size=num_prompts * rows)
    return values, np.repeat(np.arange(num_prompts), rows)


def test_each_resample_draws_as_many_prompts_as_there_are() -> None:
    weights = prompt_weights(7, Resampling(num_resamples=50))
    assert weights.shape == (50, 7)
    assert (weights.sum(1) == 7).all()


def test_a_mean_of_equal_prompts_has_the_interval_of_theory() -> None:
    """Resampled means of m prompts are near normal with variance Var(prompt means)/m.

    A 2.5 % percentile of B draws has standard error √(.025 · .975 / B) / φ(1.96) = 2.67/√B.
    Skewness moves it by about skew/(6√m) · (1.96² - 1), which is measured and allowed for.
    """
    values, prompts = clustered(0, num_prompts=400)
    means = values.reshape(400, 4).mean(1)
    found = bootstrap_mean(values, prompts, resampling=Resampling(num_resamples=4000))
    error = means.std() / math.sqrt(400)
    skewness = abs(stats.skew(means)) / (6 * math.sqrt(400)) * (1.96**2 - 1)
    margin = error * (4 * 2.67 / math.sqrt(4000) + skewness)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=margin)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=margin)
    assert (found.num_prompts, found.num_resamples, found.level) == (400, 4000, 0.95)


def test_resampling_by_weights_and_by_rows_is_the_same() -> None:
    rng = np.random.default_rng(1)
    values, prompts = rng.normal(size=40), rng.integers(0, 12, size=40)
    by_rows = bootstrap(lambda rows: float(values[rows].mean()), prompts)
    by_weights = bootstrap_mean(values, prompts)
    assert (by_rows.value, by_rows.low, by_rows.high) == pytest.approx(
        (by_weights.value, by_weights.low, by_weights.high)
    )


def test_the_interval_covers_as_often_as_it_says_and_one_that_ignores_prompts_does_not() -> None:
    """300 data sets of 50 prompts. A percentile interval lacks t quantiles and n/(n-1): 94.1 %.

    Rows taken for independent: 4 rows a prompt at correlation ½ leave the standard error too small
    by √(2.5/1), so the interval covers P(|Z| < 1.96/√2.5) = 78.5 %. Margins: 4 binomial errors.
    """
    resampling = Resampling(num_resamples=300)
    covers, covers_rows = 0, 0
    for seed in range(300):
        values, prompts = clustered(seed, num_prompts=50)
        by_prompt = bootstrap_mean(values, prompts, resampling=resampling)
        by_row = bootstrap_mean(values, np.arange(len(values)), resampling=resampling)
        covers += by_prompt.low <= 0 <= by_prompt.high
        covers_rows += by_row.low <= 0 <= by_row.high
    expected = stats.t(49).cdf(1.96 * math.sqrt(49 / 50)) * 2 - 1
    naive = 2 * stats.norm.cdf(1.96 / math.sqrt(2.5)) - 1
    assert covers / 300 == pytest.approx(expected, abs=4 * math.sqrt(0.95 * 0.05 / 300))
    assert covers_rows / 300 == pytest.approx(naive, abs=4 * math.sqrt(0.8 * 0.2 / 300))


def test_a_paired_difference_does_not_see_what_both_share() -> None:
    rng = np.random.default_rng(2)
    shared, prompts = 100 * rng.normal(size=60), np.arange(60) // 2
    found = bootstrap_difference(shared + 0.25, shared, prompts)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_same_seed_gives_the_same_interval_and_a_wider_level_a_wider_one() -> None:
    values, prompts = clustered(3, num_prompts=20)
    once, again = (bootstrap_mean(values, prompts) for _ in range(2))
    other = bootstrap_mean(values, prompts, resampling=Resampling(seed=1))
    wider = bootstrap_mean(values, prompts, resampling=Resampling(level=0.99))
    assert once == again != other
    assert wider.low < once.low < once.high < wider.high


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        bootstrap_mean([1.0, 2.0], ["a", "a"])
    with pytest.raises(UserError, match="at least 2 prompts"):
        bootstrap_weighted(lambda weights: weights.sum(-1), 1)
    with pytest.raises(UserError, match="prompts has shape"):
        bootstrap_mean([1.0, 2.0], ["a", "b", "c"])
    with pytest.raises(UserError, match="second has 1"):
        bootstrap_difference([1.0, 2.0], [1.0], ["a", "b"])
    with pytest.raises(UserError, match="no finite value on"):
        bootstrap(lambda rows: float("nan"), ["a", "b"])
    with pytest.raises(UserError, match="num_resamples"):
        Resampling(num_resamples=0)
    with pytest.raises(UserError, match="coverage"):
        Resampling(level=1.0)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers, so that sums are exact in any order."""
    rng = np.random.default_rng(0)
    values, prompts = rng.integers(0, 100, 300).astype(float), np.arange(300) // 3
    whole, drawn = bootstrap_mean(values, prompts), prompt_weights(100)
    monkeypatch.setattr(bootstrap_module, "WEIGHTS_AT_ONCE", 7 * 100 + 5)
    assert bootstrap_mean(values, prompts) == whole
    np.testing.assert_array_equal(prompt_weights(100), drawn)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    rng = np.random.default_rng(1)
    values, prompts = rng.normal(size=40), np.arange(40) // 2
    weights = rng.integers(1, 4, 40)
    repeated = np.repeat(np.arange(40), weights)
    found = bootstrap_mean(values, prompts, weights=weights)
    expected = bootstrap_mean(values[repeated], prompts[repeated])
    assert found.value == pytest.approx(expected.value)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_negative_weights_are_refused() -> None:
    with pytest.raises(UserError, match="weights is as low as -1"):
        bootstrap_mean(np.ones(4), np.arange(4), weights=[1, 1, 1, -1])


def test_bundles_of_many_prompts_have_the_interval_of_single_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standard error is that of theory: the ends vary by .08 of it, its square by √(2/500)."""
    values, prompts = clustered(2, num_prompts=10_000)
    monkeypatch.setattr(bootstrap_module, "MOST_DRAWN", 500)
    found = bootstrap_mean(values, prompts)
    by_prompt = values.reshape(10_000, -1).mean(1)
    error = by_prompt.std() / math.sqrt(10_000)
    assert found.value == pytest.approx(values.mean())
    assert found.num_prompts == 10_000
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.15)


def test_bundles_hold_whole_prompts_nearly_equally_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap_module, "MOST_DRAWN", 7)
    weights = prompt_weights(23, Resampling(num_resamples=200))
    patterns, sizes = np.unique(weights.T, axis=0, return_counts=True)
    assert len(patterns) == 7
    assert set(sizes) <= {3, 4}


def test_where_all_votes_agree_the_number_of_votes_widens_nothing() -> None:
    votes = np.random.default_rng(5).exponential(size=50)
    found = bootstrap_ratio(0.7 * votes, votes, np.arange(50))
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))


def test_a_ratio_of_weighted_values_is_the_weighted_mean() -> None:
    rng = np.random.default_rng(6)
    values, votes, prompts = rng.normal(size=60), rng.exponential(size=60), np.arange(60) // 3
    peer = bootstrap_mean(values, prompts, weights=votes)
    assert bootstrap_ratio(votes * values, votes, prompts) == peer


@pytest.mark.parametrize("most_drawn", [7, 100])
def test_sums_have_the_interval_that_weights_have(
    most_drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_module, "MOST_DRAWN", most_drawn)
    sums = np.random.default_rng(8).exponential(size=(2, 40))
    found = bootstrap_of_sums(lambda of: of[:, 0] / of[:, 1], sums)
    peer = bootstrap_weighted(lambda drawn: (drawn @ sums[0]) / (drawn @ sums[1]), 40)
    assert found.num_prompts == 40
    assert (found.value, found.low, found.high) == pytest.approx((peer.value, peer.low, peer.high))
