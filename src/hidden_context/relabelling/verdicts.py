"""What an answer says: A, B, or why it says neither."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hidden_context.relabelling.judge import Answer

Kind: TypeAlias = Literal[
    "verdict", "refusal", "truncated", "empty", "unreadable", "too_long", "request_refused"
]
NO_VERDICT: dict[Kind, str] = {
    "refusal": "refused by the judge, or by a filter before it",
    "truncated": "cut at the longest answer before a verdict",
    "empty": "empty",
    "unreadable": "neither A nor B could be read",
    "too_long": "longer than the judge can read",
    "request_refused": "the endpoint refused the request",
}
"""Kinds of answers without a verdict, in words."""

THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>|^.*</think(?:ing)?>", re.DOTALL)
"""What a model thinks aloud before it answers; its beginning may be in the chat template."""
DECORATION = " \t\r\n*_`\"'“”‘’()[]{}<>.,:;!#$\\"
ALONE = re.compile(
    r"(?:(?:the|my) )?(?:(?:final )?(?:answer|verdict|choice) ?(?:is|:|=)? ?)?[*_`\"'(\[ ]*"
    r"(?:(?:the )?(?:response|option|assistant) ?)?[*_`\"'(\[ ]*(?P<letter>[AB])",
    re.IGNORECASE,
)
"""An answer that says one letter and nothing else."""
CONCLUSIONS = (
    re.compile(r"\[\[([AB])\]\]"),
    re.compile(r"\\boxed\{(?:\\text\{)?([AB])\}"),
    re.compile(
        r"\b(?i:answer|verdict|choice)[\"'*_ ]*(?i:is|:|=)[\"'*_ (\[]*"
        r"(?:(?i:response|option) )?[\"'*_(\[]*([AB])\b(?!['’]|\W*(?:or|and)\b|\s*[/&,]\s*[AB]\b)"
    ),
    re.compile(r"^[ *_(\[\"']*(?:Response )?([AB])[ *_)\].\"']*$", re.MULTILINE),
    re.compile(r"\AResponse ([AB]) is (?:the )?more (?:helpful|harmful)\b"),
)
"""How longer answers say what they conclude."""
REFUSAL = re.compile(
    r"\s*(?:i['’]?m (?:very )?sorry|i am sorry|sorry\b|i apologi[sz]e|my apologies|"
    r"(?:unfortunately,? )?i (?:can(?:no|['’])?t|can not|cannot|won['’]?t|will not|"
    r"am (?:not able|unable)|must (?:decline|refuse)|decline|refuse)\b|i['’]m (?:not able|unable)|"
    r"as an ai\b)",
    re.IGNORECASE,
)
"""How a judge says that it does not want to."""


@dataclass(frozen=True)
class Verdict:
    """What was read of an answer."""

    kind: Kind
    letter: Literal["A", "B"] | None = None


def read_verdict(answer: Answer) -> Verdict:
    """Read an answer; nothing is guessed: one that names both letters is unreadable."""
    if answer.error_kind is not None:
        kinds: dict[str, Kind] = {"too_long": "too_long", "filtered": "refusal"}
        return Verdict(kinds.get(answer.error_kind, "request_refused"))
    text = THOUGHTS.sub("", answer.text or "").strip()
    letters = _letters(text, is_cut=answer.finish_reason == "length")
    if len(letters) == 1 and not answer.refusal:
        return Verdict("verdict", "A" if letters[0] == "A" else "B")
    if answer.refusal or answer.finish_reason == "content_filter" or REFUSAL.match(text):
        return Verdict("refusal")
    if answer.finish_reason == "length":
        return Verdict("truncated")
    return Verdict("unreadable" if text else "empty")


def _letters(text: str, *, is_cut: bool) -> Sequence[str]:
    """The different letters that an answer names as its verdict."""
    alone = ALONE.fullmatch(text.strip(DECORATION))
    if alone is not None:
        return [alone["letter"].upper()]
    if is_cut:  # it may have gone on to say another
        return []
    said = (letter for form in CONCLUSIONS for letter in form.findall(text))
    return sorted({letter.upper() for letter in said})
