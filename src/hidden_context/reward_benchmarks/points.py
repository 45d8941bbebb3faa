"""What a benchmark's rule gives each row, and the weighted means that its figures are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.rates import wilson


@dataclass(frozen=True)
class Figure:
    """A figure of a benchmark: a weighted mean of the means of strata, and perhaps a small term."""

    weights: Mapping[str, float]
    """By stratum; only their ratios matter."""
    added: Mapping[str, float] = field(default_factory=dict)
    """By stratum: what its mean is multiplied by and added with. It adds nothing to the width of
    the interval, so it must be small."""


@dataclass(frozen=True, eq=False)
class Points:
    """Numbers in [0, 1], such as 1 for a right answer, in strata that a benchmark averages."""

    value: np.ndarray
    """Shape `(n,)`."""
    stratum: np.ndarray
    """What each counts for, such as its subset: labels, shape `(n,)`."""
    part: np.ndarray
    """Strata of one part are of the same rows, those of others are not: labels, shape `(n,)`."""
    item: np.ndarray
    """Which row each is of, shape `(n,)`; of several rows together, the first of them."""

    @cached_property
    def strata(self) -> dict[str, int]:
        """How many points each stratum has."""
        names, sizes = np.unique(self.stratum, return_counts=True)
        return dict(zip(names.tolist(), sizes.tolist(), strict=True))

    def estimate(self, figure: Figure, prompts: np.ndarray) -> Estimate:
        """The figure, of which every stratum has points, with its interval.

        Within a part the interval is Wilson's at the effective sample size (`rates.wilson`);
        `prompts` are labels of all rows, of which those of one prompt are not independent. Parts
        are taken as independent: with mean p, interval [l, u] and share c of each, the lower end is
        Σ cp - √(Σ c²(p - l)²), and the upper one likewise (Zou, Huang and Zhang 2009). So a part
        whose answers are all right has its share of the width too.
        """
        sizes = self.strata
        weight = np.array([figure.weights.get(name, 0.0) for name in self.stratum.tolist()])
        per_point = weight / np.array([sizes[name] for name in self.stratum.tolist()])
        parts = {part: (self.part == part) & (weight > 0) for part in np.unique(self.part).tolist()}
        shares = {part: float(per_point[own].sum()) for part, own in parts.items() if own.any()}
        value, below, above = 0.0, 0.0, 0.0
        for part, of_part in shares.items():
            own = parts[part]
            weights = per_point[own] / per_point[own].max()  # exactly 1 where they are alike
            mean = wilson(self.value[own], prompts[self.item[own]], weights=weights)
            assert mean.low is not None
            assert mean.high is not None
            share = of_part / sum(shares.values())
            value += share * mean.value
            below += (share * (mean.value - mean.low)) ** 2
            above += (share * (mean.high - mean.value)) ** 2
        value += sum(
            factor * float(self.value[self.stratum == name].mean())
            for name, factor in figure.added.items()
        )
        how = f"Wilson, {len(np.unique(prompts[self.item[weight > 0]]))} prompts"
        return Estimate(value, value - below**0.5, value + above**0.5, how)
