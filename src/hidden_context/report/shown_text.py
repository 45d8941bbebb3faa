"""Texts of data as they are shown: never interpreted, and with nothing in them that is unseen."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from markupsafe import Markup, escape

from hidden_context.comparisons.texts import LAST_TURN, Text

LONG = 700
"""Characters from which a text is folded."""
BEGINNING = 280
"""Characters of a folded text that are seen."""

CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
INVISIBLE = "\u00ad\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f"
SURROGATES = "\ud800-\udfff"
_UNSEEN = re.compile(f"[{CONTROLS}{BIDIRECTIONAL}{INVISIBLE}{SURROGATES}]")


@dataclass(frozen=True)
class ShownText:
    """A text or conversation, split where it is folded."""

    turns: tuple[tuple[str, str], ...]
    """Role and content; the role of a plain text is empty."""

    @property
    def num_characters(self) -> int:
        """Of all turns."""
        return sum(len(content) for _, content in self.turns)

    @property
    def is_long(self) -> bool:
        """Whether it is folded."""
        return self.num_characters > LONG

    @property
    def beginning(self) -> str:
        """What is seen of a folded text."""
        text = " ".join(content for _, content in self.turns)
        return text[:BEGINNING].rstrip() + " …"


def with_visible_controls(text: object) -> Markup:
    """Escaped for HTML, with control characters, and those that turn or hide text, by number."""
    whole = str(text).replace("\r\n", "\n")
    return Markup(_UNSEEN.sub(_span_of_number, str(escape(whole))))


def _span_of_number(character: re.Match[str]) -> str:
    return f'<span class="unseen">U+{ord(character.group()):04X}</span>'


def without_unseen(page: str) -> str:
    """A whole page with what UTF-8 or HTML cannot hold, or what turns text, by number."""
    return _UNSEEN.sub(lambda found: f"⟦U+{ord(found.group()):04X}⟧", page)


def split_prompt(chosen: Text, rejected: Text, prompt: Any) -> tuple[Text | None, Text, Text]:
    """The prompt that two texts share, if it can be told, and what remains of each."""
    if isinstance(chosen, list) and isinstance(rejected, list):
        both = zip(chosen[:-1], rejected[:-1], strict=False)  # a response remains of each
        shared = [turn for turn, _ in takewhile(lambda turns: turns[0] == turns[1], both)]
        before = [*_messages_before(shared, prompt), *shared]
        return before or None, chosen[len(shared) :], rejected[len(shared) :]
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        return prompt or None, chosen, rejected
    if prompt:
        is_part = isinstance(prompt, str) and chosen.startswith(prompt)
        start = len(prompt) if is_part and rejected.startswith(prompt) else 0
        return prompt, chosen[start:], rejected[start:]
    (*opening, ending), (*other_opening, other_ending) = (
        text.rpartition(LAST_TURN) for text in (chosen, rejected)
    )
    if opening == other_opening and LAST_TURN in opening:
        return "".join(opening), ending, other_ending
    return None, chosen, rejected


def _messages_before(shared: list[Any], prompt: Any) -> list[Any]:
    """The turns of a prompt that is given beside the conversations, unless they begin with it."""
    if not prompt:
        return []
    before = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return [] if shared[: len(before)] == before else before


def shown(text: Text) -> ShownText:
    """A text, or the turns of a conversation; contents that are no text are shown as JSON."""
    if not isinstance(text, list):
        return ShownText((("", _as_text(text).strip("\n")),))
    return ShownText(tuple(_turn(message) for message in text))


def _turn(message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        return "", _as_text(message)
    return _as_text(message.get("role", "")), _as_text(message.get("content", ""))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    is_data = isinstance(value, (Mapping, Sequence)) and not isinstance(value, str)
    return json.dumps(value, ensure_ascii=False, default=str) if is_data else str(value)
