"""Columns that say who judged, and to which group they belong."""

from collections.abc import Mapping
from typing import Any

from hidden_context.comparisons.survey import is_empty
from hidden_context.errors import UserError

ANNOTATOR_COLUMNS = ("annotator", "annotator_id", "worker", "worker_id", "user_id")
ANNOTATOR_COLUMNS += ("rater", "rater_id", "labeler", "labeler_id", "judge_hash")
ANNOTATOR_COLUMNS += ("labeller", "labeller_id", "evaluator", "evaluator_id", "voter", "voter_id")
ANNOTATOR_COLUMNS += ("participant", "participant_id", "respondent", "respondent_id")
"""One of these says who judged. Not `judge`: it may hold a verdict."""
GROUP_COLUMNS = ("group", "group_id", "annotator_group")
MOST_EXACT = 2**53
"""Above it not every whole number is a float."""


def annotator_of(row: Mapping[str, Any], place: str) -> str | None:
    """Who judged, where one of `ANNOTATOR_COLUMNS` says it.

    Raises:
        UserError: Several of them say different things, or one holds no name.
    """
    return _one_name(row, ANNOTATOR_COLUMNS, place)


def group_of(row: Mapping[str, Any], place: str) -> str | None:
    """To which group those belong who judged; None if the data have no such column.

    Raises:
        UserError: The column is there and empty: comparisons of no group cannot be told from all;
            or several of `GROUP_COLUMNS` say different things.
    """
    for column in GROUP_COLUMNS:
        if column in row:
            if is_empty(row[column]):
                raise UserError(f"{place}: column {column!r} is empty; fill it, or leave it out.")
            return _one_name(row, GROUP_COLUMNS, place)
    return None


def _one_name(row: Mapping[str, Any], columns: tuple[str, ...], place: str) -> str | None:
    """What the filled ones of some columns say, which must be the same."""
    filled = [name for name in columns if not is_empty(row.get(name))]
    names = {column: name_in(row, column, place) for column in filled}
    if len(set(names.values())) > 1:
        first = filled[0]
        other = next(column for column in filled if names[column] != names[first])
        raise UserError(
            f"{place}: {first} is {names[first]!r} and {other} is {names[other]!r}, so which is "
            f"meant as the {columns[0]} is ambiguous; remove all but one (ignore_columns)."
        )
    return names[filled[0]] if filled else None


def name_in(row: Mapping[str, Any], column: str, place: str) -> str:
    """A name or number as text; half of a character, which no file could hold, is written out.

    Raises:
        UserError: It is something else, or a number that was rounded, as pandas rounds a column of
            long numbers that has gaps: several people may have become one.
    """
    value = row[column]
    if isinstance(value, float) and abs(value) > MOST_EXACT:
        raise UserError(
            f"{place}: {column} is {value!r}, which was rounded, so that several may have become "
            "one; read the column as text (in pandas dtype str)."
        )
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as pandas writes a column of numbers that has gaps
    if not isinstance(value, (str, int, float)):
        raise UserError(
            f"{place}: {column} is a {type(value).__name__} {str(value)[:40]!r}; expected a name "
            "or a number."
        )
    return str(value).strip().encode("utf-8", "backslashreplace").decode()
