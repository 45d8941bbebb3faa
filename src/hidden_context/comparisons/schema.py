"""The schema of preference data: rows of any accepted form become `Comparison`s."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from hidden_context.comparisons.account import ColumnsRead
from hidden_context.comparisons.carried_scores import scores_differ, scores_of
from hidden_context.comparisons.columns import (
    CHOSEN_REJECTED,
    TEXT_COLUMNS,
    Layout,
    is_scored_row,
    layout_of,
)
from hidden_context.comparisons.further_verdicts import checks_of_rows, further_verdicts
from hidden_context.comparisons.objectives import OBJECTIVE_COLUMNS
from hidden_context.comparisons.outcome_columns import (
    MODELS,
    SCORED_OUTCOME,
    VERDICTS,
    WEIGHT,
    Observed,
    number,
)
from hidden_context.comparisons.people_columns import (
    ANNOTATOR_COLUMNS,
    GROUP_COLUMNS,
    annotator_of,
    group_of,
)
from hidden_context.comparisons.prompt_columns import PROMPT_ID
from hidden_context.comparisons.refused_columns import (
    comments,
    refuse_header,
    refuse_other_turn,
)
from hidden_context.comparisons.repeated_prompts import RepeatedPrompts
from hidden_context.comparisons.row_notes import ReadRow, RowNotes
from hidden_context.comparisons.streamed import enumerated, mapped
from hidden_context.comparisons.survey import Column, read_as_said, require_read, survey
from hidden_context.comparisons.texts import LAST_TURN, Text, joined
from hidden_context.comparisons.whole_texts import asked_of, texts_and_prompt
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights


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
    prompt_id: str | None = None
    """By which `audit` and `people` tell prompts apart, in place of the prompt."""
    prompt: Text | None = None
    """How the texts begin, where the row says it: the prompt, with what is before it."""
    is_joined: bool = False
    """Whether prompt and responses were in columns apart, both plain, and put together."""
    order: tuple[int, ...] = (0, 1)
    """Of each text, which of the row's responses it is, from 0."""

    @property
    def chosen(self) -> Text:
        """Prompt and preferred response."""
        return self.texts[0]

    @property
    def rejected(self) -> Text:
        """Prompt and the other response, or the last in the ranking."""
        return self.texts[-1]


def read_comparisons(
    rows: Collection[Mapping[str, Any]], source: str, *, ignored: Collection[str] = ()
) -> tuple[Collection[Comparison], ColumnsRead]:
    """Check all rows, of any layout that `columns` knows, with or without a prompt.

    Responses may be texts or conversations. A prompt in text is put before texts, unless they begin
    with it in every row (as in HH-RLHF, where they are whole dialogues); for conversations see
    `texts_and_prompt`. Messages count rows from 1 and say that they are from `source`. Columns that
    are `ignored` are carried along, whatever they say.

    Raises:
        UserError: No rows, a missing column or value, a value that is not what its column should
            hold, or columns from which texts or outcome cannot be told without guessing.
    """
    if not rows:
        raise UserError(f"{source} has no rows.")
    present, empty = survey(rows, ignored)
    is_scored = _are_scored(rows, present, source)
    layout = layout_of(present, empty, source, is_scored=is_scored)
    required = (*layout.required, *((WEIGHT,) if WEIGHT in present else ()))

    def read_row(numbered_row: tuple[int, Mapping[str, Any]]) -> ReadRow:
        row_number, row = numbered_row
        place, seen = f"{source}, row {row_number}", _without(ignored, row)
        require_read(seen, required, present, place)
        refuse_header(seen, layout.responses, place)
        responses, observed = layout.read(seen, place)
        refuse_other_turn(seen, responses, place)
        texts, prompt, is_plain = texts_and_prompt(seen, responses, layout.prompt, place)
        return ReadRow(
            row=row,
            responses=responses,
            texts=texts,
            prompt=prompt,
            is_plain=is_plain,
            observed=observed,
            weight=number(seen, WEIGHT, place) if WEIGHT in seen else 1.0,
            annotator=annotator_of(seen, place),
            group=group_of(seen, place),
            prompt_id=None if seen.get(PROMPT_ID) is None else str(seen[PROMPT_ID]),
            asked=asked_of(texts, prompt),
        )

    read = mapped(read_row, enumerated(rows))
    checked = _checked(read, layout, present, source)
    columns = _columns_read(present, layout, checked)
    if checked.num_alone and not is_scored:
        _refuse_unread_texts(present, columns, layout.prompt.repeated, source)
    comparisons = mapped(partial(_comparison, layout, checked), read)
    return comparisons, replace(columns, empty=empty, ignored=tuple(ignored))


def _are_scored(rows: Collection[Mapping[str, Any]], present: Collection[str], source: str) -> bool:
    """Whether rows are those of a file of scores; see `is_scored_row`.

    Raises:
        UserError: Some are, and others say nothing of what was observed, or say it otherwise.
    """
    if not {SCORED_OUTCOME, "reward_output_chosen"}.intersection(present):
        return False
    scored = [is_scored_row(row) for row in rows]
    if any(scored) and not all(scored):
        raise UserError(
            f"{source}, row {1 + scored.index(False)}: this is no row of a file of scores "
            f"(with 'outcome', or outputs), but row {1 + scored.index(True)} is; give each kind "
            "as a file of its own."
        )
    return all(scored)


def _without(ignored: Collection[str], row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name not in ignored} if ignored else row


@dataclass
class _Checked:
    """What all rows say together."""

    scores: tuple[str, ...] = ()
    """Columns of a score of each of two responses."""
    num_grades: int = 1
    """The greatest strength of preference."""
    puts_before: bool = False
    num_without_prompt: int = 0
    num_against_scores: int = 0
    """Rows in which scores that are carried along contradict the outcome."""
    num_alone: int = 0
    """Rows of responses that show nothing of what was asked."""
    first_alone: int = 0
    """The first of them, from 1."""
    notes: RowNotes = field(default_factory=RowNotes)
    sentences: tuple[str, ...] = ()
    """What else is to be known."""


def _checked(
    rows: Collection[ReadRow], layout: Layout, present: Mapping[str, Column], source: str
) -> _Checked:
    scores = scores_of(present, layout.names)
    outcome = "/".join(layout.outcome)  # nothing, where chosen says it
    is_chosen = layout.responses == CHOSEN_REJECTED
    checked = _Checked(scores=scores, notes=RowNotes(outcome if is_chosen else None))
    prompts = RepeatedPrompts()
    for row_number, read in enumerate(rows, start=1):
        checked.notes.add(read)
        checked.num_grades = max([checked.num_grades, *map(abs, read.observed.votes or ())])
        checked.num_without_prompt += not read.prompt
        checked.num_against_scores += scores_differ(read.row, scores, read.observed.votes)
        responses: Any = read.responses
        prompt: Any = read.prompt
        is_alone = not all(map(_shows_what_was_asked, responses))
        checked.num_alone += is_alone
        checked.first_alone = checked.first_alone or is_alone * row_number
        if prompt and all(isinstance(response, str) for response in responses):
            has_turns = not isinstance(prompt, str)
            asked = str(prompt[-1]["content"]) if has_turns else prompt
            prompts.add(responses, asked, row_number, has_turns=has_turns)
    checked.puts_before = prompts.puts_before(layout.responses, source)
    if 2 * checked.num_against_scores > len(rows):
        raise UserError(
            f"{source}: by {' and '.join(scores)} the other response is the better one in "
            f"{checked.num_against_scores} of {len(rows)} rows, so they contradict "
            f"{'/'.join(layout.outcome or layout.responses)}; mend one of them, or name the scores "
            "in ignore_columns."
        )
    if checked.notes.total_is_zero:
        raise UserError(
            f"{source}: the weights of all {len(rows)} rows are 0; leave the column out."
        )
    checked.sentences = (*prompts.sentences(), *checked.notes.sentences())
    if checked.num_alone and not layout.prompt.read_columns:
        which = f" in {checked.num_alone} rows (first: row {checked.first_alone})"
        which = which if checked.num_alone < len(rows) else ""
        checked.sentences += (
            f"no column says what was asked: responses are compared without it{which}",
        )
    return checked


def _comparison(layout: Layout, checked: _Checked, read: ReadRow) -> Comparison:
    """A row, by what all rows say together."""
    texts = read.texts
    is_joined = read.is_plain and checked.puts_before and bool(read.prompt)
    if is_joined:
        texts = [joined(read.prompt or "", text) for text in texts]
    order, outcome = _in_order(read.observed, checked.num_grades)
    if order == (1, 0) and layout.responses == CHOSEN_REJECTED:
        order, outcome = (0, 1), replace(outcome, shares=outcome.shares[::-1])
    return Comparison(
        texts=tuple(texts[index] for index in order),
        row=read.row,
        outcome=outcome,
        weight=read.weight,
        annotator=read.annotator,
        group=read.group,
        prompt_id=read.prompt_id,
        prompt=read.prompt,
        is_joined=is_joined,
        order=order,
    )


def _shows_what_was_asked(response: Any) -> bool:
    """Whether a response is a dialogue, or a list of what was said turn by turn."""
    if isinstance(response, str):
        return LAST_TURN in response
    return any(not isinstance(turn, Mapping) or turn["role"] == "user" for turn in response)


def _refuse_unread_texts(
    present: Mapping[str, Column], read: ColumnsRead, repeated: Collection[str], source: str
) -> None:
    """Refuse texts that may be the prompt, or a part of it, of plain responses.

    Those of `repeated` columns are known to be in it. Texts that comment on what was said, by the
    name of their column, are carried along beside a prompt.
    """
    asked = read.by_role["prompt"]
    texts = [
        name
        for name in read.carried
        if present[name].is_text and name not in repeated and not (asked and comments(name))
    ]
    if not texts:
        return
    named = ", ".join(map(repr, texts))
    says = f"{', '.join(map(repr, asked))} is read as" if asked else "no column says"
    raise UserError(
        f"{source}: {says} what was asked, and {named} holds texts that are not read; call the "
        "prompt's column 'prompt', and name those that are to be carried along in ignore_columns."
    )


def _columns_read(present: Mapping[str, Column], layout: Layout, checked: _Checked) -> ColumnsRead:
    candidates = {
        "responses": layout.responses,
        "outcome": layout.outcome,
        "prompt": layout.prompt.read_columns,
        "weight": (WEIGHT,),
        "annotator": ANNOTATOR_COLUMNS,
        "group": GROUP_COLUMNS,
        "objective": OBJECTIVE_COLUMNS,
    }
    by_role = {
        role: tuple(name for name in names if name in present) for role, names in candidates.items()
    }
    by_role |= {role: by_role[role][:1] for role in ("group", "objective")}  # the first counts
    by_role |= {name: (name,) for name in (PROMPT_ID,) if name in present}
    if layout.outcome and layout.outcome[0] in VERDICTS:
        by_role["outcome"] += tuple(name for name in MODELS if name in present)
    used = {*layout.described}.union(*by_role.values())
    carried = tuple(name for name in present if name not in used)
    return ColumnsRead(
        by_role,
        carried=carried,
        puts_prompt_before=checked.puts_before,
        num_without_prompt=checked.num_without_prompt if layout.prompt.prompt else 0,
        scores=checked.scores,
        num_against_scores=checked.num_against_scores,
        notes=(
            *read_as_said(present, TEXT_COLUMNS),
            *checked.sentences,
            *further_verdicts({name: present[name] for name in carried}, layout.names),
            *checks_of_rows({name: present[name] for name in carried}),
        ),
    )


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

    Where nothing says what was asked (`asked_of`), each comparison is its own prompt.
    """
    asked: Any = asked_of(comparison.texts, comparison.prompt)
    if asked is None:
        asked = sorted(
            text if isinstance(text, str) else json.dumps(text, default=dict)
            for text in comparison.texts
        )
    return json.dumps(asked, default=dict)


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
