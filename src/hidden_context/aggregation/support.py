"""Pairwise support of K alternatives: who prefers which, from counts, contexts or learned outputs.

P[i, j] = P(i ≻ j), ties half; P[i, i] = ½ and P[i, j] + P[j, i] = 1. NaN where a pair was never
compared.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from hidden_context.distributions import Family
from hidden_context.distributions.special import Array
from hidden_context.errors import UserError

COHERENCE = 1e-3
"""How far P[i, j] + P[j, i] may be from 1, and P[i, i] from ½: rounding of float16 outputs."""


def observed_support(
    first: Sequence[int] | Array,
    second: Sequence[int] | Array,
    shares: Sequence[float] | Array,
    *,
    num_alternatives: int,
    weights: Sequence[float] | Array | None = None,
) -> np.ndarray:
    """P̂ by counts: the weighted share of comparisons of i and j that i won, ties half.

    Each entry is estimated by itself, so how often a pair was compared moves its accuracy and not
    its value. Bradley–Terry, and the share of all its comparisons that an alternative won, weigh
    pairs by how often they were compared: with other frequencies they order alternatives otherwise.

    Args:
        first: Index of the first alternative of each comparison, shape `(n,)`.
        second: Index of the other one, shape `(n,)`.
        shares: Share of wins of the first, ties half, in [0, 1], shape `(n,)`.
        num_alternatives: K.
        weights: Of the comparisons, not negative, shape `(n,)`; all 1 if not given.

    Returns:
        Float64, shape `(K, K)`; NaN where the weights of a pair are 0.

    Raises:
        UserError: Fewer than two alternatives, lengths that differ, an index, share or weight out
            of range, or an alternative that is compared with itself.
    """
    a, b = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    wins = np.asarray(shares, dtype=np.float64)
    weight = np.ones(len(a)) if weights is None else np.asarray(weights, dtype=np.float64)
    check_num_alternatives(num_alternatives)
    if not len(a) == len(b) == len(wins) == len(weight):
        raise UserError(
            f"comparisons have {len(a)} first and {len(b)} second alternatives, {len(wins)} shares "
            f"and {len(weight)} weights; give one of each."
        )
    if len(a) and not (0 <= min(a.min(), b.min()) <= max(a.max(), b.max()) < num_alternatives):
        raise UserError(f"a comparison has an index outside 0 to {num_alternatives - 1}.")
    if (a == b).any():
        raise UserError(f"comparison {int((a == b).argmax()) + 1} is of an alternative and itself.")
    if not ((wins >= 0) & (wins <= 1)).all():
        raise UserError("a share of wins is outside [0, 1].")
    if not ((weight >= 0) & (weight < np.inf)).all():
        raise UserError("a weight is negative or not finite.")
    won = np.zeros((num_alternatives, num_alternatives))
    np.add.at(won, (a, b), weight * wins)
    np.add.at(won, (b, a), weight * (1 - wins))
    compared = won + won.T
    np.fill_diagonal(won, 0.5)
    np.fill_diagonal(compared, 1.0)
    return np.divide(won, compared, out=np.full_like(won, np.nan), where=compared > 0)


def context_support(utilities: Array, weights: Array | None = None) -> Array:
    """P(i ≻ j) = Σ_c w_c ([u_ci > u_cj] + ½ [u_ci = u_cj]): both are judged in one shared context.

    Siththaranjan et al. (2024), section 3. Reward models compare in two independent contexts.
    From utilities in each of C contexts, shape `(*batch, C, K)`, to `(*batch, K, K)`. See
    `context_weights`.
    """
    utilities = as_float64(utilities)
    xp = array_namespace(utilities)
    check_num_alternatives(utilities.shape[-1])
    share = context_weights(utilities, weights)
    ahead = xp.sign(utilities[..., :, None] - utilities[..., None, :])
    return xp.sum(share[:, None, None] * (1 + ahead) / 2, axis=-3)


def learned_support(family: Family[Any], raw: Array) -> Array:
    """P(i ≻ j) of learned distributions, by `UtilityDistribution.log_prob_preferred_to`.

    From raw outputs for K responses to a prompt, shape `(*batch, K, num_outputs)`, to float64,
    shape `(*batch, K, K)`.
    """
    raw = as_float64(raw)
    check_num_alternatives(raw.shape[-2])
    row, column = family.decode(raw[..., :, None, :]), family.decode(raw[..., None, :, :])
    return row.prob_preferred_to(column)


def check_support(support: Array) -> Array:
    """`support` in float64, if it is one.

    Raises:
        UserError: Its shape is not `(*batch, K, K)` with K ≥ 2, or it is not coherent; see the
            module and `COHERENCE`.
    """
    shape = tuple(support.shape)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise UserError(f"pairwise support has shape {shape}; expected (K, K).")
    check_num_alternatives(shape[-1])
    support = as_float64(support)
    xp = array_namespace(support)
    gap = xp.abs(support + xp.matrix_transpose(support) - 1)
    lone = xp.isnan(support) != xp.isnan(xp.matrix_transpose(support))
    outside = (support < -COHERENCE) | (support > 1 + COHERENCE)
    own = xp.isnan(xp.linalg.diagonal(support))
    if bool(xp.any((gap > COHERENCE) | lone | outside)) or bool(xp.any(own)):
        raise UserError(
            "pairwise support is not coherent; expected P[i, j] = 1 - P[j, i] in [0, 1], ½ on the "
            "diagonal, and NaN only for pairs that were never compared."
        )
    return support


def check_num_alternatives(num_alternatives: int) -> None:
    """Refuse what is no choice: fewer than two alternatives."""
    if num_alternatives < 2:
        raise UserError(f"a choice needs at least two alternatives; {num_alternatives} was given.")


def context_weights(utilities: Array, weights: Array | None) -> Array:
    """Weights of C contexts, positive, that sum to 1, shape `(C,)`, float64; equal if not given.

    Raises:
        UserError: There are no contexts (utilities are not of shape `(*batch, C, K)`), there is
            another number of weights, or one is not positive.
    """
    xp = array_namespace(utilities)
    if utilities.ndim < 2 or utilities.shape[-2] == 0:
        given = tuple(utilities.shape)
        raise UserError(f"utilities by context have shape {given}; expected (contexts, K).")
    contexts = utilities.shape[-2]
    if weights is None:
        return xp.ones_like(utilities[(0,) * (utilities.ndim - 2)][:, 0]) / contexts
    weights = as_float64(weights)
    if tuple(weights.shape) != (contexts,):
        raise UserError(f"{contexts} contexts have weights of shape {tuple(weights.shape)}.")
    if not bool(xp.all((weights > 0) & (weights < float("inf")))):
        raise UserError("a context has a weight that is not positive; leave it out.")
    return weights / xp.sum(weights)


def as_float64(values: Array) -> Array:
    """`values` in double precision, so that ties are seen as ties."""
    xp = array_namespace(values)
    return xp.astype(values, xp.float64)
