"""A choice: a prompt, its alternatives and what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from hidden_context.aggregation.evidence import Evidence
from hidden_context.comparisons.texts import Text

TOO_FEW = "with fewer than two alternatives"
ONE_GROUP = "that fewer than two groups judged"
INCOMPLETE = "with pairs that were never compared"


@dataclass(frozen=True, eq=False)
class Choice:
    """One prompt and K alternatives."""

    row: int
    """Number of the first row that it was found in, from 1."""
    prompt: Text
    responses: tuple[Text, ...]
    """The alternatives without the prompt, in order of appearance."""
    evidence: Evidence


@dataclass(frozen=True, eq=False)
class Choices:
    """All choices of a data set, and how many prompts were left out, by reason."""

    kept: tuple[Choice, ...]
    left_out: Mapping[str, int]
