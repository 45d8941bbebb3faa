"""Prompts and responses as a program gives them: texts, conversations, or token ids."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from hidden_context.comparisons.texts import Text, as_turns, begins_with, joined, read_text
from hidden_context.errors import UserError
from hidden_context.llm.rendering import Render
from hidden_context.llm.tokens import TokenIds

GivenText: TypeAlias = Text | TokenIds
"""A text, a conversation (messages with role and content), or the token ids of a text."""


def whole_texts(
    prompts: Sequence[GivenText],
    responses: Sequence[GivenText] | Sequence[Sequence[GivenText]] | None,
    *,
    vocabulary: int,
    render: Render = "plain",
) -> tuple[list[list[GivenText]], bool]:
    """Each prompt with its response or K responses, as the texts that a model reads.

    Without responses, prompts are whole texts. A plain prompt and a plain response are two turns if
    `render` is chat. A response that is a conversation from the user's turn on is whole. Token ids
    are below `vocabulary`, the number of tokens that the model knows.

    Returns:
        The texts of each of n rows, and whether there are K responses for each prompt.

    Raises:
        UserError: Not as many of one as of the other, rows of different K, or what is no text.
    """
    prompts = _several("prompts", prompts)
    if responses is None:
        texts = [_checked(text, f"prompt {i}", vocabulary) for i, text in enumerate(prompts, 1)]
        return [[text] for text in texts], False
    responses = _several("responses", responses)
    if len(prompts) != len(responses):
        raise UserError(f"{len(prompts)} prompts but {len(responses)} responses; give one of each.")
    for number, response in enumerate(responses, start=1):
        if response is None:
            raise UserError(f"prompt {number}: the response is None; give a text, or leave it out.")
    several = not _is_text(responses[0])
    rows = []
    for (number, prompt), row in zip(enumerate(prompts, start=1), responses, strict=True):
        place = f"prompt {number}"
        if several is _is_text(row):
            kinds = ("one response", "a list of them")
            raise UserError(f"{place} has {kinds[not several]}, but prompt 1 {kinds[several]}.")
        candidates = _several(f"responses to {place}", row) if several else [row]
        if rows and len(candidates) != len(rows[0]):
            raise UserError(
                f"{place} has {len(candidates)} responses, but prompt 1 has {len(rows[0])}; give "
                "every prompt as many, or score those of each number apart."
            )
        whole = _checked(prompt, place, vocabulary)
        rows.append(
            [
                _joined(
                    whole, _checked(candidate, f"{place}, response {k}", vocabulary), place, render
                )
                for k, candidate in enumerate(candidates, start=1)
            ]
        )
    return rows, several


def _several(what: str, given: Any) -> list[Any]:
    """As a list, if it is not one text."""
    if isinstance(given, (str, Mapping)) or not hasattr(given, "__len__"):
        raise UserError(f"{what}: found one {type(given).__name__}; give a list, also of one.")
    values = list(given)
    if not values:
        raise UserError(f"{what}: there are none; give at least one.")
    if isinstance(values[0], Mapping) or _is_number(values[0]):
        raise UserError(f"{what}: found one text; give a list of texts, also of one.")
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) or getattr(value, "ndim", None) == 0


def _is_ids(value: Any) -> bool:
    """Whether a value is a text as token ids: a list of integers or an array of one axis."""
    if hasattr(value, "ndim"):
        return value.ndim == 1
    return isinstance(value, Sequence) and len(value) > 0 and _is_number(value[0])


def _is_text(value: Any) -> bool:
    """Whether a value is one text of any kind, rather than several."""
    if isinstance(value, str) or _is_ids(value):
        return True
    return isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], Mapping)


def _checked(text: Any, place: str, vocabulary: int) -> GivenText:
    if not _is_ids(text):
        return read_text(text, place)
    ids = np.asarray(text)
    if ids.dtype.kind not in "iu" or not ((ids >= 0) & (ids < vocabulary)).all():
        raise UserError(f"{place}: token ids are whole numbers from 0 to {vocabulary - 1}.")
    return ids.astype(np.int32)


def _joined(prompt: Any, response: Any, place: str, render: Render) -> GivenText:
    of_ids = isinstance(prompt, np.ndarray) + isinstance(response, np.ndarray)
    if of_ids == 1:
        raise UserError(f"{place}: prompt and response are both token ids, or neither is.")
    if of_ids:
        return np.concatenate([prompt, response])
    if isinstance(prompt, str) and isinstance(response, str) and render == "chat":
        prompt = as_turns(prompt, "user")
    if not isinstance(response, str) and response[0]["role"] != "assistant":
        if not begins_with(response, prompt):
            raise UserError(
                f"{place}: a response is a conversation that does not begin with the prompt; give "
                "what the assistant says, or whole conversations without responses."
            )
        return response
    return joined(prompt, response)
