"""Rows of a prompt and any number of responses, such as jailbreaks."""

from collections.abc import Collection, Mapping
from typing import Any

from hidden_context.comparisons.schema import Text, check_text, joined
from hidden_context.comparisons.streamed import mapped
from hidden_context.errors import UserError
from hidden_context.records import require_columns

FIRST_TURN = "Human: "
"""A dialogue in text form is scored from here on, as published."""


def texts_of_responses(rows: Collection[Mapping[str, Any]], source: str) -> Collection[list[Text]]:
    """The texts to score for each row, all of them checked: its prompt with each response.

    Rows have `prompt` and `responses`. Messages count them from 1 and say that they are from
    `source`.

    Raises:
        UserError: A column is missing, or holds something else.
    """
    require_columns(rows, ("prompt", "responses"), source)
    for number, row in enumerate(rows, start=1):
        place = f"{source}, row {number}"
        prompt, responses = row["prompt"], row["responses"]
        check_text(prompt, f"{place}, column 'prompt'")
        if not isinstance(responses, list) or not responses:
            raise UserError(f"{place}: 'responses' is not a list of at least one response.")
        for response in responses:
            check_text(response, f"{place}, column 'responses'")
    return mapped(_texts, rows)


def _texts(row: Mapping[str, Any]) -> list[Text]:
    prompt = from_first_turn(row["prompt"])
    return [joined(prompt, response) for response in row["responses"]]


def from_first_turn(prompt: Text) -> Text:
    """A text prompt from its first `Human: ` on, without what comes before; others as they are."""
    if not isinstance(prompt, str):
        return prompt
    return prompt[max(0, prompt.find(FIRST_TURN)) :]
