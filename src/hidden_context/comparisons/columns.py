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

RESPONSE_COLUMNS: tuple[tuple[str, ...], ...] = (
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
PLAIN_BESIDE_CHOSEN = ("probability", "soft_label", "wins", "winner", "strength")
"""First columns of the outcomes whose meaning is plain beside `chosen` and `rejected`."""
WEIGHT = "weight"
CHOSEN_REJECTED = ("chosen", "rejected")
SCORED_OUTCOME = "outcome"
"""Of a file of scores: the shares of grades and the weight of chosen and rejected."""
WON = ([0.0, 0.0, 1.0], 1.0)
"""Of a row of such a file that says nothing of the outcome: the first won."""
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
    described: tuple[str, ...] = ()
    """Columns of the same two responses, of which the outcome speaks, where these are not
    `responses`."""

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that every row must have."""
        return (
            *self.responses,
            *self.described,
            *(name for name in self.outcome if name != SCORED_OUTCOME),
        )

    def read(self, row: Row, place: str) -> tuple[list[Any], Observed]:
        """Responses of a row, and what it says of them.

        Raises:
            UserError: A value is not what its column should hold; the message names `place`.
        """
        responses = _responses(row, self.responses, place)
        if not self.outcome:
            return responses, Observed({1: 1.0})
        read = READERS[self.outcome]
        if not self.described:
            return responses, read(row, self, len(responses), place)
        others = _responses(row, self.described, place)
        observed = read(row, Layout(self.described, self.outcome), len(others), place)
        return responses, _oriented(responses, others, observed, self, place)

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
    if _is_scored(row):
        return Layout(responses, (SCORED_OUTCOME,))
    known = [columns for columns in READERS if columns != (SCORED_OUTCOME,)]
    found = [columns for columns in known if all(name in row for name in columns)]
    found = [  # (wins, losses, ties) has more than (wins, losses)
        columns for columns in found if not any(set(columns) < set(other) for other in found)
    ]
    if len(found) > 1:
        named = " and ".join("/".join(columns) for columns in found)
        raise UserError(
            f"{source}: {named} both say what was observed, so which is meant is ambiguous; "
            "remove all but one."
        )
    if responses == CHOSEN_REJECTED:
        return _layout_with_chosen(row, found[0] if found else (), has[1:], source)
    if not found:
        listed = "; ".join("/".join(columns) for columns in known)
        raise UserError(
            f"{source}: no column says which response was preferred (read are: {listed})."
        )
    return Layout(responses, found[0])


def _layout_with_chosen(
    row: Row, outcome: tuple[str, ...], others: list[tuple[str, ...]], source: str
) -> Layout:
    """Of columns `chosen` and `rejected` with an outcome and, perhaps, responses under other names.

    Raises:
        UserError: Of which responses the outcome speaks, or what it says, is ambiguous.
    """
    named = "/".join(outcome)
    if not outcome:
        parts = [name for columns in READERS for name in columns if name != SCORED_OUTCOME]
        left = next((name for name in parts if name in row), None)
        if left is not None:
            whole = " or ".join("/".join(columns) for columns in READERS if left in columns)
            raise UserError(
                f"{source}: {left!r} beside chosen, rejected says something of the outcome, but "
                f"not all (read are: {whole}); add the other columns, or remove it."
            )
        return Layout(CHOSEN_REJECTED, ())
    plain = outcome[0] in PLAIN_BESIDE_CHOSEN
    if not others:
        if plain:
            return Layout(CHOSEN_REJECTED, outcome)
        raise UserError(
            f"{source}: chosen, rejected and {named} both say which response was preferred, and "
            f"how {named} is meant beside them is ambiguous; remove {named}, or give 'probability' "
            "or 'winner' (chosen, rejected or tie)."
        )
    if plain and outcome[0] != "winner":
        raise UserError(
            f"{source}: responses are in {', '.join(CHOSEN_REJECTED)} and in "
            f"{', '.join(others[0])}, so of which {named} speaks is "
            "ambiguous; remove the columns of one."
        )
    return Layout(CHOSEN_REJECTED, outcome, others[0])


def _responses(row: Row, columns: tuple[str, ...], place: str) -> list[Any]:
    if columns != ("responses",):
        return [row[name] for name in columns]
    responses = row["responses"]
    if not isinstance(responses, list) or len(responses) < 2:
        raise UserError(f"{place}: 'responses' is not a list of at least two responses.")
    return responses


def _oriented(
    texts: list[Any], others: list[Any], observed: Observed, layout: Layout, place: str
) -> Observed:
    """What is said of the same responses under other names, as said of chosen and rejected.

    Raises:
        UserError: They are not the same two, or the rejected one is said to be better.
    """
    described, outcome = ", ".join(layout.described), "/".join(layout.outcome)
    votes = observed.votes
    if votes is None and observed.order is not None and len(others) == 2:
        votes = {1 if observed.order == (0, 1) else -1: 1.0}
    if votes is None:
        raise UserError(
            f"{place}: chosen, rejected and the {outcome} of {len(others)} responses both say "
            "which was preferred; remove chosen and rejected, or the ranking."
        )
    swapped = {-grade: count for grade, count in votes.items()}
    fitting = [
        said
        for said, pair in ((votes, others), (swapped, others[::-1]))
        if all(_ends_with(text, other) for text, other in zip(texts, pair, strict=True))
    ]
    if not fitting:
        raise UserError(
            f"{place}: chosen and rejected do not end with the two of {described}, of which "
            f"{outcome} speaks; remove the columns of one."
        )
    said = max(fitting, key=_lead)
    if _lead(said) < 0:
        raise UserError(
            f"{place}: {outcome} says that the rejected response was preferred, so it contradicts "
            "chosen, rejected; remove the wrong one."
        )
    return Observed(said)


def _lead(votes: Votes) -> float:
    """Votes for the first response, less those for the second."""
    return sum(count * ((grade > 0) - (grade < 0)) for grade, count in votes.items())


def _ends_with(text: Any, response: Any) -> bool:
    if isinstance(text, str):
        return isinstance(response, str) and text.endswith(response)
    if isinstance(response, str):
        return text[-1]["content"] == response
    return list(text[-len(response) :]) == list(response)


def _is_scored(row: Row) -> bool:
    """Whether a row is of a file of scores, whose `outcome` says all; without it the first won."""
    outcome = row.get(SCORED_OUTCOME)
    is_ours = isinstance(outcome, Mapping) and {"shares", "weight"} <= outcome.keys()
    is_scored = {
        "chosen",
        "rejected",
        "reward_output_chosen",
        "reward_output_rejected",
    } <= row.keys()
    return is_ours or is_scored


def _scored_outcome(row: Row, layout: "Layout", count: int, place: str) -> Observed:
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


def _votes(columns: tuple[str, ...]) -> "Reader":
    role = {ROLES[column]: column for column in columns}

    def read(row: Row, layout: Layout, count: int, place: str) -> Observed:
        _two(count, columns[0], place)
        given = {name: number(row, column, place) for name, column in role.items()}
        wins, ties = given["wins"], given.get("ties", 0.0)
        losses = given.get("losses", given.get("votes", 0.0) - wins - ties)
        votes = given.get("votes", wins + losses + ties)
        if not (losses >= 0 and math.isclose(wins + ties + losses, votes)):
            raise UserError(
                f"{place}: {role['wins']} {wins:g}, ties {ties:g} and "
                f"losses {max(losses, 0.0):g} are not {role['votes']} {votes:g} in all."
            )
        if votes == 0:
            raise UserError(
                f"{place}: nobody voted ({columns[0]}, ... are all 0); leave the row out."
            )
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
    if not _is_order(order, range(count)):
        raise UserError(
            f"{place}: ranking is {order!r}; expected the indices 0 to {count - 1} of the "
            "responses, best first (for ranks from 1, call the column 'ranks')."
        )
    return Observed(order=tuple(map(int, order)))


def _ranks(row: Row, layout: Layout, count: int, place: str) -> Observed:
    ranks = row["ranks"]
    if not _is_order(ranks, range(1, count + 1)):
        raise UserError(
            f"{place}: ranks are {ranks!r}; expected a rank for each response, 1 for the best, "
            f"to {count}, each once (give ties as comparisons)."
        )
    return Observed(order=tuple(sorted(range(count), key=lambda index: int(ranks[index]))))


def _is_order(values: Any, numbers: range) -> bool:
    """Whether values are a list of these numbers, each once, in any order."""
    return isinstance(values, list) and sorted(map(str, values)) == sorted(map(str, numbers))


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
    **{columns: _votes(columns) for columns in VOTES},
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
    (SCORED_OUTCOME,): _scored_outcome,
}
"""Columns of an outcome, and how they are read. `probability` and `soft_label` are of the first
response; `wins` are its votes; `overall_preference` and `preference_strength` are HelpSteer's,
negative where the first is better; `better_response_id` is that of PKU-SafeRLHF; `outcome` is that
of a file of scores."""
