"""The slow reference of every bootstrap: measure again on the rows of each resample."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from hidden_context.measures.bootstrap import RESAMPLING, Resampling
from hidden_context.measures.estimate import Estimate


def rows_bootstrap(
    statistic: Callable[[np.ndarray], float],
    prompts: np.ndarray,
    *,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Percentile interval of a statistic of row numbers; a prompt drawn twice is there twice."""
    _, group = np.unique(prompts, return_inverse=True)
    m = group.max() + 1
    rng = np.random.default_rng(resampling.seed)
    draws = rng.multinomial(m, np.full(m, 1 / m), size=resampling.num_resamples)
    rows = np.arange(len(group))
    values = [statistic(np.repeat(rows, drawn[group])) for drawn in draws]
    arm = stats.t(m - 1).isf((1 - resampling.level) / 2) / np.sqrt((m - 1) / m)
    tail = stats.norm.sf(arm)
    low, high = np.quantile(values, [tail, 1 - tail])
    return Estimate(statistic(rows), float(low), float(high))


def plain_percentiles(prompts: np.ndarray) -> Resampling:
    """To the level whose ends are the percentiles .025 and .975 of the resamples, as in 0.1."""
    m = len(np.unique(prompts))
    arm = stats.norm.ppf(0.975) * np.sqrt((m - 1) / m)
    return Resampling(level=2 * stats.t(m - 1).cdf(arm) - 1)


def assert_same_numbers(estimate: Estimate, expected: Estimate) -> None:
    """Value and interval, whatever is said of how they were made."""
    numbers = estimate.value, estimate.low, estimate.high
    assert numbers == pytest.approx((expected.value, expected.low, expected.high))
