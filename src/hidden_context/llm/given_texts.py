"""Prompts and responses as a program gives them: texts, conversations, or token ids."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from hidden_context.comparisons.schema import Text, check_text, joined
from hidden_context.errors import UserError
from hidden_context.llm.tokens import TokenIds

GivenText: TypeAlias = Text | TokenIds
"""A text, a conversation (messages with role and content), or the token ids of a text."""


def whole_texts(
    prompts: Sequence[GivenText],
    responses: Sequence[GivenText] | Sequence[Sequence[GivenText]] | None,
) -> tuple[list[list[GivenText]], bool]:
    """Each prompt with its responses, as the texts that a model reads.

    Args:
        prompts: n of them; whole texts if there are no responses.
        responses: One for each prompt, or K for each.

    Returns:
        The texts of each of n rows, and whether there are K responses for each prompt.

    Raises:
        UserError: Not as many of one as of the other, rows of different K, or what is no text.
    """
    _check_several("prompts", prompts)
    if responses is None:
        return [[_checked(prompt, f"prompt {i}")] for i, prompt in _numbered(prompts)], False
    _check_several("responses", responses)
    if len(prompts) != len(responses):
        raise UserError(f"{len(prompts)} prompts but {len(responses)} responses; give one of each.")
    several = not _is_text(responses[0])
    rows = []
    for (number, prompt), row in zip(_numbered(prompts), responses, strict=True):
        if several is _is_text(row):
            kind = "one response" if several else "several responses"
            other = "several" if several else "one"
            raise UserError(f"prompt {number} has {kind}, but prompt 1 has {other}.")
        candidates = list(row) if several else [row]
        expected = len(rows[0]) if rows else max(1, len(candidates))
        if len(candidates) != expected:
            raise UserError(
                f"prompt {number} has {len(candidates)} responses, but prompt 1 has {expected}; "
                "give every prompt as many, or score those of each size apart."
            )
        rows.append(
            [
                _joined(prompt, candidate, f"prompt {number}", f"prompt {number}, response {k}")
                for k, candidate in _numbered(candidates)
            ]
        )
    return rows, several


def _numbered(values: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(values, start=1))


def _check_several(what: str, given: Any) -> None:
    if isinstance(given, (str, Mapping)) or not hasattr(given, "__len__"):
        raise UserError(f"{what} are one {type(given).__name__}; give a list, also of one.")
    if not len(given):
        raise UserError(f"there are no {what}; give at least one.")
    if isinstance(given[0], (Mapping, int, np.integer)):
        raise UserError(f"{what} are a list of {type(given[0]).__name__}; give a list of texts.")


def _is_ids(value: Any) -> bool:
    """Whether a value is a text as token ids: a list of integers or an array of one axis."""
    if hasattr(value, "ndim"):
        return value.ndim == 1
    return (
        isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], (int, np.integer))
    )


def _is_text(value: Any) -> bool:
    """Whether a value is one text of any kind, rather than several."""
    if isinstance(value, str) or _is_ids(value):
        return True
    return isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], Mapping)


def _checked(text: Any, place: str) -> GivenText:
    if not _is_ids(text):
        check_text(text, place)
        return text
    ids = np.asarray(text)
    if ids.dtype.kind not in "iu" or (ids < 0).any():
        raise UserError(f"{place}: token ids are whole numbers from 0; found {ids.dtype}.")
    return ids.astype(np.int32)


def _joined(prompt: Any, response: Any, prompt_place: str, place: str) -> GivenText:
    prompt, response = _checked(prompt, prompt_place), _checked(response, place)
    if isinstance(prompt, np.ndarray) and isinstance(response, np.ndarray):
        return np.concatenate([prompt, response])
    if isinstance(prompt, np.ndarray) or isinstance(response, np.ndarray):
        raise UserError(f"{place}: prompt and response are both token ids, or neither is.")
    return joined(prompt, response)  # pyrefly: ignore (neither is token ids)
