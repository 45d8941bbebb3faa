"""Columns that say what was observed of responses, and how they are read.

What a row says is read as votes for grades: 1 where the first response is better, -1 where the
second is, 0 for a tie, 2, 3, ... where it is much better; or as an order of all responses.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hidden_context.comparisons.verdicts import TIE, better_of
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
OF_HELPSTEER = 3
"""HelpSteer's scale ends there on both sides; a Likert scale from 1 has no side."""
MODELS = ("model_a", "model_b", "model_1", "model_2")
"""Columns of the models' names, by which `winner` may call the responses."""
YES_OR_NO = {"true": 1, "yes": 1, "1": 1, "1.0": 1, "false": 0, "no": 0, "0": 0, "0.0": 0}
MOST_GRADES = 9
"""Strengths of preference in numbers; more are another scale, such as percent."""
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
    except (TypeError, ValueError, OverflowError):
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
    value = row[column]
    whole = None if isinstance(value, bool) else whole_number(value)
    given = str(value if whole is None else whole).strip().lower()
    named = better_of(given, names)
    models = [str(row.get(f"model_{name}")).strip().lower() == given for name in names]
    if not any(models) and named == TIE:
        _check_strength(row, strength, value, place, is_tie=True)
        return Observed({0: 1.0})
    if sum(models) == 1 and named not in names:
        named = names[models.index(True)]
    if (
        named is None
        or named not in names
        or (any(models) and not models[list(names).index(named)])
    ):
        of_models = ", ".join(f"{name} {row[name]!r:.40}" for name in MODELS if name in row)
        raise UserError(
            f"{place}: {column} is {row[column]!r:.80}; expected {', '.join(names)} or tie (also "
            "bothbad, bothgood, no preference), or a model's name, where it is that of one of "
            "model_a, model_b"
            f"{f' (here {of_models})' if of_models else ''}."
        )
    sign = 1 if named == names[0] else -1
    _check_strength(row, strength, value, place, is_tie=False)
    return Observed({sign * (_grade(row, place) if strength else 1): 1.0})


def _check_strength(
    row: Row, strength: Sequence[str], verdict: Any, place: str, *, is_tie: bool
) -> None:
    """Refuse a number of strength that says tie where the verdict does not, or the other way."""
    given = whole_number(row[strength[0]]) if strength else None
    if given is not None and (given == 0) != is_tie:
        raise UserError(
            f"{place}: the verdict is {verdict!r:.40} and strength is {given}, where 0 is a tie; "
            "say the same in both, or name strength in ignore_columns."
        )


def _strength(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    if tuple(names) != ("chosen", "rejected"):
        raise UserError(
            f"{place}: 'strength' does not say which response is better; add a column 'winner', "
            "or call the columns chosen and rejected."
        )
    return Observed({_grade(row, place): 1.0})


def _tie(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    is_tie = YES_OR_NO.get(str(row["tie"]).strip().lower())
    if is_tie is None:
        raise UserError(f"{place}: tie is {row['tie']!r}; expected true or false.")
    if not is_tie and tuple(names) != ("chosen", "rejected"):
        raise UserError(
            f"{place}: 'tie' does not say which response is better; say it in 'winner' (also where "
            "it is a tie), or call the columns chosen and rejected."
        )
    return Observed({1 - is_tie: 1.0})


def _one_hot(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    values = [number(row, column, place, most=1.0) for column in columns]
    if sum(values) != 1 or max(values) != 1:
        raise UserError(f"{place}: {', '.join(columns)} are {values}; expected one 1 and two 0.")
    return Observed({(1, -1, 0)[values.index(1.0)]: 1.0})


def _negative_if_first(
    row: Row, columns: Sequence[str], names: Sequence[str], place: str
) -> Observed:
    value = whole_number(row[columns[0]])
    if value is None or abs(value) > OF_HELPSTEER:
        raise UserError(
            f"{place}: {columns[0]} is {row[columns[0]]!r}; expected a whole number from "
            f"-{OF_HELPSTEER} (the first is much better) to {OF_HELPSTEER}. Of a scale from 1, say "
            "the side in 'winner' and how much in 'strength'."
        )
    return Observed({-value: 1.0})


def _label(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    if names[0] != "0" and str(row["label"]).strip().upper() not in ("A>B", "B>A", "A=B"):
        raise UserError(
            f"{place}: a 'label' of responses {' and '.join(names)} may be an index, or say that "
            "the first was preferred; use 'winner' or 'probability'."
        )
    return _winner(row, columns, names, place)


def _ranking(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    given, count = _listed(row["ranking"]), len(names)
    order = _numbers(given)
    if sorted(order) != list(range(count)):
        raise UserError(
            f"{place}: ranking is {given!r}; expected the indices 0 to {count - 1} of the "
            "responses, best first (for ranks from 1, call the column 'ranks')."
        )
    return Observed(order=tuple(order))


def _ranks(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    return _order_by_rank(_listed(row["ranks"]), len(names), place)


def _answers(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    return _order_by_rank([one.get("rank") for one in _listed(row["answers"])], len(names), place)


def _order_by_rank(given: Any, count: int, place: str) -> Observed:
    ranks = _numbers(given)
    if sorted(ranks) != list(range(1, count + 1)):
        raise UserError(
            f"{place}: ranks are {given!r}; expected a rank for each response, 1 for the best, "
            f"to {count}, each once (give ties as comparisons)."
        )
    return Observed(order=tuple(sorted(range(count), key=ranks.__getitem__)))


def _listed(value: Any) -> Any:
    """A list, also where it was written as text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _numbers(values: Any) -> list[int]:
    """Whole numbers; nothing where they are not all such."""
    numbers = [whole_number(value) for value in values] if isinstance(values, list) else []
    return [] if None in numbers else [number for number in numbers if number is not None]


def whole_number(value: Any) -> int | None:
    """A whole number that a cell holds as int, float or text; None where it holds another thing."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
        return int(number) if number == int(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _shp_labels(row: Row, columns: Sequence[str], names: Sequence[str], place: str) -> Observed:
    share = number(row, columns[0], place, most=1.0)
    if share not in (0.0, 1.0):
        raise UserError(f"{place}: labels is {share:g}; expected 1 (the first won) or 0.")
    return Observed({1: share, -1: 1 - share})


def _grade(row: Row, place: str) -> int:
    value = row["strength"]
    in_words = STRENGTHS.get(value.strip().lower()) if isinstance(value, str) else None
    grade = whole_number(value) if in_words is None else in_words
    if grade is None or not 0 <= grade <= MOST_GRADES:
        known = ", ".join(STRENGTHS)
        raise UserError(
            f"{place}: strength is {value!r}; expected a whole number from 0 (tie) to "
            f"{MOST_GRADES}, or one of {known}."
        )
    return grade


VERDICTS = ("winner", "preferred", "preferred_response", "preference", "choice", "verdict")
VERDICTS += ("better", "better_response", "best_response")
"""Columns of which a cell names the better response, or says that there is none."""
READERS: dict[tuple[str, ...], Reader] = {
    ("probability",): _probability,
    ("soft_label",): _probability,
    **dict.fromkeys(VOTES, _votes),
    **{(name,): _winner for name in VERDICTS},
    **{(name, "strength"): _winner for name in VERDICTS},
    ("strength",): _strength,
    ("tie",): _tie,
    ("better_response_id",): _winner,
    ("winner_model_a", "winner_model_b", "winner_tie"): _one_hot,
    ("overall_preference",): _negative_if_first,
    ("preference_strength",): _negative_if_first,
    ("ranking",): _ranking,
    ("ranks",): _ranks,
    ("label",): _label,
    ("labels",): _shp_labels,
    ("answers",): _answers,
    (SCORED_OUTCOME,): _scored_outcome,
}
"""Columns of an outcome, and how they are read. `probability` and `soft_label` are of the first
response; `wins` are its votes; `overall_preference` and `preference_strength` are HelpSteer's,
negative where the first is better; `better_response_id` is that of PKU-SafeRLHF; `outcome` is that
of a file of scores."""
OF_ANY_NUMBER = (("ranking",), ("ranks",), ("answers",))
"""Those that speak of any number of responses; the others speak of two."""
OF_ONE_LAYOUT = {("human_ref_A", "human_ref_B"): ("labels",), ("answers",): ("answers",)}
"""By columns of responses (SHP, Nectar): outcomes whose name means this beside these alone."""
