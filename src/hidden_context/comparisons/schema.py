"""The schema of preference data: rows of any accepted form become `Comparison`s."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, TypeAlias

import numpy as np

from hidden_context.comparisons.columns import (
    ANNOTATOR_COLUMNS,
    CHOSEN_REJECTED,
    GROUP_COLUMNS,
    Layout,
    annotator_of,
    group_of,
    layout_of,
)
from hidden_context.comparisons.objectives import OBJECTIVE_COLUMNS
from hidden_context.comparisons.outcome_columns import WEIGHT, Observed, number
from hidden_context.comparisons.streamed import mapped
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights
from hidden_context.records import require_columns

Message: TypeAlias = Mapping[str, Any]
"""One turn of a conversation, with `role` and `content`."""
Text: TypeAlias = str | Sequence[Message]
"""What a reward model reads: plain text, or a conversation for the tokenizer's chat template."""
LAST_TURN = "\n\nAssistant:"
"""What a response in a dialogue in text form comes after."""


@dataclass(frozen=True)
class Outcome:
    """What was observed of a comparison of two responses."""

    shares: tuple[float, ...] = (0.0, 0.0, 1.0)
    """Share of each grade, from "the second is much better" by a tie to "the first is"; the sum is
    1. See `hidden_context.likelihood.outcomes`."""
    votes: float = 1.0
    """How many votes these are shares of."""


@dataclass(frozen=True)
class Comparison:
    """Two responses to one prompt, or a ranking, best first.

    Of two the one with more votes is first, unless the columns say chosen and rejected.
    """

    texts: tuple[Text, ...]
    """Prompt and response, of each of at least two responses."""
    row: Mapping[str, Any]
    """The row as it was found, with all its columns."""
    outcome: Outcome = Outcome()
    """What was observed, where there are two responses."""
    weight: float = 1.0
    """How much it counts, times the number of votes."""
    annotator: str | None = None
    """Who judged."""
    group: str | None = None
    """To which group those belong who judged."""
    prompt: Text | None = None
    """The prompt alone, where the row has it."""

    @property
    def chosen(self) -> Text:
        """Prompt and preferred response."""
        return self.texts[0]

    @property
    def rejected(self) -> Text:
        """Prompt and the other response, or the last in the ranking."""
        return self.texts[-1]


@dataclass(frozen=True)
class ColumnsRead:
    """Which columns of a data set were read as what."""

    by_role: Mapping[str, tuple[str, ...]]
    """responses, outcome (none where `chosen` says it), prompt, weight, annotator (the first of
    them that a row fills counts), group, objective."""
    carried: tuple[str, ...]
    """Carried along and not read."""
    puts_prompt_before: bool
    """Whether the prompt was put before the responses."""


def read_comparisons(
    rows: Collection[Mapping[str, Any]], source: str
) -> tuple[Collection[Comparison], ColumnsRead]:
    """Check all rows, of any layout that `columns` knows, with or without `prompt`.

    Responses may be texts or lists of messages. A `prompt` is put before them, unless they begin
    with it in every row (as in HH-RLHF, where they are whole dialogues). Messages count rows from
    1 and say that they are from `source`.

    Raises:
        UserError: No rows, a missing column, a value that is not what its column should hold, or
            columns from which the outcome cannot be told without guessing.
    """
    if not rows:
        raise UserError(f"{source} has no rows.")
    layout = layout_of(next(iter(rows)), source)
    num_grades, columns = _checked(rows, layout, source)

    def comparison(row: Mapping[str, Any]) -> Comparison:
        responses, observed = layout.read(row, source)
        prompt = row.get("prompt") or None
        if columns.puts_prompt_before and prompt:
            responses = [joined(prompt, response) for response in responses]
        order, outcome = _in_order(observed, num_grades)
        if order == (1, 0) and layout.responses == CHOSEN_REJECTED:
            order, outcome = (0, 1), replace(outcome, shares=outcome.shares[::-1])
        return Comparison(
            texts=tuple(responses[index] for index in order),
            row=row,
            outcome=outcome,
            weight=_weight(row, source),
            annotator=annotator_of(row),
            group=group_of(row, source),
            prompt=prompt,
        )

    return mapped(comparison, rows), columns


def _checked(
    rows: Collection[Mapping[str, Any]], layout: Layout, source: str
) -> tuple[int, ColumnsRead]:
    """The number of strengths in all rows, and which columns they have."""
    present: dict[str, None] = {}
    names = layout.responses if len(layout.responses) > 1 else ("responses", "responses")
    whole, num_grades = [], 1
    for row_number, row in enumerate(rows, start=1):
        place = f"{source}, row {row_number}"
        require_columns([row], layout.required, source, first=row_number)
        present |= dict.fromkeys(row)
        responses, observed = layout.read(row, place)
        for index, response in enumerate(responses):
            check_text(response, f"{place}, column {names[min(index, 1)]!r}")
        _weight(row, place)
        group_of(row, place)
        num_grades = max([num_grades, *map(abs, observed.votes or ())])
        if row.get("prompt"):
            whole.append(all(begins_with(response, row["prompt"]) for response in responses))
    if 2 * sum(whole) > len(whole) > sum(whole):
        first_other = 1 + whole.index(False)
        raise UserError(
            f"{source}: {' and '.join(layout.responses)} begin with the prompt in {sum(whole)} "
            f"rows but not in all (first: row {first_other}); make them whole texts, or responses "
            "without the prompt."
        )
    return num_grades, _columns_read(present, layout, bool(whole) and not all(whole))


def _columns_read(present: Collection[str], layout: Layout, puts_before: bool) -> ColumnsRead:
    candidates = {
        "responses": layout.responses,
        "outcome": layout.outcome,
        "prompt": ("prompt",),
        "weight": (WEIGHT,),
        "annotator": ANNOTATOR_COLUMNS,
        "group": GROUP_COLUMNS,
        "objective": OBJECTIVE_COLUMNS,
    }
    by_role = {
        role: tuple(name for name in names if name in present) for role, names in candidates.items()
    }
    by_role |= {role: by_role[role][:1] for role in ("group", "objective")}  # the first counts
    used = {*layout.described}.union(*by_role.values())
    return ColumnsRead(by_role, tuple(name for name in present if name not in used), puts_before)


def outcomes_of(comparisons: Collection[Comparison]) -> Outcomes | None:
    """What was observed of comparisons of two, as arrays; None if the first was always preferred.

    Weights are multiplied by the number of votes and divided by their mean, so that likelihoods
    are in nats per vote.

    Raises:
        UserError: All weights are 0.
    """
    plain = all(
        comparison.outcome == Outcome() and comparison.weight == 1 for comparison in comparisons
    )
    if plain:
        return None
    shares = np.array([comparison.outcome.shares for comparison in comparisons], np.float32)
    weight = np.array(
        [comparison.weight * comparison.outcome.votes for comparison in comparisons], np.float32
    )
    return Outcomes(shares, normalize_weights(weight))


def prompt_key(comparison: Comparison) -> str:
    """What comparisons of one prompt have in common: the prompt, or how both texts begin.

    Without a prompt column, texts are split before the assistant's last turn; where what comes
    before it is not the same in both, each comparison is its own prompt.
    """
    if comparison.prompt is not None:
        return json.dumps(comparison.prompt, default=dict)
    first, second = comparison.chosen, comparison.rejected
    if isinstance(first, str) and isinstance(second, str):
        opening, turn, _ = first.rpartition(LAST_TURN)
        if turn and opening == second.rpartition(LAST_TURN)[0]:
            return json.dumps(opening)
        return json.dumps(sorted(map(str, comparison.texts)))
    turns = takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return json.dumps([turn for turn, _ in turns], default=dict)


def _weight(row: Mapping[str, Any], place: str) -> float:
    return number(row, WEIGHT, place) if WEIGHT in row else 1.0


def _in_order(observed: Observed, num_grades: int) -> tuple[tuple[int, ...], Outcome]:
    """Indices of the responses, best first, and the votes in that order."""
    if observed.votes is None:
        assert observed.order is not None
        return observed.order, Outcome()
    total = sum(observed.votes.values())
    shares = [
        observed.votes.get(grade, 0.0) / total for grade in range(-num_grades, num_grades + 1)
    ]
    if sum(shares[:num_grades]) > sum(shares[num_grades + 1 :]):
        return (1, 0), Outcome(tuple(reversed(shares)), total)
    return (0, 1), Outcome(tuple(shares), total)


def check_text(value: Any, place: str) -> None:
    """Refuse what is neither a text nor a conversation.

    Raises:
        UserError: `value` is of another kind; the message names `place`.
    """
    if isinstance(value, str):
        return
    is_messages = isinstance(value, Sequence) and all(
        isinstance(turn, Mapping) and {"role", "content"} <= turn.keys() for turn in value
    )
    if not (is_messages and value):
        raise UserError(
            f"{place}: expected text or a list of messages with role and content, "
            f"found {type(value).__name__} {str(value)[:40]!r}."
        )


def count_identical(comparisons: Iterable[Comparison]) -> int:
    """How many comparisons are between two equal texts (no model can do better than half)."""
    return sum(comparison.chosen == comparison.rejected for comparison in comparisons)


def begins_with(text: Text, prompt: Text) -> bool:
    """Whether a text or conversation begins with its prompt; a prompt in text may be a turn."""
    if isinstance(text, str):
        return isinstance(prompt, str) and text.startswith(prompt)
    if isinstance(prompt, str):
        return len(text) > 1 and text[0]["role"] == "user" and text[0]["content"] == prompt
    return list(text[: len(prompt)]) == list(prompt)


def joined(prompt: Text, response: Text) -> Text:
    """Prompt and response as one text or conversation; a text is a turn of its role.

    Examples: `"Q: " + "A"`, `[user turn] + [assistant turn]`, `[user turn] + "A"`.
    """
    if isinstance(prompt, str) and isinstance(response, str):
        return prompt + response
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if isinstance(response, str):
        response = [{"role": "assistant", "content": response}]
    return [*prompt, *response]
