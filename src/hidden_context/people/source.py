"""Comparisons by person, and the vectors of what they compared."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.audits.vectors import Axes, find_axes
from hidden_context.items.votes import comparisons_of
from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.text_weights import Reader, reader_of


@dataclass(frozen=True, eq=False)
class Source:
    """Comparisons by person, and where they are of texts, the texts' vectors."""

    ballots: Ballots
    reader: Reader | None = None
    axes: Axes | None = None
    vectors: np.ndarray | None = None
    """Shape `(items, d)`."""

    @classmethod
    def read(
        cls, votes: Any, vectors: str | Path | None, items: Sequence[Hashable] | None = None
    ) -> "Source":
        """Of items, or of texts; see `fit_people`."""
        if isinstance(votes, Source):
            return votes
        if vectors is None:
            return cls(votes if isinstance(votes, Ballots) else read_ballots(votes, items=items))
        reader = reader_of(vectors)
        ballots = read_ballots(reader.prepared(comparisons_of(votes)[0]), reads=reader.reads)
        assert ballots.texts is not None
        states = reader.states(ballots.texts)
        seen = ballots.weight > 0
        axes = find_axes(states, ballots.first[seen], ballots.second[seen])
        return cls(ballots, reader, axes, axes(states).astype(np.float64))

    @property
    def width(self) -> int:
        """Weights of the mean utility."""
        return len(self.ballots.items) if self.vectors is None else self.vectors.shape[1]

    @property
    def most_directions(self) -> int:
        """In which these people could differ on these items or vectors."""
        return self.width - (self.vectors is None)
