"""What a benchmark's rule gives each row, and the weighted means that its figures are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.rates import wilson


@dataclass(frozen=True)
class Figure:
    """A figure of a benchmark: scale · (weighted mean of the means of strata) + offset."""

    weights: Mapping[str, float]
    """By stratum; only their ratios matter."""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class Points:
    """Numbers in [0, 1], such as 1 for a right answer, in strata that a benchmark averages."""

    value: np.ndarray
    """Shape `(n,)`."""
    stratum: np.ndarray
    """What each counts for, such as its subset: labels, shape `(n,)`."""
    item: np.ndarray
    """Which row each is of, shape `(n,)`; of several rows together, the first of them."""

    def estimate(self, figure: Figure, prompts: np.ndarray) -> Estimate:
        """The figure with its interval: Wilson's, at the effective sample size of these strata.

        Every stratum of the figure must have points. `prompts` are labels of all rows: points of
        one prompt are not independent. See `measures.rates.wilson`.
        """
        used = np.isin(self.stratum, list(figure.weights))
        label, number, size = np.unique(self.stratum[used], return_inverse=True, return_counts=True)
        of_stratum = np.array([figure.weights[name] for name in label.tolist()]) / size
        of_stratum /= of_stratum.max()  # of one stratum, weights of exactly 1
        mean = wilson(
            self.value[used],
            prompts[self.item[used]],
            weights=of_stratum[number],
            strata=number,
        )
        assert mean.low is not None
        assert mean.high is not None
        return replace(
            mean,
            value=figure.scale * mean.value + figure.offset,
            low=figure.scale * mean.low + figure.offset,
            high=figure.scale * mean.high + figure.offset,
        )
