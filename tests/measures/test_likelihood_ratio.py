"""The likelihood ratio against the divergence that it estimates, and its verdicts."""

import math

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import ONE_PROMPT
from hidden_context.measures.likelihood_ratio import likelihood_ratio, verdict

PROMPTS = np.arange(4000) // 2


def test_against_the_truth_a_wrong_model_loses_its_divergence() -> None:
    """Labels of rate p = 0.8; a model that says 0.6 loses KL(0.8 ‖ 0.6) nats per vote.

    The log-ratio takes two values, d apart: standard error d √(.16 / 4000). Margin: 4 of them.
    """
    right = np.random.default_rng(0).random(4000) < 0.8
    true, wrong = (np.log(np.where(right, p, 1 - p)) for p in (0.8, 0.6))
    divergence = 0.8 * math.log(0.8 / 0.6) + 0.2 * math.log(0.2 / 0.4)
    margin = 4 * (math.log(0.8 / 0.6) - math.log(0.2 / 0.4)) * math.sqrt(0.16 / 4000)
    better, worse = likelihood_ratio(true, wrong, PROMPTS), likelihood_ratio(wrong, true, PROMPTS)
    assert better.value == pytest.approx(divergence, abs=margin)
    assert better.how == "bootstrap, 2000 prompts"
    by = f"by {better.value:.4f} nats per vote (95% interval"
    assert verdict(better) == f"better {by} {better.low:+.4f} to {better.high:+.4f})"
    assert verdict(worse).startswith(f"worse {by} -")


def test_what_both_models_share_cancels_in_every_resample() -> None:
    rng = np.random.default_rng(2)
    shared, votes = -100 * rng.exponential(size=60) - 1, rng.exponential(size=60)
    ratio = likelihood_ratio(
        votes * (shared + 0.25), votes * shared, np.arange(60) // 2, votes=votes
    )
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.25, 0.25, 0.25))


def test_models_that_differ_by_chance_cannot_be_told_apart() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 100))
    ratio = likelihood_ratio(-np.exp(noise[0]), -np.exp(noise[1]), np.arange(100))
    assert ratio.low < 0 < ratio.high
    assert verdict(ratio).startswith(f"cannot tell from these data ({ratio.value:+.4f} nats")


def test_equal_models_cannot_be_told_apart() -> None:
    log_prob = -np.ones(10)
    ratio = likelihood_ratio(log_prob, log_prob, np.arange(10))
    assert (ratio.value, ratio.low, ratio.high) == (0, 0, 0)
    assert verdict(ratio).startswith("cannot tell")


def test_one_prompt_cannot_tell() -> None:
    ratio = likelihood_ratio([-0.1, -0.2], [-0.7, -0.1], ["a", "a"])
    assert (ratio.value, ratio.how) == (pytest.approx(0.25), ONE_PROMPT)
    assert verdict(ratio) == "cannot tell from these data (+0.2500 nats per vote, no interval)"


def test_probabilities_in_place_of_their_logarithms_are_refused() -> None:
    with pytest.raises(UserError, match=r"scalar is as high as 0\.7"):
        likelihood_ratio([-0.1, -0.2], [0.7, 0.2], ["a", "b"])
    with pytest.raises(UserError, match="expected 2"):
        likelihood_ratio([-0.1, -0.2], [-0.7], ["a", "b"])
    with pytest.raises(UserError, match="not finite"):
        likelihood_ratio([-0.1, -np.inf], [-0.7, -0.1], ["a", "b"])
