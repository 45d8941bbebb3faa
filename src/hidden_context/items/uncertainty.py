"""Intervals that hold whether or not the family is right: sandwich covariances, clustered by who.

Covariance of the estimates = H⁻¹ M H⁻¹ (Huber 1967; White 1982): H the second derivatives of what
is minimised, M the sum of squares of scores. Where it is known who made comparisons, scores are
first summed for each of G people, or ballots, and M is multiplied by G/(G − 1) (Liang and Zeger
1986); intervals are Student's with G − 1 degrees of freedom. Else each vote stands alone, and n
votes of importance w and score s are n w² s s' of M: a common factor of all w changes nothing.

**Gauge.** Comparisons leave the level of utilities free, and of normal, quantile and mixture
utilities the scale: the interval of a mean is of its distance from the mean over the list, with the
standard deviation of all utilities of the list held at its fitted value; so is that of a deviation.
P(a ≻ b) needs no such choice; its interval is symmetric in log-odds. With a ridge, intervals are of
the utility as the ridge shrinks it.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.special import stdtrit

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.items.figure import shortened
from hidden_context.items.objective import DIFFERENCE, MOST_DENSE, BradleyTerry, Objective
from hidden_context.items.summed_votes import votes_by_grade
from hidden_context.items.votes import ItemComparisons
from hidden_context.items.win_graph import listed
from hidden_context.likelihood.outcomes import OutcomeModel

LEVEL = 0.95
"""Nominal coverage of intervals."""
FEWEST_VOTES = 3
"""Of an item: a residual of one or two votes is small where they agree, whatever the truth is."""
MOST_PARAMETERS = 6000
"""Items of `base` of which covariances are computed: a matrix of 288 MB."""
FREE = 1e-8
"""Share of the largest second derivative up to which a direction counts as left free."""
SMALLEST_SHARE = 1e-3
"""Of the standard deviation of all utilities: a smaller deviation of an item is at the edge of
what it may be, where no interval of this kind holds."""
NO_ERROR = 1e-6
"""Standard errors, of log-odds or as a share of the deviation of all utilities, that are rounding:
no vote is off what the fit expects, as where all are ties, and nothing tells how far one may be."""
FREE_SCALE = ("mean_and_variance", "quantile", "mixture")
"""Families whose likelihood leaves the scale free (`quantile` but for its lapses)."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the votes do not tell of a fit."""

    covariance: np.ndarray
    """Of all parameters, shape `(P, P)`; NaN where the fit is at no maximum."""
    num_clusters: int | None
    """People, or ballots, by whom scores are summed; none: each vote stands alone."""

    @property
    def critical(self) -> float:
        """Half the width of an interval, in standard errors."""
        freedom = np.inf if self.num_clusters is None else self.num_clusters - 1
        return float(stdtrit(freedom, 0.5 + LEVEL / 2))

    @property
    def how(self) -> str:
        """In words."""
        if self.num_clusters is None:
            return "95 %, sandwich; votes are taken to be independent"
        return f"95 %, sandwich clustered by the {self.num_clusters} who compared"


def sandwich(objective: Objective, x: np.ndarray, comparisons: ItemComparisons) -> Uncertainty:
    """The covariance of a fit.

    Raises:
        UserError: There are too many parameters, or there is one cluster.
    """
    size = objective.num_parameters
    most = MOST_PARAMETERS if isinstance(objective, BradleyTerry) else MOST_DENSE
    if size > most:
        raise UserError(
            f"the fit has {size} numbers; intervals are computed up to {most}. Leave "
            "them out (intervals=False), or fit fewer items."
        )
    clusters = comparisons.clusters
    num_clusters = None if clusters is None else int(clusters.max()) + 1
    if num_clusters == 1:
        raise UserError(
            "one person made all comparisons, or they are one ballot; intervals need two or more."
        )
    inverse = _inverse(objective, x)
    if inverse is None:
        return Uncertainty(np.full((size, size), np.nan), num_clusters)
    scores = objective.scores_by_pair(x)
    if clusters is None or num_clusters is None:
        squared = _squared_votes(objective, comparisons)[:, :, None] * scores
        meat = objective.assembled(np.einsum("ngp,ngq->npq", squared, scores))
    else:
        meat = _clustered(objective, scores, comparisons, clusters)
        meat *= num_clusters / (num_clusters - 1)
    return Uncertainty(inverse @ meat @ inverse, num_clusters)


def few_votes(comparisons: ItemComparisons, names: Sequence[Hashable]) -> str:
    """What to know of intervals of items that have one or two votes; empty where none has."""
    size, votes = len(names), comparisons.num_votes
    both = (comparisons.first, comparisons.second)
    count = sum(np.bincount(items, votes, size) for items in both)
    few = np.flatnonzero((count > 0) & (count < FEWEST_VOTES - 1e-9))
    if not len(few):
        return ""
    return (
        f"Intervals of items with fewer than {FEWEST_VOTES} votes say nothing, they are too narrow:"
        f" {listed([shortened(names[item]) for item in few.tolist()], ', ')}."
    )


def _squared_votes(objective: Objective, comparisons: ItemComparisons) -> np.ndarray:
    """Votes of each pair for each grade, each times the square of its importance, `(N, 2G + 1)`."""
    if comparisons.importance is None:
        return objective.votes
    squared = comparisons.squared
    return votes_by_grade(squared.summed(), float(squared.outcomes.weight.sum()))


def _inverse(objective: Objective, x: np.ndarray) -> np.ndarray | None:
    """Of the second derivatives, without what the likelihood leaves free; none at no maximum."""
    _, bread = objective.derivatives(x)
    if isinstance(objective, BradleyTerry):
        bread += bread.diagonal().mean() / len(bread)  # the level, which nothing below asks for
        try:
            return cho_solve(cho_factor(bread), np.eye(len(bread)))  # pyrefly: ignore
        except LinAlgError:
            return None
    values, vectors = np.linalg.eigh(bread)
    if values[0] < -FREE * values[-1]:
        return None
    kept = values > FREE * values[-1]
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T


def _clustered(
    objective: Objective, scores: np.ndarray, comparisons: ItemComparisons, clusters: np.ndarray
) -> np.ndarray:
    """Sum of squares of the scores of clusters, `(P, P)`."""
    size, items = objective.num_parameters, objective.num_items
    pairs, grades, _ = scores.shape
    codes = objective.first * items + objective.second
    asked = comparisons.first * items + comparisons.second
    row, column, value = [], [], []
    turned = comparisons.second * items + comparisons.first
    for grade, share in enumerate(comparisons.outcomes.shares.T):
        seen = np.flatnonzero(share > 0)
        # votes are summed in the order in which they are a win; a tie goes by the lower number
        lost = grade < grades // 2
        if grade == grades // 2:
            turn = comparisons.first[seen] > comparisons.second[seen]
        else:
            turn = np.full(len(seen), lost)
        pair = np.searchsorted(codes, np.where(turn, turned[seen], asked[seen]))
        row.append(clusters[seen])
        column.append(pair * grades + (grades - 1 - grade if lost else grade))
        value.append(share[seen] * comparisons.outcomes.weight[seen])
    shape = (int(clusters.max()) + 1, pairs * grades)
    votes = csr_array(
        (np.concatenate(value), (np.concatenate(row), np.concatenate(column))), shape=shape
    )
    by_cluster = votes @ _as_rows(objective, scores.reshape(pairs * grades, -1), grades, size)
    product = by_cluster.T @ by_cluster
    return product.toarray()


def _as_rows(objective: Objective, scores: np.ndarray, grades: int, size: int) -> csr_array:
    """Scores of `(pairs · grades, p)` at the places of their parameters, `(pairs · grades, P)`."""
    d, q = objective.num_outputs, objective.num_shared
    own = np.arange(d)
    places = np.concatenate(
        [
            objective.first[:, None] * d + own,
            objective.second[:, None] * d + own,
            np.broadcast_to(size - q + np.arange(q), (len(objective.first), q)),
        ],
        axis=1,
    )
    columns = np.repeat(places, grades, axis=0)
    rows = np.broadcast_to(np.arange(len(scores))[:, None], columns.shape)
    return csr_array((scores.ravel(), (rows.ravel(), columns.ravel())), shape=(len(scores), size))


@dataclass(frozen=True, eq=False)
class Intervals:
    """Values with the ends of their intervals, all of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def moments(
    family: Family, model: OutcomeModel, raw: np.ndarray, uncertainty: Uncertainty, *, learned: bool
) -> tuple[Intervals, Intervals]:
    """Mean and deviation of each item, in the gauge of the module, `(items,)`.

    `learned` says that thresholds are, so that they do not give utilities a unit.
    """
    number = len(raw)

    def of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        utility = family.decode(values).centered(np.zeros(number))
        return np.asarray(utility.mean), np.asarray(utility.std)

    (mean, std), slopes = of(raw), np.zeros((2, *raw.shape))
    for output in range(raw.shape[1]):
        near = raw.copy()
        near[:, output] += DIFFERENCE
        decoded = family.decode(near)
        slopes[0, :, output] = (np.asarray(decoded.mean) - family.decode(raw).mean) / DIFFERENCE
        slopes[1, :, output] = (np.asarray(decoded.std) - std) / DIFFERENCE
    by_item = uncertainty.covariance[: raw.size, : raw.size].reshape(*raw.shape, *raw.shape)
    half = np.einsum("sia,iajb->sijb", slopes, by_item)
    covariance = np.einsum("sijb,tjb->sitj", half, slopes).reshape(2 * number, 2 * number)
    to_gauge = np.eye(2 * number)
    level = mean.mean() if family.name != "categorical" else 0.0
    if family.name != "categorical":
        to_gauge[:number, :number] -= 1 / number
    if family.name in FREE_SCALE and (learned or not any(model.edges)):
        square = mean.var() + (std**2).mean()
        by_scale = np.concatenate([mean - mean.mean(), std]) / (number * square)
        to_gauge -= np.outer(np.concatenate([mean - mean.mean(), std]), by_scale)
    variance = np.einsum("ij,jk,ik->i", to_gauge, covariance, to_gauge, optimize=True)
    scale = np.sqrt(mean.var() + (std**2).mean())
    error = uncertainty.critical * _standard_errors(variance, scale).reshape(2, number)
    edge = std <= SMALLEST_SHARE * scale
    log_error = np.where(edge, np.nan, error[1] / np.where(edge, 1, std))
    return (
        Intervals(mean - level, mean - level - error[0], mean - level + error[0]),
        Intervals(std, std * np.exp(-log_error), std * np.exp(log_error)),
    )


def preferences(
    prob: Callable[[Any, Any], np.ndarray], raw: np.ndarray, uncertainty: Uncertainty
) -> tuple[Intervals, Intervals]:
    """P(row ≻ column), `(items, items)`, and its mean over the other items, `(items,)`.

    Args:
        prob: From raw outputs of rows, `(items, 1, d)`, and of columns, `(1, items, d)`.
        raw: Shape `(items, d)`.
        uncertainty: Of the fit; what it says of outputs counts, options are taken as known.
    """
    number, d = raw.shape
    value = prob(raw[:, None], raw[None])
    rows, columns = np.empty((number, number, d)), np.empty((number, number, d))
    for output in range(d):
        near = raw.copy()
        near[:, output] += DIFFERENCE
        rows[..., output] = (prob(near[:, None], raw[None]) - value) / DIFFERENCE
        columns[..., output] = (prob(raw[:, None], near[None]) - value) / DIFFERENCE
    by_item = uncertainty.covariance[: raw.size, : raw.size].reshape(number, d, number, d)
    own = by_item[np.arange(number), :, np.arange(number)]
    variance = np.einsum("ija,iab,ijb->ij", rows, own, rows, optimize=True)
    variance += np.einsum("ija,jab,ijb->ij", columns, own, columns, optimize=True)
    variance += 2 * np.einsum("ija,iajb,ijb->ij", rows, by_item, columns, optimize=True)
    pairs = _in_log_odds(value, variance, uncertainty.critical)
    others = max(number - 1, 1)
    slopes = columns / others
    diagonal = np.arange(number)
    for ends in (pairs.low, pairs.high):  # of an item over itself P is known
        ends[diagonal, diagonal] = value[diagonal, diagonal]
    slopes[diagonal, diagonal] = (rows.sum(1) - rows[diagonal, diagonal]) / others
    flat = slopes.reshape(number, number * d)
    covariance = uncertainty.covariance[: raw.size, : raw.size]
    of_mean = ((flat @ covariance) * flat).sum(1)
    mean = (value.sum(1) - value[diagonal, diagonal]) / others
    return pairs, _in_log_odds(mean, of_mean, uncertainty.critical)


def _in_log_odds(prob: np.ndarray, variance: np.ndarray, critical: float) -> Intervals:
    inside = np.clip(prob, 1e-12, 1 - 1e-12)
    odds = np.log(inside) - np.log1p(-inside)
    error = critical * _standard_errors(variance / (inside * (1 - inside)) ** 2, 1.0)
    with np.errstate(over="ignore"):
        return Intervals(prob, 1 / (1 + np.exp(error - odds)), 1 / (1 + np.exp(-error - odds)))


def _standard_errors(variance: np.ndarray, scale: float) -> np.ndarray:
    """Roots of variances; not a number where one is rounding, see `NO_ERROR`."""
    known = variance > (NO_ERROR * scale) ** 2
    return np.sqrt(np.where(known, variance, np.nan))
