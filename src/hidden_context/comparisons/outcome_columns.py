"""Columns that say what was observed of responses, and how they are read.

What a row says is read as votes for grades: 1 where the first response is better, -1 where the
second is, 0 for a tie, 2, 3, ... where it is much better; or as an order of all responses.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hidden_context.errors import UserError

Row: TypeAlias = Mapping[str, Any]
Votes: TypeAlias = Mapping[int, float]
"""Votes (or shares of one) by grade."""

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
VOTES = (
    ("wins", "losses"),
    ("wins", "losses", "ties"),
    ("wins", "votes"),
    ("wins", "ties", "votes"),
    ("wins", "losses", "votes"),
    ("wins", "losses", "ties", "votes"),
    ("votes_a", "votes_b"),
    ("votes_a", "votes_b", "votes_tie"),
)
"""Columns of votes; what they leave out follows from the others."""
ROLES = {name: name for name in ("wins", "losses", "ties", "votes")}
ROLES |= {"votes_a": "wins", "votes_b": "losses", "votes_tie": "ties"}
"""What each column of votes counts, seen from the first response."""
WEIGHT = "weight"
SCORED_OUTCOME = "outcome"
"""Of a file of scores: the shares of grades and the weight of chosen and rejected."""
WON = ([0.0, 0.0, 1.0], 1.0)
"""Of a row of such a file that says nothing of the outcome: the first won."""


@dataclass(frozen=True)
class Observed:
    """What one row says: votes on two responses, or an order of more."""

    votes: Votes | None = None
    order: tuple[int, ...] | None = None
    """Indices of the responses, best first."""


Reader: TypeAlias = Callable[[Row, Sequence[str], Sequence[str], str], Observed]
"""Of a row, with the columns of its outcome, what each of its responses is called, and the place
for messages."""


def read_outcome(row: Row, columns: tuple[str, ...], names: Sequence[str], place: str) -> Observed:
    """What `columns`, a key of `READERS`, say of the responses called `names`.

    Raises:
        UserError: They hold something else, or speak of two responses where there are more.
    """
    if len(names) != 2 and columns not in OF_ANY_NUMBER:
        raise UserError(
            f"{place}: {columns[0]} is about two responses, but there are {len(names)}; give "
            "'ranking' or 'ranks'."
        )
    return READERS[columns](row, columns, names, place)


def _scored_outcome(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    """Shares of grades and, in `weight`, votes times the row's own weight."""
    shares, weight = scored_outcome(row, place) or WON
    own = number(row, WEIGHT, place) if WEIGHT in row else 1.0
    votes = weight / own if own else 1.0
    grades = len(shares) // 2
    return Observed({grade: votes * share for grade, share in enumerate(shares, start=-grades)})


def scored_outcome(row: Row, place: str) -> tuple[list[float], float] | None:
    """Shares of the grades and weight of a row of a file of scores; None if it has none.

    Raises:
        UserError: They are not such shares, or the weight is negative.
    """
    outcome = row.get(SCORED_OUTCOME)
    if outcome is None:
        return None
    try:
        shares = [float(share) for share in outcome["shares"]]
        weight = float(outcome["weight"])
    except (KeyError, TypeError, ValueError):
        shares, weight = [], 0.0
    are_shares = len(shares) % 2 == 1 and min(shares) >= 0
    if (
        not are_shares
        or len(shares) < 3
        or not math.isclose(sum(shares), 1, abs_tol=1e-4)
        or not 0 <= weight < math.inf
    ):
        raise UserError(
            f"{place}: outcome is {str(outcome)[:80]}; expected a weight that is not negative, and "
            "shares of an odd number of grades that add up to 1."
        )
    return shares, weight


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


def _probability(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    share = number(row, columns[0], place, most=1.0)
    return Observed({1: share, -1: 1 - share})


def _votes(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    called = {ROLES[column]: column for column in columns}
    given = {role: number(row, column, place) for role, column in called.items()}
    wins, ties = given["wins"], given.get("ties", 0.0)
    losses = given.get("losses", given.get("votes", 0.0) - wins - ties)
    votes = given.get("votes", wins + losses + ties)
    if not (losses >= 0 and math.isclose(wins + ties + losses, votes)):
        raise UserError(
            f"{place}: {called['wins']} {wins:g}, ties {ties:g} and "
            f"losses {max(losses, 0.0):g} are not {called['votes']} {votes:g} in all."
        )
    if votes == 0:
        raise UserError(f"{place}: nobody voted ({columns[0]}, ... are all 0); leave the row out.")
    return Observed({1: wins, -1: losses, 0: ties})


def _winner(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    column, *strength = columns
    given = str(row[column]).strip().lower()
    named = given.removeprefix("model_").removeprefix("response_").removeprefix("response")
    if given.split(" ")[0] in TIE_WORDS:
        return Observed({0: 1.0})
    if named not in names:
        raise UserError(
            f"{place}: {column} is {row[column]!r}; expected {', '.join(names)} or tie."
        )
    sign = 1 if named == names[0] else -1
    return Observed({sign * (_grade(row, place) if strength else 1): 1.0})


def _strength(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    if tuple(names) != ("chosen", "rejected"):
        raise UserError(
            f"{place}: 'strength' does not say which response is better; add a column 'winner', "
            "or call the columns chosen and rejected."
        )
    return Observed({_grade(row, place): 1.0})


def _one_hot(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    values = [number(row, column, place, most=1.0) for column in columns]
    if sum(values) != 1 or max(values) != 1:
        raise UserError(f"{place}: {', '.join(columns)} are {values}; expected one 1 and two 0.")
    return Observed({(1, -1, 0)[values.index(1.0)]: 1.0})


def _negative_if_first(
    row: Row, columns: Sequence[str], names: Sequence[str], place: str
) -> Observed:
    value = row[columns[0]]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise UserError(f"{place}: {columns[0]} is {value!r}; expected a whole number.")
    return Observed({-int(value): 1.0})


def _label(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    if names[0] != "0":
        raise UserError(
            f"{place}: a 'label' of responses {' and '.join(names)} may be an index, or say that "
            "the first was preferred; use 'winner' or 'probability'."
        )
    return _winner(row, columns, names, place)


def _ranking(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    order, count = row["ranking"], len(names)
    if not _is_order(order, range(count)):
        raise UserError(
            f"{place}: ranking is {order!r}; expected the indices 0 to {count - 1} of the "
            "responses, best first (for ranks from 1, call the column 'ranks')."
        )
    return Observed(order=tuple(map(int, order)))


def _ranks(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    ranks, count = row["ranks"], len(names)
    if not _is_order(ranks, range(1, count + 1)):
        raise UserError(
            f"{place}: ranks are {ranks!r}; expected a rank for each response, 1 for the best, "
            f"to {count}, each once (give ties as comparisons)."
        )
    return Observed(order=tuple(sorted(range(count), key=lambda index: int(ranks[index]))))


def _is_order(values: Any, numbers: range) -> bool:
    """Whether values are a list of these numbers, each once, in any order."""
    return isinstance(values, list) and sorted(map(str, values)) == sorted(map(str, numbers))


def _grade(row: Row, place: str) -> int:
    value = row["strength"]
    grade = STRENGTHS.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(grade, bool) or not isinstance(grade, (int, float)) or grade not in range(10):
        known = ", ".join(STRENGTHS)
        raise UserError(
            f"{place}: strength is {value!r}; expected a whole number from 0 (tie) to 9, or one "
            f"of {known}."
        )
    return int(grade)


READERS: dict[tuple[str, ...], Reader] = {
    ("probability",): _probability,
    ("soft_label",): _probability,
    **dict.fromkeys(VOTES, _votes),
    ("winner",): _winner,
    ("winner", "strength"): _winner,
    ("strength",): _strength,
    ("better_response_id",): _winner,
    ("winner_model_a", "winner_model_b", "winner_tie"): _one_hot,
    ("overall_preference",): _negative_if_first,
    ("preference_strength",): _negative_if_first,
    ("ranking",): _ranking,
    ("ranks",): _ranks,
    ("label",): _label,
    (SCORED_OUTCOME,): _scored_outcome,
}
"""Columns of an outcome, and how they are read. `probability` and `soft_label` are of the first
response; `wins` are its votes; `overall_preference` and `preference_strength` are HelpSteer's,
negative where the first is better; `better_response_id` is that of PKU-SafeRLHF; `outcome` is that
of a file of scores."""
OF_ANY_NUMBER = (("ranking",), ("ranks",))
"""Those that speak of any number of responses; the others speak of two."""
