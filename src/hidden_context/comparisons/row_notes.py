"""What a reader of preference data should know of its rows, though each was read: in sentences."""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from hidden_context.comparisons.outcome_columns import Observed
from hidden_context.comparisons.texts import DIGEST, Text, digest

MOST_SHOWN = 3


@dataclass(frozen=True)
class ReadRow:
    """What was read of one row."""

    responses: Sequence[Text]
    prompt: Text | None
    observed: Observed
    weight: float
    annotator: str | None
    group: str | None


@dataclass
class RowNotes:
    """What the rows of a data set say together, one after another."""

    _annotators: set[str] = field(default_factory=set)
    _groups: set[str] = field(default_factory=set)
    _num_rows: int = 0
    _num_ties: int = 0
    _num_without_weight: int = 0
    _num_empty: int = 0
    _first_empty: int = 0
    _pairs: bytearray = field(default_factory=bytearray)
    _judged: bytearray = field(default_factory=bytearray)
    _leads: list[float] = field(default_factory=list)

    def add(self, row: ReadRow) -> None:
        """The next row."""
        self._num_rows += 1
        lead, is_tie = _lead(row)
        self._num_ties += is_tie
        self._num_without_weight += row.weight == 0
        if any(map(_is_empty, row.responses)):
            self._num_empty += 1
            self._first_empty = self._first_empty or self._num_rows
        if row.annotator is not None:
            self._annotators.add(row.annotator)
        if row.group is not None:
            self._groups.add(row.group)
        texts = [json.dumps(text, default=dict) for text in row.responses]
        is_turned = texts != sorted(texts)
        pair = json.dumps([row.prompt, sorted(texts), row.annotator], default=dict)
        judged = json.dumps([texts, row.observed.order, str(row.observed.votes), row.group])
        self._pairs += digest(pair)
        self._judged += digest(pair + judged)
        self._leads.append(-lead if is_turned else lead)

    @property
    def total_is_zero(self) -> bool:
        """Whether no row has a weight above 0."""
        return self._num_without_weight == self._num_rows

    def sentences(self) -> Iterator[str]:
        """What is to be known, each a sentence without its full stop."""
        if self._num_empty:
            first = self._first_empty
            yield f"{_rows(self._num_empty)} with an empty response (first: row {first})"
        if self._num_without_weight > 0:
            yield f"{_rows(self._num_without_weight)} of weight 0, which count for nothing"
        if self._num_ties == self._num_rows > 1:
            yield "all rows are ties, so nothing says which response is better"
        yield from self._repeats()
        yield from _alike(self._annotators, "annotators")
        yield from _alike(self._groups, "groups")

    def _repeats(self) -> Iterator[str]:
        judged = np.frombuffer(bytes(self._judged), DIGEST)
        firsts = np.unique(judged, return_index=True)[1]
        number = len(judged) - len(firsts)
        if number:
            is_first = np.zeros(len(judged), bool)
            is_first[firsts] = True
            yield (
                f"{_rows(number)} that repeat another in all that is read (first: row "
                f"{1 + int(np.flatnonzero(~is_first)[0])}), each counted as a further vote"
            )
        if not self._annotators:
            return
        of_pair = np.unique(np.frombuffer(bytes(self._pairs), DIGEST), return_inverse=True)[1]
        signs = np.sign(self._leads)
        won, lost = (np.bincount(of_pair, signs == sign) > 0 for sign in (1, -1))
        both = int((won & lost).sum())
        if both:
            yield (
                f"{both} pairs of responses of which one annotator prefers now the one, now the "
                "other; each vote counts"
            )


def _alike(names: Collection[str], what: str) -> Iterator[str]:
    """Names that differ by capitals, spaces or the writing of a number, and count as several."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        spellings[_spelt(name)].append(name)
    several = [sorted(same) for same in spellings.values() if len(same) > 1]
    if several:
        shown = "; ".join(" and ".join(map(repr, same)) for same in islice(several, MOST_SHOWN)) + (
            "; ..." if len(several) > MOST_SHOWN else ""
        )
        yield f"{what} whose names are alike count as different: {shown}"


def _spelt(name: str) -> str:
    plain = "".join(name.casefold().split())
    try:
        number = float(plain)
    except ValueError:
        return plain
    return repr(number) if math.isfinite(number) and abs(number) < 2**53 else plain


def _lead(row: ReadRow) -> tuple[float, bool]:
    """Votes for the first response less those for the last, and whether all are for a tie."""
    if row.observed.order is not None:
        order = row.observed.order
        return float(order.index(len(order) - 1) - order.index(0)), False
    votes = row.observed.votes or {}
    lead = sum(count * ((grade > 0) - (grade < 0)) for grade, count in votes.items())
    return float(lead), not any(count for grade, count in votes.items() if grade)


def _is_empty(text: Text) -> bool:
    """Whether the last that was said is nothing; of lists of texts, turn by turn, all that was."""
    last = text if isinstance(text, str) else text[-1] if text else ""
    said = last["content"] if isinstance(last, Mapping) else last
    return isinstance(said, str) and not said.strip()


def _rows(number: int) -> str:
    return f"{number} row" if number == 1 else f"{number} rows"
