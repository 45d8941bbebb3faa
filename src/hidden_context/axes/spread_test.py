"""Does the effect of a feature differ between contexts? Permutations of who judged what.

With r the residual of a comparison under effects that all share, and x its feature, a context's sum
of r x is its pull away from them. The statistic is the sum over contexts of the squared pull: the
score test of the variance of an effect (Liang 1987). If contexts do not differ, it is as likely
under any other assignment of contexts to what was judged, among those that were as likely: this is
where the null distribution is from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse
from scipy.special import gammaln

from hidden_context.progress import is_terminal, progress_bar

MOST_CELLS = 2_000_000
"""Labels of permutations that are held at one time, and an eighth of the sums."""


@dataclass(frozen=True, eq=False)
class Shuffle:
    """What changes places: U units, each with its context, within strata."""

    unit: np.ndarray
    """Number of the unit that each comparison belongs to, shape `(n,)`."""
    context: np.ndarray
    """Number of the context of each unit, shape `(U,)`."""
    stratum: np.ndarray
    """Contexts change places only among units of equal numbers, shape `(U,)`."""
    num_permutations: int
    seed: int
    progress: bool = False
    """Show on a terminal how far each round of permutations is."""

    @property
    def log_arrangements(self) -> float:
        """Log of how many assignments of contexts differ; groups of one size are one another's."""
        counts = np.unique(np.stack([self.stratum, self.context]), axis=1, return_counts=True)[1]
        of_strata = np.bincount(self.stratum)
        ways = gammaln(of_strata + 1).sum() - gammaln(counts + 1).sum()
        alike = np.unique(counts, return_counts=True)[1] if len(of_strata) == 1 else np.zeros(1)
        return float(ways - gammaln(alike + 1).sum())

    def pulls(self, products: np.ndarray) -> Iterator[np.ndarray]:
        """Sums of products, `(n, features)`, by context: as they are, then permuted, in chunks.

        Each chunk has the shape `(permutations, contexts, features)`; the first one has one.
        """
        count, number = len(self.context), int(self.context.max()) + 1
        to_units = sparse.csr_array(
            (np.ones(len(self.unit)), (self.unit, np.arange(len(self.unit)))),
            (count, len(self.unit)),
        )
        of_units = to_units @ products
        for labels in chain([self.context[None]], self._permuted(number, of_units.shape[1])):
            places = (np.arange(len(labels))[:, None] * number + labels).ravel()
            chooser = sparse.csr_array(
                (np.ones(labels.size), (places, np.tile(np.arange(count), len(labels)))),
                (len(labels) * number, count),
            )
            yield (chooser @ of_units).reshape(len(labels), number, -1)

    def _permuted(self, number: int, width: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        places = np.argsort(self.stratum, kind="stable")
        context, stratum = self.context[places], self.stratum[places]
        most = max(1, MOST_CELLS // max(len(context), number * width // 8))
        what = f"redrawing who judged what, for {width:,} features"
        shown, total = self.progress and is_terminal(), self.num_permutations
        with progress_bar(total, what, unit="draw", shown=shown, leave=False) as bar:
            for start in range(0, total, most):
                size = min(most, total - start)
                keys = stratum + rng.random((size, len(context)))
                labels = np.empty((size, len(context)), int)
                labels[:, places] = context[np.argsort(keys, axis=1)]
                yield labels
                bar.update(size)


def standardized_spread(products: np.ndarray, shuffle: Shuffle) -> np.ndarray:
    """The statistic of each feature, as observed (first) and permuted, in comparable units.

    Its cube root, about normal (Wilson and Hilferty 1931), less its mean and divided by its
    standard deviation over all assignments, the observed one with them, so that ranks among them
    are exact. 0 where nothing can change. Shape `(1 + permutations, features)`.
    """
    chunks = [(pulls**2).sum(1) for pulls in shuffle.pulls(products)]
    roots = np.cbrt(np.concatenate(chunks))
    std = roots.std(0)
    changes = std > 1e-9 * np.abs(roots).max(0).clip(1e-300)
    return np.where(changes, (roots - roots.mean(0)) / np.where(changes, std, 1), 0.0)


def p_value(statistics: np.ndarray) -> float:
    """Share of assignments whose statistic is at least that of the first, which is the observed."""
    return float((statistics >= statistics[0] - 1e-9).mean())
