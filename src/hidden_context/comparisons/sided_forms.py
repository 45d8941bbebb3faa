"""Forms that only one of two responses has, in nearly all rows: a model would learn these alone."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hidden_context.comparisons.text_signs import SPEAKER, last_said
from hidden_context.comparisons.texts import Text

FEWEST = 10
"""Rows from which on it is said."""
SHARE = 0.9
"""Of the rows, in which one side has the form and the other has not."""
END_OF_TEXT = re.compile(r"(?:</s>|<\|[a-z_]+\|>|<eos>|<end_of_turn>)\s*$")
FORMS: dict[str, Callable[[str], object]] = {
    "begins with white space": lambda text: text[:1].isspace(),
    "ends with white space": lambda text: text[-1:].isspace(),
    "ends with a mark of the end (</s>)": lambda text: (
        ">" in text[-9:] and END_OF_TEXT.search(text[-40:])
    ),
    "begins with the mark of a speaker (Assistant:)": lambda text: (
        ":" in text[:20] and SPEAKER.match(text[:20].lower())
    ),
    "is in quotes": lambda text: len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`",
}
"""What has nothing to do with what is said."""


@dataclass
class SidedForms:
    """Of which of two responses, the better or the other, has each form alone."""

    num_rows: int = 0
    _alone: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, better: Text, worse: Text) -> None:
        """The responses of the next row of which one is better."""
        self.num_rows += 1
        texts = last_said(better) or "", last_said(worse) or ""
        for what, has in FORMS.items():
            one, other = (bool(has(text)) for text in texts)
            if one != other:
                self._alone[what, "better" if one else "worse"] += 1

    def sentences(self) -> Iterator[str]:
        """What is to be known, each a sentence without its full stop."""
        for (what, side), number in self._alone.items():
            if self.num_rows >= FEWEST and number >= SHARE * self.num_rows:
                yield (
                    f"in {number} of {self.num_rows} rows the {side} response alone {what}, so a "
                    "model may learn this and nothing else"
                )
