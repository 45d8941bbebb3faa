"""Signs that a text is not what was said: nothing, damaged on its way, or no answer to the other.

All such texts are read as they are; how many there are is said (`row_notes`).
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

from hidden_context.comparisons.texts import BESIDE_CONTENT, LAST_TURN, Text

FOR_NOTHING = frozenset(
    (
        *("na", "n/a", "nan", "null", "none", "nil", "undefined", "missing", "-", "--", ".", "?"),
        *("#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!", "[deleted]"),
        "[removed]",
    )
)
"""What tables write where a cell is empty, or its formula failed, in small letters."""
HUMAN_TURN = "\n\nHuman:"
SPEAKER = re.compile(r"(?:^|\s)(?:human|user|assistant)\s?:")
"""The mark of who speaks in a dialogue in text form, in small letters."""
OPENS_DIALOGUE = re.compile(r"\s*(?:human|user)\s?:", re.IGNORECASE)
ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,6}|#x[0-9a-fA-F]{2,5});")
MOJIBAKE = re.compile("â€|[ÃÂ][\x80-\xbf]")
"""UTF-8 that was read as Latin-1 or Windows-1252."""
TEMPLATE = re.compile(
    r"<\|(?:im_start|im_end|start_header_id|eot_id|user|assistant|system|end|endoftext)\|>"
    r"|\[/INST\]|</s>|<(?:start|end)_of_turn>"
)
WRITTEN_BREAK = re.compile(r"\\n(?![a-z])")
"""Not the beginning of a command of LaTeX."""
HTML = re.compile(r"\A\s*<(?:p|div|span|html|body)\b|<br ?/?>|</p>", re.IGNORECASE)
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Characters of format: spaces without width, marks of direction, the mark of byte order."""
EXCEL_CELL = 32_767
"""Characters of the longest cell of Excel, which cuts what is longer."""
DAMAGES: dict[str, Callable[[str], object]] = {
    "with characters as HTML writes them (&amp;)": lambda text: "&" in text and ENTITY.search(text),
    "with letters that were read in a wrong encoding (â€™)": lambda text: (
        not text.isascii() and MOJIBAKE.search(text)
    ),
    "with characters that were lost (\N{REPLACEMENT CHARACTER})": lambda text: "\ufffd" in text,
    "with line breaks as Excel writes them (_x000D_)": lambda text: "_x000D_" in text,
    "with the marks of a chat template (<|user|>), which are read as text": lambda text: (
        any(begin in text for begin in ("<|", "[/INST]", "</s>", "_of_turn>"))
        and TEMPLATE.search(text)
    ),
    "with marks of HTML (<p>, <br>), which are read as text": lambda text: (
        "<" in text and "```" not in text and HTML.search(text)
    ),
    "with line breaks written as two characters (\\n)": lambda text: (
        "\\n" in text and "\n" not in text and WRITTEN_BREAK.search(text)
    ),
    f"with a text of {EXCEL_CELL:,} characters, where Excel cuts": lambda text: (
        len(text) == EXCEL_CELL
    ),
}
"""What damaged a text, in words, and how it is seen."""


def signs_of(responses: Sequence[Text], prompt: Text | None) -> Iterator[str]:
    """What is to be known of a row's texts, each as what follows "3 rows"."""
    said = [part for text in (*responses, prompt or "") for part in parts_of(text)]
    if any(map(is_empty_text, responses)):
        yield "with an empty response"
    if any(part.strip().lower() in FOR_NOTHING for part in said if len(part) < 20):
        yield "with a text that may stand for nothing (NA, null, #REF!)"
    for what, is_damaged in DAMAGES.items():
        if any(map(is_damaged, said)):
            yield what
    if len(responses) == 2:
        one, other = ("\n".join(parts_of(text)) for text in responses)
        if one != other and bare_text(one) == bare_text(other):
            yield "whose responses differ by white space or invisible characters alone"
        yield from _of_dialogues(*responses)


def is_empty_text(text: Text) -> bool:
    """Whether the last that was said is nothing; of lists of texts, turn by turn, all that was."""
    last = text[-1] if text and not isinstance(text, str) else None
    if isinstance(last, Mapping) and any(last.get(name) for name in BESIDE_CONTENT):
        return False
    said = last_said(text)
    return said is not None and not said.strip()


def last_said(text: Text) -> str | None:
    """A plain text, or what the last turn of a conversation says; None where that is no text."""
    last = text if isinstance(text, str) else text[-1] if text else ""
    said = last["content"] if isinstance(last, Mapping) else last
    return said if isinstance(said, str) else None


def parts_of(text: Text) -> list[str]:
    """What was said, turn by turn."""
    if isinstance(text, str):
        return [text]
    contents = [turn["content"] if isinstance(turn, Mapping) else turn for turn in text]
    return [content for content in contents if isinstance(content, str)]


@functools.lru_cache(maxsize=4)
def bare_text(text: str) -> str:
    """A text by its visible characters, each written in one way, with single spaces.

    Of the last few it is known: those of a row are asked for twice.
    """
    if not text.isascii():
        text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return " ".join(text.split())


def bare_prompt(prompt: Text) -> str:
    """A prompt as `bare_text`, in small letters, without the marks of who speaks."""
    asked = "\n".join(parts_of(prompt)).casefold()
    return bare_text(SPEAKER.sub(" ", asked) if ":" in asked else asked)


def is_dialogue(responses: Sequence[Text], prompt: Text | None) -> bool:
    """Whether a prompt, or all responses, are dialogues in text form."""
    texts = [prompt] if isinstance(prompt, str) and OPENS_DIALOGUE.match(prompt) else responses
    return all(
        isinstance(text, str) and (LAST_TURN in text or OPENS_DIALOGUE.match(text) is not None)
        for text in texts
    )


def _of_dialogues(first: Text, second: Text) -> Iterator[str]:
    if isinstance(first, str) and isinstance(second, str):
        are = [LAST_TURN in text for text in (first, second)]
        if any(text.rfind(HUMAN_TURN) > text.rfind(LAST_TURN) for text in (first, second)):
            yield "of which a dialogue ends with the human's turn"
        elif any(are) and not all(are):
            yield "of which one response is a dialogue and the other is not"
        elif all(are) and first.partition(LAST_TURN)[0] != second.partition(LAST_TURN)[0]:
            yield "whose dialogues begin otherwise, so they do not answer the same"
        return
    asked = [
        next((turn["content"] for turn in text if turn["role"] == "user"), None)
        for text in (first, second)
        if not isinstance(text, str) and text and isinstance(text[0], Mapping)
    ]
    if len(asked) == 2 and asked[0] != asked[1]:
        yield "whose dialogues begin otherwise, so they do not answer the same"
