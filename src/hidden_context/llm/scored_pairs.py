"""Scored comparisons as pairs: rows for a file, arrays for metrics; a ranking is all its pairs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from hidden_context.comparisons.schema import Comparison, Outcome, Text
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights
from hidden_context.llm.score_rows import ScoredRow


@dataclass(frozen=True)
class ScoredPair:
    """Two texts that were compared, with their raw outputs."""

    texts: tuple[Text, Text]
    """First the one with more votes, or the higher in a ranking."""
    raw: tuple[list[float], list[float]]
    """Of both, each of length `num_outputs`."""
    outcome: Outcome
    weight: float
    """Of the row, times its votes; of a ranking of K, times 2/K for each pair."""
    row: Mapping[str, Any]
    """The row as it was found."""

    def as_row(self) -> dict[str, Any]:
        """The row with outputs and, where it is not simply the first that won, the outcome."""
        first, second = self.raw
        added: dict[str, Any] = {"reward_output_chosen": first, "reward_output_rejected": second}
        if "chosen" not in self.row:
            added = {"chosen": self.texts[0], "rejected": self.texts[1], **added}
        if self.outcome != Outcome() or self.weight != 1:
            added["outcome"] = {"shares": list(self.outcome.shares), "weight": self.weight}
        kept = {name: value for name, value in self.row.items() if name != "outcome"}
        return {**kept, **added}


def scored_pairs(
    comparisons: Iterable[Comparison], scored: Iterable[ScoredRow]
) -> Iterator[ScoredPair]:
    """The pairs of all rows of which no text was dropped."""
    for comparison, outputs in zip(comparisons, scored, strict=True):
        if not outputs.is_whole:
            continue
        size = len(comparison.texts)
        weight = comparison.weight * comparison.outcome.votes * 2 / size
        for first, second in combinations(range(size), 2):
            yield ScoredPair(
                (comparison.texts[first], comparison.texts[second]),
                (_whole(outputs.raw[first]), _whole(outputs.raw[second])),
                comparison.outcome,
                weight,
                comparison.row,
            )


@dataclass(frozen=True)
class PairArrays:
    """What metrics are taken of."""

    raw: np.ndarray
    """Raw outputs, shape `(n, 2, num_outputs)`, float32."""
    outcomes: Outcomes
    """Of the n pairs."""
    lengths: np.ndarray
    """Characters of both texts, shape `(n, 2)`."""


def pair_arrays(pairs: Iterable[ScoredPair]) -> PairArrays:
    """Collect pairs, without their texts."""
    raw, shares, weights, lengths = [], [], [], []
    for pair in pairs:
        raw.append(pair.raw)
        shares.append(pair.outcome.shares)
        weights.append(pair.weight)
        lengths.append([len(str(text)) for text in pair.texts])
    outcomes = Outcomes(np.array(shares), normalize_weights(np.array(weights)))
    return PairArrays(np.array(raw, dtype=np.float32), outcomes, np.array(lengths))


def _whole(raw: Sequence[float] | None) -> list[float]:
    assert raw is not None
    return list(raw)
