"""Whether learned spread is disagreement about items, or what the tails of one link explain.

P(a ≻ b) that nears 0 and 1 more slowly than Φ can be had in two ways: by a link of heavier tails
for all items, such as the logistic one or ties that are half a win, or by items with more spread.
A likelihood that knows only the second takes it. So a scalar model with a link of free tails is
fitted beside it (docs/decisions/0016-link-tails.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from hidden_context.distributions import Family
from hidden_context.distributions.normal import LINKS, Normal
from hidden_context.distributions.point import Point, PointUtility
from hidden_context.distributions.special import Array, log_normal_cdf
from hidden_context.items.objective import AnyFamily
from hidden_context.items.optimizer import Optimum, fit_newton
from hidden_context.items.spread_check import SpreadCheck
from hidden_context.items.summed_votes import SummedVotes
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import OutcomeModel

SCALES = (1.0, 2.0, 4.0)
"""Scales of the normal parts of a link; one part more has no slope, so it is ½ for every pair. The
logistic link is met within 1e-5 nats a comparison."""


@dataclass(frozen=True, eq=False, repr=False)
class OneLinkUtility(PointUtility):
    """Points that are compared by any symmetric link."""

    log_link: Callable[[Array], Array]
    """log P(a ≻ b) as a function of the difference of the utilities."""

    def _log_link(self, ahead: Array) -> Array:
        return self.log_link(ahead)


@dataclass(frozen=True)
class OneLink(Point):
    """One number for each item, and one spread for all: what scales the link has."""

    log_link: Callable[[Array], Array] = LINKS["probit"]
    """See `OneLinkUtility`."""

    def _decode(self, raw: Array) -> OneLinkUtility:
        return OneLinkUtility(raw[..., 0], self.log_link)


def log_free_tails(log_weights: Tensor, ahead: Tensor) -> Tensor:
    """A link of normal parts, one for each of `SCALES`, and one part that is even."""
    parts = [log_normal_cdf(ahead / scale) for scale in SCALES]
    parts.append(torch.full_like(ahead, math.log(0.5)))
    return torch.stack(parts, -1).add(log_weights).logsumexp(-1)


class FreeTails(LearnedLikelihood):
    """The likelihood of `OneLink` with the weights of `log_free_tails` as parameters."""

    def __init__(self, outcome_model: OutcomeModel, *, learn_outcomes: bool) -> None:
        super().__init__(OneLink(), outcome_model, learn_outcomes=learn_outcomes)
        self._weights = nn.Parameter(torch.zeros(len(SCALES) + 1))

    @property
    def log_weights(self) -> Tensor:
        """Logarithms of the weights, shape `(..., scales + 1)`."""
        return self._weights.log_softmax(-1)

    def forward(self) -> tuple[Family, OutcomeModel]:
        _, outcome_model = super().forward()
        return OneLink(partial(log_free_tails, self.log_weights)), outcome_model


def compare_with_one_spread(
    fitted: Optimum, votes: SummedVotes, *, learn_outcomes: bool, max_iterations: int
) -> SpreadCheck:
    """Fit one spread for all items, by the link of the family and by one of free tails.

    All by maximum likelihood, and so the family too, from where it is: a ridge keeps means of one
    spread small, and not those of items with little spread.

    Args:
        fitted: Of `mean_and_variance`.
        votes: What it was fitted to.
        learn_outcomes: Whether thresholds, or ν, are learned.
        max_iterations: Of each fit.
    """
    family, outcome_model = fitted.read_as
    assert isinstance(family, Normal)

    def fit(likelihood: LearnedLikelihood, start: np.ndarray) -> Optimum:
        return fit_newton(AnyFamily(likelihood, votes, 0.0), start, max_iterations=max_iterations)

    def of(family: Family) -> LearnedLikelihood:
        return LearnedLikelihood(family, outcome_model, learn_outcomes=learn_outcomes)

    utility = family.decode(fitted.raw)
    start = (utility.mean - utility.mean.mean())[:, None] / np.sqrt(2 * utility.variance.mean())
    equal = fit(of(OneLink(LINKS[family.link])), start)
    without_penalties = Normal(link=family.link, correlation=family.correlation)
    spread = fit(of(without_penalties), fitted.raw)
    tails = fit(FreeTails(outcome_model, learn_outcomes=learn_outcomes), start)
    weights = np.exp(tails.minimum.x[tails.objective.num_parameters - len(SCALES) - 1 :])
    gained = equal.log_likelihood
    return SpreadCheck(
        spread_gain=spread.log_likelihood - gained - (votes.num_items - 1),
        tails_gain=tails.log_likelihood - gained - len(SCALES),
        even_share=float(weights[-1] / weights.sum()),
    )
