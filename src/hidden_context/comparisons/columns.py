"""Column conventions: which columns hold the responses, and which say what was observed of them.

What a row says is read as votes for grades: 1 where the first response is better, -1 where the
second is, 0 for a tie, 2, 3, ... where it is much better; or as an order of all responses.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hidden_context.errors import UserError

Row: TypeAlias = Mapping[str, Any]
Votes: TypeAlias = Mapping[int, float]
"""Votes (or shares of one) by grade."""

RESPONSE_COLUMNS = (
    ("chosen", "rejected"),
    ("response_a", "response_b"),
    ("response_1", "response_2"),
    ("response_0", "response_1"),
    ("response1", "response2"),
    ("responses",),
)
"""Where responses are; the first of these that a row has counts."""
STRENGTHS = {
    "tie": 0,
    "negligibly better": 0,
    "slightly better": 1,
    "better": 2,
    "much better": 3,
    "significantly better": 3,
}
"""Grades of strengths in words."""
TIE_WORDS = ("tie", "both", "neither", "equal", "same")
WEIGHT = "weight"
ANNOTATOR_COLUMNS = ("annotator", "annotator_id", "worker_id", "user_id")
GROUP_COLUMNS = ("group", "group_id", "annotator_group")


@dataclass(frozen=True)
class Observed:
    """What one row says: votes on two responses, or an order of more."""

    votes: Votes | None = None
    order: tuple[int, ...] | None = None
    """Indices of the responses, best first."""


@dataclass(frozen=True)
class Layout:
    """Which columns of a data set hold responses and outcomes."""

    responses: tuple[str, ...]
    outcome: tuple[str, ...]
    """Columns of the outcome; empty where `chosen` says it."""

    def read(self, row: Row, place: str) -> tuple[list[Any], Observed]:
        """Responses of a row, and what it says of them.

        Raises:
            UserError: A value is not what its column should hold; the message names `place`.
        """
        if self.responses == ("responses",):
            responses = row["responses"]
            if not isinstance(responses, list) or len(responses) < 2:
                raise UserError(f"{place}: 'responses' is not a list of at least two responses.")
        else:
            responses = [row[name] for name in self.responses]
        if not self.outcome:
            return responses, Observed({1: 1.0})
        return responses, READERS[self.outcome](row, self, len(responses), place)

    def suffixes(self, count: int) -> list[str]:
        """What a `winner` is called: a, b; 1, 2; chosen, rejected; or an index from 0."""
        if self.responses == ("responses",):
            return [str(index) for index in range(count)]
        return [name.removeprefix("response_").removeprefix("response") for name in self.responses]


def layout_of(row: Row, source: str) -> Layout:
    """The layout that a first row has.

    Raises:
        UserError: It has no responses or several kinds of them, no outcome, or several columns
            that say the outcome.
    """
    has = [columns for columns in RESPONSE_COLUMNS if all(name in row for name in columns)]
    if not has:
        known = "; ".join(", ".join(columns) for columns in RESPONSE_COLUMNS)
        lacking = " or ".join(repr(name) for name in ("chosen", "rejected") if name not in row)
        raise UserError(
            f"{source}, row 1: no column {lacking}; columns present: {', '.join(map(str, row))} "
            f"(responses are read from one of: {known})."
        )
    responses = has[0]
    if ("response_1", "response_2") in has and ("response_0", "response_1") in has:
        raise UserError(
            f"{source}: response_0, response_1 and response_2 are three responses; put them in a "
            "list 'responses' with their 'ranking'."
        )
    found = [columns for columns in READERS if all(name in row for name in columns)]
    found = [
        columns
        for columns in found
        if not any(set(columns) < set(other) for other in found)  # (wins, losses, ties) has more
        and (responses != ("chosen", "rejected") or columns in WITH_CHOSEN)
    ]
    if found and len(has) > 1 and responses == ("chosen", "rejected"):  # as `evaluate` writes
        named = " and in ".join(", ".join(columns) for columns in has[:2])
        raise UserError(
            f"{source}: responses are in {named}, so of which {'/'.join(found[0])} speaks is "
            "ambiguous; remove the columns of one."
        )
    if len(found) > 1:
        named = " and ".join("/".join(columns) for columns in found)
        raise UserError(
            f"{source}: {named} both say what was observed, so which is meant is ambiguous; "
            "remove all but one."
        )
    if not found and responses != ("chosen", "rejected"):
        known = "; ".join("/".join(columns) for columns in READERS)
        raise UserError(
            f"{source}: no column says which response was preferred (read are: {known})."
        )
    return Layout(responses, found[0] if found else ())


def annotator_of(row: Row) -> str | None:
    """Who judged, where one of `ANNOTATOR_COLUMNS` says it."""
    return next((str(row[name]) for name in ANNOTATOR_COLUMNS if not is_empty(row.get(name))), None)


def group_of(row: Row, place: str) -> str | None:
    """To which group those belong who judged; None if the data have no such column.

    Raises:
        UserError: The column is there and empty: comparisons of no group cannot be told from all.
    """
    for column in GROUP_COLUMNS:
        if column in row:
            if is_empty(row[column]):
                raise UserError(f"{place}: column {column!r} is empty; fill it, or leave it out.")
            return str(row[column])
    return None


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, as files of several kinds write it."""
    return value is None or str(value).strip() in ("", "nan")


def number(row: Row, column: str, place: str, *, most: float = math.inf) -> float:
    """A finite number from 0 to `most`.

    Raises:
        UserError: It is something else.
    """
    value = row[column]
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not (0 <= found <= most and found < math.inf):
        limits = "a number that is not negative" if most == math.inf else f"from 0 to {most:g}"
        raise UserError(f"{place}: {column} is {value!r}; expected {limits}.")
    return found


def _probability(column: str) -> "Reader":
    def read(row: Row, layout: Layout, count: int, place: str) -> Observed:
        _two(count, column, place)
        share = number(row, column, place, most=1.0)
        return Observed({1: share, -1: 1 - share})

    return read


def _votes(first: str, second: str | None, tie: str | None, total: str | None) -> "Reader":
    def read(row: Row, layout: Layout, count: int, place: str) -> Observed:
        _two(count, first, place)
        wins = number(row, first, place)
        ties = number(row, tie, place) if tie else 0.0
        votes = number(row, total, place) if total else None
        rest = (votes or 0.0) - wins - ties
        losses = rest if second is None else number(row, second, place)
        if votes is not None and not (losses >= 0 and math.isclose(wins + ties + losses, votes)):
            raise UserError(
                f"{place}: {first} {wins:g}, ties {ties:g} and "
                f"losses {max(losses, 0.0):g} are not {total} {votes:g} in all."
            )
        if wins + losses + ties == 0:
            raise UserError(f"{place}: nobody voted ({first}, ... are all 0); leave the row out.")
        return Observed({1: wins, -1: losses, 0: ties})

    return read


def _winner(column: str, strength: str | None = None) -> "Reader":
    def read(row: Row, layout: Layout, count: int, place: str) -> Observed:
        _two(count, column, place)
        given = str(row[column]).strip().lower()
        names = layout.suffixes(count)
        named = given.removeprefix("model_").removeprefix("response_").removeprefix("response")
        if given.split(" ")[0] in TIE_WORDS:
            return Observed({0: 1.0})
        if named not in names:
            raise UserError(
                f"{place}: {column} is {row[column]!r}; expected {', '.join(names)} or tie."
            )
        sign = 1 if named == names[0] else -1
        grade = _grade(row, strength, place) if strength else 1
        return Observed({sign * grade: 1.0})

    return read


def _strength(row: Row, layout: Layout, count: int, place: str) -> Observed:
    if layout.responses != ("chosen", "rejected"):
        raise UserError(
            f"{place}: 'strength' does not say which response is better; add a column 'winner', "
            "or call the columns chosen and rejected."
        )
    return Observed({_grade(row, "strength", place): 1.0})


def _one_hot(row: Row, layout: Layout, count: int, place: str) -> Observed:
    names = ("winner_model_a", "winner_model_b", "winner_tie")
    values = [number(row, name, place, most=1.0) for name in names]
    if sum(values) != 1 or max(values) != 1:
        raise UserError(f"{place}: {', '.join(names)} are {values}; expected one 1 and two 0.")
    return Observed({(1, -1, 0)[values.index(1.0)]: 1.0})


def _signed(column: str, *, first_is: int) -> "Reader":
    def read(row: Row, layout: Layout, count: int, place: str) -> Observed:
        _two(count, column, place)
        value = row[column]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
            raise UserError(f"{place}: {column} is {value!r}; expected a whole number.")
        return Observed({first_is * int(value): 1.0})

    return read


def _label(row: Row, layout: Layout, count: int, place: str) -> Observed:
    names = layout.suffixes(count)
    if names[0] != "0":
        raise UserError(
            f"{place}: a 'label' of {' and '.join(layout.responses)} may be an index, or say that "
            "the first was preferred; use 'winner' or 'probability'."
        )
    return _winner("label")(row, layout, count, place)


def _ranking(row: Row, layout: Layout, count: int, place: str) -> Observed:
    order = row["ranking"]
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(count))):
        raise UserError(
            f"{place}: ranking is {order!r}; expected the indices 0 to {count - 1} of the "
            "responses, best first (for ranks from 1, call the column 'ranks')."
        )
    return Observed(order=tuple(map(int, order)))


def _ranks(row: Row, layout: Layout, count: int, place: str) -> Observed:
    ranks = row["ranks"]
    if not isinstance(ranks, list) or sorted(map(str, ranks)) != sorted(
        map(str, range(1, count + 1))
    ):
        raise UserError(
            f"{place}: ranks are {ranks!r}; expected a rank for each response, 1 for the best, "
            f"to {count}, each once (give ties as comparisons)."
        )
    return Observed(order=tuple(sorted(range(count), key=lambda index: int(ranks[index]))))


def _grade(row: Row, column: str, place: str) -> int:
    value = row[column]
    grade = STRENGTHS.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(grade, bool) or not isinstance(grade, (int, float)) or grade not in range(10):
        known = ", ".join(STRENGTHS)
        raise UserError(
            f"{place}: {column} is {value!r}; expected a whole number from 0 (tie) to 9, or one "
            f"of {known}."
        )
    return int(grade)


def _two(count: int, column: str, place: str) -> None:
    if count != 2:
        raise UserError(
            f"{place}: {column} is about two responses, found {count}; give 'ranking' or 'ranks'."
        )


Reader: TypeAlias = Callable[[Row, Layout, int, str], Observed]
READERS: dict[tuple[str, ...], Reader] = {
    ("probability",): _probability("probability"),
    ("soft_label",): _probability("soft_label"),
    ("wins", "losses"): _votes("wins", "losses", None, None),
    ("wins", "losses", "ties"): _votes("wins", "losses", "ties", None),
    ("wins", "votes"): _votes("wins", None, None, "votes"),
    ("wins", "ties", "votes"): _votes("wins", None, "ties", "votes"),
    ("wins", "losses", "votes"): _votes("wins", "losses", None, "votes"),
    ("wins", "losses", "ties", "votes"): _votes("wins", "losses", "ties", "votes"),
    ("votes_a", "votes_b"): _votes("votes_a", "votes_b", None, None),
    ("votes_a", "votes_b", "votes_tie"): _votes("votes_a", "votes_b", "votes_tie", None),
    ("winner",): _winner("winner"),
    ("winner", "strength"): _winner("winner", "strength"),
    ("strength",): _strength,
    ("better_response_id",): _winner("better_response_id"),
    ("winner_model_a", "winner_model_b", "winner_tie"): _one_hot,
    ("overall_preference",): _signed("overall_preference", first_is=-1),
    ("preference_strength",): _signed("preference_strength", first_is=-1),
    ("ranking",): _ranking,
    ("ranks",): _ranks,
    ("label",): _label,
}
"""Columns of an outcome, and how they are read. `probability` and `soft_label` are of the first
response; `wins` are its votes; `overall_preference` and `preference_strength` are HelpSteer's,
negative where the first is better; `better_response_id` is that of PKU-SafeRLHF."""
WITH_CHOSEN = {
    columns
    for columns in READERS
    if columns[0] in ("probability", "soft_label", "wins", "strength")
}
"""Outcomes that are read beside `chosen` and `rejected`, whose names else say all."""
