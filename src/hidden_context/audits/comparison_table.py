"""Comparisons as arrays, without their texts: a few dozen bytes each, however long the texts."""

import json
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from hidden_context.comparisons.pairs import Pair, pairs_of, responses_alone
from hidden_context.comparisons.prompt_columns import PROMPT_ID
from hidden_context.comparisons.schema import Comparison, prompt_key
from hidden_context.comparisons.texts import DIGEST, Text, digest
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights

Reads: TypeAlias = Literal["response", "whole"]
"""What a representation reads of a text: the last turn alone, or all with the prompt."""


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """n pairs of texts that differ; a ranking is all its pairs."""

    digest: np.ndarray
    """Of both texts as they are read, shape `(n, 2)`, `DIGEST`."""
    prompt: np.ndarray
    """Number of each pair's prompt, shape `(n,)`."""
    lengths: np.ndarray
    """Characters of both responses, without what they share, shape `(n, 2)`."""
    outcomes: Outcomes
    """NumPy arrays; weights count votes and are 1 on average."""
    num_votes: np.ndarray
    """Shape `(n,)`."""
    label: np.ndarray
    """Number of who judged, shape `(n,)`; -1 where it is not known. Groups if there are any, else
    annotators."""
    labelled_by: Literal["group", "annotator"] | None
    annotator: np.ndarray | None
    """Number of each one's annotator, shape `(n,)`, -1 where not known; None if nowhere."""
    counts: dict[str, int]
    """rows, comparisons, equal_texts (left out), prompts, texts."""


def differing_pairs(comparisons: Iterable[Comparison]) -> Iterator[Pair]:
    """The pairs of all comparisons, in order, but for equal texts: no model can tell these."""
    return (pair for pair in pairs_of(comparisons) if pair.first != pair.second)


def read_table(comparisons: Collection[Comparison], reads: Reads) -> ComparisonTable:
    """Go through all comparisons once.

    Raises:
        UserError: No two texts that are compared differ, or all votes are ties.
    """
    digests, prompts = bytearray(), bytearray()
    lengths, weights, votes, shares = array("f"), array("f"), array("f"), array("f")
    groups, annotators = array("i"), array("i")
    number_of_group: dict[str | None, int] = {None: -1}
    number_of_annotator: dict[str | None, int] = {None: -1}
    num_possible = 0
    for comparison in comparisons:
        num_possible += len(comparison.texts) * (len(comparison.texts) - 1) // 2
        for pair in differing_pairs([comparison]):
            for text in (pair.first, pair.second):
                digests += digest_of(text_read(text, comparison, reads))
            lengths.extend(pair.lengths)
            prompts += digest(_prompt(comparison))
            shares.extend(comparison.outcome.shares)
            weights.append(pair.weight)
            votes.append(comparison.outcome.votes)
            for names, numbers, name in (
                (number_of_group, groups, comparison.group),
                (number_of_annotator, annotators, comparison.annotator),
            ):
                numbers.append(names.setdefault(name, len(names) - 1))
    if not weights:
        raise UserError(
            f"all {len(comparisons)} comparisons are of two equal texts, of which no model can "
            "prefer one."
        )
    of_pairs = np.frombuffer(bytes(digests), DIGEST).reshape(-1, 2)
    _, prompt = np.unique(np.frombuffer(bytes(prompts), DIGEST), return_inverse=True)
    by_group = len(number_of_group) > 1
    labelled = by_group or len(number_of_annotator) > 1
    all_shares = _as_numpy(shares).reshape(len(of_pairs), -1)
    outcomes = Outcomes(all_shares, normalize_weights(_as_numpy(weights)))
    if outcomes.are_ties:
        raise UserError(
            f"all {len(of_pairs)} comparisons are ties, so nothing says which response is better; "
            "an audit needs votes for one of the two."
        )
    label = _as_numpy(groups if by_group else annotators)
    return ComparisonTable(
        digest=of_pairs,
        prompt=prompt,
        lengths=_as_numpy(lengths).reshape(-1, 2),
        outcomes=outcomes,
        num_votes=_as_numpy(votes),
        label=label,
        labelled_by=("group" if by_group else "annotator") if labelled else None,
        annotator=_as_numpy(annotators) if len(number_of_annotator) > 1 else None,
        counts={
            "rows": len(comparisons),
            "comparisons": len(of_pairs),
            "equal_texts": num_possible - len(of_pairs),
            "prompts": int(prompt.max()) + 1,
            "texts": len(np.unique(of_pairs)),
            "with_ties": int((all_shares[:, all_shares.shape[1] // 2] > 0).sum()),
            "labels": len(np.unique(label[label >= 0])),
        },
    )


def _as_numpy(values: "array[Any]") -> np.ndarray:
    """A copy, float32 or int32."""
    return np.array(np.frombuffer(values, np.dtype(values.typecode)))


def texts_of(comparisons: Iterable[Comparison], reads: Reads) -> Iterator[tuple[bytes, Text]]:
    """Digest and text of everything that is read, in order, equal texts again and again."""
    for pair in differing_pairs(comparisons):
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
    (response,) = responses_alone([text], comparison.prompt)
    assert response is not None
    return last_turn(response)


def last_turn(response: Text) -> str:
    """A response as text: of a conversation what is said last."""
    return response if isinstance(response, str) else str(response[-1]["content"])


def digest_of(text: Text) -> bytes:
    """16 bytes that tell texts apart."""
    return digest(json.dumps(text, default=dict))


def _prompt(comparison: Comparison) -> str:
    given = comparison.prompt_id
    return prompt_key(comparison) if given is None else json.dumps([PROMPT_ID, given])
