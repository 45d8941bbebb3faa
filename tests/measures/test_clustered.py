"""Ratios whose rows share people and prompts: intervals that cover."""

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.measures.clustered import clustered_ratio


def test_rows_alone_have_the_interval_of_a_mean():
    """With a cluster for every row and equal weights it is Student's."""
    from scipy.stats import t

    values = np.random.default_rng(0).normal(size=40)
    found = clustered_ratio(values, np.ones(40), np.arange(40))
    assert found.value == pytest.approx(values.mean())
    half = t.ppf(0.975, 39) * values.std(ddof=1) / 40**0.5
    assert found.high - found.value == pytest.approx(half)
    assert found.value - found.low == pytest.approx(half)


def test_people_and_prompts_are_both_allowed_for():
    """Effects of both: of 400 data sets 95 % are covered (standard error .011), by rows few are."""
    rng = np.random.default_rng(0)
    covered, by_rows = 0, 0
    for _ in range(400):
        person, prompt = rng.integers(0, 30, 300), rng.integers(0, 30, 300)
        values = rng.normal(size=30)[person] + rng.normal(size=30)[prompt] + rng.normal(size=300)
        both = clustered_ratio(values, np.ones(300), person, prompt)
        rows = clustered_ratio(values, np.ones(300), np.arange(300))
        covered += both.low <= 0 <= both.high
        by_rows += rows.low <= 0 <= rows.high
    assert 0.90 < covered / 400 < 0.98
    assert by_rows / 400 < 0.6


def test_one_cluster_has_no_interval_and_three_clusterings_are_refused():
    assert clustered_ratio([1.0, 2.0], [1.0, 1.0], [0, 0]).low is None
    with pytest.raises(UserError, match="3 clusterings"):
        clustered_ratio([1.0, 2.0], [1.0, 1.0], [0, 1], [0, 1], [0, 1])
