"""Family `categorical`: a histogram of equal bins on [0, 1] for each response."""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from array_api_compat import array_namespace

from hidden_context.distributions import certainty_equivalent
from hidden_context.distributions.base import Family, check_choice, check_not_negative
from hidden_context.distributions.special import (
    Array,
    as_array,
    log_softmax,
    logcumsumexp,
    logsumexp,
)
from hidden_context.distributions.utility import UtilityDistribution

MOMENTS = ("bins", "atoms")
ENTROPIES = ("each", "batch")
MOST_MATRICES = 2**12
"""Margins up to which each has a matrix of bins; there are more only if every pair has its own."""


@dataclass(frozen=True, eq=False, repr=False)
class HistogramUtility(UtilityDistribution):
    """Utilities with a constant density within each of n equal bins on [0, 1].

    So read, sharing ties evenly between equal bins is exact, and the quantile is continuous.
    """

    log_mass: Array
    """Log-probability of each bin, in ascending order of utility, shape `(*batch, num_bins)`."""
    moments: str = "bins"
    """Mean and variance of the histogram (bins), or of points on linspace(0, 1, n) (atoms)."""

    @property
    def num_bins(self) -> int:
        """Number of bins."""
        return self.log_mass.shape[-1]

    @property
    def mass(self) -> Array:
        """Probability of each bin, shape `(*batch, num_bins)`."""
        return array_namespace(self.log_mass).exp(self.log_mass)

    @property
    def _rank(self) -> Array:
        """0, 1, ..., num_bins - 1: lower ends of the bins, in bins."""
        xp = array_namespace(self.log_mass)
        return xp.arange(self.num_bins, dtype=self.log_mass.dtype, device=self.log_mass.device)

    @property
    def _centers(self) -> Array:
        if self.moments == "atoms":
            return self._rank / (self.num_bins - 1)
        return (self._rank + 0.5) / self.num_bins

    @property
    def mean(self) -> Array:
        return (self.mass * self._centers).sum(-1)

    @property
    def variance(self) -> Array:
        within_bin = 0.0 if self.moments == "atoms" else 1 / (12 * self.num_bins**2)
        return (self.mass * (self._centers - self.mean[..., None]) ** 2).sum(-1) + within_bin

    def cdf(self, utility: float | Array) -> Array:
        xp = array_namespace(self.log_mass)
        utility = as_array(utility, like=self.log_mass)[..., None]
        share_of_bin = xp.clip(utility * self.num_bins - self._rank, 0.0, 1.0)
        return (self.mass * share_of_bin).sum(-1)

    def _quantile(self, level: float | Array) -> Array:
        return self._share_below(level).sum(-1) / self.num_bins

    def _share_below(self, level: float | Array) -> Array:
        """Share of each bin that lies below the quantile: 1, ..., 1, some, 0, ..., 0."""
        xp = array_namespace(self.log_mass)
        level = as_array(level, like=self.log_mass)
        mass = self.mass
        before = xp.cumulative_sum(mass, axis=-1) - mass
        smallest = xp.finfo(mass.dtype).smallest_normal ** 0.5  # its inverse square is finite
        return xp.clip((level[..., None] - before) / xp.clip(mass, smallest, None), 0.0, 1.0)

    def _cvar(self, level: float) -> Array:
        """Each bin's mass below the quantile, at the middle of the part that it fills."""
        share = self._share_below(level)
        middle = (self._rank + share / 2) / self.num_bins
        return (self.mass * share * middle).sum(-1) / level

    def _entropic(self, risk_aversion: float) -> Array:
        """Of the histogram, for either kind of moments."""
        width = array_namespace(self.log_mass).full_like(self.log_mass, 1 / self.num_bins)
        uniform = certainty_equivalent.of_uniform(width, risk_aversion)
        bins = self._rank / self.num_bins + uniform
        return certainty_equivalent.of_mixture(self.log_mass, bins, risk_aversion)

    def log_prob_preferred_to(
        self, other: "HistogramUtility", margin: float | Array = 0.0
    ) -> Array:
        """log Σᵢ pᵢ (Σ_{j<i} qⱼ + qᵢ/2): DPL paper section 4, linear in the bins.

        For a margin see `_share_ahead`; from margin 1 on it is -inf, and its gradient 0.
        """
        xp = array_namespace(self.log_mass)
        margin = as_array(margin, like=self.log_mass)
        decided = xp.abs(margin) >= 1
        inside = xp.where(decided, xp.zeros_like(margin), margin)
        log_prob = self._log_prob_linearly(other, inside)
        if log_prob is None:
            log_prob = self._log_prob_ahead_by(other, inside)
        certain = xp.where(margin >= 1, -math.inf, xp.zeros_like(margin))
        return xp.where(decided, certain, log_prob)

    def log_prob_between(self, other: Self, low: float | Array, high: float | Array) -> Array:
        low, high = (as_array(edge, like=self.log_mass) for edge in (low, high))
        log_prob = self._log_prob_linearly(other, low, high)
        return super().log_prob_between(other, low, high) if log_prob is None else log_prob

    def _log_prob_linearly(
        self, other: "HistogramUtility", low: Array, high: Array | None = None
    ) -> Array | None:
        """log Σᵢⱼ pᵢ qⱼ P(low < U - U' ≤ high | i, j); a `high` of None is ∞.

        All terms are positive. None if they may underflow somewhere, or if a matrix of bins for
        each margin would take much memory: then it has to be in logs, which takes eight times as
        long.
        """
        xp = array_namespace(self.log_mass)
        if math.prod(low.shape) > MOST_MATRICES:
            return None
        share = self._share_ahead(low)
        if high is not None:
            share = share - self._share_ahead(high)
        if share.ndim == 2:
            expected = other.mass @ share.T
        else:
            expected = xp.einsum("...j,...ij->...i", other.mass, share)
        prob = (self.mass * expected).sum(-1)
        of_dtype = xp.finfo(prob.dtype)
        least = self.num_bins**2 * of_dtype.smallest_normal / of_dtype.eps
        return None if bool((prob < least).any()) else xp.log(prob)

    def _share_ahead(self, margin: Array) -> Array:
        """P(U - U' > margin) where they are in bins i and j, shape `(*margin, i, j)`.

        In units of a bin, U - U' is i - j plus a triangular variable on [-1, 1].
        """
        xp = array_namespace(margin)
        rank, n = self._rank, self.num_bins
        shift = xp.where(margin < 0.5, xp.zeros_like(margin), xp.ones_like(margin))
        rest = (n * (margin - shift))[..., None, None]  # to full precision at 0 and at 1
        ahead = rank[:, None] - rank - n * shift[..., None, None] - rest
        above = xp.clip(ahead + 1, 0.0, 2.0)
        return xp.where(above < 1, above**2 / 2, 1 - (2 - above) ** 2 / 2)

    def _log_prob_ahead_by(self, other: "HistogramUtility", margin: Array) -> Array:
        """log P(U - U' > margin), -1 < margin < 1, in logs throughout.

        In units of a bin, U - U' is i - j plus a triangular variable on [-1, 1]. Let margin · n be
        k + 1 - h, k whole and 0 < h ≤ 1. The variable decides in two cases, i - j = k and k + 1;
        it then exceeds what is missing with chance h²/2 and 1 - (1 - h)²/2.
        """
        xp = array_namespace(self.log_mass)
        n = self.num_bins
        low = margin < 0.5
        scaled = n * xp.where(low, margin, margin - 1)  # to full precision at 0 and at 1
        whole = xp.floor(scaled)
        share = whole + 1 - scaled  # h, never 0
        missing = xp.astype(xp.where(low, whole, whole + n), xp.int64)[..., None]  # k
        level = xp.arange(n, device=margin.device) - missing
        ends = xp.full_like(other.log_mass[..., :1], -math.inf)
        mass = xp.concat([ends, other.log_mass, ends], axis=-1)
        running = xp.concat([ends, logcumsumexp(other.log_mass)], axis=-1)
        one_more = xp.log1p(-((1 - share) ** 2) / 2)[..., None]
        just = (2 * xp.log(share) - math.log(2))[..., None]
        wins = [
            _pick(running, xp.clip(level - 1, 0, n)),  # j ≤ i - k - 2
            _pick(mass, xp.clip(level, 0, n + 1)) + one_more,
            _pick(mass, xp.clip(level + 1, 0, n + 1)) + just,
        ]
        terms = xp.broadcast_arrays(*(self.log_mass + log_share for log_share in wins))
        return logsumexp(xp.concat(terms, axis=-1))


def _pick(values: Array, index: Array) -> Array:
    """`values` at `index` along the last axis; the other axes broadcast."""
    xp = array_namespace(values)
    batch = np.broadcast_shapes(values.shape[:-1], index.shape[:-1])
    values = xp.broadcast_to(values, (*batch, values.shape[-1]))
    index = xp.broadcast_to(index, (*batch, index.shape[-1]))
    return xp.take_along_axis(values, index, axis=-1)


@dataclass(frozen=True)
class Categorical(Family[HistogramUtility]):
    """Softmax of the outputs as the probabilities of equal bins on [0, 1]."""

    name: ClassVar[str] = "categorical"
    size_option: ClassVar[str] = "num_atoms"
    smallest_size: ClassVar[int] = 2
    published_options: ClassVar[tuple[str, ...]] = ("num_atoms", "entropy_coeff")
    largest_margin: ClassVar[float] = 1.0

    num_atoms: int = 10
    """Number of bins."""
    entropy_coeff: float = 0.1
    """Weight of the entropy (nats) that the loss rewards."""
    entropy: str = "each"
    """Entropy of each distribution (each, as in the paper) or of their mean (batch, its code)."""
    moments: str = "bins"
    """Moments of the histogram (bins), or of the published point masses (atoms)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("entropy_coeff", self.entropy_coeff)
        check_choice("entropy", self.entropy, ENTROPIES)
        check_choice("moments", self.moments, MOMENTS)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(f"logit_{number}" for number in range(self.num_atoms))

    def _decode(self, raw: Array) -> HistogramUtility:
        return HistogramUtility(log_softmax(raw), self.moments)

    def regularizer(self, utility: HistogramUtility) -> Array:
        """Minus `entropy_coeff` times the entropy, in nats. In logs: no 0 log 0 at underflow."""
        log_mass = utility.log_mass.reshape(-1, self.num_atoms)
        if self.entropy == "batch":
            log_mass = logsumexp(log_mass.T)[None] - math.log(log_mass.shape[0])
        xp = array_namespace(log_mass)
        return self.entropy_coeff * (xp.exp(log_mass) * log_mass).sum(-1).mean()

    def as_published(self) -> "Categorical":
        return dataclasses.replace(self, entropy="batch")

    def with_published_moments(self) -> "Categorical":
        return dataclasses.replace(self, moments="atoms")
