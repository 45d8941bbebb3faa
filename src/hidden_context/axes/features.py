"""Features of a response that have a name: what it does, and which words it has."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hidden_context.axes.lexicon import APOLOGY, BAD, GOOD, HEDGE, REFUSAL
from hidden_context.errors import UserError

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
FEW_WORDS = 20
"""Added to the number of words where shares of words are taken: in a text of a few, one is little
evidence."""


@dataclass(frozen=True)
class Feature:
    """One number of a response, and what it is called."""

    name: str
    more: str
    """What a response is that has more of it."""
    less: str


def _count(pattern: str) -> Callable[[str], float]:
    found = re.compile(pattern, re.MULTILINE)
    return lambda text: float(np.log1p(sum(1 for _ in found.finditer(text))))


def _has(pattern: re.Pattern[str]) -> Callable[[str], float]:
    return lambda text: float(pattern.search(text) is not None)


def _share(among: Callable[[str], float]) -> Callable[[str], float]:
    """Of words, with `FEW_WORDS` more."""
    return lambda text: among(text) / (len(WORD.findall(text)) + FEW_WORDS)


def _feeling(text: str) -> float:
    words = [word.lower() for word in WORD.findall(text)]
    return float(sum(word in GOOD for word in words) - sum(word in BAD for word in words))


def _letters(text: str) -> float:
    words = WORD.findall(text)
    return sum(map(len, words)) / (len(words) + FEW_WORDS) if words else 0.0


def _of_prompt(text: str, prompt: str) -> float:
    words, asked = ({word.lower() for word in WORD.findall(each)} for each in (text, prompt))
    return len(words & asked) / (len(words) + FEW_WORDS)


Measure = Callable[[str], float]
NAMED: Mapping[Feature, Measure] = {
    Feature("length", "longer", "shorter"): lambda text: float(np.log1p(len(text))),
    Feature("refusal", "refuses", "does not refuse"): _has(REFUSAL),
    Feature("apology", "apologizes", "does not apologize"): _has(APOLOGY),
    Feature("lists", "more list items", "fewer list items"): _count(
        r"^[ \t]*(?:[-*•+]|\d+[.)])[ \t]+\S"
    ),
    Feature("headings", "more headings", "fewer headings"): _count(
        r"^#{1,6} \S|^\*\*[^*\n]+\*\*:?$"
    ),
    Feature("code", "more code", "less code"): _count(r"^```|`[^`\n]+`|^(?: {4}|\t)\S.*[;{}()=]$"),
    Feature("emphasis", "more bold or italics", "less bold or italics"): _count(
        r"\*\*[^*\n]+\*\*|(?<![*\w])[*_][^*_\s][^*_\n]*[*_](?![*\w])"
    ),
    Feature("paragraphs", "more paragraphs", "fewer paragraphs"): _count(r"\n\s*\n"),
    Feature("questions", "asks more", "asks less"): _count(r"\?"),
    Feature("exclamations", "more exclamation marks", "fewer exclamation marks"): _count("!"),
    Feature("numbers", "more numbers", "fewer numbers"): _count(r"\d+(?:[.,]\d+)*"),
    Feature("hedging", "hedges more", "hedges less"): _share(
        lambda text: float(sum(1 for _ in HEDGE.finditer(text)))
    ),
    Feature("sentiment", "more positive words", "more negative words"): _share(_feeling),
    Feature("first person", "more I, me, my", "less I, me, my"): _share(
        lambda text: float(len(re.findall(r"\b(?:I|me|my|mine|myself)\b", text)))
    ),
    Feature("second person", "more you, your", "less you, your"): _share(
        lambda text: float(len(re.findall(r"\b(?:you|your|yours|yourself)\b", text, re.IGNORECASE)))
    ),
    Feature("word length", "longer words", "shorter words"): _letters,
}
"""What each is, and the number that it is of a response; of counts log(1 + count)."""
REPEATS = Feature("repeats the prompt", "more words of the prompt", "fewer words of the prompt")


def measured(
    responses: Sequence[str], prompts: Sequence[str], further: Mapping[str, Measure]
) -> tuple[list[Feature], np.ndarray]:
    """All named features of n responses to their prompts, and those of a user, shape `(n, k)`.

    Raises:
        UserError: A user's feature is not a finite number, or has the name of another.
    """
    features = [
        *NAMED,
        REPEATS,
        *(Feature(name, f"more {name}", f"less {name}") for name in further),
    ]
    names = [feature.name for feature in features]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"features: {twice!r} is there already; choose another name.")
    columns = [[measure(text) for text in responses] for measure in NAMED.values()]
    columns.append([_of_prompt(*both) for both in zip(responses, prompts, strict=True)])
    for name, measure in further.items():
        columns.append([_number(measure(text), name) for text in responses])
    return features, np.array(columns).T


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise UserError(f"feature {name!r} of a response is {value!r:.40}; expected a number.")
    return number


def words_said(
    responses: Sequence[str], pairs: np.ndarray, num_words: int, fewest: int
) -> tuple[list[Feature], np.ndarray]:
    """Words, and two in a row, that one response of a pair has and the other has not.

    Args:
        responses: n texts.
        pairs: Numbers of two texts, shape `(m, 2)`.
        num_words: How many at most: those that tell most pairs apart, English stop words (which
            tell style and length) left out. Who won is not looked at.
        fewest: Pairs that one has to tell apart.

    Returns:
        The features, and whether a response has each, shape `(n, k)`.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    readable = [text.encode("utf-8", "replace").decode() for text in responses]
    vectorizer: Any = CountVectorizer(  # pyrefly: ignore
        binary=True,
        stop_words="english",
        ngram_range=(1, 2),
        min_df=min(fewest, len(readable)),
    )
    try:
        has = vectorizer.fit_transform(readable).tocsc() if num_words else None
    except ValueError:  # no word is left
        has = None
    if has is None:
        return [], np.empty((len(responses), 0))
    tells = abs(has[pairs[:, 0]] - has[pairs[:, 1]]).sum(0)
    tells = np.asarray(tells).ravel()
    most = np.argsort(-tells, kind="stable")[:num_words]
    most = most[tells[most] >= fewest]
    names = vectorizer.get_feature_names_out()[most]
    features = [Feature(f"“{name}”", f"says {name}", f"does not say {name}") for name in names]
    return features, has[:, most].toarray().astype(float)
