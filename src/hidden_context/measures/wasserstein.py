"""How far learned distributions of utility are from those of real people, up to scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, not_negative
from hidden_context.measures.prompts import PromptLabels, group_prompts

NUM_LEVELS = 1000
"""Midpoints that stand for ∫₀¹ dq. The error is at most the range of the quantiles over this."""
LEVELS_AT_ONCE = 50
"""One call for all levels takes ten times the memory, and for thousands of items more time."""


@dataclass(frozen=True, eq=False)
class WassersteinDistances:
    """Distance of each item's learned from its real distribution, after the allowed map."""

    each: np.ndarray
    """In the units of the real utilities, shape `(n,)`."""
    slope: float
    """Real units for one unit of learned utility, the same for all items, not negative."""
    intercepts: np.ndarray
    """Added to each item's learned utilities, shape `(n,)`."""

    @property
    def mean(self) -> float:
        """Mean distance over items."""
        return float(self.each.mean())


def wasserstein_distances(
    utility: UtilityDistribution,
    atoms: Sequence[ArrayLike],
    weights: Sequence[ArrayLike] | None = None,
    *,
    prompts: PromptLabels | None = None,
) -> WassersteinDistances:
    """∫₀¹ |s·F⁻¹_learned(q) + t - F⁻¹_real(q)| dq for each item (Kantorovich; Vallender 1974).

    The learned scale is open, so s ≥ 0 and t are chosen to make the mean square of the same
    difference least, a regression over all items and levels. t is one number, or with `prompts` one
    for each prompt, because pairs within prompts leave its origin open; s is shared by all, because
    with a scale for each prompt two responses could be fitted too well. So the distance ignores a
    common scale and origin of the learned utilities (with `prompts`: an origin for each prompt).

    Args:
        utility: Learned, of n items, shape `(n,)`.
        atoms: For each item the utilities, or ratings, that real people gave it, any number.
        weights: For each item the weights of its atoms, not negative; equal where not given.
        prompts: The prompt of each item, shape `(n,)`; leave out for a table of items.

    Raises:
        UserError: The lengths differ, an item has no atoms or no weight, or the learned
            distributions are all one point (in each prompt).
    """
    real = real_quantiles(atoms, weights)
    if np.shape(utility.mean) != (len(real),):
        raise UserError(
            f"{np.shape(utility.mean)} learned distributions and {len(real)} lists of atoms; "
            "give one list for each item."
        )
    levels = midpoints(NUM_LEVELS)
    blocks = np.split(levels[:, None], NUM_LEVELS // LEVELS_AT_ONCE)
    learned = np.concatenate([np.asarray(utility.quantile(q), np.float64) for q in blocks]).T
    labels = np.zeros(len(real)) if prompts is None else prompts
    groups = group_prompts(labels, num_rows=len(real))
    learned_centre = groups.means(learned.mean(-1))[groups.group]
    real_centre = groups.means(real.mean(-1))[groups.group]
    x, y = learned - learned_centre[:, None], real - real_centre[:, None]
    if not (x != 0).any():
        raise UserError("all learned utilities are one number; no scale can be fitted to them.")
    slope = max(0.0, float((x * y).sum() / (x * x).sum()))
    return WassersteinDistances(
        each=np.abs(slope * x - y).mean(-1),
        slope=slope,
        intercepts=real_centre - slope * learned_centre,
    )


def real_quantiles(
    atoms: Sequence[ArrayLike], weights: Sequence[ArrayLike] | None = None
) -> np.ndarray:
    """F⁻¹(q), the smallest atom with a share of at least q at or below it, at the midpoints of q.

    Returns:
        Shape `(n, NUM_LEVELS)`.

    Raises:
        UserError: See `wasserstein_distances`.
    """
    if len(atoms) == 0 or (weights is not None and len(weights) != len(atoms)):
        given = "none" if weights is None else len(weights)
        raise UserError(
            f"{len(atoms)} lists of atoms and {given} of weights; give one of each for each item."
        )
    levels = midpoints(NUM_LEVELS)
    quantiles = []
    for item, utilities in enumerate(atoms):
        values = finite_vector(f"atoms of item {item}", utilities)
        given = np.ones(len(values)) if weights is None else weights[item]
        mass = not_negative(f"weights of item {item}", given, len(values))
        if mass.sum() == 0:
            raise UserError(f"the weights of item {item} are all 0; give some, or leave it out.")
        order = np.argsort(values, kind="stable")
        share = np.cumsum(mass[order]) / mass.sum()
        share[-1] = 1.0  # whatever rounding made of it
        quantiles.append(values[order][np.searchsorted(share, levels)])
    return np.stack(quantiles)


def midpoints(num_levels: int) -> np.ndarray:
    """Middles of equal parts of [0, 1], shape `(num_levels,)`."""
    return (np.arange(num_levels) + 0.5) / num_levels
