"""Columns whose names are a slip of the pen away from a known one: refused, for nothing reads them.

Otherwise a `prefered` beside `chosen` and `rejected` would be carried along as if it said nothing.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from difflib import SequenceMatcher, get_close_matches

from hidden_context.errors import UserError

NEAR = 0.8
"""Similarity (`difflib`) from which on a word is taken for a misspelt one: one letter of five."""
SHORTEST = 5
"""Letters of a word that may be misspelt; shorter ones are near too many others."""
LONG = 9
"""Letters of a word that two slips may have made longer or shorter."""
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
"""Words of a name: of `preferred_response`, `preferredResponse` and `preferred response` two."""
OTHER_WORDS = frozenset(
    (
        *(
            "content",
            "contest",
            "reference",
            "references",
            "referred",
            "notes",
            "noted",
            "vote",
            "votes",
            "voted",
        ),
        *("rate", "rated", "rates", "rather", "later", "water", "letter", "height", "eight"),
        *("annotation", "annotated", "annotate", "labeled", "worked", "answered", "responded"),
        *("instructor", "participate", "participated", "participation", "subjective"),
    )
)
"""Words that mean something else than the known ones that they are near to."""


def refuse_misspelt(
    columns: Collection[str],
    known: Collection[str],
    source: str,
    *,
    instead: str = "name it in ignore_columns",
) -> None:
    """Refuse columns whose names differ from known ones by spaces, signs, capitals or a slip.

    `instead` is what to do where another thing is meant.

    Raises:
        UserError: It names all such of a kind.
    """
    spelt: dict[str, list[str]] = defaultdict(list)
    for name in sorted(known, key=lambda name: (not name.islower(), name)):
        spelt[_squeezed(name)].append(name)
    renamed: dict[str, str] = {}
    for name in map(str, columns):
        alike = spelt.get(_squeezed(name), [name])
        if name not in known and alike != [name]:
            renamed[name] = name.strip() if name.strip() in alike else alike[0]
    if renamed:
        named = ", ".join(f"{name!r} to {meant!r}" for name, meant in renamed.items())
        raise UserError(
            f"{source}: a name that differs from a known one by spaces, signs or capitals alone "
            f"would not be read; rename {named}, or {instead}."
        )
    lacking = {*known}.difference(columns)
    for name in map(str, columns):
        is_known = name in known
        meant = None if is_known else nearest_column(name, lacking) or nearest_column(name, known)
        if meant is not None:
            raise UserError(
                f"{source}: nothing reads a column {name!r}; did you mean {meant!r}? Rename it, or "
                f"{instead}."
            )


def _squeezed(name: str) -> str:
    """A name by its letters and digits alone, in small letters."""
    return "".join(filter(str.isalnum, name.lower()))


def nearest_column(name: str, known: Collection[str]) -> str | None:
    """The known column of which a name may be a misspelling, word by word; None if of none.

    Short words, numbers and plurals are never taken for slips.
    """
    words = _words(name)
    candidates = []
    for other in sorted(known):
        meant = _words(other)
        if len(meant) == len(words) and all(map(_may_mean, words, meant)):
            candidates.append(other)
    return next(iter(get_close_matches(name.lower(), candidates, 1, 0.0)), None)


def _words(name: str) -> list[str]:
    return [word.lower() for word in WORDS.findall(name)]


def _may_mean(word: str, meant: str) -> bool:
    if word == meant:
        return True
    if len(meant) < SHORTEST or word in OTHER_WORDS or f"{word}s" == meant or word == f"{meant}s":
        return False
    few_slips = abs(len(word) - len(meant)) <= (2 if len(meant) >= LONG else 1)
    return few_slips and SequenceMatcher(None, word, meant).ratio() >= NEAR
