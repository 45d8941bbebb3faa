"""What a statistic looks like where no hidden context is: labels redrawn from a scalar model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions.base import check_choice
from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, log_probabilities, not_negative

TAILS = ("upper", "lower")


@dataclass(frozen=True, eq=False)
class ParametricBootstrap:
    """A statistic, its distribution under a scalar model, and where it lies in that."""

    observed: float
    draws: np.ndarray
    """The statistic for each set of redrawn labels, shape `(num_draws,)`."""
    tail: str
    """Which side speaks for hidden context: upper or lower."""
    p_value: float
    """(1 + draws at least as extreme) / (1 + draws); never 0."""

    @property
    def share_below(self) -> float:
        """Share of draws below the observed statistic, ties half."""
        below, equal = self.draws < self.observed, self.draws == self.observed
        return float(below.mean() + equal.mean() / 2)


def label_null(
    log_prob: ArrayLike,
    refit: Callable[[np.ndarray], float],
    *,
    observed: float,
    tail: str,
    num_draws: int = 99,
    seed: int = 0,
) -> ParametricBootstrap:
    """Redraw every label from the scalar model's own P(a ≻ b), refit, and compare.

    A parametric bootstrap test (Davison and Hinkley 1997, section 4.2): noise is as the scalar
    model has it, and nothing else is there. A flip at the rate of the model's errors keeps easy
    comparisons easy, which a flip of all labels at one rate would not.

    Args:
        log_prob: log P(first ≻ second) of the scalar model in nats, shape `(n,)`. With the chosen
            response first, 1 - P is the rate at which a label is flipped.
        refit: From outcomes, shape `(n,)`, bool, True where the first is preferred, to the
            statistic of a model trained on them, as `observed` was trained on the real ones.
        observed: The statistic of the real labels.
        tail: `upper` if hidden context makes the statistic larger (a likelihood ratio), `lower` if
            smaller (r²).
        num_draws: Sets of labels, one refit each. The smallest p-value is 1 / (1 + num_draws).
        seed: Of the labels.

    Raises:
        UserError: A log-probability is above 0, `tail` is unknown, there are no draws, or a
            statistic is not finite.
    """
    labels = redrawn_labels(log_prob, num_draws=num_draws, seed=seed)
    return parametric_bootstrap(observed, [refit(each == 1) for each in labels], tail=tail)


def redrawn_labels(
    log_prob: ArrayLike,
    *,
    num_votes: ArrayLike | None = None,
    num_draws: int = 99,
    seed: int = 0,
) -> np.ndarray:
    """Share of votes for the first in each set of labels, shape `(num_draws, n)`, float32.

    Args:
        log_prob: See `label_null`.
        num_votes: Votes of each comparison, rounded to at least 1: the share is Binomial(V, P)/V.
            One each if not given.
        num_draws: Sets of labels.
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


def parametric_bootstrap(observed: float, draws: ArrayLike, *, tail: str) -> ParametricBootstrap:
    """Where a statistic lies among those of redrawn labels; see `label_null`.

    Raises:
        UserError: `tail` is unknown, or a statistic is not finite.
    """
    check_choice("tail", tail, TAILS)
    found_draws = finite_vector("the refitted statistic", draws)
    (found,) = finite_vector("observed", [observed])
    extreme = found_draws >= found if tail == "upper" else found_draws <= found
    p_value = (1 + int(extreme.sum())) / (1 + len(found_draws))
    return ParametricBootstrap(float(found), found_draws, tail, p_value)
