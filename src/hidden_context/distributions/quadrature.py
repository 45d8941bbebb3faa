"""CVaR and certainty equivalents of any distribution, from its quantiles alone.

Both are integrals over levels q in (0, 1). With q = σ(t), t = 4 sinh(x/4), the trapezoid rule in x
follows both tails. Where the quantile function is smooth its error is that of rounding; where it
has kinks it falls as the square of the distance between nodes, and where it jumps as the distance.
Computed in float64, in chunks of responses; differentiable by the quantiles.
"""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace

from hidden_context.distributions import certainty_equivalent
from hidden_context.distributions.special import Array, as_array, logsumexp
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.distributions.utility import UtilityDistribution

NUM_NODES = 1024
LOWEST, HIGHEST = -700.0, 36.0
"""Logits of the levels: e^-700 is near the smallest number of float64, e^-36 is 1 less the last."""
LARGEST_CHUNK = 4096
"""Responses at once: 32 MB of quantiles."""
LARGEST_DOUBT = 1e-9
"""Share of an expectation that may rest on what lies below the lowest level."""


@functools.cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Logits of the levels, rising, and the logarithms of their weights, which sum to 1."""
    x = np.linspace(4 * math.asinh(LOWEST / 4), 4 * math.asinh(HIGHEST / 4), NUM_NODES)
    logits = 4 * np.sinh(x / 4)
    log_weights = np.log(np.cosh(x / 4)) - np.logaddexp(0, logits) - np.logaddexp(0, -logits)
    log_weights[[0, -1]] -= math.log(2)
    return logits, log_weights - np.logaddexp.reduce(log_weights)


def mean_of_lowest(utility: "UtilityDistribution", share: float) -> Array:
    """(1/share) ∫₀^share quantile(q) dq, shape `(*batch,)`; `share` in (0, 1)."""
    return _in_chunks(lambda part: _weighted_mean(_quantiles(part, share)), utility)


def certainty_equivalent_of(utility: "UtilityDistribution", risk_aversion: float) -> Array:
    """-log E[exp(-θU)] / θ, shape `(*batch,)`; -inf where the expectation is infinite.

    See `_lower_tail` for what is taken to lie below the lowest level. The error that the rule makes
    for the mean, which is known, is taken off.

    Raises:
        UserError: The expectation rests on levels that float64 does not hold.
    """
    theta = certainty_equivalent.within_precision(risk_aversion)
    refusal = UserError(
        f"entropic risk aversion {risk_aversion} is beyond what quantiles of "
        f"{type(utility).__name__} tell of its lower tail; give a smaller one, or define "
        "`_entropic` in the family."
    )

    def of_part(part: "UtilityDistribution") -> Array:
        quantiles = _quantiles(part, 1.0)
        xp = array_namespace(quantiles)
        if not bool(xp.isfinite(quantiles).all()):
            raise refusal
        infinite, log_beyond, doubt = _lower_tail(quantiles, theta)
        quantiles = xp.where(infinite[..., None], xp.zeros_like(quantiles), quantiles)
        parts = xp.concat([quantiles[..., :1], quantiles], axis=-1)
        log_weights = as_array(_rule()[1], like=quantiles) + xp.zeros_like(quantiles)
        log_weights = xp.concat([log_beyond[..., None], log_weights], axis=-1)
        log_share = log_beyond - logsumexp(log_weights - theta * (parts - parts[..., :1]))
        if not bool((infinite | (log_share + xp.log(doubt) < math.log(LARGEST_DOUBT))).all()):
            raise refusal
        worth = certainty_equivalent.of_mixture(log_weights, parts, theta)
        worth = worth + part.mean - _weighted_mean(quantiles)
        return xp.where(infinite, -math.inf, worth)

    return _in_chunks(of_part, utility)


def _lower_tail(quantiles: Array, theta: float) -> tuple[Array, Array, Array]:
    """What lies below the lowest level, judged by how quantiles fall towards it.

    Let them fall by s for each unit of log q. E[exp(-θU)] exists if θs < 1 in the limit q → 0. Two
    stretches of log q, [-700, -350] and [-350, -175], tell what s tends to. If it rises downwards:
    to ∞, so that no θ has an expectation (Student's t). If it stays within 1 %: to a number
    (Laplace, logistic), and the rest is that of an exponential tail, 1/(1 - θs) times as much as
    the lowest level. If it falls: to 0 (normal, bounded).

    Returns:
        Whether the expectation is infinite; else the logarithm of the weight that the lowest
        quantile has for all below it, and the relative doubt about this weight.
    """
    xp = array_namespace(quantiles)
    logits, _ = _rule()
    nodes = [0, *(int(np.searchsorted(logits, logit)) for logit in (LOWEST / 2, LOWEST / 4, 0.0))]
    lowest, low, high, middle = (quantiles[..., node] for node in nodes)
    scale = (low - lowest) / float(logits[nodes[1]] - logits[nodes[0]])
    scale_above = (high - low) / float(logits[nodes[2]] - logits[nodes[1]])
    falls = low - lowest > 1e-6 * (middle - lowest)  # by more than rounding
    smallest = xp.where(falls, scale_above, xp.ones_like(scale))
    ratio = xp.where(falls, scale, xp.zeros_like(scale)) / xp.clip(smallest, 1e-300, None)
    change = xp.abs(ratio - 1)
    exponential = change < 0.01
    left = 1 - theta * scale
    certain = change < 1e-9
    critical = xp.where(certain, 1e-9, -10 * change)
    infinite = (ratio >= 1.01) | (exponential & (left <= critical))
    left = xp.where(exponential & ~infinite, xp.clip(left, 1e-9, None), xp.ones_like(left))
    doubt = xp.where(exponential, change / left, xp.ones_like(left))
    return infinite, LOWEST - xp.log(left), doubt + 1e-300


def _quantiles(utility: "UtilityDistribution", share: float) -> Array:
    """At the levels of the rule times `share`, shape `(n, NUM_NODES)`."""
    like = utility.mean
    xp = array_namespace(like)
    levels = as_array(np.exp(-np.logaddexp(0, -_rule()[0])), like=like) * share
    levels = xp.clip(levels, xp.finfo(levels.dtype).smallest_normal, None)
    return xp.moveaxis(utility._quantile(levels[:, None]), 0, -1)


def _weighted_mean(quantiles: Array) -> Array:
    return (as_array(np.exp(_rule()[1]), like=quantiles) * quantiles).sum(-1)


def _in_chunks(
    function: Callable[["UtilityDistribution"], Array], utility: "UtilityDistribution"
) -> Array:
    """`function` of some responses at a time in float64; with the shape and precision of all."""
    mean = utility.mean
    xp = array_namespace(mean)
    responses = utility.reshape(-1)
    values = []
    for start in range(0, max(len(responses), 1), LARGEST_CHUNK):
        part = responses[start : start + LARGEST_CHUNK]
        values.append(function(part._with_fields(lambda field, _: xp.astype(field, xp.float64))))
    return xp.astype(xp.concat(values), mean.dtype).reshape(mean.shape)
