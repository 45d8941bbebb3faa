"""Social-choice rules: which of K alternatives is best when people differ. Pure functions.

Each gives every alternative a score, the higher the better. Scores do not break ties.
"""

from array_api_compat import array_namespace

from hidden_context.aggregation.support import as_float64, check_support, context_weights
from hidden_context.distributions.special import Array
from hidden_context.errors import UserError

ROUNDING = 1e-9
"""Scores, and majorities, this close are ties: sums of a few thousand float64 numbers agree so."""


def borda_count(support: Array) -> Array:
    """Borda count: mean of P(i ≻ j), with j uniform over all alternatives, i itself at ½ included.

    What preference learning with uniformly sampled pairs maximises (Siththaranjan et al. 2024,
    theorem 3.1). The mean over alternatives is ½. Opponents that an alternative was never compared
    with are left out of its mean, and the others count alike, however often they were compared; so
    with few pairs it depends on whom an alternative happened to meet.

    From support of shape `(*batch, K, K)`, NaN where unobserved, to `(*batch, K)`; NaN for an
    alternative that was never compared.
    """
    support = check_support(support)
    return _known(_mean_of_known(support), support)


def copeland(support: Array) -> Array:
    """Copeland (1951): share of duels that i wins by majority, an even duel as half; in [0, 1].

    1 means a Condorcet winner. The K - 1 duels with others count; unobserved ones are left out.
    See `borda_count` for shapes.
    """
    support = check_support(support)
    xp = array_namespace(support)
    margin = support - 0.5
    duels = (1 + xp.where(xp.abs(margin) <= ROUNDING, xp.zeros_like(margin), xp.sign(margin))) / 2
    return _known(_mean_of_known(_without_itself(duels)), support)


def maximin(support: Array) -> Array:
    """Simpson (1969) and Kramer (1977): support in the worst duel, min over j ≠ i of P(i ≻ j).

    Unobserved duels are left out. See `borda_count` for shapes.
    """
    support = check_support(support)
    xp = array_namespace(support)
    others = _without_itself(support)
    above = xp.full_like(others, 2.0)
    return _known(xp.min(xp.where(xp.isnan(others), above, others), axis=-1), support)


def support_over_reference(support: Array, reference: int) -> Array:
    """Win rate against one alternative, P(i ≻ reference); above ½ is a majority (Condorcet 1785).

    The reference is an index, whose own score is ½. See `borda_count` for shapes.

    Raises:
        UserError: There is no such alternative.
    """
    support = check_support(support)
    if not 0 <= reference < support.shape[-1]:
        raise UserError(
            f"reference {reference} is not an alternative; choose 0 to {support.shape[-1] - 1}."
        )
    return support[..., reference]


def expected_utility(utilities: Array, weights: Array | None = None) -> Array:
    """E[u_i] = Σ_c w_c u_ci over contexts (Harsanyi 1955), in units of utility.

    From utilities that compare between C contexts, shape `(*batch, C, K)`, to `(*batch, K)`. See
    `context_weights`.
    """
    utilities = as_float64(utilities)
    share = context_weights(utilities, weights)
    return array_namespace(utilities).sum(share[:, None] * utilities, axis=-2)


def nash_welfare(utilities: Array, weights: Array | None = None, *, baseline: float = 0.0) -> Array:
    """Kaneko and Nakamura (1979): log of the geometric mean of gains, Σ_c w_c log(u_ci - baseline).

    In nats; gains are measured from the baseline, the utility of no agreement. The maximiser stays
    the same if the gains of one context are multiplied by a number. NaN gives NaN. See
    `expected_utility` for shapes.

    Raises:
        UserError: A utility is not above the baseline.
    """
    utilities = as_float64(utilities)
    xp = array_namespace(utilities)
    share = context_weights(utilities, weights)
    gains = utilities - baseline
    if bool(xp.any(gains <= 0)):
        known = xp.where(xp.isnan(utilities), xp.full_like(gains, float("inf")), utilities)
        lowest = float(xp.min(known))
        raise UserError(
            f"Nash welfare needs utilities above the baseline {baseline:g}, but one is {lowest:g}; "
            "give a baseline that every alternative improves on in every context."
        )
    return xp.sum(share[:, None] * xp.log(gains), axis=-2)


def worst_group(utilities: Array) -> Array:
    """Utility in the context, or group, that likes i least: min over c of u_ci (Rawls 1971).

    NaN gives NaN. See `expected_utility` for shapes.
    """
    utilities = as_float64(utilities)
    context_weights(utilities, None)
    return array_namespace(utilities).min(utilities, axis=-2)


def winners(scores: Array) -> tuple[int, ...]:
    """Indices of all alternatives whose score is within `ROUNDING` of the best; NaN never wins."""
    values = [float(score) for score in scores]
    best = max((value for value in values if value == value), default=float("nan"))
    margin = ROUNDING * max(1.0, abs(best))
    return tuple(index for index, value in enumerate(values) if value >= best - margin)


def _mean_of_known(values: Array) -> Array:
    """Mean over the last axis of what is not NaN; 0 where all is."""
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    total = xp.sum(xp.where(known, values, xp.zeros_like(values)), axis=-1)
    return total / xp.clip(xp.sum(xp.astype(known, xp.float64), axis=-1), 1.0, None)


def _without_itself(support: Array) -> Array:
    """NaN on the diagonal."""
    xp = array_namespace(support)
    number = xp.arange(support.shape[-1], device=support.device)
    own = number[:, None] == number[None, :]
    return xp.where(own, xp.full_like(support, float("nan")), support)


def _known(scores: Array, support: Array) -> Array:
    """NaN for alternatives that were compared with no other."""
    xp = array_namespace(scores)
    alone = xp.all(xp.isnan(_without_itself(support)), axis=-1)
    return xp.where(alone, xp.full_like(scores, float("nan")), scores)
