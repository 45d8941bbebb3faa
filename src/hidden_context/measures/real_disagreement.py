"""Learned disagreement against people's: who splits, and how far apart, by ranks."""

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.errors import UserError
from hidden_context.measures.checks import finite_vector, not_negative


def people_split(
    votes_first: ArrayLike, votes_second: ArrayLike, *, within: float = 0.2
) -> np.ndarray:
    """On which pairs people disagree: |share of votes - ½| ≤ within, shape `(n,)`, bool.

    Args:
        votes_first: Votes for the first response of each pair, not negative; ties half to each.
        votes_second: Votes for the second, same shape.
        within: Greatest distance of the share from ½ that still counts as a split, in [0, ½). With
            0.2, 3 to 7 of 10 votes are a split. Few votes split by chance alone: leave out pairs
            that have fewer than you trust.

    Raises:
        UserError: The lengths differ, a count is negative, a pair has no votes, or `within` is out
            of range.
    """
    if not 0 <= within < 0.5:
        raise UserError(f"within is {within}; give a distance from one half in [0, 0.5).")
    first = not_negative("votes_first", votes_first)
    total = first + not_negative("votes_second", votes_second, len(first))
    if (total == 0).any():
        raise UserError(f"{int((total == 0).sum())} pairs have no votes; leave them out.")
    rounding = 1e-12  # 0.7 - 0.5 is more than 0.2
    return np.abs(first / total - 0.5) <= within + rounding


def auroc(score: ArrayLike, positive: ArrayLike) -> float:
    """P(a positive scores above a negative), ties half: area under the ROC curve, in [0, 1].

    The Mann–Whitney statistic over the number of pairs (Hanley and McNeil 1982). ½ is a score that
    says nothing. Invariant to any increasing map of the score: 4p(1 - p) and the entropy of p give
    the same.

    Args:
        score: Higher for what should be positive, shape `(n,)`.
        positive: Which are, such as `people_split`, shape `(n,)`, bool.

    Raises:
        UserError: The lengths differ, or all or none are positive.
    """
    values = finite_vector("score", score)
    is_positive = finite_vector("positive", positive, len(values)) != 0
    num_positive = int(is_positive.sum())
    num_negative = len(values) - num_positive
    if num_positive == 0 or num_negative == 0:
        raise UserError(
            f"{num_positive} of {len(values)} are positive; a curve needs both kinds (people_split "
            "takes another threshold by within)."
        )
    rank_sum = midranks(values)[is_positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def spearman(learned: ArrayLike, real: ArrayLike) -> float:
    """Rank correlation in [-1, 1], ties averaged (Spearman 1904): Pearson's of the midranks.

    Of learned with real standard deviations, say. Invariant to any increasing map of either.

    Args:
        learned: Shape `(n,)`.
        real: Same shape.

    Raises:
        UserError: The lengths differ, or one of the two is constant.
    """
    first = finite_vector("learned", learned)
    second = finite_vector("real", real, len(first))
    for what, values in (("learned", first), ("real", second)):
        if np.ptp(values) == 0:
            raise UserError(f"all {what} values are {values[0]:.4g}; a constant has no ranks.")
    return float(np.corrcoef(midranks(first), midranks(second))[0, 1])


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 to n, equal values sharing the mean of theirs, shape `(n,)`."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]
