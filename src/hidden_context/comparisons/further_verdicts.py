"""Columns that nothing reads, and that seem to say which response is better, or what counts."""

import re
from collections.abc import Iterator, Mapping, Sequence

from hidden_context.comparisons.survey import MOST_LABELS, Column
from hidden_context.comparisons.verdicts import TIE, better_of

OF_VERDICTS = re.compile(r"prefer|winner|better|verdict")
"""What is in names of columns that say which response is better."""

OF_CHECKS = re.compile(r"(^|_)(valid|status|reject|exclud|attention|is_gold|passed|discard|spam)")
"""What begins a word in names of columns that say whether a row is to count."""


def checks_of_rows(carried: Mapping[str, Column]) -> Iterator[str]:
    """Sentences on columns that nothing reads, and that seem to say which rows are to count."""
    for column, held in carried.items():
        if OF_CHECKS.search(str(column).lower()) and 1 < len(held.labels) <= MOST_LABELS:
            yield (
                f"column {column!r} may say which rows are to be left out; it is not read, and all "
                "rows count"
            )


def further_verdicts(carried: Mapping[str, Column], names: Sequence[str]) -> Iterator[str]:
    """Sentences on columns that nothing reads, and that seem to say which response is better.

    They name one of two responses in every row, or have a name of verdicts and few values.
    """
    for column, held in carried.items():
        is_named = OF_VERDICTS.search(str(column).lower()) and 0 < len(held.labels) <= MOST_LABELS
        if is_named and not held.is_text:
            yield f"column {column!r} seems to hold verdicts, and is not read"
            continue
        said = {label for label in held.labels if not label.isdigit()}
        if len(names) == 2 and said and said == held.labels:
            verdicts = {better_of(label, names) for label in said}
            if None not in verdicts and verdicts != {TIE}:
                yield f"column {column!r} seems to hold verdicts, and is not read"
