"""Texts as rows without padding, in which a beginning that texts share is there once.

Texts are compared by their token ids: what is shared is decided after tokenisation, so that every
text keeps the ids it has on its own. Prior work on sharing the prompt of a pair: Wang and Hegde
2024 (prefix sharing for DPO); preference packing, arXiv 2602.24082.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, TypeAlias

import numpy as np

Batching: TypeAlias = Literal["shared_prefix", "grouped", "padded"]
"""How texts that are read together become tensors: in one packed row, in padded batches of like
length, or in one padded batch."""

MIN_SHARED = 16
"""Tokens that two texts must share for it to pay: fewer cost more to look up than to compute."""
ENOUGH = 0.5
"""Share of the token budget from which on a row may end early, where little is shared."""
MAX_PADDING = 0.2
"""Share of a padded batch's length that may be padding of a text."""

Span = tuple[int, int]
"""First place in a group, and the place after the last."""


@dataclass(frozen=True)
class Path:
    """Where the tokens of one text are."""

    spans: tuple[Span, ...]
    """Places in the group, in the order of the text."""
    num_new: int
    """How many tokens, at the end of the last span, no text before it has; at least 1."""

    @property
    def length(self) -> int:
        """Number of tokens of the text."""
        return sum(stop - start for start, stop in self.spans)

    @property
    def last(self) -> int:
        """Place of its last token."""
        return self.spans[-1][1] - 1


@dataclass(frozen=True)
class Group:
    """Neighbouring texts in a row that share tokens: a trie, cut into one span for each text."""

    size: int
    """Number of distinct tokens."""
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class PackedRow:
    """Texts in one row: group after group, and in each only the tokens that are new.

    Attention goes along the path of each text, and nowhere else.
    """

    token_ids: np.ndarray
    """Shape `(tokens,)`, int32."""
    position_ids: np.ndarray
    """Place of each token in its own text, from 0, shape `(tokens,)`, int64."""
    groups: tuple[Group, ...]
    path_of: np.ndarray
    """Index of the path of each of the texts given, shape `(texts,)`; equal ones may share one."""

    @property
    def last(self) -> np.ndarray:
        """Place in the row of the last token of each path, shape `(paths,)`."""
        starts = accumulate((group.size for group in self.groups), initial=0)
        places = [
            start + path.last
            for start, group in zip(starts, self.groups, strict=False)
            for path in group.paths
        ]
        return np.array(places, dtype=np.int64)


def pack(texts: Sequence[np.ndarray]) -> PackedRow:
    """Put texts, as token ids of length 1 and more, in one row.

    Any list will do: pairs, candidates for a prompt, unrelated texts.
    """
    order = in_trie_order(texts)
    shared_lengths = shared_with_previous([texts[index] for index in order])
    new_ids, positions, groups = [], [], []
    paths: list[Path] = []
    size, num_paths = 0, 0
    path_of = np.empty(len(texts), dtype=np.int64)
    for index, shared in zip(order, shared_lengths, strict=True):
        text = texts[index]
        if not shared and paths:
            groups.append(Group(size, tuple(paths)))
            paths, size = [], 0
        num_new = len(text) - shared
        if num_new:  # else it is the text before it: a beginning comes before what it begins
            before = _beginning(paths[-1].spans, shared) if shared else ()
            paths.append(Path(_extended(before, size, num_new), num_new))
            size += num_new
            num_paths += 1
            new_ids.append(text[shared:])
            positions.append(np.arange(shared, len(text)))
        path_of[index] = num_paths - 1
    groups.append(Group(size, tuple(paths)))
    return PackedRow(np.concatenate(new_ids), np.concatenate(positions), tuple(groups), path_of)


def rows_within_budget(texts: Sequence[np.ndarray], token_budget: int) -> list[list[int]]:
    """Divide texts among rows of at most `token_budget` tokens, such that much is shared in each.

    A row ends where its texts share least, among the places after the share `ENOUGH` of the budget.
    A text that is longer than the budget has a row of its own.

    Returns:
        Indices of the texts of each row, in trie order.
    """
    order = in_trie_order(texts)
    shared = shared_with_previous([texts[index] for index in order])
    lengths = np.array([len(texts[index]) for index in order])
    new = np.cumsum(lengths - shared)
    rows, start = [], 0
    while start < len(order):
        sizes = lengths[start] + new[start:] - new[start]  # of the row, if it ends after each text
        stop = start + max(1, int(np.searchsorted(sizes, token_budget, side="right")))
        if stop < len(order):
            full = np.flatnonzero(sizes[: stop - start] >= ENOUGH * token_budget)
            ends = (start + 1 + full).tolist() or [stop]
            stop = min(ends, key=lambda end: (shared[end], -end))
        rows.append(order[start:stop])
        start = stop
    return rows


def row_of_first(texts: Sequence[np.ndarray], token_budget: int) -> list[int]:
    """Indices of the first text and those for one row with it: what shares its beginning.

    Where that is below the share `ENOUGH` of the budget, other groups that share a beginning follow
    in the order of their first texts, if they fit whole: what a group shares is computed in each
    row that has a part of it.
    """
    order = in_trie_order(texts)
    shared = shared_with_previous([texts[index] for index in order])
    groups: list[list[int]] = []
    sizes: list[int] = []
    for index, length in zip(order, shared, strict=True):
        if not length:
            groups.append([])
            sizes.append(0)
        groups[-1].append(index)
        sizes[-1] += len(texts[index]) - length
    (row, size), *others = sorted(zip(groups, sizes, strict=True), key=lambda each: min(each[0]))
    if size > token_budget:
        rows = rows_within_budget([texts[index] for index in row], token_budget)
        return next([row[i] for i in each] for each in rows if 0 in [row[i] for i in each])
    for group, added in others:
        if size >= ENOUGH * token_budget:
            break
        if size + added <= token_budget:
            row, size = row + group, size + added
    return row


def groups_of_like_length(lengths: Sequence[int], *, token_budget: int) -> list[list[int]]:
    """Indices of texts in padded batches of like length, longest first; lengths are in tokens.

    A batch has at most `token_budget` tokens, padding included, unless one text has more.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = batches and (len(batches[-1]) + 1) * longest <= token_budget
        if fits and lengths[index] >= (1 - MAX_PADDING) * longest:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = lengths[index]
    return batches


def in_trie_order(texts: Sequence[np.ndarray]) -> list[int]:
    """Indices of texts sorted by their token ids, a beginning before what it begins.

    Then no earlier text shares more with a text than the one just before it.
    """
    keys = [text.astype(">u4").tobytes() for text in texts]
    return sorted(range(len(texts)), key=keys.__getitem__)


def shared_with_previous(texts: Sequence[np.ndarray]) -> list[int]:
    """How many first tokens each text has in common with the one before it; 0 if too few."""
    common = [common_prefix(before, text) for before, text in pairwise(texts)]
    return [0, *(shared if shared >= MIN_SHARED else 0 for shared in common)]


def common_prefix(first: np.ndarray, second: np.ndarray) -> int:
    """Number of tokens at the beginning that are the same in both."""
    length = min(len(first), len(second))
    differs = first[:length] != second[:length]
    return int(differs.argmax()) if differs.any() else length


def _beginning(spans: Sequence[Span], length: int) -> tuple[Span, ...]:
    """The first `length` places of a path."""
    kept: list[Span] = []
    for start, stop in spans:
        if length > 0:
            kept.append((start, min(stop, start + length)))
        length -= stop - start
    return tuple(kept)


def _extended(spans: tuple[Span, ...], start: int, num_new: int) -> tuple[Span, ...]:
    """A path with new places at its end, in one piece with the last span where they touch."""
    if spans and spans[-1][1] == start:
        return (*spans[:-1], (spans[-1][0], start + num_new))
    return (*spans, (start, start + num_new))
