"""Intervals over prompts against theory, against each other, and by their coverage."""

import math

import numpy as np
import pytest
from measures.resampled_rows import assert_same_numbers, rows_bootstrap
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.measures import bootstrap as bootstrap_module
from hidden_context.measures.bootstrap import (
    ONE_PROMPT,
    RESAMPLING,
    Resampling,
    bootstrap_mean,
    bootstrap_of_sums,
    bootstrap_ratio,
    bootstrap_weighted,
)
from hidden_context.measures.estimate import Estimate


def clustered(seed: int, *, num_prompts: int, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Values with mean 0 whose prompts differ as much as the rows of one prompt."""
    rng = np.random.default_rng(seed)
    of_prompt = rng.normal(size=num_prompts)
    values = np.repeat(of_prompt, rows) + rng.normal(size=num_prompts * rows)
    return values, np.repeat(np.arange(num_prompts), rows)


def weights_drawn(num_prompts: int, resampling: Resampling = RESAMPLING) -> np.ndarray:
    """How often each prompt was drawn, shape `(num_resamples, m)`, as a statistic is told."""
    seen: list[np.ndarray] = []

    def keep(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights.sum(-1)

    bootstrap_weighted(keep, num_prompts, resampling=resampling)
    return np.concatenate(seen[1:])  # the first are the data as they are


def test_each_resample_draws_as_many_prompts_as_there_are() -> None:
    weights = weights_drawn(7, Resampling(num_resamples=50))
    assert weights.shape == (50, 7)
    assert (weights.sum(1) == 7).all()


def test_a_mean_of_equal_prompts_has_the_interval_of_theory() -> None:
    """Resampled means of m prompts are near normal with variance Var(prompt means)/m.

    A 2.5 % percentile of B draws has standard error √(.025 · .975 / B) / φ(1.96) = 2.67/√B.
    Skewness moves it by about skew/(6√m) · (1.96² - 1), which is measured and allowed for.
    """
    values, prompts = clustered(0, num_prompts=400)
    means = values.reshape(400, 4).mean(1)
    mean = bootstrap_mean(values, prompts, resampling=Resampling(num_resamples=4000))
    error = means.std() / math.sqrt(400)
    skewness = abs(stats.skew(means)) / (6 * math.sqrt(400)) * (1.96**2 - 1)
    margin = error * (4 * 2.67 / math.sqrt(4000) + skewness)
    assert mean.value == pytest.approx(values.mean())
    assert mean.low == pytest.approx(mean.value - 1.96 * error, abs=margin)
    assert mean.high == pytest.approx(mean.value + 1.96 * error, abs=margin)
    assert (mean.how, mean.level) == ("bootstrap, 400 prompts", 0.95)


def test_resampling_by_weights_and_by_rows_is_the_same() -> None:
    rng = np.random.default_rng(1)
    values, prompts = rng.normal(size=40), rng.integers(0, 12, size=40)
    by_rows = rows_bootstrap(lambda rows: float(values[rows].mean()), prompts)
    assert_same_numbers(bootstrap_mean(values, prompts), by_rows)


def test_the_interval_covers_as_often_as_it_says_and_one_that_ignores_prompts_does_not() -> None:
    """300 data sets of 50 prompts.

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
    naive = 2 * stats.norm.cdf(1.96 / math.sqrt(2.5)) - 1
    assert covers / 300 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 300))
    assert covers_rows / 300 == pytest.approx(naive, abs=4 * math.sqrt(0.8 * 0.2 / 300))


def test_of_few_prompts_it_covers_as_often_as_it_says() -> None:
    """1,500 data sets of 8 prompts: plain percentiles would cover P(|t| < 1.96 √(7/8)) = .89.

    The margin, 4 binomial errors, is less than half of that difference.
    """
    margin = 4 * math.sqrt(0.95 * 0.05 / 1500)
    plain = 2 * stats.t(7).cdf(1.96 * math.sqrt(7 / 8)) - 1
    assert margin < (0.95 - plain) / 2
    found = [bootstrap_mean(*clustered(seed, num_prompts=8)) for seed in range(1500)]
    covers = [each.low <= 0 <= each.high for each in found]
    assert np.mean(covers) == pytest.approx(0.95, abs=margin)


def test_the_same_seed_gives_the_same_interval_and_a_wider_level_a_wider_one() -> None:
    values, prompts = clustered(3, num_prompts=20)
    once, again = (bootstrap_mean(values, prompts) for _ in range(2))
    other = bootstrap_mean(values, prompts, resampling=Resampling(seed=1))
    wider = bootstrap_mean(values, prompts, resampling=Resampling(level=0.99))
    assert once == again != other
    assert wider.low < once.low < once.high < wider.high


def test_one_prompt_has_a_value_and_no_interval() -> None:
    expected = Estimate(1.5, how=ONE_PROMPT)
    assert bootstrap_mean([1.0, 2.0], ["a", "a"]) == expected
    assert bootstrap_weighted(lambda weights: 1.5 * weights.sum(-1), 1) == expected
    assert bootstrap_of_sums(lambda of: of[:, 0] / of[:, 1], np.array([[3.0], [2.0]])) == expected
    assert (expected.low, expected.high) == (None, None)
    assert expected.against(-100.0) == expected.against(100.0) == "cannot tell"


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(UserError, match="prompts has shape"):
        bootstrap_mean([1.0, 2.0], ["a", "b", "c"])
    with pytest.raises(UserError, match="no finite value on 1000 of 1000"):
        bootstrap_weighted(lambda weights: np.full(len(weights), np.nan), 2)
    with pytest.raises(UserError, match="num_resamples"):
        Resampling(num_resamples=0)
    with pytest.raises(UserError, match="coverage"):
        Resampling(level=1.0)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers, so that sums are exact in any order."""
    rng = np.random.default_rng(0)
    values, prompts = rng.integers(0, 100, 300).astype(float), np.arange(300) // 3
    whole, drawn = bootstrap_mean(values, prompts), weights_drawn(100)
    monkeypatch.setattr(bootstrap_module, "WEIGHTS_AT_ONCE", 7 * 100 + 5)
    assert bootstrap_mean(values, prompts) == whole
    np.testing.assert_array_equal(weights_drawn(100), drawn)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    rng = np.random.default_rng(1)
    values, prompts = rng.normal(size=40), np.arange(40) // 2
    weights = rng.integers(1, 4, 40)
    repeated = np.repeat(np.arange(40), weights)
    weighted = bootstrap_mean(values, prompts, weights=weights)
    assert_same_numbers(weighted, bootstrap_mean(values[repeated], prompts[repeated]))


def test_negative_weights_are_refused() -> None:
    with pytest.raises(UserError, match="weights is as low as -1"):
        bootstrap_mean(np.ones(4), np.arange(4), weights=[1, 1, 1, -1])


def test_bundles_of_many_prompts_have_the_interval_of_single_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standard error is that of theory: the ends vary by .08 of it, its square by √(2/500)."""
    values, prompts = clustered(2, num_prompts=10_000)
    monkeypatch.setattr(bootstrap_module, "MOST_DRAWN", 500)
    mean = bootstrap_mean(values, prompts)
    by_prompt = values.reshape(10_000, -1).mean(1)
    error = by_prompt.std() / math.sqrt(10_000)
    assert mean.value == pytest.approx(values.mean())
    assert mean.how == "bootstrap, 10000 prompts"
    assert (mean.high - mean.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.15)


def test_bundles_hold_whole_prompts_nearly_equally_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap_module, "MOST_DRAWN", 7)
    weights = weights_drawn(23, Resampling(num_resamples=200))
    patterns, sizes = np.unique(weights.T, axis=0, return_counts=True)
    assert len(patterns) == 7
    assert set(sizes) <= {3, 4}


def test_where_all_votes_agree_the_number_of_votes_widens_nothing() -> None:
    votes = np.random.default_rng(5).exponential(size=50)
    ratio = bootstrap_ratio(0.7 * votes, votes, np.arange(50))
    assert_same_numbers(ratio, Estimate(0.7, 0.7, 0.7))


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
    of_sums = bootstrap_of_sums(lambda of: of[:, 0] / of[:, 1], sums)
    peer = bootstrap_weighted(lambda drawn: (drawn @ sums[0]) / (drawn @ sums[1]), 40)
    assert of_sums.how == peer.how == "bootstrap, 40 prompts"
    assert_same_numbers(of_sums, peer)
