"""Column conventions: which columns hold the responses, and which say what was observed of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hidden_context.comparisons.outcome_columns import (
    READERS,
    SCORED_OUTCOME,
    Observed,
    Row,
    Votes,
    read_outcome,
)
from hidden_context.errors import UserError

RESPONSE_COLUMNS: tuple[tuple[str, ...], ...] = (
    ("chosen", "rejected"),
    ("response_a", "response_b"),
    ("response_1", "response_2"),
    ("response_0", "response_1"),
    ("response1", "response2"),
    ("responses",),
)
"""Where responses are; the first of these that a row has counts."""
PLAIN_BESIDE_CHOSEN = ("probability", "soft_label", "wins", "winner", "strength")
"""First columns of the outcomes whose meaning is plain beside `chosen` and `rejected`."""
CHOSEN_REJECTED = ("chosen", "rejected")
ANNOTATOR_COLUMNS = ("annotator", "annotator_id", "worker_id", "user_id")
GROUP_COLUMNS = ("group", "group_id", "annotator_group")


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
        columns = self.described or self.responses
        spoken_of = _responses(row, columns, place) if self.described else responses
        observed = read_outcome(row, self.outcome, _names(columns, len(spoken_of)), place)
        if self.described:
            observed = _oriented(responses, spoken_of, observed, self, place)
        return responses, observed


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


def _names(columns: tuple[str, ...], count: int) -> list[str]:
    """What responses are called by a `winner`: a, b; 1, 2; chosen, rejected; an index from 0."""
    if columns == ("responses",):
        return [str(index) for index in range(count)]
    return [name.removeprefix("response_").removeprefix("response") for name in columns]


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
