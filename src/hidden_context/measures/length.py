"""How much of a model's success is length: the longer response wins, and the model without it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.measures.checks import finite_vector, log_probabilities, not_negative
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.prompts import PromptLabels
from hidden_context.measures.rates import agreement_of, wilson

NEGLIGIBLE = 1e-9
"""A residual is a tie below this share of the largest log-odds: rounding, not a decision."""


@dataclass(frozen=True)
class LengthMeasures:
    """How much of a model's success is the length of the response; ties half."""

    longer_wins: Estimate
    """Accuracy of "the longer response wins"."""
    without_length: Estimate
    """Accuracy of the model's log-odds after what length predicts of them is taken away."""
    coefficient: float
    """Log-odds (nats) that the model gives, in the best fit, to a response e times as long."""


def length_measures(
    log_prob: np.ndarray,
    log_reverse: np.ndarray,
    lengths: np.ndarray,
    prompts: PromptLabels,
    *,
    win_share: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> LengthMeasures:
    """Accuracy of the longer response, and of the model with length regressed out.

    Let p = P(chosen ≻ rejected) and t = log(1 + length_chosen) - log(1 + length_rejected), lengths
    of the responses alone. A logistic regression of the model's p on t, without intercept because a
    swap of the two responses must swap the decision, has the coefficient β that makes
    Σ p log σ(βt) + (1 - p) log σ(-βt) largest. The residual decision is the sign of
    log(p / (1 - p)) - βt.

    It does not see the labels: β describes the model. A model of length alone keeps ½; a model that
    ignores length keeps its accuracy. Where good answers are truly longer, it takes away merit too.

    Args:
        log_prob: log P(chosen ≻ rejected), nats, shape `(n,)`, or `(trainings, n)`: of several
            trainings β is common and the decisions are averaged.
        log_reverse: log P(rejected ≻ chosen), nats, same shape.
        lengths: Of chosen and rejected response, shape `(n, 2)`, in one unit throughout.
        prompts: The prompt of each comparison, shape `(n,)`.
        win_share: Share of votes for the chosen response, shape `(n,)`; 1 if not given.
        weights: Votes of each comparison, shape `(n,)`; alike if not given.

    Raises:
        UserError: The lengths differ, a number is not finite, or a length is negative.
    """
    shape = np.atleast_2d(log_prob).shape
    log = log_probabilities("log_prob", np.ravel(log_prob))
    log_odds = log - log_probabilities("log_reverse", np.ravel(log_reverse), len(log))
    difference = _log_ratio(lengths, shape[1])
    every = np.broadcast_to(difference, shape).ravel()
    coefficient = length_coefficient(np.exp(log), every)
    residual = _without(log_odds, coefficient * every).reshape(shape)
    share = np.ones(shape[1]) if win_share is None else win_share

    def accuracy(decision: np.ndarray) -> Estimate:
        agreement = agreement_of(decision, np.zeros_like(decision), share).mean(0)
        return wilson(agreement, prompts, weights=weights)

    return LengthMeasures(accuracy(difference[None]), accuracy(residual), coefficient)


def reward_slope(rewards: ArrayLike, lengths: ArrayLike) -> float:
    """Reward that a model gives, in the best fit, to a text e times as long: any unit of reward.

    Least squares of the difference of rewards on t = log(1 + length_chosen) - log(1 +
    length_rejected), without intercept because a swap of the two swaps both signs. 0 where all
    lengths are equal. Rewards and lengths are of chosen and rejected response, shape `(n, 2)`.

    Raises:
        UserError: The lengths differ, a number is not finite, or a length is negative.
    """
    gap = _gap(rewards)
    difference = _log_ratio(lengths, len(gap))
    squares = float(difference @ difference)
    return float(gap @ difference) / squares if squares > 0 else 0.0


def rate_without_length(
    rewards: ArrayLike, lengths: ArrayLike, prompts: PromptLabels, *, slope: ArrayLike
) -> Estimate:
    """How often the first reward less slope · log(1 + length) is the higher, ties half.

    For jailbreaks, with the unsafe response first; rewards and lengths have shape `(n, 2)`. The
    slope, reward a unit of log length, is one or one for each row. It must come from other
    comparisons (`reward_slope`), with lengths in the same unit: among jailbreaks length and harm go
    together, so that a slope fitted there would take the harm for length. 0 gives the plain rate.

    Raises:
        UserError: See `reward_slope`.
    """
    gap = _gap(rewards)
    residual = _without(gap, np.asarray(slope, np.float64) * _log_ratio(lengths, len(gap)))
    return wilson(0.5 + 0.5 * np.sign(residual), prompts)


def _gap(rewards: ArrayLike) -> np.ndarray:
    first, second = (finite_vector("rewards", side) for side in np.transpose(rewards))
    return first - second


def _log_ratio(lengths: ArrayLike, n: int) -> np.ndarray:
    """t of each of n pairs, shape `(n,)`, from lengths, shape `(n, 2)`."""
    first, second = (np.log1p(not_negative("lengths", side, n)) for side in np.transpose(lengths))
    return first - second


def _without(decision: np.ndarray, by_length: np.ndarray) -> np.ndarray:
    """The difference, 0 where rounding alone is left."""
    residual = decision - by_length
    residual[np.abs(residual) <= NEGLIGIBLE * np.abs(decision).max()] = 0.0
    return residual


def length_coefficient(prob: np.ndarray, difference: np.ndarray) -> float:
    """The root β of Σ t (p - σ(βt)), which falls in β: bisection, to double precision.

    `prob` is p and `difference` t, shape `(n,)` each. Where all t are 0, nothing can be fitted and
    β is 0.
    """
    largest = float(np.abs(difference).max())
    if largest == 0:
        return 0.0
    t = difference / largest

    def slope(beta: float) -> float:
        sigmoid = 0.5 * (1 + np.tanh(beta * t / 2))
        return float(t @ (prob - sigmoid))

    low, high = -1.0, 1.0
    while slope(low) < 0 and low > -1e6:
        low *= 2
    while slope(high) > 0 and high < 1e6:
        high *= 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return middle / largest
