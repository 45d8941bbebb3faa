"""A report's value is its measure's, its interval that of resampled prompts."""

import numpy as np
import pytest
from measures.measures import MEASURES
from measures.normal_outputs import NORMAL, example

from hidden_context.distributions import Point
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import Resampling, bootstrap
from hidden_context.measures.explained_variance_report import SCALES, explained_variance_report

RAW, PROMPTS = example()
every_scale = pytest.mark.parametrize("scale", SCALES)


@every_scale
def test_the_value_is_that_of_the_measure(scale: str) -> None:
    report = explained_variance_report(
        NORMAL, RAW, PROMPTS, scale=scale, stopping_rule="2 epochs", matched_size=120
    )
    assert report.value == pytest.approx(MEASURES[scale](NORMAL, RAW, PROMPTS))
    assert report.low < report.value < report.high
    assert (report.scale, report.num_responses, report.num_prompts) == (scale, 120, 40)
    assert (report.stopping_rule, report.matched_size) == ("2 epochs", 120)


@every_scale
def test_the_interval_is_that_of_measuring_again_on_resampled_prompts(scale: str) -> None:
    """A prompt that is drawn twice counts as two prompts."""
    raw, prompts = example(num_prompts=6)
    resampling = Resampling(num_resamples=30)

    def again(rows: np.ndarray) -> float:
        copies = np.array([np.sum(rows[:i] == row) for i, row in enumerate(rows)])
        return MEASURES[scale](NORMAL, raw[rows], prompts[rows] + 6 * copies)

    slow = bootstrap(again, prompts, resampling=resampling)
    fast = explained_variance_report(
        NORMAL, raw, prompts, scale=scale, stopping_rule="1 epoch", resampling=resampling
    )
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high))


@every_scale
def test_scalar_families_and_single_prompts_are_refused(scale: str) -> None:
    with pytest.raises(UserError, match="scalar"):
        explained_variance_report(Point(), RAW[:, :1], PROMPTS, scale=scale, stopping_rule="x")
    with pytest.raises(UserError, match="at least 2"):
        explained_variance_report(
            NORMAL, RAW, np.zeros(len(RAW)), scale=scale, stopping_rule="1 epoch"
        )


def test_an_r2_without_its_scale_or_stopping_rule_is_refused() -> None:
    with pytest.raises(UserError, match="pooled, within_prompt, each_prompt, rank"):
        explained_variance_report(NORMAL, RAW, PROMPTS, scale="best", stopping_rule="1 epoch")
    with pytest.raises(UserError, match="stopping_rule"):
        explained_variance_report(NORMAL, RAW, PROMPTS, scale="rank", stopping_rule=" ")
