"""Verdicts in words: which of two responses is better, or that neither is."""

import re
from collections.abc import Sequence

TIE = "tie"
TIE_WORDS = ("tie", "draw", "both", "neither", "equal", "same", "both_bad", "bothbad", "a=b", "=")
TIE_WORDS += ("tied", "both_good", "bothgood", "no_preference", "no_difference", "equally")
KINDS = ("response", "answer", "completion", "output", "assistant", "model", "option", "candidate")
KINDS += ("conversation", "human_ref", "text")
"""What a response may be called before its letter or number."""
OF_A_KIND = re.compile(rf"(?:the )?(?:{'|'.join(KINDS)})(?:[ _-]+|(?=\d|[ab]\b))")
SAID = re.compile(r" (?:is |was )?(?:the )?(?:better|winner|preferred|wins|won)(?: one)?")
"""What may be said of the better one without saying how much."""
AROUND = " \t\n[](){}.:;,*'\"`"


def bare_name(name: str) -> str:
    """What a response is called, without what it is: a of response_a, Response A or model_a."""
    return OF_A_KIND.sub("", name.strip().lower(), count=1)


def better_of(verdict: str, names: Sequence[str]) -> str | None:
    """Which of two names a verdict says is better, or `TIE`; None if it says something else.

    Examples for a and b: `a`, `Response A`, `[[A]]`, `A is better`, `A > B`, `B<A`; `tie`, `both
    bad`, `no preference`, `=`. How much better it is, or a reason, is something else.
    """
    said = " ".join(verdict.strip(AROUND).lower().split())
    if (sides := re.split(r"([<>])", said)) and len(sides) == 3:
        left, right = (bare_name(side.strip(AROUND)) for side in sides[::2])
        is_of_both = {left, right} == {*names} and left != right
        return (left if sides[1] == ">" else right) if is_of_both else None
    if _is_tie(said, names):
        return TIE
    name = bare_name(SAID.sub("", said, count=1) if SAID.search(said) else said)
    return name if name in names else None


def _is_tie(said: str, names: Sequence[str]) -> bool:
    """Whether a verdict begins with a word for a tie, and names neither response."""
    words = re.sub(r"^no[ -](?=preference|difference)", "no_", said)
    first, *others = re.findall(r"[\w=]+", words) or [""]
    if said.replace(" ", "") == "=".join(names):
        return True
    return first in TIE_WORDS and not {bare_name(word) for word in others} & set(names)
