"""Token ids that were computed before, found again by what they depend on."""

import json
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from hidden_context.comparisons.texts import Text
from hidden_context.journal import fingerprint
from hidden_context.llm.rendering import date_of
from hidden_context.llm.tokens import Overlong, TokenizedTexts, tokenize
from hidden_context.records import atomic_write


def tokenize_once(
    tokenizer: Any,
    texts: Collection[Text],
    *,
    max_length: int,
    overlong: Overlong,
    place: Callable[[int], str],
) -> TokenizedTexts:
    """As `tokenize`, but from `cache_folder()` where the same was asked before.

    The tokenizer is left as it was, so that what is saved of it does not depend on the cache.
    """
    asked: Any = {"max_length": max_length, "overlong": overlong}
    if not tokenizer.is_fast:  # its definition cannot be read
        return tokenize(tokenizer, texts, place=place, **asked)
    file = cache_folder() / f"{name_of(tokenizer, texts, asked)}.safetensors"
    if file.is_file():
        arrays = load_file(file)
        token_ids = np.split(arrays["token_ids"], arrays["ends"][:-1])
        return TokenizedTexts(token_ids, arrays["overlong"])
    with _unchanged(tokenizer.backend_tokenizer):
        tokenized = tokenize(tokenizer, texts, place=place, **asked)
    arrays = {
        "token_ids": np.concatenate([np.empty(0, np.int32), *tokenized.token_ids]),
        "ends": np.cumsum([len(ids) for ids in tokenized.token_ids], dtype=np.int64),
        "overlong": tokenized.overlong,
    }
    try:
        with atomic_write(file) as opened:
            opened.write(save(arrays))
    except OSError as error:
        warnings.warn(f"token ids are not kept for the next run: {error}", stacklevel=2)
    return tokenized


@contextmanager
def _unchanged(backend: Any) -> Iterator[None]:
    """Put truncation and padding back, which each call of a tokenizer sets for the next."""
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.no_truncation()
        backend.no_padding()
        if truncation:
            backend.enable_truncation(**truncation)
        if padding:
            backend.enable_padding(**padding)


def cache_folder() -> Path:
    """Where token ids are kept; may be removed at any time."""
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "tokens"


def name_of(tokenizer: Any, texts: Collection[Text], asked: dict[str, Any]) -> str:
    """A name for texts, tokenizer and what was asked of it: other token ids have another name."""
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    for state in ("truncation", "padding"):  # what the last call left behind
        definition.pop(state, None)
    template = getattr(tokenizer, "chat_template", None)
    parts = [definition, template, str(date_of(tokenizer)), type(tokenizer).__name__, asked]
    return fingerprint(chain([parts], texts))
