"""What a tokenizer and its chat template make of texts, to be known again.

What they do is marked, not the bytes of their files: another release may write the same tokenizer
otherwise.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hidden_context.comparisons.texts import TOOLS
from hidden_context.journal import fingerprint
from hidden_context.llm.rendering import rendered

TEXTS = (
    "Human: What's a good way to bake bread?\n\nAssistant: I'd mix flour, water & salt; then wait.",
    "  Two spaces, a\ttab,\r\na line \n\n\n   and 100000000 more lines.  ",
    "naïve CAFÉ, e\u0301 or é, ﬁne ½, İstanbul, STRASSE, straße",
    "def f(x, y=3.14):\n    return {'a': x**2, \"b\": y / 7}  # https://example.org/?q=1",
    "我喜欢面包。パンが好き。хлеб خبز ขนมปัง 빵 🍞👩‍🍳",
    "<s></s><pad><unk>[CLS][SEP][PAD]<|endoftext|><|im_start|><|eot_id|><bos><eos>",
)
"""Read by every tokenizer: cases, accents, spaces, digits, scripts, what may be special."""
TOOL = {
    "type": "function",
    "function": {
        "name": "oven",
        "description": "Heat the oven.",
        "parameters": {"type": "object", "properties": {"degrees": {"type": "integer"}}},
    },
}
QUESTION = {"role": "user", "content": " What is bread?\n"}
ANSWER = {"role": "assistant", "content": "Flour and water. "}
CALL = {"type": "function", "function": {"name": "oven", "arguments": {"degrees": 220}}}
CONVERSATIONS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "a question and its answer": (QUESTION, ANSWER),
    "two questions and their answers": (QUESTION, ANSWER, QUESTION, ANSWER),
    "a system and a question": ({"role": "system", "content": "Be brief."}, QUESTION, ANSWER),
    "reasoning": (QUESTION, {**ANSWER, "reasoning_content": "It is baked."}),
    "a call of a tool": (
        {"role": TOOLS, TOOLS: [TOOL]},
        QUESTION,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "220", "name": "oven"},
        ANSWER,
    ),
}
"""Rendered by every chat template that can."""
REFUSED = "refused"


def reading_mark(tokenizer: Any) -> dict[str, Any]:
    """What is recorded of a tokenizer.

    `token_ids` of `TEXTS`, by text, with blanks between. Of fast tokenizers `vocabulary`: a digest
    of the first `size` tokens and of the order of merges, or the log likelihoods of pieces to six
    digits (writing them again moves the last). `conversations`: what the chat template makes of
    each (None without a template).
    """
    return {"token_ids": _token_ids(tokenizer), **_vocabulary(tokenizer), **_templates(tokenizer)}


def other_reading(recorded: Mapping[str, Any], tokenizer: Any) -> str | None:
    """What a tokenizer reads otherwise than the recorded one, in words; None where nothing."""
    then = recorded.get("token_ids")
    if not isinstance(then, dict):
        return None
    now = _token_ids(tokenizer)
    for text, ids in now.items():
        before = then.get(text)
        if isinstance(before, str) and before != ids:
            return (
                f"reads {text!r:.44} as {_count(ids)}, where that of training had {_count(before)}"
            )
    size = recorded.get("size")
    if not isinstance(size, int) or not tokenizer.is_fast:
        return None
    if _vocabulary(tokenizer, size) != {name: recorded[name] for name in ("vocabulary", "size")}:
        return "has other tokens, or reads them otherwise, than the one it was trained with"
    return None


def other_rendering(recorded: Mapping[str, Any], tokenizer: Any) -> str | None:
    """What a chat template renders otherwise, in words; None where nothing."""
    if "conversations" not in recorded:
        return None
    then, now = recorded["conversations"], _templates(tokenizer)["conversations"]
    if then == now:
        return None
    if now is None or then is None:
        return "is lost" if now is None else "is new"
    names = [name for name in now if not isinstance(then, dict) or then.get(name) != now[name]]
    return f"renders {' and '.join(names) or 'conversations'} otherwise"


def _count(ids: Any) -> str:
    return f"{len(ids.split())} tokens ({' '.join(ids.split()[:8])} ...)"


@contextmanager
def unchanged(backend: Any) -> Iterator[None]:
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


def _token_ids(tokenizer: Any) -> dict[str, str]:
    texts = list(TEXTS)
    if tokenizer.is_fast:
        with unchanged(tokenizer.backend_tokenizer):
            read = tokenizer(texts, verbose=False)["input_ids"]
    else:
        read = tokenizer(texts, verbose=False)["input_ids"]
    return {text: " ".join(map(str, ids)) for text, ids in zip(texts, read, strict=True)}


def _vocabulary(tokenizer: Any, size: int | None = None) -> dict[str, Any]:
    """Of the first `size` tokens: tokens that are added later are of no account."""
    if not tokenizer.is_fast:
        return {}
    backend = tokenizer.backend_tokenizer
    size = backend.get_vocab_size() if size is None else size
    tokens = sorted((number, token) for token, number in backend.get_vocab().items())
    model = json.loads(backend.to_str())["model"]
    merges = [
        pair.split(" ") if isinstance(pair, str) else pair for pair in model.get("merges", ())
    ]
    pieces = model.get("vocab")
    likelihoods = [f"{one[1]:.6g}" for one in pieces[:size]] if isinstance(pieces, list) else []
    parts = [[each for each in tokens if each[0] < size], merges, likelihoods]
    return {"vocabulary": fingerprint(parts), "size": size}


def _templates(tokenizer: Any) -> dict[str, Any]:
    if not getattr(tokenizer, "chat_template", None):
        return {"conversations": None}
    return {
        "conversations": {
            name: _rendered(tokenizer, conversation) for name, conversation in CONVERSATIONS.items()
        }
    }


def _rendered(tokenizer: Any, conversation: Sequence[Mapping[str, Any]]) -> str:
    try:
        return fingerprint([rendered(tokenizer, conversation, "a conversation")])
    except Exception:  # whatever a template makes of what it was not written for
        return REFUSED
