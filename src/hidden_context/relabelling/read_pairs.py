"""Comparisons as what a judge sees: a conversation, and two responses to it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import responses_alone
from hidden_context.comparisons.schema import Comparison
from hidden_context.comparisons.texts import LAST_TURN, TOOLS, Text
from hidden_context.errors import UserError
from hidden_context.journal import fingerprint

FIRST_TURN = "Human: "
"""How a dialogue in text form begins in the published layout."""
SPEAKERS = {"user": "Human", "assistant": "Assistant"}
"""What roles are called in a transcript; others by their own name."""

Both: TypeAlias = tuple[Text, Text]


@dataclass(frozen=True)
class JudgedPair:
    """Two responses to one prompt, in the order of the data: chosen, then rejected."""

    index: int
    """Row of the data, from 0."""
    key: str
    """Equal for pairs of equal texts in equal order."""
    prompt: Text
    """Text in the published form (it begins with "Human: " and ends with the user's turn), or a
    conversation; empty where nothing says what was asked."""
    responses: Both
    whole: Both
    """Prompt and response together."""
    originally_preferred: int | None
    """Index of the response that the data prefer; None for a tie."""
    data_subset: str | None
    """Where the prompt came from, if the row says it."""

    @property
    def is_of_equal_texts(self) -> bool:
        """Whether nobody could prefer one of them."""
        return self.responses[0] == self.responses[1]


def read_pairs(comparisons: Comparisons) -> list[JudgedPair]:
    """All comparisons as pairs, in order.

    Raises:
        UserError: One is of more than two responses.
    """
    return [
        _read(comparison, index, comparisons.source) for index, comparison in enumerate(comparisons)
    ]


def transcript(text: Text) -> str:
    """A prompt or a response as the judge reads it."""
    if isinstance(text, str):
        shown = text
    elif len(text) == 1 and text[0]["role"] == "assistant":
        shown = _content(text[0])
    else:
        turns = (
            (SPEAKERS.get(turn["role"], turn["role"].title()), _content(turn)) for turn in text
        )
        shown = "\n\n".join(f"{speaker}: {content}" for speaker, content in turns)
    return shown.encode("utf-8", "replace").decode()  # lone surrogates, which no request can hold


def _read(comparison: Comparison, index: int, source: str) -> JudgedPair:
    if len(comparison.texts) != 2:
        raise UserError(
            f"{source}, row {index + 1}: {len(comparison.texts)} responses; a judge compares two, "
            "so make a row of each pair."
        )
    first, second = comparison.texts
    if isinstance(first, str) and isinstance(second, str):
        prompt, responses = _split(first, second, comparison)
        whole: Any = tuple(_dialogue(prompt, response) for response in responses)
    else:
        prompt, responses = _split_turns(comparison)
        whole = (first, second)
    shares = comparison.outcome.shares
    row = comparison.row
    return JudgedPair(
        index=index,
        key=fingerprint([prompt, responses]),
        prompt=prompt,
        responses=responses,
        whole=whole,
        originally_preferred=_preferred(shares),
        data_subset=str(row["data_subset"]) if row.get("data_subset") is not None else None,
    )


def _preferred(shares: Sequence[float]) -> int | None:
    middle = len(shares) // 2
    first, second = sum(shares[middle + 1 :]), sum(shares[:middle])
    return None if first == second else int(second > first)


def _split(first: str, second: str, comparison: Comparison) -> tuple[str, tuple[str, str]]:
    """Prompt in the published form, and responses, of plain texts."""
    given = comparison.prompt
    if isinstance(given, str) and first.startswith(given) and second.startswith(given):
        cut = len(given)
    else:
        shared = _shared_length(first, second)
        cut = max(0, first[: shared + 1].rfind(LAST_TURN))
    asked = first[:cut].strip().removesuffix(LAST_TURN.strip()).strip()
    if asked and not asked.startswith(FIRST_TURN.strip()):
        asked = FIRST_TURN + asked
    responses = (_alone(first[cut:]), _alone(second[cut:]))
    return asked, responses


def _alone(response: str) -> str:
    return response.strip().removeprefix(LAST_TURN.strip()).strip()


def _shared_length(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    shorter = min(len(first), len(second))
    return next((number for number, (a, b) in pairs if a != b), shorter)


def _dialogue(prompt: str, response: str) -> str:
    return f"{prompt}{LAST_TURN} {response}" if prompt else response


def _split_turns(comparison: Comparison) -> tuple[Text, Both]:
    first, second = responses_alone(comparison.texts, comparison.prompt)
    assert first is not None
    assert second is not None
    text = comparison.texts[0]
    return text[: len(text) - len(first)], (first, second)


def _content(turn: Mapping[str, Any]) -> str:
    parts = [str(turn["content"])]
    for name in (TOOLS, "tool_calls"):
        if turn.get(name):
            parts.append(json.dumps(turn[name], ensure_ascii=False, default=str))
    return "\n".join(part for part in parts if part)
