"""Percentile intervals by resampling whole prompts: rows of one prompt are not independent."""

from collections.abc import Callable
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


def bootstrap_weighted(
    statistic: Callable[[np.ndarray], np.ndarray],
    num_prompts: int,
    *,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of a statistic that can be had from weights of the prompts, many resamples at once.

    The statistic takes weights, shape `(b, m)`, to values, shape `(b,)`, for any b. Weights of 1
    give that of the data as they are. It must divide by what was drawn, not by the number of
    prompts, m; of one prompt there is no interval.

    Raises:
        UserError: The statistic has no value on a resample.
    """
    value = float(statistic(np.ones((1, num_prompts)))[0])
    bundle = _bundles(num_prompts, resampling)
    return _interval(value, lambda drawn: statistic(drawn[:, bundle]), num_prompts, resampling)


def bootstrap_mean(
    values: ArrayLike,
    prompts: PromptLabels,
    *,
    weights: ArrayLike | None = None,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Interval of the mean over n rows, Σ_i w_i v_i / Σ_i w_i: both sums over the prompts drawn.

    Each row counts once (w = 1) if there are no weights, such as votes.

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

    The statistic takes sums over what was drawn, shape `(b, k)`, to values, shape `(b,)`; `sums`
    are those of each prompt, shape `(k, m)`.

    Raises:
        UserError: See `bootstrap_weighted`.
    """
    value = float(statistic(sums.sum(1)[None])[0])
    num_prompts = sums.shape[1]
    bundle = _bundles(num_prompts, resampling)
    of_bundles = np.stack([np.bincount(bundle, row) for row in sums], axis=1)
    return _interval(value, lambda drawn: statistic(drawn @ of_bundles), num_prompts, resampling)


def _bundles(num_prompts: int, resampling: Resampling) -> np.ndarray:
    """Number of what each prompt is drawn with, shape `(m,)`: itself alone where they are few.

    More than `MOST_DRAWN` prompts are drawn in so many random bundles of nearly equal size (by a
    stream of its own): the mean of a bundle varies as its prompts do, and drawing a million prompts
    takes a minute.
    """
    if num_prompts <= MOST_DRAWN:
        return np.arange(num_prompts)
    return np.random.default_rng((resampling.seed, 1)).permutation(num_prompts) % MOST_DRAWN


def _interval(
    value: float,
    statistic: Callable[[np.ndarray], np.ndarray],
    num_prompts: int,
    resampling: Resampling,
) -> Estimate:
    """Percentiles of a statistic of how often each bundle was drawn, shape `(b, bundles)`.

    Every resample has as many draws with replacement as there are bundles.
    """
    if num_prompts < 2:
        return Estimate(value, how=ONE_PROMPT)
    rng = np.random.default_rng(resampling.seed)
    num_drawn = min(num_prompts, MOST_DRAWN)
    equal = np.full(num_drawn, 1 / num_drawn)
    at_once = max(1, WEIGHTS_AT_ONCE // num_prompts)
    resampled = np.zeros(resampling.num_resamples)
    for start in range(0, len(resampled), at_once):
        block = resampled[start : start + at_once]
        block[:] = statistic(rng.multinomial(num_drawn, equal, size=len(block)).astype(np.float64))
    undefined = int((~np.isfinite(resampled)).sum())
    if undefined or not np.isfinite(value):
        raise UserError(
            f"the statistic has no finite value on {undefined} of {len(resampled)} resamples "
            f"(on the data it is {value}); give more prompts."
        )
    tail = _tail(num_drawn, resampling.level)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    how = f"bootstrap, {num_prompts} prompts"
    return Estimate(value, float(low), float(high), how, resampling.level)


def _tail(num_drawn: int, level: float) -> float:
    """What is beyond either end: less where few are drawn, whose resamples vary too little.

    Resamples vary by √((m - 1)/m) of what they should, and by a variance that is estimated, so that
    the percentiles are those at which Student's t would be (Hesterberg 2015, "expanded"). From some
    hundred on it makes no difference.
    """
    from scipy.stats import norm, t

    arm = t.ppf((1 + level) / 2, num_drawn - 1) * np.sqrt(num_drawn / (num_drawn - 1))
    return float(norm.cdf(-arm))
