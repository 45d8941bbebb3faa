"""What was read of a data set, and what was not: by columns, and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hidden_context.comparisons.prompt_columns import PROMPT_ID
from hidden_context.errors import UserError


@dataclass(frozen=True)
class ColumnsRead:
    """Which columns of a data set were read as what."""

    by_role: Mapping[str, tuple[str, ...]]
    """responses, outcome (none where `chosen` says it), prompt, weight, annotator (the first of
    them that a row fills counts), group, objective; prompt_id, where there is one."""
    carried: tuple[str, ...]
    """Carried along and not read."""
    puts_prompt_before: bool
    """Whether the prompt was put before the responses."""
    empty: tuple[str, ...] = ()
    """Without a value in any row."""
    ignored: tuple[str, ...] = ()
    """Not read because it was asked for."""
    num_without_prompt: int = 0
    """Rows whose prompt is empty, where others have one."""
    scores: tuple[str, ...] = ()
    """Of those carried: a score of each of two responses."""
    num_against_scores: int = 0
    """Rows in which the response with the lower of these scores is the better one."""
    places: tuple[str, ...] = ()
    """The source with its split and files, of each source that has splits."""
    notes: tuple[str, ...] = ()
    """What else is to be known of the rows, each a sentence without its full stop."""

    def refuse_observed(self, column: str, source: str, purpose: str) -> None:
        """Refuse what was compared, or how, where something else is wanted of a column.

        Raises:
            UserError: The column is read as the outcome or as a response.
        """
        for role in ("outcome", "responses"):
            if column in self.by_role.get(role, ()):
                raise UserError(
                    f"{source}: column {column!r} is read as the {role}, so it cannot be "
                    f"{purpose}; give another column."
                )

    def grouped_by(self, column: str) -> "ColumnsRead":
        """The same, with another column of groups; the one of before is carried along."""
        before = tuple(name for name in self.by_role["group"] if name != column)
        carried = tuple(name for name in self.carried if name != column)
        by_role = {**self.by_role, "group": (column,)}
        return replace(self, by_role=by_role, carried=(*before, *carried))

    @classmethod
    def of_all(cls, parts: Sequence["ColumnsRead"]) -> "ColumnsRead":
        """Which columns of any part were read as what; and which of one part were not."""
        by_role: dict[str, tuple[str, ...]] = {}
        for part in parts:
            for role, names in part.by_role.items():
                by_role[role] = tuple(dict.fromkeys((*by_role.get(role, ()), *names)))
        said: dict[str, Any] = {
            name: tuple(dict.fromkeys(value for part in parts for value in getattr(part, name)))
            for name in ("carried", "empty", "ignored", "scores", "notes")
        }
        return cls(
            by_role,
            puts_prompt_before=any(part.puts_prompt_before for part in parts),
            num_without_prompt=sum(part.num_without_prompt for part in parts),
            num_against_scores=sum(part.num_against_scores for part in parts),
            **said,
        )


@dataclass(frozen=True)
class Account:
    """What was read of a data set, and what was not."""

    source: str
    columns: ColumnsRead
    num_rows: int
    num_rankings: int
    """Rows with more than two responses."""
    num_pairs: int
    """A ranking of K is K(K - 1)/2 pairs."""
    num_ties: int
    """Rows with votes for a tie."""
    num_equal: int
    """Pairs of equal texts, of which no model can prefer one."""
    num_prompts: int
    num_annotators: int = 0
    num_without_annotator: int = 0
    """Rows, where others have one."""

    def lines(self) -> dict[str, str]:
        """In words, by what each line is about."""
        columns = {
            role: ", ".join(names) or "no column" for role, names in self.columns.by_role.items()
        }
        if self.columns.puts_prompt_before:
            columns["responses"] += " (the prompt is put before them)"
        if self.columns.num_without_prompt:
            columns["prompt"] += f" (empty in {self.columns.num_without_prompt} rows)"
        if self.num_annotators:
            columns["annotator"] += f" ({self._people()})"
        if PROMPT_ID in columns:
            columns[PROMPT_ID] += " (tells prompts apart in audit and people, and nowhere else)"
        if not self.columns.by_role["outcome"]:
            columns["outcome"] = "the chosen response is the better one"
        return {
            "source": " + ".join(self.columns.places) or self.source,
            "rows": f"{self.num_rows} ({self.num_rankings} rankings, {self.num_ties} with ties), "
            f"{self.num_prompts} prompts",
            "pairs": f"{self.num_pairs} ({self.num_equal} of equal texts)",
            **columns,
            "carried along, not read": self._carried(),
            **{
                name: ", ".join(columns)
                for name, columns in {
                    "ignored (ignore_columns)": self.columns.ignored,
                    "without a value": self.columns.empty,
                }.items()
                if columns
            },
            **({"to be known": "; ".join(self.columns.notes)} if self.columns.notes else {}),
        }

    def _people(self) -> str:
        without = self.num_without_annotator
        return f"{self.num_annotators} people" + (
            f", {without} rows without one" if without else ""
        )

    def _carried(self) -> str:
        carried = ", ".join(name or "''" for name in self.columns.carried) or "no column"
        if self.columns.num_against_scores:
            scores = " and ".join(self.columns.scores)
            carried += f" (by {scores} the other response is better in "
            carried += f"{self.columns.num_against_scores} rows)"
        return carried

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.lines().items())
