"""Texts of a row of a score file, and what names its prompt."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hidden_context.comparisons.responses import from_first_turn
from hidden_context.comparisons.schema import Comparison, prompt_key
from hidden_context.comparisons.texts import LAST_TURN, Text
from hidden_context.errors import UserError


def texts_of_row(row: Mapping[str, Any], place: str) -> tuple[Text | None, list[Text | None]]:
    """Prompt and responses of a row of a score file, None where they are not in it."""
    if "responses" in row and "chosen" not in row:
        responses = row["responses"]
        if not isinstance(responses, list | tuple):
            found = type(responses).__name__
            raise UserError(f"{place}: column 'responses' is {found}; expected a list of texts.")
        prompt, texts = row.get("prompt"), list(responses)
    else:
        prompt, texts = row.get("prompt"), [row.get("chosen"), row.get("rejected")]
    for text in (prompt, *texts):
        if not _is_text(text):
            raise UserError(
                f"{place}: expected texts or lists of messages, found {type(text).__name__} "
                f"{str(text)[:40]!r}."
            )
    return prompt, texts


def _is_text(value: Any) -> bool:
    """Whether a value is text, messages of any roles, or nothing."""
    if value is None or isinstance(value, str):
        return True
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(turn, Mapping)
            and {"role", "content"} <= turn.keys()
            and _is_content(turn["content"])
            for turn in value
        )
    )


def _is_content(value: Any) -> bool:
    if value is None or isinstance(value, str):
        return True
    return isinstance(value, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str | None) for part in value
    )


def prompt_label(prompt: Any, texts: Sequence[Text | None]) -> str:
    """What rows of one prompt have in common; see `prompt_key`. Empty where nothing says it.

    A dialogue counts from its first `Human: ` on, as it is scored, without the last `Assistant:`.
    """
    if not prompt and None in texts:
        return ""
    given: Any = tuple(texts)
    key = json.loads(prompt_key(Comparison(given, {}, prompt=prompt or None)))
    if not isinstance(key, str):
        return json.dumps(key)
    return str(from_first_turn(key)).strip().removesuffix(LAST_TURN.strip()).rstrip()
