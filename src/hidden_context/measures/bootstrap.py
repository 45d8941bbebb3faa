"""Percentile intervals by resampling whole prompts: rows of one prompt are not independent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, not_negative, weights_or_ones
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.prompts import PromptLabels, group_prompts


@dataclass(frozen=True)
class Resampling:
    """How often, from which seed and to which coverage data are resampled."""

    num_resamples: int = 1000
    """Resampled data sets. The ends of a 95 % interval then vary by about 0.08 standard errors."""
    seed: int = 0
    level: float = 0.95
    """Nominal coverage of the interval."""

    def __post_init__(self) -> None:
        if self.num_resamples < 1:
            raise UserError(f"num_resamples is {self.num_resamples}; give at least 1.")
        if not 0 < self.level < 1:
            raise UserError(f"level is {self.level}; give a coverage in (0, 1) such as 0.95.")


WEIGHTS_AT_ONCE = 2**22
"""Resamples are drawn and evaluated in blocks, so that a million prompts need no more memory."""
MOST_DRAWN = 2**14
"""Prompts, or bundles of them, from which a resample is drawn."""
ONE_PROMPT = "none: one prompt says nothing of others"
"""How an estimate is made that has no interval."""
RESAMPLING = Resampling()
"""1000 resamples, seed 0, 95 %."""


def _blocks_of_weights(num_prompts: int, resampling: Resampling) -> Iterator[np.ndarray]:
    """How often each prompt was drawn, in resamples of m draws with replacement from m prompts.

    More than `MOST_DRAWN` prompts are drawn in so many random bundles of nearly equal size: the
    mean of a bundle varies as its prompts do, and drawing a million prompts takes a minute.

    Yields:
        Counts that sum to m in each row (nearly, with bundles), float64, shape `(b, m)`, as many
        rows at once as `WEIGHTS_AT_ONCE` allows.

    """
    rng = np.random.default_rng(resampling.seed)
    num_drawn = min(num_prompts, MOST_DRAWN)
    equal = np.full(num_drawn, 1 / num_drawn)
    bundle = _bundles(num_prompts, resampling)
    at_once = max(1, WEIGHTS_AT_ONCE // num_prompts)
    for start in range(0, resampling.num_resamples, at_once):
        size = min(at_once, resampling.num_resamples - start)
        drawn = rng.multinomial(num_drawn, equal, size=size).astype(np.float64)
        yield drawn if bundle is None else drawn[:, bundle]


def _bundles(num_prompts: int, resampling: Resampling) -> np.ndarray | None:
    """Number of each prompt's bundle, shape `(m,)`, by a stream of its own; None for few."""
    if num_prompts <= MOST_DRAWN:
        return None
    order = np.random.default_rng((resampling.seed, 1)).permutation(num_prompts)
    return order % MOST_DRAWN


def bootstrap_weighted(
    statistic: Callable[[np.ndarray], np.ndarray],
    num_prompts: int,
    *,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of a statistic that can be had from weights of the prompts, many resamples at once.

    Args:
        statistic: From weights, shape `(b, m)`, to values, shape `(b,)`, for any b. Weights of 1
            give the statistic of the data as they are. It must divide by what was drawn, not by m.
        num_prompts: m; of one there is no interval.
        resampling: See `Resampling`.

    Raises:
        UserError: The statistic has no value on a resample.
    """
    value = float(statistic(np.ones((1, num_prompts)))[0])
    return _interval(value, statistic, num_prompts, num_prompts, resampling)


def bootstrap_mean(
    values: ArrayLike,
    prompts: PromptLabels,
    *,
    weights: ArrayLike | None = None,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of the mean over rows, Σ_i w_i v_i / Σ_i w_i.

    A ratio of two sums, both over the prompts that a resample draws.

    Args:
        values: v, shape `(n,)`.
        prompts: The prompt of each row, shape `(n,)`.
        weights: w, not negative, such as votes; each row counts once if not given.
        resampling: See `Resampling`.

    Raises:
        UserError: See `finite_vector` and `bootstrap_weighted`; or the lengths differ, or a weight
            is negative.
    """
    rows = finite_vector("values", values)
    counts = weights_or_ones(weights, len(rows))
    return bootstrap_ratio(counts * rows, counts, prompts, resampling=resampling)


def bootstrap_ratio(
    values: ArrayLike,
    weights: ArrayLike,
    prompts: PromptLabels,
    *,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of Σ_i v_i / Σ_i w_i, for values that are multiplied by their weights already.

    Such as nats times votes. Divided by the number of rows instead, the interval would hold what
    the votes of the rows vary by, too.

    Args:
        values: v, shape `(n,)`.
        weights: w, not negative, same shape.
        prompts: The prompt of each row, shape `(n,)`.
        resampling: See `Resampling`.

    Raises:
        UserError: See `bootstrap_mean`.
    """
    rows = finite_vector("values", values)
    counts = not_negative("weights", weights, len(rows))
    groups = group_prompts(prompts, num_rows=len(rows))
    sums = np.stack([groups.sums(rows), groups.sums(counts)])
    return bootstrap_of_sums(lambda of: of[:, 0] / of[:, 1], sums, resampling=resampling)


def bootstrap_of_sums(
    statistic: Callable[[np.ndarray], np.ndarray],
    sums: np.ndarray,
    *,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of a function of sums over prompts, without the weights of each prompt.

    Args:
        statistic: From sums over what was drawn, shape `(b, k)`, to values, shape `(b,)`.
        sums: Of each prompt, shape `(k, m)`.
        resampling: See `Resampling`.

    Raises:
        UserError: See `bootstrap_weighted`.
    """
    value = float(statistic(sums.sum(1)[None])[0])
    num_prompts = sums.shape[1]
    bundle = _bundles(num_prompts, resampling)
    if bundle is not None:  # as `bootstrap_weighted`, but added up once
        sums = np.stack([np.bincount(bundle, row) for row in sums])
    return _interval(
        value, lambda drawn: statistic(drawn @ sums.T), sums.shape[1], num_prompts, resampling
    )


def _interval(
    value: float,
    statistic: Callable[[np.ndarray], np.ndarray],
    num_weights: int,
    num_prompts: int,
    resampling: Resampling,
) -> Estimate:
    """Percentiles of a statistic of weights: of prompts, or of bundles of them."""
    if num_prompts < 2:
        return Estimate(value, how=ONE_PROMPT)
    blocks = _blocks_of_weights(num_weights, resampling)
    resampled = np.concatenate([statistic(drawn) for drawn in blocks])
    undefined = int((~np.isfinite(resampled)).sum())
    if undefined or not np.isfinite(value):
        raise UserError(
            f"the statistic has no finite value on {undefined} of {len(resampled)} resamples "
            f"(on the data it is {value}); give more prompts."
        )
    tail = (1 - resampling.level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    how = f"bootstrap, {num_prompts} prompts"
    return Estimate(value, float(low), float(high), how, resampling.level)
