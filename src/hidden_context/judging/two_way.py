"""Intervals of functions of sums over votes that are clustered by person and by prompt.

The variance is that of prompts plus that of people less that of both at once (Cameron, Gelbach and
Miller 2011), each by the delete-one jackknife (Efron and Stein 1981); people never take any away.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hidden_context.measures.estimate import Estimate

LEVEL = 0.95
Statistic = Callable[[np.ndarray], np.ndarray]
"""From sums, shape `(b, k)`, to values, shape `(b, m)`."""
Means = tuple[np.ndarray, np.ndarray]
"""Values, and their weights."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which of N entries are not independent of one another."""

    prompt: np.ndarray
    """Number of the prompt, shape `(N,)`."""
    person: np.ndarray | None
    """Number of the person, shape `(N,)`; None where it is not known."""

    def at(self, keep: np.ndarray) -> "Clusters":
        """Of some entries."""
        return Clusters(self.prompt[keep], None if self.person is None else self.person[keep])

    @property
    def how(self) -> str:
        """In words, for `Estimate.how`."""
        by = "prompt" if self.person is None else "person and prompt"
        return f"jackknife by {by}"


@dataclass(frozen=True, eq=False)
class Measured:
    """m statistics of the data, with how they vary."""

    value: np.ndarray
    """Shape `(m,)`."""
    covariance: np.ndarray
    """Shape `(m, m)`; NaN where there is no interval."""
    freedom: np.ndarray
    """Degrees of freedom: the smaller number of people or prompts that move it, less 1, `(m,)`."""
    how: str

    @property
    def std_error(self) -> np.ndarray:
        """Shape `(m,)`; NaN where there is none."""
        return np.sqrt(np.diag(self.covariance))

    def part(self, which: slice) -> "Measured":
        """Some of them."""
        return Measured(
            self.value[which], self.covariance[which, which], self.freedom[which], self.how
        )

    def less_mean(self, share: np.ndarray) -> "Measured":
        """Each less their mean, weighted by shares that add up to 1."""
        map_ = np.eye(len(self.value)) - share
        return Measured(map_ @ self.value, map_ @ self.covariance @ map_.T, self.freedom, self.how)

    def estimate(self, number: int = 0, *, is_share: bool = False) -> Estimate:
        """One of them, with its 95 % interval by Student's t; that of a share ends at 0 and 1."""
        value, error = float(self.value[number]), float(self.std_error[number])
        if not np.isfinite(error):
            few = "none: no two persons or prompts move it"
            return Estimate(value, how=few)
        arm = float(stats.t.ppf((1 + LEVEL) / 2, self.freedom[number])) * error
        low, high = value - arm, value + arm
        if is_share:
            low, high = max(low, 0.0), min(high, 1.0)
        return Estimate(value, low, high, self.how)


def measure(
    statistic: Statistic,
    columns: Iterable[np.ndarray],
    clusters: Clusters,
    *,
    num_twice: int = 0,
) -> Measured:
    """Statistics of sums of columns, clustered.

    The last `num_twice` columns are of pairs of votes by different people, each of which stands in
    the entries of both: their sum counts half, but who is left out takes all of hers with her.

    Args:
        statistic: Of the k sums; NaN where it has no value.
        columns: k columns, shape `(N,)` each; used one after another.
        clusters: Of the N entries.
        num_twice: See above.
    """
    labels = [clusters.prompt]
    if clusters.person is not None and (clusters.prompt == clusters.prompt[0]).all():
        labels = [clusters.person]
    elif clusters.person is not None:
        number = clusters.prompt.max() + 1
        cells = clusters.person * number + clusters.prompt
        labels += [clusters.person, cells]
    numbered = [np.unique(label, return_inverse=True)[1].ravel() for label in labels]
    parts = [[np.bincount(number, column) for number in numbered] for column in columns]
    share = np.ones(len(parts))
    share[len(parts) - num_twice :] = 0.5
    sums = share * [of_column[0].sum() for of_column in parts]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = statistic(sums[None])[0]
        ways = []
        for way in range(len(numbered)):
            scale = share if labels[way] is clusters.prompt else np.ones(len(parts))
            left_out = scale * np.stack([of_column[way] for of_column in parts], axis=1)
            ways.append(_jackknife(value, statistic(sums - left_out)))
    covariance = ways[0][0]
    if len(ways) == 3:
        covariance = _two_way(*(way[0] for way in ways))
    freedom = np.min([way[1] for way in ways[:2]], axis=0)
    undefined = ~(freedom >= 1) | np.isnan(np.diag(covariance))
    covariance[undefined] = covariance[:, undefined] = np.nan
    return Measured(value, covariance, freedom, clusters.how)


def _jackknife(value: np.ndarray, without: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance, and degrees of freedom, of values with one cluster left out each, `(c, m)`."""
    change = without - value
    moves = ~(np.abs(change) <= 1e-12 * (1 + np.abs(value)))
    number = moves.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = np.where(moves, change - change.sum(0) / number, 0.0)
        factor = np.sqrt((number - 1) / number)
    scaled = centered * factor
    return scaled.T @ scaled, number - 1


def _two_way(prompt: np.ndarray, person: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Prompts, plus what people add to both at once: nothing where a variance would shrink."""
    added = person - both
    adds = (np.diag(added) > 0).astype(float)
    return prompt + added * np.outer(adds, adds)


def mean_of(values: np.ndarray, weights: np.ndarray, clusters: Clusters) -> Measured:
    """The weighted mean of N values."""
    return measure(lambda s: s[:, :1] / s[:, 1:], [values * weights, weights], clusters)


def compare(
    first: Means, second: Means, clusters: Clusters, *, are_twice: bool = False
) -> Measured:
    """A weighted mean, another one, and the first less the second.

    Args:
        first: N values, and their weights, shape `(N,)` each.
        second: The same.
        clusters: Of the N entries.
        are_twice: All are of pairs of votes; see `num_twice` of `measure`.
    """

    def statistic(sums: np.ndarray) -> np.ndarray:
        one, other = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
        return np.stack([one, other, one - other], axis=1)

    columns = [column for values, weight in (first, second) for column in (values * weight, weight)]
    return measure(statistic, columns, clusters, num_twice=4 if are_twice else 0)


def largest_of(found: Measured, num_draws: int = 10_000) -> np.ndarray:
    """Adjusted p-values of all m statistics against 0: the largest |t| of m that vary alike.

    Student's t of the fewest degrees of freedom, with the correlation of the estimates (Hothorn,
    Bretz and Westfall 2008), by simulation with a fixed seed. NaN where there is no interval.
    """
    known = np.isfinite(found.std_error) & (found.std_error > 0)
    p_value = np.full(len(found.value), np.nan)
    if not known.any():
        return p_value
    error = found.std_error[known]
    correlation = found.covariance[np.ix_(known, known)] / np.outer(error, error)
    spectrum, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = vectors * np.sqrt(np.maximum(spectrum, 0.0))
    root = root / np.sqrt((root**2).sum(1, keepdims=True))
    rng = np.random.default_rng(0)
    freedom = found.freedom[known].min()
    normal = np.abs(rng.normal(size=(num_draws, len(error))) @ root.T).max(1)
    largest = np.sort(normal / np.sqrt(rng.chisquare(freedom, num_draws) / freedom))
    beyond = num_draws - np.searchsorted(largest, np.abs(found.value[known]) / error)
    p_value[known] = (1 + beyond) / (1 + num_draws)
    return p_value
