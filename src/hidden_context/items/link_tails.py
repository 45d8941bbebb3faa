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

import torch
from torch import Tensor, nn

from hidden_context.distributions import Family
from hidden_context.distributions.normal import LINKS, Normal
from hidden_context.distributions.point import Point, PointUtility
from hidden_context.distributions.special import Array, log_normal_cdf
from hidden_context.items.optimizer import Optimum, SummedVotes, maximize_likelihood, random_start
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import OutcomeModel

SCALES = (1.0, 2.0, 4.0)
"""Scales of the normal parts of a link; one part more has no slope, so it is ½ for every pair. The
logistic link is met within 1e-5 nats a comparison."""
LARGE_PART = 1 / 3
"""Share of the gain of spread from which tails count as its explanation. Where spread is real they
gained at most a fiftieth of it, where there is none all of it or more, of real votes half; it was
set after all of these had been seen."""


@dataclass(frozen=True, eq=False, repr=False)
class OneLinkUtility(PointUtility):
    """Points that are compared by any symmetric link."""

    log_link: Callable[[Array], Array]
    """log P(a ≻ b) as a function of the difference of the utilities."""

    def log_prob_preferred_to(self, other: PointUtility, margin: float | Array = 0.0) -> Array:
        return self.log_link(self.location - other.location - margin)


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
        """Logarithms of the weights, shape `(scales + 1,)`."""
        return self._weights.log_softmax(0)

    def forward(self) -> tuple[Family, OutcomeModel]:
        _, outcome_model = super().forward()
        return OneLink(partial(log_free_tails, self.log_weights)), outcome_model


@dataclass(frozen=True)
class SpreadCheck:
    """What the likelihood gains over one spread for all items, by either of two ways.

    Gains are of log-likelihoods in nats over all votes, less the number of further parameters
    (Akaike 1973): above 0 where unseen votes, too, should be predicted better. Votes count as
    independent, so where a person votes often, gains look surer than they are.
    """

    spread_gain: float
    """Of a spread for each item."""
    tails_gain: float
    """Of one spread, and one link of free tails: any mixture of normal ones of several scales."""
    even_share: float
    """Share of comparisons that this link decides evenly whatever the items, as ties at random."""

    @property
    def explained_by_tails(self) -> bool:
        """Whether tails alone gain at least `LARGE_PART` of what spread does."""
        return self.tails_gain > 0 and self.tails_gain >= LARGE_PART * self.spread_gain

    @property
    def warning(self) -> str:
        """What to know of the learned spread before it is read as disagreement; may be empty."""
        if self.explained_by_tails:
            said = (
                "Tails of the link explain much or all of the learned spread: one spread for all "
                f"items and a link of heavier tails gain {self.tails_gain:.1f} nats over all "
                f"votes, a spread for each item {self.spread_gain:.1f} (each less its number of "
                "parameters). So items with more spread, and distances between means, are weak "
                "evidence of disagreement; the order of the means is as good as ever."
            )
            if self.even_share < 0.01:
                return said
            return (
                f"{said} By that link {self.even_share:.0%} of comparisons are even whatever the "
                "items: if they are ties at random, leave ties out."
            )
        if self.spread_gain <= 0:
            return (
                "The votes do not show that items differ in spread: a spread for each item gains "
                f"{self.spread_gain:.1f} nats over all votes, less its number of parameters."
            )
        return ""


def compare_with_one_spread(
    fitted: Optimum, votes: SummedVotes, *, learn_outcomes: bool, max_iterations: int, seed: int
) -> SpreadCheck:
    """Fit one spread for all items, by the link of the family and by one of free tails.

    All by maximum likelihood, and so the family too, from where it is: a penalty keeps means of one
    spread small, and not those of items with little spread.

    Args:
        fitted: Of `mean_and_variance`.
        votes: What it was fitted to.
        learn_outcomes: Whether thresholds, or ν, are learned.
        max_iterations: Of each fit.
        seed: Of the starts of one spread.
    """
    family, outcome_model = fitted.family, fitted.outcome_model
    assert isinstance(family, Normal)

    def fit(likelihood: LearnedLikelihood, start: Tensor) -> float:
        optimum = maximize_likelihood(likelihood, votes, start, max_iterations=max_iterations)
        return votes.num_votes * optimum.log_likelihood

    def of(family: Family) -> LearnedLikelihood:
        return LearnedLikelihood(family, outcome_model, learn_outcomes=learn_outcomes)

    start = random_start(votes.num_items, 1, torch.Generator().manual_seed(seed))
    equal = fit(of(OneLink(LINKS[family.link])), start)
    without_penalties = Normal(link=family.link, correlation=family.correlation)
    spread = fit(of(without_penalties), torch.from_numpy(fitted.raw))
    tails = FreeTails(outcome_model, learn_outcomes=learn_outcomes)
    return SpreadCheck(
        spread_gain=spread - equal - (votes.num_items - 1),
        tails_gain=fit(tails, start) - equal - len(SCALES),
        even_share=float(tails.log_weights.detach().exp()[-1]),
    )
