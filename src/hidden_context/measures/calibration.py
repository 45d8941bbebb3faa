"""Does P(a ≻ b) mean what it says? Predicted shares against shares of votes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_of_sums
from hidden_context.measures.checks import not_negative, probabilities
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.prompts import PromptLabels, group_prompts


@dataclass(frozen=True)
class ReliabilityBin:
    """The comparisons whose prediction lies in [low, high), the last bin including 1."""

    low: float
    high: float
    num_comparisons: int
    """In `evaluate` each comparison is there in both orders, and for each training."""
    num_votes: float
    """As many over all bins as there are votes."""
    predicted: float
    """Mean P(a ≻ b), weighted by votes."""
    observed: float
    """Share of the votes that went to a."""


@dataclass(frozen=True)
class Calibration:
    """Predictions against votes; all means are over votes."""

    bins: tuple[ReliabilityBin, ...]
    """Those that have votes, in ascending order."""
    expected_calibration_error: float
    """Σ_bins (votes / all votes) |predicted - observed|, in [0, 1]. It depends on the bins."""
    brier_score: float
    """Mean (P - vote)², vote 1 for a and 0 for b, in [0, 1]. Perfect P reach E[P(1 - P)]."""
    num_votes: float


def calibration(
    prob: ArrayLike, votes_first: ArrayLike, votes_second: ArrayLike, *, num_bins: int = 10
) -> Calibration:
    """Reliability bins, expected calibration error and Brier score (Brier 1950; Naeini 2015).

    Which response comes first must not depend on the votes: with the chosen one always first,
    every prediction looks too low. The error of a perfect model is above 0 by chance where votes
    are few. A function of P(a ≻ b) alone, so of no scale of utility.

    Args:
        prob: P(first ≻ second), shape `(n,)`.
        votes_first: Votes for the first of each pair, not negative; ties half to each.
        votes_second: Votes for the second, same shape.
        num_bins: Equal bins of [0, 1].

    Raises:
        UserError: The lengths differ, a value is out of range, or there are no votes at all.
    """
    if num_bins < 1:
        raise UserError(f"num_bins is {num_bins}; give at least 1.")
    predicted = probabilities("prob", prob)
    first = not_negative("votes_first", votes_first, len(predicted))
    second = not_negative("votes_second", votes_second, len(predicted))
    votes = first + second
    if votes.sum() == 0:
        raise UserError(f"the {len(votes)} comparisons have no votes; give some that have.")
    number = _bin_numbers(predicted, num_bins)
    of_bins = (
        np.bincount(number, values, num_bins).tolist()
        for values in (votes > 0, votes, votes * predicted, first)
    )
    bins = tuple(
        ReliabilityBin(
            low=k / num_bins,
            high=(k + 1) / num_bins,
            num_comparisons=int(count),
            num_votes=total,
            predicted=sum_predicted / total,
            observed=won / total,
        )
        for k, (count, total, sum_predicted, won) in enumerate(zip(*of_bins, strict=True))
        if total > 0
    )
    gaps = sum(part.num_votes * abs(part.predicted - part.observed) for part in bins)
    squares = first @ (1 - predicted) ** 2 + second @ predicted**2
    total = float(votes.sum())
    return Calibration(bins, float(gaps / total), float(squares / total), total)


def in_both_orders(
    log_prob: np.ndarray, win_share: np.ndarray, votes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P and votes of each comparison and of its swap, so that the order is free of the votes.

    From log P(first ≻ second) in nats, shape `(..., n)`, and the votes of n comparisons with the
    share of them for the first, ties half: the first three arguments of `calibration`, flat, for
    all comparisons, then all swapped. Votes are divided among the orders (and trainings, where
    `log_prob` has several), so that all together are as many as were given.
    """
    prob = np.exp(np.minimum(log_prob, 0.0))
    each = votes * (len(votes) / (2 * prob.size))
    wins = np.broadcast_to(each * win_share, prob.shape).ravel()
    losses = np.broadcast_to(each * (1 - win_share), prob.shape).ravel()
    return (
        np.concatenate([prob.ravel(), 1 - prob.ravel()]),
        np.concatenate([wins, losses]),
        np.concatenate([losses, wins]),
    )


def calibration_error_interval(
    prob: ArrayLike,
    votes_first: ArrayLike,
    votes_second: ArrayLike,
    prompts: PromptLabels,
    *,
    num_bins: int = 10,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of the expected calibration error over prompts, in the same bins throughout.

    Chance makes this error larger, and a resample has more chance in it than the data: where votes
    are few, the interval lies high and may leave out the error itself, and 0 is never in it.
    Arguments and errors are those of `calibration`.
    """
    whole = calibration(prob, votes_first, votes_second, num_bins=num_bins)
    predicted = probabilities("prob", prob)
    first, second = (np.asarray(votes, np.float64) for votes in (votes_first, votes_second))
    votes = first + second
    groups = group_prompts(prompts, num_rows=len(predicted))
    cell = _bin_numbers(predicted, num_bins) * groups.num_prompts + groups.group
    gaps = np.bincount(cell, votes * predicted - first, num_bins * groups.num_prompts)
    interval = bootstrap_of_sums(
        lambda of: np.abs(of[:, :-1]).sum(-1) / of[:, -1],
        np.vstack([gaps.reshape(num_bins, -1), groups.sums(votes)]),
        resampling=resampling,
    )
    return replace(interval, value=whole.expected_calibration_error)


def _bin_numbers(predicted: np.ndarray, num_bins: int) -> np.ndarray:
    return np.minimum((predicted * num_bins).astype(int), num_bins - 1)
