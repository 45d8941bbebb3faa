"""Scores of two responses that data carry along, held against what was observed."""

from collections.abc import Collection, Sequence

from hidden_context.comparisons.outcome_columns import Row, Votes


def scores_of(columns: Collection[str], names: Sequence[str]) -> tuple[str, ...]:
    """Columns of a score of each of two responses called `names`, which nothing else reads.

    Such as `score_chosen`, `rejected_rating`, `chosen-rating` or `score_A`; none if there are none.
    """
    forms = ("score_{}", "{}_score", "rating_{}", "{}_rating", "{}-rating", "{}-score", "score{}")
    spelt = {name.lower(): name for name in map(str, columns)}
    for form in forms:
        wanted = [form.format(name) for name in names]
        if len(wanted) == 2 and all(name in spelt for name in wanted):
            return tuple(spelt[name] for name in wanted)
    return ()


def scores_differ(row: Row, columns: Sequence[str], votes: Votes | None) -> bool:
    """Whether scores of two responses say that the one with fewer votes is the better."""
    try:
        first, second = (float(row[name]) for name in columns)
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    lead = sum(count * ((grade > 0) - (grade < 0)) for grade, count in (votes or {}).items())
    return (first - second) * lead < 0
