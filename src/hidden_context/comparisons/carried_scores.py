"""Scores of two responses that data carry along, held against what was observed."""

import re
from collections.abc import Collection, Sequence

from hidden_context.comparisons.outcome_columns import Row, Votes

MEASURED = ("score", "scores", "rating", "ratings", "reward", "rewards", "stars", "points")
"""Words in the names of columns of scores, of which more is better."""


def scores_of(columns: Collection[str], names: Sequence[str]) -> tuple[str, ...]:
    """Columns of a score of each of two responses called `names`, which nothing else reads.

    Such as `score_chosen`, `rejected_avg_rating`, `chosen-reward`, `score_A` or `score1`; of
    several such pairs the one of the shortest names; none if there are none.
    """
    if len(names) != 2:
        return ()
    first, second = names
    spelt = {name.lower(): name for name in sorted(map(str, columns))}
    for name in sorted(spelt, key=len):
        parts = re.split(r"([^a-z0-9]+|(?<=[a-z])(?=[0-9]))", name)
        other = "".join(second if part == first else part for part in parts)
        if first in parts and set(parts) & {*MEASURED} and other in spelt:
            return spelt[name], spelt[other]
    return ()


def scores_differ(row: Row, columns: Sequence[str], votes: Votes | None) -> bool:
    """Whether scores of two responses say that the one with fewer votes is the better."""
    try:
        first, second = (float(row[name]) for name in columns)
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    lead = sum(count * ((grade > 0) - (grade < 0)) for grade, count in (votes or {}).items())
    return (first - second) * lead < 0
