"""Comparisons and rankings as token ids for training, with an account of every one left out."""

from dataclasses import dataclass, replace
from itertools import accumulate, combinations, compress, islice
from typing import Any

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.schema import outcomes_of
from hidden_context.comparisons.streamed import Streamed
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights, with_num_grades
from hidden_context.llm.token_cache import tokenize_once
from hidden_context.llm.tokens import Overlong, numbered


@dataclass(frozen=True)
class Observation:
    """What the model learns from: two texts or more, best first."""

    texts: tuple[np.ndarray, ...]
    """Token ids of each text."""
    shares: tuple[float, ...] = (0.0, 0.0, 1.0)
    """Share of each grade; see `hidden_context.likelihood.outcomes`."""
    weight: float = 1.0
    """1 on average over a data set."""


@dataclass(frozen=True)
class TokenizedObservations:
    """Observations in the data's order, and what became of the others."""

    observations: list[Observation]
    num_identical: int
    """Kept observations of which the first and the last text have the same token ids."""
    num_overlong: int
    """Observations with a text over the limit: left out, or cut."""

    @property
    def num_grades(self) -> int:
        """How many strengths of preference the data tell apart."""
        return len(self.observations[0].shares) // 2

    @property
    def has_ties(self) -> bool:
        """Whether any vote is a tie."""
        return any(one.shares[self.num_grades] > 0 for one in self.observations)

    def with_num_grades(self, num_grades: int) -> "TokenizedObservations":
        """The same for a model of `num_grades` strengths; see `outcomes.with_num_grades`."""
        if num_grades == self.num_grades:
            return self
        shares = np.array([observation.shares for observation in self.observations])
        outcomes = with_num_grades(Outcomes(shares, np.ones(len(shares))), num_grades)
        observations = [
            replace(observation, shares=tuple(shares))
            for observation, shares in zip(self.observations, outcomes.shares.tolist(), strict=True)
        ]
        return replace(self, observations=observations)

    def unseen_strengths(self) -> list[int]:
        """Strengths without a vote: gaps below the greatest, or 1 where all votes are ties."""
        votes = np.sum([observation.shares for observation in self.observations], axis=0)
        middle = self.num_grades
        either = votes[middle:] + votes[middle::-1]
        return [grade for grade in range(1, middle + 1) if either[grade] == 0]

    def compared_texts(self) -> tuple[np.ndarray, np.ndarray]:
        """For all pairs that were compared, numbers of the two texts; equal texts have one."""
        sizes = [len(observation.texts) for observation in self.observations]
        texts = [text for observation in self.observations for text in observation.texts]
        ids = np.split(np.array(numbered(texts)), np.cumsum(sizes)[:-1])
        first, second = np.array([pair for texts in ids for pair in combinations(texts, 2)]).T
        return first, second

    @property
    def counts(self) -> dict[str, int]:
        """What became of the data."""
        rankings = sum(len(observation.texts) > 2 for observation in self.observations)
        return {
            "comparisons": len(self.observations) - rankings,
            "rankings": rankings,
            "equal_texts": self.num_identical,
            "overlong": self.num_overlong,
        }

    def account(self, name: str, max_length: int, overlong: Overlong) -> str:
        """One line for the user."""
        fate = "left out" if overlong == "drop" else "cut at the beginning"
        counts = self.counts
        rankings = f" and {counts['rankings']} rankings" if counts["rankings"] else ""
        return (
            f"{name}: {counts['comparisons']} comparisons{rankings} ({counts['equal_texts']} with "
            f"equal texts); {counts['overlong']} over {max_length} tokens, {fate}"
        )


def tokenize_observations(
    comparisons: Comparisons,
    tokenizer: Any,
    *,
    max_length: int,
    overlong: Overlong,
    is_limit_of_model: bool = False,
) -> TokenizedObservations:
    """Tokenise comparisons; see `tokenize_once`.

    Where `max_length` is all that the model can read, nobody is told to raise it.

    Raises:
        UserError: A text cannot be used, or none is left.
    """
    sizes = [len(comparison.texts) for comparison in comparisons]
    texts = Streamed(
        lambda: (text for comparison in comparisons for text in comparison.texts), sum(sizes)
    )
    tokenized = tokenize_once(
        tokenizer, texts, max_length=max_length, overlong=overlong, place=_places(sizes)
    )
    token_ids = iter(tokenized.token_ids)
    parts = [tuple(islice(token_ids, size)) for size in sizes]
    kept = [all(map(len, part)) for part in parts]
    if not any(kept):
        what_to_do = "raise max_length"
        if is_limit_of_model:
            what_to_do = "this model reads no more, so give one that does"
        raise UserError(
            f"{comparisons.source}: all {len(comparisons)} comparisons are over {max_length} "
            f"tokens; {what_to_do}, or give overlong truncate_left."
        )
    starts = [0, *accumulate(sizes[:-1])]
    num_overlong = np.logical_or.reduceat(tokenized.overlong, starts).sum()
    observations = list(map(Observation, compress(parts, kept)))
    if (outcomes := outcomes_of(comparisons)) is not None:
        outcomes = outcomes[np.array(kept)]
        weights = normalize_weights(outcomes.weight).tolist()
        shares = map(tuple, outcomes.shares.tolist())
        observations = list(map(Observation, compress(parts, kept), shares, weights))
    num_identical = sum(np.array_equal(part[0], part[-1]) for part in compress(parts, kept))
    return TokenizedObservations(observations, num_identical, int(num_overlong))


def _places(sizes: list[int]) -> Any:
    """What to call a text in messages, by its index."""
    ends = np.cumsum(sizes)

    def place(index: int) -> str:
        row = int(np.searchsorted(ends, index, side="right"))
        text = index - (int(ends[row]) - sizes[row])
        side = ("chosen", "rejected")[text] if sizes[row] == 2 else f"response {text + 1}"
        return f"row {row + 1}, {side}"

    return place
