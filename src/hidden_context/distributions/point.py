"""Family `base`: one number for each response and Bradley–Terry comparisons, no hidden context."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace

from hidden_context.distributions.base import Family
from hidden_context.distributions.special import (
    Array,
    log_cdf_between,
    log_sigmoid,
    logcumsumexp,
)
from hidden_context.distributions.utility import UtilityDistribution


@dataclass(frozen=True, eq=False, repr=False)
class PointUtility(UtilityDistribution):
    """All probability at one utility; comparisons are noisy, utilities are not."""

    location: Array
    """The utility, shape `(*batch,)`."""

    @property
    def mean(self) -> Array:
        return self.location

    @property
    def variance(self) -> Array:
        return array_namespace(self.location).zeros_like(self.location)

    @property
    def std(self) -> Array:
        return self.variance

    @property
    def atoms(self) -> tuple[Array, Array]:
        at = self.location[..., None]
        return at, array_namespace(at).ones_like(at)

    def cdf(self, utility: float | Array) -> Array:
        xp = array_namespace(self.location)
        return xp.astype(utility >= self.location, self.location.dtype)

    def _quantile(self, level: float | Array) -> Array:
        return self.location + 0.0 * level

    def _cvar(self, level: float) -> Array:
        return self.location

    def _entropic(self, risk_aversion: float) -> Array:
        return self.location

    def log_prob_preferred_to(self, other: "PointUtility", margin: float | Array = 0.0) -> Array:
        """log σ(u - u' - margin), Bradley and Terry (1952). See `UtilityDistribution`."""
        return self._log_link(self.location - other.location - margin)

    def log_prob_between(
        self, other: "PointUtility", low: float | Array, high: float | Array
    ) -> Array:
        ahead = self.location - other.location
        return log_cdf_between(self._log_link, ahead - high, ahead - low)

    def _log_link(self, ahead: Array) -> Array:
        """log P(a ≻ b) as a function of the difference of the utilities, symmetric around 0."""
        return log_sigmoid(ahead)


@dataclass(frozen=True)
class Point(Family[PointUtility]):
    """The ordinary scalar reward model."""

    name: ClassVar[str] = "base"
    mean_output: ClassVar[int | None] = 0

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("reward",)

    def _decode(self, raw: Array) -> PointUtility:
        return PointUtility(raw[..., 0])

    def log_prob_of_ranking(self, utilities: Sequence[PointUtility]) -> Array:
        """log Π_i exp(u_i) / Σ_{j ≥ i} exp(u_j), exact (Plackett 1975, Luce 1959)."""
        xp = array_namespace(utilities[0].location)
        best_first = xp.stack([utility.location for utility in utilities], axis=-1)
        remaining = xp.flip(logcumsumexp(xp.flip(best_first, axis=-1)), axis=-1)
        return (best_first - remaining).sum(-1)
