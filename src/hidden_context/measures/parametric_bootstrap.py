"""Statistics where there is no hidden context: a parametric bootstrap under the scalar model.

Every label is simulated from the scalar model's own P(a ≻ b), the model is fitted again, and the
statistic of the real labels is held against those of the simulated ones (Davison and Hinkley 1997,
section 4.2). Noise is as the scalar model has it, and nothing else is there: a flip at the rate of
its errors keeps easy comparisons easy, which a flip of all labels at one rate would not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, log_probabilities, not_negative


@dataclass(frozen=True)
class ParametricBootstrap:
    """A statistic beside what it is under the scalar model."""

    figure: str
    """Name of the statistic, such as `r2_pooled`."""
    observed: float
    draws: tuple[float, ...]
    """The statistic for each set of simulated labels."""
    p_value: float | None
    """(1 + draws at least as extreme) / (1 + draws), or corrected by `max_statistic_tests`; None
    where neither side speaks for hidden context."""


def simulated_labels(
    log_prob: ArrayLike, *, num_votes: ArrayLike | None = None, num_draws: int = 99, seed: int = 0
) -> np.ndarray:
    """Share of votes for the first in each set of labels, shape `(num_draws, n)`, float32.

    Args:
        log_prob: log P(first ≻ second) of the scalar model in nats, shape `(n,)`, of comparisons
            that it was not fitted to: an overfitted model's labels are too sure.
        num_votes: Votes of each comparison, rounded to at least 1: the share is Binomial(V, P)/V.
            One each if not given.
        num_draws: Sets of labels. The smallest p-value is 1 / (1 + num_draws).
        seed: Of the labels.

    Raises:
        UserError: A log-probability is above 0, or there are no draws.
    """
    log = log_probabilities("log_prob", log_prob)
    if num_draws < 1:
        raise UserError(f"num_draws is {num_draws}; give at least 1.")
    rng = np.random.default_rng(seed)
    prob = np.exp(log)
    if num_votes is None:
        return np.stack([rng.random(len(prob)) < prob for _ in range(num_draws)]).astype(np.float32)
    votes = not_negative("num_votes", num_votes, len(prob)).round().clip(1).astype(np.int64)
    drawn = rng.binomial(votes, prob, size=(num_draws, len(prob)))
    return (drawn / votes).astype(np.float32)


def simulated_shares(
    prob: ArrayLike, *, num_votes: ArrayLike, num_draws: int = 99, seed: int = 0
) -> np.ndarray:
    """Shares of votes for each possible answer, shape `(num_draws, n, answers)`, float32.

    Votes of a comparison are drawn together, so ties and strengths are as many as the model has
    them: Multinomial(V, P)/V. Of two answers it is `simulated_labels`.

    Args:
        prob: P of each answer by the scalar model, rows sum to 1, shape `(n, answers)`, of
            comparisons that it was not fitted to.
        num_votes: Votes of each comparison, rounded to at least 1, shape `(n,)`.
        num_draws: Sets of answers.
        seed: Of the answers.

    Raises:
        UserError: A row does not sum to 1, or there are no draws.
    """
    of_answers: np.ndarray[Any, Any] = np.asarray(prob, np.float64)
    if of_answers.ndim != 2 or not np.allclose(of_answers.sum(-1), 1) or of_answers.min() < 0:
        raise UserError("prob has rows that are no probabilities of answers that sum to 1.")
    if num_draws < 1:
        raise UserError(f"num_draws is {num_draws}; give at least 1.")
    votes = not_negative("num_votes", num_votes, len(of_answers)).round().clip(1).astype(np.int64)
    rng = np.random.default_rng(seed)
    drawn = np.empty((num_draws, *of_answers.shape), np.float32)
    for of_draw in drawn:
        of_draw[:] = rng.multinomial(votes, of_answers) / votes[:, None]
    return drawn


def parametric_bootstrap(
    figure: str, observed: float, draws: ArrayLike, *, tail: Literal["upper", "lower"] | None
) -> ParametricBootstrap:
    """Where a statistic of the real labels lies among those of simulated labels, fitted alike.

    `tail` is `upper` if hidden context makes the statistic larger (a likelihood ratio), `lower` if
    smaller (r²), None if neither.

    Raises:
        UserError: A statistic is not finite.
    """
    statistics = finite_vector("the refitted statistic", draws)
    (value,) = finite_vector("observed", [observed])
    p_value = None
    if tail is not None:
        extreme = statistics >= value if tail == "upper" else statistics <= value
        p_value = (1 + int(extreme.sum())) / (1 + len(statistics))
    return ParametricBootstrap(figure, float(value), tuple(statistics.tolist()), p_value)


def max_statistic_tests(
    tests: Mapping[str, ParametricBootstrap],
) -> dict[str, ParametricBootstrap]:
    """Upper-tailed tests on the same draws, corrected for being several (Westfall and Young 1993).

    Each statistic is standardised over the real and drawn labels alike, and held against the
    largest of all statistics of each draw. Where there is nothing to find, some p is at most α with
    a probability of at most α, however many there are; of one test it is the p that it has.

    Raises:
        UserError: Tests have different numbers of draws.
    """
    sets = _standardised([[each.observed, *each.draws] for each in tests.values()])
    largest = sets[:, 1:].max(0)
    return {
        name: replace(each, p_value=(1 + int((largest >= own).sum())) / (1 + len(largest)))
        for (name, each), own in zip(tests.items(), sets[:, 0], strict=True)
    }


def detectable_gains(
    draws: Mapping[str, Sequence[float]], *, size: float = 0.05, power: float = 0.8
) -> dict[str, float]:
    """The true gain in likelihood that is found with some power, beside each gain's draws.

    The gains are in-sample, per vote: over N votes 2N times such a gain is χ², with a true gain Δ
    noncentral by 2NΔ (Wilks 1938), so that its mean is higher by Δ and its variance by 2Δ/N; 1/N is
    the variance of the draws over their mean. A gain is found by `max_statistic_tests` if it is
    above all but so many of the draws' largest standardised gains that p is at most `size`; between
    this and the power's quantile it is taken for normal.

    Raises:
        UserError: Nothing can be found by so few draws, their numbers differ, or the power is below
            ½ (a gain of less than the threshold, or of none, is found as often) or not below 1.
    """
    if not 0.5 <= power < 1:
        raise UserError(f"power is {power}; give a number from 0.5 to below 1, such as 0.8.")
    sets = _standardised(list(draws.values()))
    largest = np.sort(sets.max(0))[::-1]
    allowed = int(size * (1 + len(largest)) + 1e-9) - 1
    if allowed < 0:
        raise UserError(f"p is above {size} whatever {len(largest)} draws are; give more.")
    beyond = NormalDist().inv_cdf(power)
    found = {}
    for name, each in draws.items():
        mean, std = float(np.mean(each)), float(np.std(each, ddof=1))
        threshold, per_vote = float(largest[allowed]) * std, std**2 / mean if mean > 0 else 0.0
        middle = threshold + beyond**2 * per_vote
        found[name] = middle + float(np.sqrt(middle**2 - threshold**2 + (beyond * std) ** 2))
    return found


def _standardised(statistics: Sequence[Sequence[float]]) -> np.ndarray:
    """Less their mean, over their standard deviation (0 where that is 0), a row for each."""
    if len({len(each) for each in statistics}) != 1:
        raise UserError("tests have different numbers of draws; give each the same draws.")
    sets = np.array(statistics, np.float64)
    std = sets.std(axis=1, ddof=1, keepdims=True)
    return (sets - sets.mean(1, keepdims=True)) / np.where(std > 0, std, 1.0)
