"""The likelihood ratio against the divergence that it estimates, and its verdicts."""

import math

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.measures.likelihood_ratio import likelihood_ratio

PROMPTS = np.arange(4000) // 2


def test_against_the_truth_a_wrong_model_loses_its_divergence() -> None:
    """Labels of rate p = 0.8; a model that says 0.6 loses KL(0.8 ‖ 0.6) nats per comparison.

    The log-ratio takes two values, d apart: standard error d √(.16 / 4000). Margin: 4 of them.
    """
    right = np.random.default_rng(0).random(4000) < 0.8
    true, wrong = (np.log(np.where(right, p, 1 - p)) for p in (0.8, 0.6))
    divergence = 0.8 * math.log(0.8 / 0.6) + 0.2 * math.log(0.2 / 0.4)
    margin = 4 * (math.log(0.8 / 0.6) - math.log(0.2 / 0.4)) * math.sqrt(0.16 / 4000)
    better, worse = likelihood_ratio(true, wrong, PROMPTS), likelihood_ratio(wrong, true, PROMPTS)
    assert better.interval.value == pytest.approx(divergence, abs=margin)
    assert better.verdict.startswith(f"better by {better.interval.value:.4f} nats per comparison")
    assert worse.verdict.startswith(f"worse by {better.interval.value:.4f} nats per comparison")
    assert better.num_comparisons == 4000


def test_models_that_differ_by_chance_cannot_be_told_apart() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 100))
    found = likelihood_ratio(-np.exp(noise[0]), -np.exp(noise[1]), np.arange(100))
    assert found.interval.low < 0 < found.interval.high
    assert found.verdict.startswith("cannot tell from these data")


def test_equal_models_cannot_be_told_apart() -> None:
    log_prob = -np.ones(10)
    found = likelihood_ratio(log_prob, log_prob, np.arange(10))
    assert found.verdict.startswith("cannot tell")


def test_probabilities_in_place_of_their_logarithms_are_refused() -> None:
    with pytest.raises(UserError, match=r"scalar is as high as 0\.7"):
        likelihood_ratio([-0.1, -0.2], [0.7, 0.2], ["a", "b"])
    with pytest.raises(UserError, match="expected 2"):
        likelihood_ratio([-0.1, -0.2], [-0.7], ["a", "b"])
    with pytest.raises(UserError, match="at least 2"):
        likelihood_ratio([-0.1, -0.2], [-0.7, -0.1], ["a", "a"])
    with pytest.raises(UserError, match="not finite"):
        likelihood_ratio([-0.1, -np.inf], [-0.7, -0.1], ["a", "b"])
