"""The schema of preference data: rows of any accepted form become `Comparison`s."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np

from hidden_context.comparisons.carried_scores import scores_differ, scores_of
from hidden_context.comparisons.columns import (
    ANNOTATOR_COLUMNS,
    CHOSEN_REJECTED,
    GROUP_COLUMNS,
    TEXT_COLUMNS,
    Layout,
    annotator_of,
    group_of,
    is_scored_row,
    layout_of,
)
from hidden_context.comparisons.objectives import OBJECTIVE_COLUMNS
from hidden_context.comparisons.outcome_columns import (
    MODELS,
    SCORED_OUTCOME,
    VERDICTS,
    WEIGHT,
    Observed,
    number,
)
from hidden_context.comparisons.refused_columns import comments
from hidden_context.comparisons.row_notes import ReadRow, RowNotes
from hidden_context.comparisons.streamed import mapped
from hidden_context.comparisons.survey import Column, read_as_said, require_read, survey
from hidden_context.comparisons.texts import LAST_TURN, Text, begins_with, joined
from hidden_context.comparisons.whole_texts import texts_and_prompt
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
    prompt: Text | None = None
    """How the texts begin, where the row says it: the prompt, with what is before it."""
    is_joined: bool = False
    """Whether prompt and responses were in columns apart, both plain, and put together."""

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
    empty: tuple[str, ...] = ()
    """Without a value in any row."""
    ignored: tuple[str, ...] = ()
    """Not read because it was asked for."""
    num_without_prompt: int = 0
    """Rows whose prompt is empty, where others have one."""
    scores: tuple[str, ...] = ()
    """Of those carried: a score of each of two responses."""
    num_against_scores: int = 0
    """Rows in which the response with the lower of these scores is the better one."""
    places: tuple[str, ...] = ()
    """The source with its split and files, of each source that has splits."""
    notes: tuple[str, ...] = ()
    """What else is to be known of the rows, each a sentence without its full stop."""


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
    checked = _checked(mapped(partial(_without, ignored), rows), layout, present, source)

    def comparison(row: Mapping[str, Any]) -> Comparison:
        seen = _without(ignored, row)
        responses, observed = layout.read(seen, source)
        texts, prompt, is_plain = texts_and_prompt(seen, responses, layout.prompt, source)
        is_joined = is_plain and checked.puts_before and bool(prompt)
        if is_joined:
            texts = [joined(prompt or "", text) for text in texts]
        order, outcome = _in_order(observed, checked.num_grades)
        if order == (1, 0) and layout.responses == CHOSEN_REJECTED:
            order, outcome = (0, 1), replace(outcome, shares=outcome.shares[::-1])
        return Comparison(
            texts=tuple(texts[index] for index in order),
            row=row,
            outcome=outcome,
            weight=_weight(row, source) if WEIGHT in present else 1.0,
            annotator=annotator_of(seen, source),
            group=group_of(seen, source),
            prompt=prompt,
            is_joined=is_joined,
        )

    read = _columns_read(present, layout, checked)
    if checked.num_alone and not is_scored:
        _refuse_unread_texts(present, read, layout.prompt.repeated, source)
    return mapped(comparison, rows), replace(read, empty=empty, ignored=tuple(ignored))


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
    """Rows of plain responses that show nothing of what was asked."""
    notes: RowNotes = field(default_factory=RowNotes)


def _checked(
    rows: Collection[Mapping[str, Any]],
    layout: Layout,
    present: Mapping[str, Column],
    source: str,
) -> _Checked:
    required = (*layout.required, *((WEIGHT,) if WEIGHT in present else ()))
    scores = scores_of(present, layout.names)
    checked = _Checked(scores=scores)
    whole: list[bool] = []
    repeated: list[bool] = []
    for row_number, row in enumerate(rows, start=1):
        place = f"{source}, row {row_number}"
        require_read(row, required, present, place)
        responses, observed = layout.read(row, place)
        texts, prompt, is_plain = texts_and_prompt(row, responses, layout.prompt, place)
        people = annotator_of(row, place), group_of(row, place)
        checked.notes.add(ReadRow(responses, prompt, observed, _weight(row, place), *people))
        checked.num_grades = max([checked.num_grades, *map(abs, observed.votes or ())])
        checked.num_without_prompt += not prompt
        checked.num_against_scores += scores_differ(row, scores, observed.votes)
        checked.num_alone += is_plain and not all(LAST_TURN in str(text) for text in texts)
        if is_plain and prompt:
            whole.append(all(begins_with(text, prompt) for text in texts))
        elif prompt and all(isinstance(response, str) for response in responses):
            asked = str(prompt[-1]["content"])  # pyrefly: ignore
            repeated.append(all(response.startswith(asked) for response in responses))
    if 2 * sum(whole) > len(whole) > sum(whole):
        first_other = 1 + whole.index(False)
        raise UserError(
            f"{source}: {' and '.join(layout.responses)} begin with the prompt in {sum(whole)} "
            f"rows but not in all (first: row {first_other}); make them whole texts, or responses "
            "without the prompt."
        )
    if 2 * sum(repeated) > len(repeated):
        raise UserError(
            f"{source}: {' and '.join(layout.responses)} begin with the prompt, which has turns of "
            "its own; give the responses without the prompt."
        )
    if 2 * checked.num_against_scores > len(rows):
        raise UserError(
            f"{source}: by {' and '.join(scores)} the other response is the better one in "
            f"{checked.num_against_scores} of {len(rows)} rows, so they contradict "
            f"{'/'.join(layout.outcome or layout.responses)}; mend one of them, or name the scores "
            "in ignore_columns."
        )
    checked.puts_before = bool(whole) and not all(whole)
    if checked.notes.total_is_zero:
        raise UserError(
            f"{source}: the weights of all {len(rows)} rows are 0; leave the column out."
        )
    return checked


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
    if layout.outcome and layout.outcome[0] in VERDICTS:
        by_role["outcome"] += tuple(name for name in MODELS if name in present)
    used = {*layout.described}.union(*by_role.values())
    return ColumnsRead(
        by_role,
        carried=tuple(name for name in present if name not in used),
        puts_prompt_before=checked.puts_before,
        num_without_prompt=checked.num_without_prompt if layout.prompt.prompt else 0,
        scores=checked.scores,
        num_against_scores=checked.num_against_scores,
        notes=(*read_as_said(present, TEXT_COLUMNS), *checked.notes.sentences()),
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

    Without a prompt column, texts are split before the assistant's last turn; where what comes
    before it is not the same in both, each comparison is its own prompt. So it is where
    conversations share no turn of the user.
    """
    if comparison.prompt is not None:
        return json.dumps(comparison.prompt, default=dict)
    first, second = comparison.chosen, comparison.rejected
    if isinstance(first, str) and isinstance(second, str):
        opening, turn, _ = first.rpartition(LAST_TURN)
        if turn and opening == second.rpartition(LAST_TURN)[0]:
            return json.dumps(opening)
        return json.dumps(sorted(map(str, comparison.texts)))
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    turns: list[Any] = [turn for turn, _ in pairs]
    if not any(isinstance(turn, Mapping) and turn["role"] == "user" for turn in turns):
        turns = sorted(json.dumps(text, default=dict) for text in comparison.texts)
    return json.dumps(turns, default=dict)


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
