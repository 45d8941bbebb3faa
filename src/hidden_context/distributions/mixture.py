"""Family `mixture`: a mixture of normal distributions of utility for each response."""

import math
from dataclasses import dataclass
from typing import ClassVar

from array_api_compat import array_namespace, is_torch_array

from hidden_context.distributions import certainty_equivalent
from hidden_context.distributions.base import Family
from hidden_context.distributions.special import (
    Array,
    as_array,
    as_std,
    log_normal_cdf,
    log_softmax,
    logsumexp,
    normal_cdf,
    normal_quantile,
)
from hidden_context.distributions.utility import UtilityDistribution

MOST_STEPS = 200
"""Of the search for a quantile: some 15 are usual, and some 70 where components are far apart."""


@dataclass(frozen=True, eq=False, repr=False)
class MixtureUtility(UtilityDistribution):
    """Mixtures of normal utilities; the components of two responses are independent."""

    log_weights: Array
    """Log-probability of each component, shape `(*batch, num_components)`."""
    locations: Array
    """Mean of each component, shape `(*batch, num_components)`."""
    scales: Array
    """Standard deviation of each component, positive, shape `(*batch, num_components)`."""

    @property
    def components(self) -> tuple[Array, Array, Array]:
        """Weights, means and deviations in ascending order of the means, all of one shape.

        The order in the outputs has no meaning, and training may exchange components.
        """
        xp = array_namespace(self.locations)
        order = xp.argsort(self.locations, axis=-1)
        weights, means, stds = (
            xp.take_along_axis(values, order, axis=-1)
            for values in (self._weights, self.locations, self.scales)
        )
        return weights, means, stds

    @property
    def _weights(self) -> Array:
        return array_namespace(self.log_weights).exp(self.log_weights)

    @property
    def mean(self) -> Array:
        return (self._weights * self.locations).sum(-1)

    @property
    def variance(self) -> Array:
        deviation = self.locations - self.mean[..., None]
        return (self._weights * (self.scales**2 + deviation**2)).sum(-1)

    def cdf(self, utility: float | Array) -> Array:
        return (self._weights * normal_cdf(self._standardized(utility))).sum(-1)

    def _density(self, utility: Array) -> Array:
        return (self._weights * _normal_density(self._standardized(utility)) / self.scales).sum(-1)

    def _standardized(self, utility: float | Array) -> Array:
        """(utility - mean) / std of each component, shape `(*batch, num_components)`."""
        utility = as_array(utility, like=self.locations)
        return (utility[..., None] - self.locations) / self.scales

    def _quantile(self, level: float | Array) -> Array:
        """The root of cdf = level, with its exact gradient.

        By the implicit function theorem the gradient is that of -(cdf - level) / density at the
        root, which `_find_quantile` gives to rounding.
        """
        fixed = MixtureUtility(*map(_constant, (self.log_weights, self.locations, self.scales)))
        root = fixed._find_quantile(_constant(level))
        excess = self.cdf(root) - as_array(level, like=root)
        return root - (excess - _constant(excess)) / _at_least_tiny(fixed._density(root))

    def _find_quantile(self, level: float | Array) -> Array:
        """Newton's method within a bracket that closes.

        The mixture's quantile lies between the lowest and the highest quantile of a component. A
        step that leaves the bracket, or does not halve the step before, is replaced by bisection.
        """
        xp = array_namespace(self.locations)
        z = as_array(normal_quantile(level), like=self.locations)[..., None]
        level = as_array(level, like=self.locations)
        of_components = self.locations + self.scales * z
        low, high = xp.min(of_components, axis=-1), xp.max(of_components, axis=-1)
        eps, smallest = xp.finfo(low.dtype).eps, xp.min(self.scales, axis=-1)
        short = 0.1 * eps**0.5 * smallest  # after such a step the error is its square: rounding
        root = xp.clip((self._weights * of_components).sum(-1), low, high)
        last_step, done = high - low, low >= high
        for _ in range(MOST_STEPS):
            excess = self.cdf(root) - level
            low, high = xp.where(excess > 0, low, root), xp.where(excess > 0, root, high)
            change = excess / _at_least_tiny(self._density(root))
            newton, step = root - change, xp.abs(change)
            trusted = (newton >= low) & (newton <= high) & (2 * step <= last_step)
            proposal = xp.where(trusted, newton, low + (high - low) / 2)
            done = done | (xp.abs(excess) <= 4 * eps * level)  # nearer, rounding decides
            proposal = xp.where(done, root, proposal)
            done = done | (trusted & (step <= short))
            done = done | (high - low <= 2 * eps * (xp.abs(root) + smallest))
            last_step, root = xp.abs(proposal - root), proposal
            if bool(done.all()):
                break
        return root

    def _cvar(self, level: float) -> Array:
        """quantile - E[(quantile - U)⁺] / level (Rockafellar and Uryasev 2000).

        The quantile maximises this expression, so that no gradient passes through it.
        """
        xp = array_namespace(self.locations)
        quantile = _constant(self._quantile(level))
        z = self._standardized(quantile)
        below = self.scales * (z * normal_cdf(z) + _normal_density(z))
        return quantile - (xp.exp(self.log_weights) * below).sum(-1) / level

    def _entropic(self, risk_aversion: float) -> Array:
        theta = certainty_equivalent.within_precision(risk_aversion)
        worth = self.locations - self.scales**2 * (theta / 2)
        return certainty_equivalent.of_mixture(self.log_weights, worth, theta)

    def log_prob_preferred_to(self, other: "MixtureUtility", margin: float | Array = 0.0) -> Array:
        """log Σᵢⱼ πᵢ π'ⱼ Φ((μᵢ - μ'ⱼ - margin) / √(σᵢ² + σ'ⱼ²)). See `UtilityDistribution`."""
        xp = array_namespace(self.locations)
        margin = as_array(margin, like=self.locations)[..., None, None]
        ahead = self.locations[..., :, None] - other.locations[..., None, :] - margin
        z = ahead / xp.hypot(self.scales[..., :, None], other.scales[..., None, :])
        log_weights = self.log_weights[..., :, None] + other.log_weights[..., None, :]
        terms = log_weights + log_normal_cdf(z)
        return logsumexp(terms.reshape(*terms.shape[:-2], math.prod(terms.shape[-2:])))


def _normal_density(z: Array) -> Array:
    return array_namespace(z).exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _at_least_tiny(density: Array) -> Array:
    """Between far components a density may underflow; this has a finite inverse."""
    xp = array_namespace(density)
    return xp.clip(density, xp.finfo(density.dtype).smallest_normal ** 0.5, None)


def _constant(values: float | Array) -> Array:
    """The same values, through which no gradient passes."""
    return values.detach() if is_torch_array(values) else values


@dataclass(frozen=True)
class Mixture(Family[MixtureUtility]):
    """Logits of the weights, then means, then softplus outputs as standard deviations.

    To the means are added the quantiles of the standard normal at (k - ½) / num_components. Without
    them, components with equal outputs would have equal gradients and stay equal; with them,
    outputs of 0 are a spread mixture around 0, and one component is `mean_and_variance`.
    """

    name: ClassVar[str] = "mixture"
    size_option: ClassVar[str] = "num_components"
    outputs_each: ClassVar[int] = 3

    num_components: int = 3
    """Number of normal components, at least 1."""

    @property
    def offsets(self) -> tuple[float, ...]:
        """What is added to the outputs for the means, in units of utility."""
        levels = ((k + 0.5) / self.num_components for k in range(self.num_components))
        return tuple(float(normal_quantile(level)) for level in levels)

    @property
    def output_names(self) -> tuple[str, ...]:
        kinds = ("logit", "mean", "raw_std")
        return tuple(f"{kind}_{k}" for kind in kinds for k in range(self.num_components))

    def _decode(self, raw: Array) -> MixtureUtility:
        k = self.num_components
        means = raw[..., k : 2 * k] + as_array(self.offsets, like=raw)
        return MixtureUtility(log_softmax(raw[..., :k]), means, as_std(raw[..., 2 * k :]))
