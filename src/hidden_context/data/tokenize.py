"""Texts to token ids, with every over-long text counted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from hidden_context.data.comparisons import Text
from hidden_context.errors import UserError

Overlong: TypeAlias = Literal["drop", "truncate_left", "error"]
"""What to do with a text of more than `max_length` tokens."""

CHUNK = 1024
"""Texts a tokenizer call: enough for its own threads, little enough to hold in memory."""


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of texts, in the order given."""

    token_ids: list[np.ndarray]
    """One array (int32, of its own length) for each text; empty where a text was dropped."""
    overlong: np.ndarray
    """Which texts were longer than `max_length`, shape `(n,)`, bool."""


def tokenize(
    tokenizer: Any,
    texts: Sequence[Text],
    *,
    max_length: int,
    overlong: Overlong,
    place: Callable[[int], str] = lambda index: f"row {index + 1}",
) -> TokenizedTexts:
    """Tokenise texts with the tokenizer's special tokens, conversations by its chat template.

    Args:
        tokenizer: Of transformers.
        texts: Plain texts or conversations.
        max_length: In tokens, special tokens included.
        overlong: `drop` leaves the ids empty, `truncate_left` loses the oldest tokens and keeps
            special tokens and the response, `error` refuses.
        place: What to call a text in messages, by its index.

    Raises:
        UserError: A text is over-long and may not be, is empty, or needs a chat template that the
            tokenizer does not have.
    """
    token_ids = list(_all_token_ids(tokenizer, texts, place))
    is_overlong = np.array([len(ids) > max_length for ids in token_ids], dtype=bool)
    for index in np.flatnonzero(is_overlong).tolist():
        if overlong == "error":
            raise UserError(
                f"{place(index)} has {len(token_ids[index])} tokens, more than --max_length "
                f"{max_length}; raise it, or choose --overlong drop or truncate_left."
            )
        token_ids[index] = (
            _truncated(tokenizer, texts[index], max_length)
            if overlong == "truncate_left"
            else np.empty(0, np.int32)
        )
    return TokenizedTexts(token_ids, is_overlong)


def pair_place(index: int) -> str:
    """What to call a text where chosen and rejected alternate."""
    return f"row {index // 2 + 1}, {('chosen', 'rejected')[index % 2]}"


def _all_token_ids(
    tokenizer: Any, texts: Sequence[Text], place: Callable[[int], str]
) -> Iterator[np.ndarray]:
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        for special in (True, False):  # a chat template writes special tokens itself
            plain = [text for text in chunk if isinstance(text, str) == special]
            if plain and len(plain) < len(chunk):
                raise UserError("plain texts and conversations are mixed; give one of the two.")
            if not plain:
                continue
            rendered = [_rendered(tokenizer, text) for text in plain]
            encoded = tokenizer(rendered, add_special_tokens=special, verbose=False)["input_ids"]
            for offset, ids in enumerate(encoded):
                if not ids:
                    raise UserError(f"{place(start + offset)} is empty: it has no tokens.")
                yield np.asarray(ids, dtype=np.int32)


def _rendered(tokenizer: Any, text: Text) -> str:
    if isinstance(text, str):
        return text.encode("utf-8", "replace").decode()  # lone surrogates, which Rust refuses
    if not tokenizer.chat_template:
        raise UserError(
            f"the data are conversations, but the tokenizer of {tokenizer.name_or_path} has no "
            "chat template; give a chat model, or plain texts."
        )
    return tokenizer.apply_chat_template([dict(turn) for turn in text], tokenize=False)


def _truncated(tokenizer: Any, text: Text, max_length: int) -> np.ndarray:
    side, tokenizer.truncation_side = tokenizer.truncation_side, "left"
    try:
        ids = tokenizer(
            _rendered(tokenizer, text),
            add_special_tokens=isinstance(text, str),
            truncation=True,
            max_length=max_length,
        )["input_ids"]
    finally:
        tokenizer.truncation_side = side
    return np.asarray(ids, dtype=np.int32)
