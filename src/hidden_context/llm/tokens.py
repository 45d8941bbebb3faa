"""Texts to token ids, with every over-long text counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np

from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError
from hidden_context.llm.rendering import rendered

TokenIds: TypeAlias = Sequence[int] | np.ndarray
"""A text that is tokenised already, without padding."""
Overlong: TypeAlias = Literal["drop", "truncate_left", "error"]
"""What to do with a text of more than `max_length` tokens."""

PLAIN, CONVERSATIONS, TOKENIZED = "plain texts", "conversations", "token ids"
CHUNK = 1024
"""Texts a tokenizer call: enough for its own threads, little enough to hold in memory."""


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of texts, in the order given."""

    token_ids: Sequence[np.ndarray]
    """One array (int32, of its own length) for each text; empty where a text was dropped."""
    overlong: np.ndarray
    """Which texts were longer than `max_length`, shape `(n,)`, bool."""


def tokenize(
    tokenizer: Any,
    texts: Iterable[Text | TokenIds],
    *,
    max_length: int,
    overlong: Overlong,
    place: Callable[[int], str] = lambda index: f"row {index + 1}",
    special_tokens: bool = True,
) -> TokenizedTexts:
    """Tokenise texts with the tokenizer's special tokens, conversations by its chat template.

    Token ids stay as they are, and plain texts get no special tokens if `special_tokens` is false:
    they have theirs already. Special tokens count in `max_length`. Of longer texts `drop` leaves
    the ids empty, `truncate_left` loses the oldest tokens and keeps special tokens and the
    response, `error` refuses. `place` is what to call a text in messages, by its index.

    Raises:
        UserError: A text is over-long and may not be, is empty, or needs a chat template that the
            tokenizer does not have.
    """
    how: Any = {
        "max_length": max_length,
        "overlong": overlong,
        "place": place,
        "special_tokens": special_tokens,
    }
    token_ids, is_overlong = [], []
    for ids, over in iterate_tokenized(tokenizer, texts, **how):
        token_ids.append(ids)
        is_overlong.append(over)
    return TokenizedTexts(token_ids, np.array(is_overlong, dtype=bool))


def iterate_tokenized(
    tokenizer: Any,
    texts: Iterable[Text | TokenIds],
    *,
    max_length: int,
    overlong: Overlong,
    place: Callable[[int], str],
    special_tokens: bool = True,
) -> Iterator[tuple[np.ndarray, bool]]:
    """Token ids of each text, and whether it was over-long; see `tokenize`."""
    with_ids = _with_token_ids(tokenizer, texts, place, special_tokens=special_tokens)
    for index, (text, ids) in enumerate(with_ids):
        is_overlong = len(ids) > max_length
        if is_overlong and overlong == "error":
            raise UserError(
                f"{place(index)} has {len(ids)} tokens, more than max_length "
                f"{max_length}; raise it, or choose overlong drop or truncate_left."
            )
        if is_overlong:
            cut = overlong == "truncate_left"
            special = special_tokens and isinstance(text, str)
            ids = _truncated(tokenizer, text, max_length, special) if cut else ids[:0]
        yield ids, is_overlong


def _with_token_ids(
    tokenizer: Any,
    texts: Iterable[Text | TokenIds],
    place: Callable[[int], str],
    *,
    special_tokens: bool,
) -> Iterator[tuple[Text | TokenIds, np.ndarray]]:
    """Each text with its token ids; the tokenizer's own threads share the texts of a chunk."""
    remaining = iter(texts)
    index = 0
    while chunk := list(islice(remaining, CHUNK)):
        kinds = {_kind(text) for text in chunk}
        if len(kinds) > 1:
            raise UserError(f"{' and '.join(sorted(kinds))} are mixed; give one of them.")
        encoded = chunk
        if kinds != {TOKENIZED}:
            texts = [
                rendered(tokenizer, text, place(number)) for number, text in enumerate(chunk, index)
            ]
            special = special_tokens and kinds == {
                PLAIN
            }  # a chat template writes special tokens itself
            encoded = tokenizer(texts, add_special_tokens=special, verbose=False)["input_ids"]
        for text, ids in zip(chunk, encoded, strict=True):
            if not len(ids):
                raise UserError(f"{place(index)} is empty: it has no tokens.")
            yield text, np.asarray(ids, dtype=np.int32)
            index += 1


def _kind(text: Text | TokenIds) -> str:
    if isinstance(text, str):
        return PLAIN
    return CONVERSATIONS if len(text) and isinstance(text[0], Mapping) else TOKENIZED


def numbered(token_ids: Iterable[np.ndarray]) -> list[int]:
    """A number for each text, from 0; equal texts have the same."""
    numbers: dict[bytes, int] = {}
    return [numbers.setdefault(ids.tobytes(), len(numbers)) for ids in token_ids]


def _truncated(
    tokenizer: Any, text: Text | TokenIds, max_length: int, special_tokens: bool
) -> np.ndarray:
    if _kind(text) == TOKENIZED:
        return np.asarray(text, dtype=np.int32)[-max_length:]
    side, tokenizer.truncation_side = tokenizer.truncation_side, "left"
    try:
        ids = tokenizer(
            rendered(tokenizer, text, "a text"),
            add_special_tokens=special_tokens,
            truncation=True,
            max_length=max_length,
        )["input_ids"]
    finally:
        tokenizer.truncation_side = side
    return np.asarray(ids, dtype=np.int32)
