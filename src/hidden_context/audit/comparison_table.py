"""Comparisons as arrays, without their texts: a few dozen bytes each, however long the texts."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np

from hidden_context.data.comparisons import LAST_TURN, Comparison, Text, prompt_key
from hidden_context.errors import UserError
from hidden_context.outcomes import Outcomes, with_weights_of_mean_one

Reads: TypeAlias = Literal["response", "whole"]
"""What a representation reads of a text: the last turn alone, or all with the prompt."""
DIGEST = "V16"
PROMPT_ID = "prompt_id"
"""Column that says which comparisons belong together, in place of the prompt."""


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """n pairs of texts that differ; a ranking is all its pairs."""

    digest: np.ndarray
    """Of both texts as they are read, shape `(n, 2)`, `DIGEST`."""
    prompt: np.ndarray
    """Number of each pair's prompt, shape `(n,)`."""
    lengths: np.ndarray
    """Characters of both texts, shape `(n, 2)`."""
    outcomes: Outcomes
    """NumPy arrays; weights count votes and are 1 on average."""
    num_votes: np.ndarray
    """Shape `(n,)`."""
    label: np.ndarray
    """Number of who judged (group, else annotator), shape `(n,)`; -1 where it is not known."""
    label_names: tuple[str, ...]
    labelled_by: Literal["group", "annotator"] | None
    counts: dict[str, int]
    """rows, comparisons, equal_texts (left out), prompts, texts."""


@dataclass(frozen=True)
class Pair:
    """Two of the texts of one comparison."""

    comparison: Comparison
    first: Text
    second: Text
    weight: float
    """Of the row, times votes; of a ranking of K times 2/K, so that it counts as K - 1 pairs."""


def pairs_of(comparisons: Iterable[Comparison]) -> Iterator[Pair]:
    """The pairs of all comparisons, in order, but for equal texts: no model can tell these."""
    for comparison in comparisons:
        size = len(comparison.texts)
        weight = comparison.weight * comparison.outcome.votes * 2 / size
        for first, second in combinations(comparison.texts, 2):
            if first != second:
                yield Pair(comparison, first, second, weight)


def read_table(comparisons: Collection[Comparison], reads: Reads) -> ComparisonTable:
    """Go through all comparisons once.

    Raises:
        UserError: No two texts that are compared differ.
    """
    digests, prompts = bytearray(), bytearray()
    lengths, shares, weights, votes, labels = [], [], [], [], []
    by_label: dict[str, int] = {}
    labelled_by: Literal["group", "annotator"] | None = None
    for pair in pairs_of(comparisons):
        comparison = pair.comparison
        for text in (pair.first, pair.second):
            digests += digest_of(text_read(text, comparison, reads))
        prompts += _digest(_prompt(comparison))
        lengths.append((len(str(pair.first)), len(str(pair.second))))
        shares.append(comparison.outcome.shares)
        weights.append(pair.weight)
        votes.append(comparison.outcome.votes)
        name = comparison.group if comparison.group is not None else comparison.annotator
        if name is not None:
            labelled_by = "group" if comparison.group is not None else "annotator"
        labels.append(-1 if name is None else by_label.setdefault(name, len(by_label)))
    if not lengths:
        raise UserError(
            f"all {len(comparisons)} comparisons are of two equal texts, of which no model can "
            "prefer one."
        )
    digest = np.frombuffer(bytes(digests), DIGEST).reshape(-1, 2)
    _, prompt = np.unique(np.frombuffer(bytes(prompts), DIGEST), return_inverse=True)
    num_pairs = sum(len(each.texts) * (len(each.texts) - 1) // 2 for each in comparisons)
    return ComparisonTable(
        digest=digest,
        prompt=prompt,
        lengths=np.array(lengths, np.float32),
        outcomes=Outcomes(
            np.array(shares, np.float32), with_weights_of_mean_one(np.array(weights, np.float32))
        ),
        num_votes=np.array(votes, np.float32),
        label=np.array(labels, np.int32),
        label_names=tuple(by_label),
        labelled_by=labelled_by,
        counts={
            "rows": len(comparisons),
            "comparisons": len(digest),
            "equal_texts": num_pairs - len(digest),
            "prompts": int(prompt.max()) + 1,
            "texts": len(np.unique(digest)),
        },
    )


def texts_of(comparisons: Iterable[Comparison], reads: Reads) -> Iterator[tuple[bytes, Text]]:
    """Digest and text of everything that is read, in order, equal texts again and again."""
    for pair in pairs_of(comparisons):
        for text in (pair.first, pair.second):
            read = text_read(text, pair.comparison, reads)
            yield digest_of(read), read


def text_read(text: Text, comparison: Comparison, reads: Reads) -> Text:
    """The part of a text that is read: all of it, or what follows the prompt.

    Without a prompt column that is the last turn, after the last `Assistant:` of a dialogue in text
    form, and all of a text that is none.
    """
    if reads == "whole":
        return text
    if not isinstance(text, str):
        return str(text[-1]["content"])
    prompt = comparison.prompt
    if isinstance(prompt, str) and prompt and text.startswith(prompt):
        return text[len(prompt) :]
    return text.rpartition(LAST_TURN)[2]


def digest_of(text: Text) -> bytes:
    """16 bytes that tell texts apart."""
    return _digest(json.dumps(text, default=dict))


def _prompt(comparison: Comparison) -> str:
    given = comparison.row.get(PROMPT_ID)
    return prompt_key(comparison) if given is None else json.dumps([PROMPT_ID, str(given)])


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
