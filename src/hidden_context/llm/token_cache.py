"""Token ids that were computed before, found again by what they depend on."""

import hashlib
import json
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from hidden_context.comparisons.schema import Text
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
    """As `tokenize`, but from `cache_folder()` where the same was asked before."""
    if not tokenizer.is_fast:  # its definition cannot be read
        return tokenize(tokenizer, texts, max_length=max_length, overlong=overlong, place=place)
    asked = {"max_length": max_length, "overlong": overlong}
    file = cache_folder() / f"{fingerprint(tokenizer, texts, asked)}.safetensors"
    if file.is_file():
        return _unpacked(load_file(file))
    tokenized = tokenize(tokenizer, texts, max_length=max_length, overlong=overlong, place=place)
    try:
        with atomic_write(file) as opened:
            opened.write(save(_packed(tokenized)))
    except OSError as error:
        warnings.warn(f"token ids are not kept for the next run: {error}", stacklevel=2)
    return tokenized


def cache_folder() -> Path:
    """Where token ids are kept; may be removed at any time."""
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "tokens"


def fingerprint(tokenizer: Any, texts: Collection[Text], asked: dict[str, Any]) -> str:
    """A name for texts, tokenizer and what was asked of it: other token ids have another name."""
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    for state in ("truncation", "padding"):  # what the last call left behind
        definition.pop(state, None)
    template = getattr(tokenizer, "chat_template", None)
    digest = hashlib.blake2b(digest_size=16)
    for part in ([definition, template, type(tokenizer).__name__, asked], *texts):
        digest.update(json.dumps(part, sort_keys=True, default=dict).encode() + b"\n")
    return digest.hexdigest()


def _packed(tokenized: TokenizedTexts) -> dict[str, np.ndarray]:
    ids = tokenized.token_ids
    return {
        "token_ids": np.concatenate(ids) if ids else np.empty(0, np.int32),
        "ends": np.cumsum([len(each) for each in ids], dtype=np.int64),
        "overlong": tokenized.overlong,
    }


def _unpacked(arrays: dict[str, np.ndarray]) -> TokenizedTexts:
    token_ids = np.split(arrays["token_ids"], arrays["ends"][:-1])
    return TokenizedTexts(token_ids, arrays["overlong"])
