"""Rows of a prompt and any number of responses, such as jailbreaks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hidden_context.comparisons.misspelt_columns import refuse_misspelt
from hidden_context.comparisons.prompt_columns import (
    PROMPT_COLUMNS,
    SYSTEM_COLUMNS,
    PromptColumns,
    prompt_columns,
)
from hidden_context.comparisons.repeated_prompts import RepeatedPrompts
from hidden_context.comparisons.streamed import mapped
from hidden_context.comparisons.survey import require_read, serialized_columns, survey
from hidden_context.comparisons.texts import TOOLS, Text, check_not_written, joined, read_text
from hidden_context.comparisons.whole_texts import texts_and_prompt
from hidden_context.errors import UserError

FIRST_TURN = "Human: "
"""How a turn of the user begins in a dialogue in text form."""


@dataclass(frozen=True)
class Candidates:
    """Responses to one prompt."""

    texts: tuple[Text, ...]
    """The prompt with each response."""
    prompt: Text | None
    """How the texts begin."""
    is_joined: bool
    """Whether prompt and responses are both plain, and put together."""


def read_responses(
    rows: Collection[Mapping[str, Any]], source: str, *, first_turn_on: bool = False
) -> Collection[Candidates]:
    """The texts to score of rows that have a prompt and `responses`, all of them checked.

    The prompt is read as in comparisons, and is put before plain responses. If `first_turn_on`, a
    plain prompt is read from its first `Human: ` on, as in the published code; what comes before is
    lost. Messages count rows from 1 and say that they are from `source`.

    Raises:
        UserError: A column is missing or holds something else, or most responses hold the prompt.
    """
    present, _ = survey(rows)
    of_texts = (*PROMPT_COLUMNS, "responses")
    refuse_misspelt(present, {*of_texts, *SYSTEM_COLUMNS, TOOLS}, source, instead="leave it out")
    columns = prompt_columns(present, serialized_columns(present, of_texts, source), source)
    required = (*(columns.prompt or ("prompt",)), "responses")
    read = partial(_candidates, columns, first_turn_on)
    prompts = RepeatedPrompts()
    for number, row in enumerate(rows, start=1):
        place = f"{source}, row {number}"
        require_read(row, required, present, place)
        candidates = read(row, place)
        if candidates.is_joined and isinstance(candidates.prompt, str):
            start = len(candidates.prompt)
            alone = [str(text)[start:] for text in candidates.texts]
            prompts.add(alone, candidates.prompt, number, has_turns=False)
    prompts.check_within("responses", source)
    return mapped(partial(read, place=source), rows)


def account_of_responses(rows: Collection[Mapping[str, Any]], source: str) -> str:
    """Which columns are read, in words, and which are carried along."""
    present, empty = survey(rows)
    columns = prompt_columns(present, (), source)
    carried = [name for name in present if name not in (*columns.read_columns, "responses")]
    without = len(rows) - max((present[name].num_filled for name in columns.prompt), default=0)
    lines = {
        "source": f"{source}, {len(rows)} rows",
        "prompt": (", ".join(columns.read_columns) or "no column with a value")
        + (f" (empty in {without} rows)" if without else ""),
        "carried along, not read": ", ".join(carried) or "no column",
        **({"without a value": ", ".join(empty)} if empty else {}),
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def _candidates(
    columns: PromptColumns, first_turn_on: bool, row: Mapping[str, Any], place: str
) -> Candidates:
    responses = columns.value(row, "responses", place)
    if not isinstance(responses, list) or not responses:
        raise UserError(f"{place}: 'responses' is not a list of at least one response.")
    check_not_written(responses, f"{place}, column 'responses'")
    texts, prompt, is_plain = texts_and_prompt(
        row,
        [read_text(response, f"{place}, column 'responses'") for response in responses],
        columns,
        place,
    )
    if is_plain:
        plain = prompt or ""
        assert isinstance(plain, str)
        prompt = from_first_turn(plain) if first_turn_on else plain
        texts = [joined(prompt, text) for text in texts]
    return Candidates(tuple(texts), prompt, is_plain and bool(prompt))


def from_first_turn(prompt: str) -> str:
    """A prompt from its first `Human: ` on, without what comes before."""
    return prompt[max(0, prompt.find(FIRST_TURN)) :]
