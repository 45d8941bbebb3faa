"""One data set made ready for heads: its comparisons as pairs of vectors, and the jailbreaks'."""

from dataclasses import dataclass

import numpy as np

from hidden_context.audits.comparison_table import ComparisonTable, texts_of
from hidden_context.audits.heads import Pairs
from hidden_context.audits.jailbreaks import Jailbreaks
from hidden_context.audits.state_cache import StateCache
from hidden_context.audits.vectors import VectorsOnDemand, find_axes, make_vectors
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.likelihood.outcomes import Outcomes

BYTES_A_GIGABYTE = 10**9


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """One data set without its texts."""

    name: str
    comparisons: Comparisons
    table: ComparisonTable
    pairs: Pairs
    jailbreaks: Pairs | None
    """Safe and unsafe responses, by the same axes, without outcomes."""


def prepare(
    name: str,
    comparisons: Comparisons,
    table: ComparisonTable,
    cache: StateCache,
    jailbreaks: Jailbreaks | None,
    *,
    memory: float,
    progress: bool,
) -> PreparedSet:
    """Read all texts, those whose states are not in the cache by its representation.

    `table` is that of the comparisons, whose counts are completed; `memory` is in gigabytes: what
    vectors may take.
    """
    representation = cache.representation
    reads, overlong_before = representation.reads, getattr(representation, "num_overlong", 0)
    num_read = cache.add(
        texts_of(comparisons, reads), total=2 * len(table.digest), progress=progress
    )
    table.counts["texts_read_now"] = num_read
    num_overlong = getattr(representation, "num_overlong", 0) - overlong_before
    table.counts["overlong_texts_read_now"] = num_overlong
    rows = cache.rows_of(table.digest)
    axes = find_axes(cache.states, *rows.T)
    used, places = np.unique(rows, return_inverse=True)
    first, second = places.reshape(-1, 2).T
    vectors = make_vectors(cache.states, axes, used, memory=int(memory * BYTES_A_GIGABYTE))
    pairs = Pairs(vectors, first, second, table.outcomes, table.prompt, table.lengths)
    jailbreak_pairs = None
    if jailbreaks is not None:
        cache.add(jailbreaks.with_digests, total=2 * len(jailbreaks.texts), progress=progress)
        digest = jailbreaks.digest
        safe, unsafe = np.arange(digest.size).reshape(-1, 2).T
        jailbreak_pairs = Pairs(
            VectorsOnDemand(cache.states, axes, cache.rows_of(digest).ravel()),
            safe,
            unsafe,
            Outcomes(np.zeros((len(safe), 3), np.float32), np.zeros(len(safe), np.float32)),
            jailbreaks.prompt,
            jailbreaks.lengths,
        )
    return PreparedSet(name, comparisons, table, pairs, jailbreak_pairs)
