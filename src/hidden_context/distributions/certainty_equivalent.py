"""Certainty equivalents, -log E[exp(-θU)] / θ, of uniform variables and of mixtures.

A mixture is worth what points at the certainty equivalents of its parts are, so that the two
together serve every family that mixes.
"""

from array_api_compat import array_namespace

from hidden_context.distributions.special import Array, logsumexp

SMALLEST_RISK_AVERSION, LARGEST_RISK_AVERSION = 1e-30, 1e30
"""Beyond these the certainty equivalent is the mean, or the worst case, in float32 and float64."""
SERIES_BELOW = 0.25
"""θ · width from which on the closed form is used; the series is accurate to 1e-14 up to there."""


def within_precision(risk_aversion: float) -> float:
    """θ, or the nearest value whose products with utilities neither underflow nor overflow."""
    return min(max(risk_aversion, SMALLEST_RISK_AVERSION), LARGEST_RISK_AVERSION)


def of_uniform(width: Array, risk_aversion: float) -> Array:
    """That of U uniform on [0, width]: between 0 (θ → ∞) and width/2 (θ → 0).

    log(sinh(x)/x), x = θ · width / 2, as it stands or by its Taylor series, where it would cancel.
    """
    xp = array_namespace(width)
    spread = within_precision(risk_aversion) * width
    near = spread < SERIES_BELOW
    small = xp.where(near, spread, xp.zeros_like(spread))
    square = small**2
    series = 1 / 24 - square * (1 / 2880 - square * (1 / 181_440 - square / 9_676_800))
    large = xp.where(near, xp.ones_like(spread), spread)
    closed = -xp.log(-xp.expm1(-large) / large) / large
    return width * xp.where(near, 0.5 - small * series, closed)


def of_mixture(log_weight: Array, parts: Array, risk_aversion: float) -> Array:
    """That of a mixture, from the certainty equivalents of its parts, shape `(*batch,)`.

    Taken around the mean of the parts where θ is small against their spread, so that the logarithm
    of a number near 1 does not cancel, and around the lowest part elsewhere.

    Args:
        log_weight: Logarithms of weights that sum to 1, shape `(*batch, num_parts)`.
        parts: Certainty equivalents at this θ, same shape.
        risk_aversion: θ > 0.
    """
    xp = array_namespace(parts)
    theta = within_precision(risk_aversion)
    weight = xp.exp(log_weight)
    center = (weight * parts).sum(-1)
    deviation = parts - center[..., None]
    near = xp.max(xp.abs(deviation), axis=-1) * theta < 1
    small = xp.where(near[..., None], -theta * deviation, xp.zeros_like(deviation))
    around_center = center - xp.log1p((weight * xp.expm1(small)).sum(-1)) / theta
    lowest = xp.min(parts, axis=-1)
    around_lowest = lowest - logsumexp(log_weight - theta * (parts - lowest[..., None])) / theta
    return xp.where(near, around_center, around_lowest)
