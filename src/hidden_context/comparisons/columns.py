"""Column conventions: which columns hold the responses, and which say what was observed of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hidden_context.comparisons.misspelt_columns import refuse_misspelt
from hidden_context.comparisons.objectives import OBJECTIVE_COLUMNS
from hidden_context.comparisons.outcome_columns import (
    OF_ONE_LAYOUT,
    READERS,
    SCORED_OUTCOME,
    VERDICTS,
    WEIGHT,
    Observed,
    Row,
    Votes,
    read_outcome,
)
from hidden_context.comparisons.people_columns import ANNOTATOR_COLUMNS, GROUP_COLUMNS
from hidden_context.comparisons.prompt_columns import (
    PROMPT_COLUMNS,
    SYSTEM_COLUMNS,
    PromptColumns,
    prompt_columns,
)
from hidden_context.comparisons.refused_columns import (
    THIRD_RESPONSES,
    refuse_by_name,
    refuse_unread,
)
from hidden_context.comparisons.survey import Column, is_missing, serialized_columns
from hidden_context.comparisons.texts import (
    TOOLS,
    check_not_written,
    is_list_of_texts,
    parsed,
    read_text,
)
from hidden_context.comparisons.verdicts import bare_name
from hidden_context.errors import UserError

ANSWERS = ("answer", "completion", "output")
SIDES = (("a", "b"), ("A", "B"), ("1", "2"), ("0", "1"))
RESPONSE_COLUMNS: tuple[tuple[str, ...], ...] = (
    ("chosen", "rejected"),
    ("response_a", "response_b"),
    ("response_A", "response_B"),
    ("response_1", "response_2"),
    ("response_0", "response_1"),
    ("response1", "response2"),
    *((f"{kind}_{first}", f"{kind}_{second}") for kind in ANSWERS for first, second in SIDES),
    ("conversation_a", "conversation_b"),
    ("human_ref_A", "human_ref_B"),
    ("responses",),
    ("answers",),
)
"""Where responses are; the first of these that a data set has counts."""
IN_ONE_LIST = (("responses",), ("answers",))
PLAIN_BESIDE_CHOSEN = ("probability", "soft_label", "wins", "winner", "strength", "tie")
"""First columns of the outcomes whose meaning is plain beside `chosen` and `rejected`."""
CHOSEN_REJECTED = ("chosen", "rejected")
TEXT_COLUMNS = (*sum(RESPONSE_COLUMNS, ()), *PROMPT_COLUMNS)
"""Where texts are."""
READ_COLUMNS = frozenset(
    (
        *(name for names in (*RESPONSE_COLUMNS, *READERS) for name in names),
        *(*PROMPT_COLUMNS, *SYSTEM_COLUMNS, TOOLS, WEIGHT, "margin"),
        *(*ANNOTATOR_COLUMNS, *GROUP_COLUMNS, *OBJECTIVE_COLUMNS),
    )
)
"""All that are read of any layout."""


@dataclass(frozen=True)
class Layout:
    """Which columns of a data set hold prompts, responses and outcomes."""

    responses: tuple[str, ...]
    outcome: tuple[str, ...]
    """Columns of the outcome; empty where `chosen` says it."""
    described: tuple[str, ...] = ()
    """Columns of the same two responses, of which the outcome speaks, where these are not
    `responses`."""
    prompt: PromptColumns = field(default_factory=PromptColumns)
    repeated: tuple[str, ...] = ()
    """Columns that have to repeat chosen and rejected, which alone are read."""
    is_counted: bool = False
    """Whether the outcome calls the responses 1 and 2, whatever their columns do."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the two responses are called; none where they are in a list."""
        return () if self.responses in IN_ONE_LIST else tuple(map(bare_name, self.responses))

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that every row must have."""
        return (
            *self.responses,
            *self.described,
            *(name for name in self.outcome if name != SCORED_OUTCOME),
        )

    def read(self, row: Row, place: str) -> tuple[list[Any], Observed]:
        """Responses of a row and what it says of them; a list of texts is left as it is.

        Raises:
            UserError: A value is not what its column should hold; the message names `place`.
        """
        responses = self._values(row, self.responses, place)
        if not self.outcome:
            self._check_repeated(row, responses, place)
            return responses, Observed({1: 1.0})
        columns = self.described or self.responses
        spoken_of = self._values(row, columns, place) if self.described else responses
        names = ["1", "2"] if self.is_counted else _names(columns, len(spoken_of))
        observed = read_outcome(row, self.outcome, names, place)
        if self.described:
            observed = _oriented(responses, spoken_of, observed, self, place)
        return responses, observed

    def _check_repeated(self, row: Row, responses: list[Any], place: str) -> None:
        if not self.repeated or any(is_missing(row.get(name)) for name in self.repeated):
            return
        others = self._values(row, self.repeated, place)
        for name, text in zip(self.responses, responses, strict=True):
            if not any(ends_with(text, other) for other in others):
                raise UserError(
                    f"{place}: {name!r} ends with no text of {', '.join(self.repeated)}, so which "
                    "responses are meant is unclear; remove the columns of one (ignore_columns)."
                )

    def _values(self, row: Row, columns: tuple[str, ...], place: str) -> list[Any]:
        values = [self.prompt.value(row, name, place) for name in columns]
        if columns in IN_ONE_LIST:
            (values,) = values
            if isinstance(values, str) and values.lstrip().startswith("["):
                values = parsed(values, f"{place}, column {columns[0]!r}")
            if not isinstance(values, list) or len(values) < 2:
                raise UserError(f"{place}: {columns[0]!r} is not a list of at least two responses.")
            if columns == ("answers",):
                if not all(isinstance(one, Mapping) and "answer" in one for one in values):
                    raise UserError(
                        f"{place}: 'answers' are not objects with answer and rank, as in Nectar; "
                        "give texts in 'responses' and their order in 'ranks'."
                    )
                values = [one["answer"] for one in values]
            check_not_written(values, f"{place}, column {columns[0]!r}")
            columns *= len(values)
        return [
            value if is_list_of_texts(value) else read_text(value, f"{place}, column {name!r}")
            for name, value in zip(columns, values, strict=True)
        ]


def layout_of(
    columns: Mapping[str, Column], empty: Collection[str], source: str, *, is_scored: bool
) -> Layout:
    """The layout of a data set whose rows have these columns between them.

    Others are `empty` in all rows. `is_scored` says that they are those of a file of scores; see
    `is_scored_row`.

    Raises:
        UserError: It has no responses or several kinds of them, no outcome, several columns that
            say the outcome, or a column that can neither be read nor be left unread.
    """
    if not is_scored:
        refuse_misspelt(columns, READ_COLUMNS, source)
    has = [names for names in RESPONSE_COLUMNS if all(name in columns for name in names)]
    if not has:
        known = "; ".join(", ".join(names) for names in RESPONSE_COLUMNS)
        lacking = " or ".join(repr(name) for name in CHOSEN_REJECTED if name not in columns)
        without_value = f"; without a value in any row: {', '.join(empty)}" if empty else ""
        raise UserError(
            f"{source}: no column {lacking}; columns present: {', '.join(map(str, columns))}"
            f"{without_value} (responses are read from one of: {known})."
        )
    responses = has[0]
    third = [name for name in map(str, columns) if name.lower() in THIRD_RESPONSES]
    if ("response_1", "response_2") in has and ("response_0", "response_1") in has:
        responses, third = ("response_0", "response_1"), ["response_2"]
    if third:
        raise UserError(
            f"{source}: {', '.join((*responses, third[0]))} are three responses; put them in a "
            "list 'responses' with their 'ranking'."
        )
    prompt = prompt_columns(columns, serialized_columns(columns, TEXT_COLUMNS, source), source)
    if is_scored:
        return Layout(responses, (SCORED_OUTCOME,), prompt=prompt)
    refuse_by_name(columns, empty, source)
    outcome = _outcome_columns(columns, responses, source)
    refuse_unread(columns, outcome or responses, source)
    if responses == CHOSEN_REJECTED:
        others = [names for names in has[1:] if names != ("answers",)]
        return _layout_with_chosen(outcome, others, prompt, source)
    if not outcome:
        listed = "; ".join(
            "/".join(names)
            for names in READERS
            if names != (SCORED_OUTCOME,) and names[0] not in VERDICTS[1:]
        )
        raise UserError(
            f"{source}: no column says which response was preferred "
            f"(read are: {listed}; and, as 'winner', {', '.join(VERDICTS[1:])})."
        )
    if has[1:]:
        raise UserError(
            f"{source}: responses are in {', '.join(responses)} and in {', '.join(has[1])}, so "
            "which are meant is ambiguous; remove the columns of one (ignore_columns)."
        )
    is_counted = _is_counted(columns, outcome, responses, source)
    return Layout(responses, outcome, prompt=prompt, is_counted=is_counted)


def _is_counted(
    columns: Mapping[str, Column], outcome: tuple[str, ...], responses: tuple[str, ...], source: str
) -> bool:
    """Whether a verdict on responses a and b is written as 1 and 2: some rows say 2, and none 0.

    Raises:
        UserError: All say 1 or 0, which may be the first or the second; or 0 and 2, which may be a
            tie.
    """
    if outcome[0] not in VERDICTS or bare_name(responses[0]) != "a":
        return False
    numbers = {"0", "1", "2", "0.0", "1.0", "2.0"} & columns[outcome[0]].labels
    values = {float(number) for number in numbers}
    if values and 2 not in values:
        raise UserError(
            f"{source}: {outcome[0]!r} holds {' and '.join(sorted(numbers))}, of responses "
            f"{' and '.join(responses)}, so whether they are counted from 0 or from 1 is unknown; "
            "write a and b."
        )
    if {0, 2} <= values:
        said = " and ".join(", ".join(sorted(numbers)).rsplit(", ", 1))
        raise UserError(
            f"{source}: {outcome[0]!r} holds {said}, of responses {' and '.join(responses)}, so "
            "whether 0 is a tie is unknown; write a, b and tie."
        )
    return 2 in values


def _outcome_columns(
    columns: Collection[str], responses: tuple[str, ...], source: str
) -> tuple[str, ...]:
    if responses in OF_ONE_LAYOUT:
        return OF_ONE_LAYOUT[responses]
    known = [names for names in READERS if names != (SCORED_OUTCOME,)]
    known = [names for names in known if names not in OF_ONE_LAYOUT.values()]
    present = [names for names in known if all(name in columns for name in names)]
    present = [  # (wins, losses, ties) has more than (wins, losses)
        names for names in present if not any(set(names) < set(other) for other in present)
    ]
    if len(present) > 1:
        named = " and ".join("/".join(names) for names in present)
        raise UserError(
            f"{source}: {named} both say what was observed, so which is meant is ambiguous; "
            "remove all but one (ignore_columns)."
        )
    return present[0] if present else ()


def _layout_with_chosen(
    outcome: tuple[str, ...],
    others: list[tuple[str, ...]],
    prompt: PromptColumns,
    source: str,
) -> Layout:
    """Of columns `chosen` and `rejected` with an outcome and, perhaps, responses under other names.

    Raises:
        UserError: Of which responses the outcome speaks, or what it says, is ambiguous.
    """
    named = "/".join(outcome)
    if not outcome:
        return Layout(CHOSEN_REJECTED, (), prompt=prompt, repeated=others[0] if others else ())
    plain = outcome[0] in PLAIN_BESIDE_CHOSEN
    if not others:
        if plain:
            return Layout(CHOSEN_REJECTED, outcome, prompt=prompt)
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
    return Layout(CHOSEN_REJECTED, outcome, others[0], prompt)


def _names(columns: tuple[str, ...], count: int) -> list[str]:
    """What responses are called by a `winner`: a, b; 1, 2; chosen, rejected; an index from 0."""
    if columns in IN_ONE_LIST:
        return [str(index) for index in range(count)]
    return [bare_name(name) for name in columns]


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
        if all(ends_with(text, other) for text, other in zip(texts, pair, strict=True))
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


def ends_with(text: Any, response: Any) -> bool:
    """Whether a text or conversation ends with a response, whatever white space is around it."""
    if isinstance(text, str):
        return isinstance(response, str) and text.rstrip().endswith(response.strip())
    if isinstance(response, str):
        last = text[-1]["content"] if isinstance(text[-1], Mapping) else text[-1] or ""
        return last.strip() == response.strip()
    return list(text[-len(response) :]) == list(response)


def is_scored_row(row: Row) -> bool:
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
