"""Family `quantile`: a piecewise linear quantile function of utility for each response."""

import math
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace

from hidden_context.distributions import certainty_equivalent
from hidden_context.distributions.base import Family
from hidden_context.distributions.special import Array, as_array, as_std, log_sigmoid, logsumexp
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError


@dataclass(frozen=True, eq=False, repr=False)
class PiecewiseUniformUtility(UtilityDistribution):
    """Equally likely pieces, one after another, with a uniform distribution within each."""

    location: Array
    """Mean, shape `(*batch,)`."""
    width: Array
    """Length of each piece in units of utility, positive, lowest piece first,
    shape `(*batch, num_pieces)`."""
    lapse: float
    """Probability with which a comparison is not read off the utilities; see `QuantileFunction`."""

    @property
    def num_pieces(self) -> int:
        """Number of pieces, one less than of quantile levels."""
        return self.width.shape[-1]

    @property
    def _center(self) -> Array:
        """Middle of each piece less the mean, shape `(*batch, num_pieces)`."""
        xp = array_namespace(self.width)
        middle = xp.cumulative_sum(self.width, axis=-1) - self.width / 2
        return middle - middle.mean(-1)[..., None]

    @property
    def _lower(self) -> Array:
        """Lower end of each piece less the mean, shape `(*batch, num_pieces)`."""
        return self._center - self.width / 2

    @property
    def values(self) -> Array:
        """Quantiles at equally spaced levels from 0 to 1, shape `(*batch, num_pieces + 1)`."""
        xp = array_namespace(self.width)
        upper = self._center[..., -1:] + self.width[..., -1:] / 2
        return self.location[..., None] + xp.concat([self._lower, upper], axis=-1)

    @property
    def mean(self) -> Array:
        return self.location

    @property
    def variance(self) -> Array:
        return (self._center**2 + self.width**2 / 12).mean(-1)

    def cdf(self, utility: float | Array) -> Array:
        xp = array_namespace(self.width)
        above_mean = as_array(utility, like=self.width) - self.location
        return xp.clip((above_mean[..., None] - self._lower) / self.width, 0.0, 1.0).mean(-1)

    def _share_below(self, level: float | Array) -> Array:
        """Share of each piece that lies below the quantile: 1, ..., 1, some, 0, ..., 0."""
        xp = array_namespace(self.width)
        level = as_array(level, like=self.width)
        rank = xp.arange(self.num_pieces, dtype=level.dtype, device=level.device)
        return xp.clip(level[..., None] * self.num_pieces - rank, 0.0, 1.0)

    def _quantile(self, level: float | Array) -> Array:
        lowest = self.location + self._lower[..., 0]
        return lowest + (self._share_below(level) * self.width).sum(-1)

    def _cvar(self, level: float) -> Array:
        """Each piece's mass below the quantile, at the middle of the part that it fills."""
        share = self._share_below(level)
        middle = self._lower + self.width * share / 2
        return self.location + (share * middle).sum(-1) / (self.num_pieces * level)

    def _entropic(self, risk_aversion: float) -> Array:
        xp = array_namespace(self.width)
        worth = self._lower + certainty_equivalent.of_uniform(self.width, risk_aversion)
        log_weight = xp.full_like(worth, -math.log(self.num_pieces))
        return self.location + certainty_equivalent.of_mixture(log_weight, worth, risk_aversion)

    def log_prob_preferred_to(
        self, other: "PiecewiseUniformUtility", margin: float | Array = 0.0
    ) -> Array:
        """log((1 - lapse) · P(U - U' > margin) + lapse · σ(mean - mean' - margin)).

        The first probability is exact: the mean over all pairs of pieces of
        `log_prob_uniform_exceeds`. All terms are added in logs. Without a lapse, utilities that
        do not overlap have log-probability -inf and no gradient.
        """
        ahead = self.location - other.location - margin
        centers = self._center[..., :, None] - other._center[..., None, :]
        pairs = log_prob_uniform_exceeds(
            ahead[..., None, None] + centers,
            self.width[..., :, None] / 2,
            other.width[..., None, :] / 2,
        )
        lapsed = log_sigmoid(ahead)
        if self.lapse == 1:
            return lapsed
        pairs = pairs.reshape(*pairs.shape[:-2], math.prod(pairs.shape[-2:]))
        terms = pairs + (math.log1p(-self.lapse) - math.log(pairs.shape[-1]))
        if self.lapse > 0:
            xp = array_namespace(terms)
            terms = xp.concat([terms, (lapsed + math.log(self.lapse))[..., None]], axis=-1)
        return logsumexp(terms)


def log_prob_uniform_exceeds(ahead: Array, half_width: Array, other_half_width: Array) -> Array:
    """log P(X > Y) of X uniform on ahead ± half_width and Y uniform on 0 ± other_half_width.

    Y - X has the density of a trapezoid around -ahead. Its smaller tail is computed first, as a
    triangle or as part of the flat top, and the larger is its complement: nothing cancels however
    narrow or far apart the two are, and log P(X > Y) and log P(Y > X) agree to rounding. -inf, with
    gradient 0, where X lies below Y.
    """
    xp = array_namespace(ahead)
    distance = xp.where(ahead < 0, -ahead, ahead)  # unlike abs, with a gradient at 0
    wider = xp.maximum(half_width, other_half_width)
    flat = distance < xp.abs(half_width - other_half_width)
    overlap = half_width + other_half_width - distance
    apart = overlap <= 0
    one = xp.ones_like(overlap)
    log_area = math.log(8) + xp.log(half_width) + xp.log(other_half_width)
    triangle = 2 * xp.log(xp.where(apart, one, overlap)) - log_area
    top = xp.log(xp.where(flat, wider - distance, one)) - xp.log(2 * wider)
    log_tail = xp.where(flat, top, xp.where(apart, -math.inf * one, triangle))
    log_rest = xp.log1p(-xp.exp(xp.where(apart, -one, log_tail)))
    return xp.where(ahead < 0, log_tail, xp.where(apart, xp.zeros_like(one), log_rest))


@dataclass(frozen=True)
class QuantileFunction(Family[PiecewiseUniformUtility]):
    """Mean, and softplus of the other outputs as the distances between neighbouring quantiles.

    The levels are 0, 1/(num_levels - 1), ..., 1. The shape is free, unlike that of
    `mean_and_variance`, and so is the range, unlike that of `categorical`. Distances are scaled so
    that equal outputs make one uniform distribution with their softplus as standard deviation.

    Utilities are bounded, and where two do not overlap the exact probability is 0, with no
    gradient. So a share `lapse` of the comparisons is taken to follow Bradley and Terry on the
    means instead, as psychometric functions allow for lapses (Wichmann and Hill 2001). A wrong
    label then costs a bounded pull: the loss grows linearly in the distance of the means.
    """

    name: ClassVar[str] = "quantile"
    size_option: ClassVar[str] = "num_levels"
    smallest_size: ClassVar[int] = 2

    num_levels: int = 8
    """Number of quantile levels, at least 2."""
    lapse: float = 0.01
    """Probability, in [0, 1], with which a comparison follows Bradley and Terry on the means."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.lapse <= 1:
            raise UserError(f"lapse is {self.lapse}; give a probability in [0, 1].")

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("mean", *(f"raw_width_{number}" for number in range(self.num_levels - 1)))

    def _decode(self, raw: Array) -> PiecewiseUniformUtility:
        width = as_std(raw[..., 1:]) * (math.sqrt(12) / (self.num_levels - 1))
        return PiecewiseUniformUtility(raw[..., 0], width, self.lapse)
