"""How much of a model's success is length: the longer response wins, and the model without it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.diagnostics.checks import log_probabilities, not_negative
from hidden_context.outcomes import Outcomes
from hidden_context.preferences import accuracy

NEGLIGIBLE = 1e-9
"""A residual is a tie below this share of the largest log-odds: rounding, not a decision."""


@dataclass(frozen=True)
class LengthBaseline:
    """Three accuracies on the same comparisons, ties half."""

    longer_wins: float
    """Of "the longer response wins"."""
    model: float
    """Of the model."""
    without_length: float
    """Of the model's log-odds after what length predicts of them is taken away."""
    coefficient: float
    """Log-odds (nats) that the model gives, in the best fit, to a text e times as long."""


def length_baseline(
    log_prob: ArrayLike,
    log_reverse: ArrayLike,
    length_chosen: ArrayLike,
    length_rejected: ArrayLike,
    outcomes: Outcomes | None = None,
) -> LengthBaseline:
    """Accuracy of the longer response, of the model, and of the model with length regressed out.

    Let p = P(chosen ≻ rejected) and t = log(1 + length_chosen) - log(1 + length_rejected). A
    logistic regression of the model's p on t, without intercept because a swap of the two responses
    must swap the decision, has the coefficient β that makes Σ p log σ(βt) + (1 - p) log σ(-βt)
    largest. The residual decision is the sign of log(p / (1 - p)) - βt.

    It does not see the labels: β describes the model. A model of length alone keeps ½; a model that
    ignores length keeps its accuracy. Where good answers are truly longer, it takes away merit too.

    Args:
        log_prob: log P(chosen ≻ rejected), nats, shape `(n,)`.
        log_reverse: log P(rejected ≻ chosen), nats, same shape.
        length_chosen: Characters or tokens of each chosen response, the same unit throughout.
        length_rejected: The same of the rejected ones.
        outcomes: The votes by which accuracies count, if not all for the chosen responses.

    Raises:
        UserError: The lengths differ, a number is not finite, or a length is negative.
    """
    log = log_probabilities("log_prob", log_prob)
    log_odds = log - log_probabilities("log_reverse", log_reverse, len(log))
    chosen = not_negative("length_chosen", length_chosen, len(log))
    rejected = not_negative("length_rejected", length_rejected, len(log))
    difference = np.log1p(chosen) - np.log1p(rejected)
    coefficient = length_coefficient(np.exp(log), difference)
    residual = log_odds - coefficient * difference
    residual[np.abs(residual) <= NEGLIGIBLE * np.abs(log_odds).max()] = 0.0
    nothing = np.zeros_like(log)
    return LengthBaseline(
        longer_wins=accuracy(chosen, rejected, outcomes),
        model=accuracy(log_odds, nothing, outcomes),
        without_length=accuracy(residual, nothing, outcomes),
        coefficient=coefficient,
    )


def length_coefficient(prob: np.ndarray, difference: np.ndarray) -> float:
    """The root β of Σ t (p - σ(βt)), which falls in β: bisection, to double precision.

    Args:
        prob: p, shape `(n,)`.
        difference: t, shape `(n,)`. All 0: β is 0, for nothing can be fitted.
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
