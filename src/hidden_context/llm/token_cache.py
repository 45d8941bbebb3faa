"""Token ids that were computed before, found again by what they depend on."""

import json
import warnings
from array import array
from collections.abc import Callable, Collection, Iterable
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import safe_open

from hidden_context.comparisons.texts import Text
from hidden_context.journal import fingerprint
from hidden_context.llm.reading_marks import unchanged
from hidden_context.llm.rendering import date_of
from hidden_context.llm.tokens import Overlong, TokenizedTexts, iterate_tokenized, tokenize
from hidden_context.records import atomic_write

HEADER = 512
"""Bytes of a file before its arrays."""


def tokenize_once(
    tokenizer: Any,
    texts: Collection[Text],
    *,
    max_length: int,
    overlong: Overlong,
    place: Callable[[int], str],
) -> TokenizedTexts:
    """As `tokenize`, but from `cache_folder()` where the same was asked before.

    They stay on the disk, and are mapped from there into memory. The tokenizer is left as it was,
    so that what is saved of it does not depend on the cache.
    """
    asked: Any = {"max_length": max_length, "overlong": overlong}
    if not tokenizer.is_fast:  # its definition cannot be read
        return tokenize(tokenizer, texts, place=place, **asked)
    file = cache_folder() / f"{name_of(tokenizer, texts, asked)}.safetensors"
    if not file.is_file():
        try:
            with unchanged(tokenizer.backend_tokenizer), atomic_write(file) as opened:
                _write(opened, iterate_tokenized(tokenizer, texts, place=place, **asked))
        except OSError as error:
            warnings.warn(f"token ids are not kept for the next run: {error}", stacklevel=2)
            with unchanged(tokenizer.backend_tokenizer):
                return tokenize(tokenizer, texts, place=place, **asked)
    return _mapped(file)


def _write(file: IO[bytes], tokenized: Iterable[tuple[np.ndarray, bool]]) -> None:
    """As safetensors, one text after the other, so that no more than one is held.

    The header, which says how many they were, is written last, into a place left for it.
    """
    file.write(bytes(HEADER))
    ends, overlong, end = array("q"), bytearray(), 0
    for ids, is_overlong in tokenized:
        file.write(ids.tobytes())
        end += len(ids)
        ends.append(end)
        overlong.append(is_overlong)
    file.write(ends.tobytes() + overlong)
    header, start = {}, 0
    for name, kind, length, size in (
        ("token_ids", "I32", end, 4),
        ("ends", "I64", len(ends), 8),
        ("overlong", "BOOL", len(overlong), 1),
    ):
        offsets = [start, start + length * size]
        header[name] = {"dtype": kind, "shape": [length], "data_offsets": offsets}
        start = offsets[1]
    file.seek(0)
    file.write((HEADER - 8).to_bytes(8, "little") + json.dumps(header).encode().ljust(HEADER - 8))


def _mapped(file: Path) -> TokenizedTexts:
    """Token ids that are read from the disk when they are looked at."""
    with safe_open(file, "numpy") as opened:
        ends, overlong = opened.get_tensor("ends"), opened.get_tensor("overlong")
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        about = json.loads(opened.read(length))["token_ids"]
    ids: Any = np.empty(0, np.int32)
    if about["shape"] != [0]:  # which cannot be mapped
        start = 8 + length + about["data_offsets"][0]
        ids = np.memmap(file, np.int32, "r", start, tuple(about["shape"]))
    return TokenizedTexts(np.split(np.asarray(ids), ends[:-1]), overlong)


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
