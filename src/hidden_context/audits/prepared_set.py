"""One data set made ready for heads: its comparisons as pairs of vectors, and the jailbreaks'."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hidden_context.audits.comparison_table import ComparisonTable, read_table, texts_of
from hidden_context.audits.heads import Pairs
from hidden_context.audits.jailbreaks import Jailbreaks, as_pairs
from hidden_context.audits.state_cache import Representation, StateCache
from hidden_context.audits.vectors import Vectors, find_axes, make_vectors
from hidden_context.comparisons.comparisons import Comparisons

BYTES_A_GIGABYTE = 10**9


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """One data set without its texts."""

    name: str
    comparisons: Comparisons
    table: ComparisonTable
    pairs: Pairs
    jailbreaks: Pairs | None
    """Safe and unsafe responses, by the same axes."""


def prepare(
    name: str,
    comparisons: Comparisons,
    representation: Representation,
    jailbreaks: Jailbreaks | None,
    *,
    cache_dir: Path | str | None,
    memory: float,
    progress: bool,
) -> PreparedSet:
    """Read all texts, those whose states are not in the cache by the representation.

    Args:
        name: Of the set.
        comparisons: The set.
        representation: What makes a vector of a text.
        jailbreaks: To be scored by the heads of this set.
        cache_dir: Where states are kept; if None, with Hugging Face's cache.
        memory: Gigabytes that vectors may take.
        progress: Show a bar.
    """
    cache = StateCache(Path(cache_dir or _default_cache()), representation)
    table = read_table(comparisons, representation.reads)
    texts = texts_of(comparisons, representation.reads)
    num_read = cache.add(texts, total=2 * len(table.digest), progress=progress)
    table.counts["texts_read_now"] = num_read
    table.counts["overlong_texts_read_now"] = getattr(representation, "num_overlong", 0)
    rows = cache.rows_of(table.digest)
    axes = find_axes(cache.states, *rows.T)
    used, places = np.unique(rows, return_inverse=True)
    first, second = places.reshape(-1, 2).T
    vectors = make_vectors(cache.states, axes, rows=used, memory=int(memory * BYTES_A_GIGABYTE))
    pairs = Pairs(vectors, first, second, table.outcomes, table.prompt, table.lengths)
    jailbreak_pairs = None
    if jailbreaks is not None:
        cache.add(jailbreaks.with_digests(), total=2 * len(jailbreaks.texts), progress=progress)
        unread = Vectors(cache.states, axes, vectors.width)
        jailbreak_pairs = as_pairs(unread, cache.rows_of(jailbreaks.digest), jailbreaks.prompt)
    return PreparedSet(name, comparisons, table, pairs, jailbreak_pairs)


def _default_cache() -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "states"
