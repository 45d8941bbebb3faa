"""What a reader of preference data should know of its rows, though each was read: in sentences."""

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from hidden_context.comparisons.outcome_columns import Observed
from hidden_context.comparisons.sided_forms import SidedForms
from hidden_context.comparisons.text_signs import (
    FOR_NOTHING,
    bare_prompt,
    bare_text,
    is_dialogue,
    signs_of,
)
from hidden_context.comparisons.texts import DIGEST, Text, digest

MOST_SHOWN = 3
OF_BEST_OF = ("rewards", "ranking", "chosen_index")
"""Columns that best-of adds to its rows."""
SEVERAL = re.compile(r"[,;|&]| and ")
"""What stands between the names of several people in one cell."""
MANY = 10
"""Rows in all of which one side wins by chance once in 512 data sets."""
_as_json = json.JSONEncoder(default=dict).encode


@dataclass(frozen=True)
class ReadRow:
    """What was read of one row."""

    row: Mapping[str, Any]
    """As it was found, with all its columns."""
    responses: Sequence[Text]
    texts: Sequence[Text]
    """Whole ones, where the row holds them so; see `texts_and_prompt`."""
    prompt: Text | None
    is_plain: bool
    """Whether all that was said is plain text."""
    observed: Observed
    weight: float
    annotator: str | None
    group: str | None
    prompt_id: str | None
    asked: Text | None
    """The prompt, or what dialogues say of it."""


@dataclass
class RowNotes:
    """What the rows of a data set say together, one after another."""

    outcome: str | None = None
    """What beside `chosen` and `rejected` says which is better ("" for themselves); None where
    responses are called otherwise."""
    _found: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each thing to be known: in how many rows, and the first."""
    _annotators: set[str] = field(default_factory=set)
    _groups: set[str] = field(default_factory=set)
    _num_rows: int = 0
    _num_ties: int = 0
    _num_without_weight: int = 0
    _num_turned: int = 0
    """Rows of conversations."""
    _num_dialogues: int = 0
    """Rows of dialogues in text form."""
    _first_dialogue: int = 0
    _first_bare: int = 0
    _num_better: Counter[float] = field(default_factory=Counter)
    """Rows of two by which is better: the first (1), the second (-1), none (0)."""
    _forms: SidedForms = field(default_factory=SidedForms)
    _totals: set[float] = field(default_factory=set)
    """Numbers of votes of a row, while they are the same."""
    _pairs: bytearray = field(default_factory=bytearray)
    _judged: bytearray = field(default_factory=bytearray)
    _leads: list[float] = field(default_factory=list)
    _prompts: bytearray = field(default_factory=bytearray)
    _bare_prompts: bytearray = field(default_factory=bytearray)
    _responses: bytearray = field(default_factory=bytearray)
    _bare_responses: bytearray = field(default_factory=bytearray)

    def add(self, row: ReadRow) -> None:
        """The next row."""
        self._num_rows += 1
        lead, is_tie = _lead(row)
        self._num_ties += is_tie
        self._num_without_weight += row.weight == 0
        self._add_form(row)
        self._num_better[float(np.sign(lead)) if len(row.responses) == 2 else np.inf] += 1
        if len(row.responses) == 2 and lead:
            self._forms.add(*(row.responses if lead > 0 else row.responses[::-1]))
        if row.observed.votes is not None and len(self._totals) <= 1:
            self._totals.add(round(sum(row.observed.votes.values()), 6))
        for what in signs_of(row.responses, row.prompt):
            self._note(what)
        if row.row.keys() >= set(OF_BEST_OF):
            self._note("ranked by best-of, so by reward models and not by people")
        if row.weight == 0:
            self._note("of weight 0, which count for nothing")
        if self.outcome and lead < 0:
            self._note(f"in which {self.outcome} says that the rejected response is better")
        if row.annotator is not None:
            self._annotators.add(row.annotator)
        if row.group is not None:
            self._groups.add(row.group)
        texts = list(map(_as_json, row.responses))
        is_turned = texts != sorted(texts)
        pair = _as_json([row.prompt, sorted(texts), row.annotator])
        judged = _as_json([texts, row.observed.order, str(row.observed.votes), row.group])
        self._pairs += digest(pair)
        self._judged += digest(pair + judged)
        self._leads.append(-lead if is_turned else lead)
        if row.asked:
            self._prompts += digest(_as_json(row.asked))
            self._bare_prompts += digest(bare_prompt(row.asked))
        for text in row.responses:
            if isinstance(text, str):
                bare, of_text = bare_text(text), digest(text)
                self._responses += of_text
                self._bare_responses += of_text if bare == text else digest(bare)

    def _add_form(self, row: ReadRow) -> None:
        """Whether a row is of conversations, of dialogues in text form, or of bare texts."""
        if not all(isinstance(text, str) for text in row.responses):
            self._num_turned += 1
        elif is_dialogue(row.responses, row.prompt):
            self._num_dialogues += 1
            self._first_dialogue = self._first_dialogue or self._num_rows
        else:
            self._first_bare = self._first_bare or self._num_rows

    def _note(self, what: str) -> None:
        number, first = self._found.get(what, (0, self._num_rows))
        self._found[what] = number + 1, first

    @property
    def total_is_zero(self) -> bool:
        """Whether no row has a weight above 0."""
        return self._num_without_weight == self._num_rows

    def sentences(self) -> Iterator[str]:
        """What is to be known, each a sentence without its full stop."""
        for what, (number, first) in self._found.items():
            yield f"{_rows(number)} {what} (first: row {first})"
        if 0 < self._num_turned < self._num_rows:
            yield f"{_rows(self._num_turned)} of conversations, and the others of plain text"
        if self._first_dialogue and self._first_bare:
            yield (
                f"{_rows(self._num_dialogues)} of dialogues in text form, as Human: ... Assistant: "
                f"... (first: row {self._first_dialogue}), and others of bare texts (first: row "
                f"{self._first_bare})"
            )
        if self._num_ties == self._num_rows > 1:
            yield "all rows are ties, so nothing says which response is better"
        for sign, which in ((1.0, "first"), (-1.0, "second")) if self.outcome is None else ():
            if self._num_better[sign] == self._num_rows >= MANY:
                yield f"in all {self._num_rows} rows the {which} of the two responses is better"
        yield from self._forms.sentences()
        if self._totals == {100.0} and self._num_rows >= MANY:
            yield "each row has 100 votes; if they are percents, give their share as 'probability'"
        yield from self._repeats()
        white = "white space, invisible characters"
        for all_of, bare, what, ways in (
            (self._responses, self._bare_responses, "response", f"{white} or encoding"),
            (
                self._prompts,
                self._bare_prompts,
                "prompt",
                f"capitals, {white}, encoding or the marks of a dialogue",
            ),
        ):
            number = _num_different(all_of) - _num_different(bare)
            if number:
                differ, count = ("differs", "counts") if number == 1 else ("differ", "count")
                yield (
                    f"{_counted(number, what)} {differ} from another by {ways} alone, and {count} "
                    "as different"
                )
        for names, what in ((self._annotators, "annotators"), (self._groups, "groups")):
            yield from names_to_be_known(names, what)
        if len(self._annotators) == self._num_rows >= MANY:
            yield "each row has an annotator of its own, so nobody judged twice"

    def _repeats(self) -> Iterator[str]:
        judged = np.frombuffer(bytes(self._judged), DIGEST)
        firsts = np.unique(judged, return_index=True)[1]
        number = len(judged) - len(firsts)
        if number:
            is_first = np.zeros(len(judged), bool)
            is_first[firsts] = True
            yield (
                f"{_rows(number)} equal to another in all that is read (first: row "
                f"{1 + int(np.flatnonzero(~is_first)[0])}), each counted as a further vote"
            )
        if not self._annotators:
            return
        of_pair = np.frombuffer(bytes(self._pairs), DIGEST)
        both = num_of_both_signs(of_pair, np.array(self._leads))
        if both:
            yield (
                f"{_counted(both, 'pair')} of responses of which one annotator prefers now the "
                "one, now the other; each vote counts"
            )


def num_of_both_signs(numbers: np.ndarray, leads: np.ndarray) -> int:
    """How many of the numbers that come several times have a lead above 0 and one below."""
    groups = np.unique(numbers, return_inverse=True)[1]
    won, lost = (np.bincount(groups, np.sign(leads) == sign) > 0 for sign in (1, -1))
    return int((won & lost).sum())


def names_to_be_known(names: Collection[str], what: str) -> Iterator[str]:
    """Names that are alike, and that may stand for nobody."""
    yield from alike(names, what)
    nobody = sorted(name for name in names if name.lower() in FOR_NOTHING)
    if nobody:
        yield f"{', '.join(map(repr, nobody))} count among the {what}, as one each"
    several = sorted(name for name in names if SEVERAL.search(name)) if what == "annotators" else []
    if several:
        shown = ", ".join(map(repr, several[:MOST_SHOWN])) + (", ..." * (len(several) > MOST_SHOWN))
        yield f"names of annotators that may be of several people count as one each: {shown}"


def alike(names: Collection[str], what: str) -> Iterator[str]:
    """Names that differ as people write one in several ways (`_spelt`), and are read as several."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        spellings[_spelt(name)].append(name)
    several = [sorted(same) for same in spellings.values() if len(same) > 1]
    if several:
        shown = "; ".join(
            " and ".join(map(_shown, same)) for same in islice(several, MOST_SHOWN)
        ) + ("; ..." if len(several) > MOST_SHOWN else "")
        yield f"{what} whose names are alike are read as different ones: {shown}"


def _shown(name: str) -> str:
    """A name in quotes, by escapes where two could look the same."""
    return repr(name) if unicodedata.is_normalized("NFKC", name) else ascii(name)


def _spelt(name: str) -> str:
    """Without capitals, spaces, invisible characters, a final full stop or other Unicode forms.

    Of a number, its value.
    """
    plain = "".join(bare_text(name).casefold().split())
    plain = plain.removesuffix(".") or plain
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


def _num_different(digests: bytearray) -> int:
    return len(np.unique(np.frombuffer(bytes(digests), DIGEST)))


def _rows(number: int) -> str:
    return _counted(number, "row")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
