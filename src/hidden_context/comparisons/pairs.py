"""The pairs that comparisons and rankings count as, and the length of a response."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hidden_context.comparisons.schema import Comparison
from hidden_context.comparisons.texts import LAST_TURN, Text, begins_with, opening_of
from hidden_context.errors import UserError

Texts = Sequence[Text | None]


@dataclass(frozen=True)
class Pair:
    """Two of the texts of one comparison, the preferred one first."""

    comparison: Comparison
    first: Text
    second: Text
    weight: float
    """Of the row, times votes; of a ranking of K times 2/K, so that it counts as K - 1 pairs."""
    lengths: tuple[float, float]
    """Characters of both responses; see `response_lengths`."""


def pairs_of(comparisons: Iterable[Comparison]) -> Iterator[Pair]:
    """All pairs of all comparisons, in order, those of equal texts with them."""
    for comparison in comparisons:
        texts, weight = comparison.texts, pair_weight(comparison)
        lengths = response_lengths(texts, comparison.prompt)
        for i, j in combinations(range(len(texts)), 2):
            yield Pair(comparison, texts[i], texts[j], weight, (lengths[i], lengths[j]))


def pair_weight(comparison: Comparison) -> float:
    """Of each pair: the row's weight times votes, times 2/K for a ranking of K."""
    return comparison.weight * pair_votes(comparison)


def pair_votes(comparison: Comparison) -> float:
    """How many votes each pair is: those of the row, times 2/K for a ranking of K."""
    return comparison.outcome.votes * 2 / len(comparison.texts)


def response_lengths(texts: Texts, prompt: Text | None) -> list[float]:
    """Characters of each response alone, of all texts of one prompt; NaN for a missing text.

    Of a conversation those of its turns' contents. See `responses_alone`.
    """
    return [math.nan if text is None else _length(text) for text in responses_alone(texts, prompt)]


def responses_alone(texts: Texts, prompt: Text | None) -> list[Text | None]:
    """The texts of one prompt, or responses to it, without the prompt.

    With a prompt that is what follows it, or all of a text where not all begin with the prompt.
    Without one it is what follows the last `Assistant:` of a dialogue in text form, and of
    conversations the turns after those that all share, at least the last one.
    """
    given = [text for text in texts if text is not None]
    if prompt:
        if not all(begins_with(text, prompt) for text in given):
            return list(texts)
        return [None if text is None else _after(text, prompt) for text in texts]
    shared = _shared_turns([text for text in given if not isinstance(text, str)])
    return [
        text.rpartition(LAST_TURN)[2] if isinstance(text, str) else text and text[shared:]
        for text in texts
    ]


def _after(text: Text, prompt: Text) -> Text:
    return text[opening_of(text, prompt) :]


def _shared_turns(conversations: Sequence[Sequence[Any]]) -> int:
    """With how many equal turns all begin; fewer than any of them has."""
    if not conversations:
        return 0
    most = min(map(len, conversations)) - 1
    first = conversations[0]
    different = (
        number
        for number in range(most)
        if any(turns[number] != first[number] for turns in conversations)
    )
    return next(different, most)


def _length(text: Text) -> float:
    if isinstance(text, str):
        return float(len(text.removeprefix(LAST_TURN)))  # of a prompt that ends before it
    return float(sum(_content_length(turn["content"]) for turn in text))


def _content_length(content: Any) -> int:
    """Of a turn: its text, the texts of its parts, or 0 where it has none (as a call of a tool)."""
    if content is None:
        return 0
    if isinstance(content, str):
        return len(content)
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        raise UserError(f"a turn's content is {content!r:.60}; expected text, or parts of it.")
    return sum(len(part.get("text") or "") for part in content)
