"""What a cell says, as what a model reads: plain text, or a conversation."""

import ast
import hashlib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from hidden_context.errors import UserError
from hidden_context.records import RepeatedKeyError, parse_json

Message: TypeAlias = Mapping[str, Any]
"""One turn of a conversation, with `role` and `content`."""
Text: TypeAlias = str | Sequence[Message]
"""What a reward model reads: plain text, or a conversation for the tokenizer's chat template."""
LAST_TURN = "\n\nAssistant:"
"""What a response in a dialogue in text form comes after."""

DIGEST = "V16"
"""NumPy's type for what `digest` returns."""

TOOLS = "tools"
"""Role of a turn that is not said: its `tools` are the functions that the conversation may call."""
ROLES = ("system", "developer", "user", "assistant", "tool", "function", "ipython", TOOLS)
SHAREGPT_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "observation": "tool",
    **{role: role for role in ROLES},
}
"""Roles of turns that have `from` and `value`."""
BEFORE_THE_USER = ("system", "developer", TOOLS)
MESSAGE = r"""\{\s*(?:["'](?:content|from|value)["']|(?:[^{}\[\]]{0,200}[,\s])?["']role["'])\s*:"""
OPENS_LIST = re.compile(
    rf"""\s*(?:array\()?(?:\[\s*(?:\]|null\b|None\b|["']|{MESSAGE})|{MESSAGE})"""
)
"""How a message, or a list of messages or texts, begins where it was written as text."""
OPENS_MESSAGE = re.compile(rf"\s*\[?\s*{MESSAGE}")
CHAT_KEYS = frozenset(
    (
        *(
            "role",
            "content",
            "from",
            "value",
            "speaker",
            "author",
            "sender",
            "type",
            "text",
            "message",
        ),
        *("messages", "turn", "turns", "utterance", "conversation", "conversations", "dialogue"),
    )
)
"""Keys by which an object says what somebody said."""
OPENS_OBJECT = re.compile(r"""\s*(?:\[\s*)?\{|\s*["']\s*[\[{]""")
LITERAL = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
"""A text as Python writes it."""


def digest(text: str) -> bytes:
    """16 bytes that tell texts apart."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def numbers_of(texts: Iterable[str]) -> np.ndarray:
    """A number from 0 for each of n texts, shape `(n,)`; equal texts have the same.

    Of each no more than its digest is held.
    """
    digests = bytearray()
    for text in texts:
        digests += digest(text)
    return np.unique(np.frombuffer(bytes(digests), DIGEST), return_inverse=True)[1]


def opens_list(value: Any) -> bool:
    """Whether a cell begins as a conversation or a list of texts that was written as text."""
    return isinstance(value, str) and OPENS_LIST.match(value) is not None


def is_serialized(value: Any) -> bool:
    """Whether a cell may be such a list as a whole: it also ends as one."""
    return opens_list(value) and value.rstrip().endswith(("]", "}"))


def is_written_otherwise(value: Any) -> bool:
    """Whether a cell is a chat written as text in a form that no reader knows.

    An object or a list of objects of `CHAT_KEYS` alone, such as `{"messages": ...}` and
    `[{"speaker": ...}]`; or a list or an object that was written as text twice.
    """
    if not isinstance(value, str) or not OPENS_OBJECT.match(value) or is_serialized(value):
        return False
    try:
        held = parsed(value, "")
    except UserError:
        return False
    if isinstance(held, str):
        return opens_list(held) or is_written_otherwise(held)
    objects = held if isinstance(held, list) else [held]
    return bool(objects) and all(
        isinstance(one, Mapping) and bool(one) and one.keys() <= CHAT_KEYS for one in objects
    )


def parsed(value: str, place: str) -> Any:
    """The list that a cell holds as JSON or as Python writes it.

    Raises:
        UserError: It is neither, or says a key twice.
    """
    readers: tuple[Callable[[str], Any], ...] = (parse_json, _python_list)
    for read in readers:
        try:
            return read(value.strip())
        except RepeatedKeyError as error:
            raise UserError(f"{place}: {error}; leave one of them.") from error
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise UserError(
        f"{place}: a list was written as text, and is neither JSON nor a list of Python: "
        f"{value[:60]!r}; write it as JSON."
    )


def _python_list(value: str) -> Any:
    """A list of Python's literals, refused where NumPy has left out the commas: `['a' 'b']`.

    Python would read such texts as one.
    """
    if re.search(r"T\s*T", LITERAL.sub("T", value)):
        raise ValueError("no comma between two texts")
    with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
        return ast.literal_eval(value)


def check_not_written(texts: Sequence[Any], place: str) -> None:
    """Refuse a list of which every item is a message, or a list of them, written as text.

    Raises:
        UserError: They would be read as what somebody said.
    """
    if texts and all(isinstance(text, str) and OPENS_MESSAGE.match(text) for text in texts):
        raise UserError(
            f"{place}: all {len(texts)} are conversations written as text; write them as lists of "
            "messages."
        )


def is_list_of_texts(value: Any) -> bool:
    """Whether a cell is what one side says, turn by turn; None is a turn that is lacking."""
    return (
        isinstance(value, list)
        and any(isinstance(turn, str) for turn in value)
        and all(turn is None or isinstance(turn, str) for turn in value)
    )


def interleaved(asked: Sequence[str], answered: Sequence[str]) -> Text:
    """What the user and the assistant say in turn, as one conversation."""
    return [
        {"role": role, "content": content}
        for turn in zip(asked, answered, strict=True)
        for role, content in zip(("user", "assistant"), turn, strict=True)
    ]


def read_text(value: Any, place: str) -> Text:
    """A cell as text or conversation.

    A conversation is a list of messages, or one message, with role and content (or `from` and
    `value`). A content in parts is the text of its parts. What a message says of nothing (None) is
    left out.

    Raises:
        UserError: It is something else, a role is not one of `ROLES`, or a content is no text, or
            not of Unicode (see `check_unicode`); the message names `place`.
    """
    if isinstance(value, str):
        return check_unicode(value, place)
    turns: Any = [value] if isinstance(value, Mapping) else value
    if not isinstance(turns, Sequence) or isinstance(turns, bytes) or not turns:
        turns = [None]
    is_messages = all(
        isinstance(turn, Mapping)
        and ({"role", "content"} <= turn.keys() or {"from", "value"} <= turn.keys())
        for turn in turns
    )
    if value is None or value != value:
        raise UserError(
            f"{place}: expected text or a list of messages, found nothing; leave the row out, or "
            'write "" where nothing was said (a cell of a csv file cannot say that; jsonl can).'
        )
    if not is_messages:
        raise UserError(
            f"{place}: expected text or a list of messages with role and content, "
            f"found {type(value).__name__} {str(value)[:40]!r}."
        )
    numbered: Any = enumerate(turns, start=1)
    return [_turn(turn, f"{place}, turn {number}") for number, turn in numbered]


def check_unicode(text: str, place: str) -> str:
    """The same text, if it is of characters alone.

    Raises:
        UserError: It has half of a character (a lone surrogate), which no model can read.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{place}: character {error.start + 1} is half of one ({text[error.start]!a}, a lone "
            "surrogate: a text was cut within an emoji); write the text again, or leave the row "
            "out."
        ) from error
    return text


def _turn(turn: Message, place: str) -> Message:
    if not {"role", "content"} <= turn.keys():
        other = {name: part for name, part in turn.items() if name not in ("from", "value")}
        role = SHAREGPT_ROLES.get(str(turn["from"]))
        turn = {"role": role or turn["from"], "content": turn["value"], **other}
    if turn["role"] not in ROLES:
        raise UserError(
            f"{place}: role is {str(turn['role'])[:40]!r}; expected one of {', '.join(ROLES)}."
        )
    if isinstance(turn["content"], str):
        check_unicode(turn["content"], place)
        return turn if None not in turn.values() else _without_none(turn)
    calls = turn.get("tool_calls") or turn.get(TOOLS)
    content = "" if turn["content"] is None and calls else turn["content"]
    return _without_none({**turn, "content": _text_of_parts(content, place)})


def _text_of_parts(content: Any, place: str) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) and content else [None]
    texts = []
    for part in parts:
        filled = _without_none(part) if isinstance(part, Mapping) else {}
        if filled.get("type", "text") != "text" or not isinstance(filled.get("text"), str):
            kind = filled.get("type", type(part if parts is content else content).__name__)
            raise UserError(
                f"{place}: content is no text but holds {str(kind)[:40]!r}; a reward model of "
                "texts cannot see it, so leave the row out."
            )
        texts.append(check_unicode(filled["text"], place))
    return "".join(texts)


def _without_none(turn: Message) -> dict[str, Any]:
    return {name: part for name, part in turn.items() if part is not None}


def opening_of(text: Text, prompt: Text) -> int | None:
    """How much of a text is its prompt: characters, or turns of a conversation; None if it is not.

    Of a conversation the system's turns may come before the prompt; a prompt in text is the first
    turn of the user that says it, and white space around it does not count.
    """
    if isinstance(text, str):
        return len(prompt) if isinstance(prompt, str) and text.startswith(prompt) else None
    if isinstance(prompt, str):
        said = [
            number
            for number, turn in enumerate(text[:-1], start=1)
            if turn["role"] == "user" and _said(turn) == prompt.strip()
        ]
        return said[0] if said else None
    start = 0
    if prompt and prompt[0]["role"] not in BEFORE_THE_USER:
        start = number_before_the_user(text)
    end = start + len(prompt)
    same = len(text) >= end and all(map(_same_turn, text[start:end], prompt))
    return end if same else None


def number_before_the_user(text: Sequence[Message]) -> int:
    """With how many turns of the system a conversation begins."""
    roles = [turn["role"] in BEFORE_THE_USER for turn in text]
    return roles.index(False) if False in roles else len(roles)


def _same_turn(one: Message, other: Message) -> bool:
    return one["role"] == other["role"] and _said(one) == _said(other)


def _said(turn: Message) -> Any:
    content = turn["content"]
    return content.strip() if isinstance(content, str) else content


def begins_with(text: Text, prompt: Text) -> bool:
    """Whether a text or conversation begins with its prompt; see `opening_of`."""
    return opening_of(text, prompt) is not None


def as_turns(text: Text, role: str) -> Sequence[Message]:
    """A conversation, or a plain text as one turn."""
    return [{"role": role, "content": text}] if isinstance(text, str) else text


def joined(prompt: Text, response: Text) -> Text:
    """Prompt and response as one text or conversation; a text is a turn of its role.

    Examples: `"Q: " + "A"`, `[user turn] + [assistant turn]`, `[user turn] + "A"`.
    """
    if isinstance(prompt, str) and isinstance(response, str):
        return prompt + response
    return [*as_turns(prompt, "user"), *as_turns(response, "assistant")]


def in_turns(
    texts: Sequence[Text], prompt: Text | None, *, is_joined: bool
) -> tuple[list[Text], Text | None]:
    """Texts that are a plain prompt with a plain response, as conversations, and their prompt.

    All others are left as they are; `is_joined` says that both are plain and were put together.
    """
    if not (is_joined and isinstance(prompt, str)):
        return list(texts), prompt
    turns = as_turns(prompt, "user")
    return [joined(turns, text[len(prompt) :]) for text in texts], turns
