"""Two models on the same comparisons: differences and counts are those of a count by hand."""

from dataclasses import replace

import numpy as np
import pytest
from measures.simulated_scores import N, comparisons

from hidden_context.distributions import Normal, Point
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import OutcomeModel
from hidden_context.measures.paired import can_be_paired, paired


def test_differences_are_those_of_the_figures_of_each_model():
    first, second = comparisons(Normal(), seed=1), comparisons(Point(), seed=2)
    found = paired(first, second)
    nats = first.log_likelihood.sum() - second.log_likelihood.sum()
    assert found.log_likelihood.value == pytest.approx(nats / first.votes.sum())
    ahead = [np.diff(each.utility.mean)[:, 0] < 0 for each in (first, second)]
    share, votes = first.win_share, first.votes
    right = [np.where(is_ahead, share, 1 - share) for is_ahead in ahead]
    expected = ((right[0] - right[1]) * votes).sum() / votes.sum()
    assert found.accuracy.value == pytest.approx(expected)
    assert found.only_first == (right[0] > right[1]).sum()
    assert found.only_second == (right[0] < right[1]).sum()
    assert found.only_first + found.only_second > 0


def test_exchanged_models_have_the_opposite_difference():
    first, second = comparisons(Normal(), seed=1), comparisons(Normal(), seed=2)
    there, back = paired(first, second), paired(second, first)
    assert there.log_likelihood.value == pytest.approx(-back.log_likelihood.value)
    assert there.accuracy.value == pytest.approx(-back.accuracy.value)
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first)


def test_a_model_is_no_better_than_itself():
    scores = comparisons()
    found = paired(scores, scores)
    assert found.log_likelihood.value == found.accuracy.value == 0
    assert found.log_likelihood.against(0) == found.accuracy.against(0) == "cannot tell"
    assert (found.only_first, found.only_second) == (0, 0)
    assert (found.accuracy.low, found.accuracy.high) == (None, None)  # not an interval of no width


def test_the_difference_is_surer_than_the_figures_of_each():
    """Two models that err alike: the interval of the difference is of the difference alone."""
    first = comparisons(Normal(), seed=1)
    noise = np.random.default_rng(0).normal(scale=0.05, size=first.raw.shape)
    second = replace(first, raw=(first.raw + noise).astype(np.float32))
    gap = paired(first, second).log_likelihood
    assert gap.low is not None
    assert gap.high is not None
    assert gap.high - gap.low < 0.1


def test_models_of_other_comparisons_or_other_ties_are_not_paired():
    scores = comparisons()
    thresholds = OutcomeModel(ties="threshold", thresholds=(0.3,))
    others = (
        scores[: N // 2],
        replace(scores, lengths=np.array(scores.lengths)[::-1]),
        replace(scores, outcomes=None),
        replace(scores, outcome_model=thresholds),
        replace(scores, kind="responses"),
    )
    for other in others:
        assert not can_be_paired(scores, other)
        with pytest.raises(UserError, match="cannot be held against each other"):
            paired(scores, other)


def test_without_ties_it_does_not_matter_how_they_would_be_counted():
    scores = replace(comparisons(), outcomes=None)
    thresholds = OutcomeModel(ties="threshold", thresholds=(0.3,))
    assert can_be_paired(scores, replace(scores, outcome_model=thresholds))
