"""The schema of preference data: rows of any accepted form become `Comparison`s."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hidden_context.data.streamed import mapped, selected
from hidden_context.errors import UserError
from hidden_context.records import require_columns

Message: TypeAlias = Mapping[str, Any]
"""One turn of a conversation, with `role` and `content`."""
Text: TypeAlias = str | Sequence[Message]
"""What a reward model reads: plain text, or a conversation for the tokenizer's chat template."""
Subset: TypeAlias = Literal["both", "helpful", "harmless"]

OBJECTIVE_COLUMNS = ("objective", "data_subset")
"""Columns that say by which objective a row was judged; the first one present counts.

In the relabelled HH-RLHF data `data_subset` is where the prompt came from and `objective` is what
the label was judged by; HH-RLHF itself has one objective for each source.
"""


@dataclass(frozen=True)
class Comparison:
    """Two responses to one prompt, of which the first was preferred."""

    chosen: Text
    """Prompt and preferred response."""
    rejected: Text
    """Prompt and the other response."""
    row: Mapping[str, Any]
    """The row as it was found, with all its columns."""


def comparisons_from_rows(
    rows: Collection[Mapping[str, Any]], source: str
) -> Collection[Comparison]:
    """Check all rows, with `chosen` and `rejected`, with or without `prompt`.

    Both may be texts or lists of messages. A `prompt` is put before both, unless they begin with it
    in every row (as in HH-RLHF, where they are whole dialogues).

    Args:
        rows: In order; rows are counted from 1 in messages.
        source: Where they are from, for messages.

    Raises:
        UserError: No rows, a missing column, or a value that is neither text nor messages.
    """
    if not rows:
        raise UserError(f"{source} has no rows.")
    require_columns(rows, ("chosen", "rejected"), source)
    for number, row in enumerate(rows, start=1):
        for column in ("chosen", "rejected"):
            check_text(row[column], f"{source}, row {number}, column {column!r}")
    whole = [_has_prompt(row) for row in rows if row.get("prompt")]
    if 2 * sum(whole) > len(whole) > sum(whole):
        number = 1 + whole.index(False)
        raise UserError(
            f"{source}: chosen and rejected begin with the prompt in {sum(whole)} rows but not in "
            f"all (first: row {number}); make them whole texts, or responses without the prompt."
        )
    add_prompt = bool(whole) and not all(whole)

    def comparison(row: Mapping[str, Any]) -> Comparison:
        chosen, rejected = (_joined(row, side, add_prompt) for side in ("chosen", "rejected"))
        return Comparison(chosen, rejected, row)

    return mapped(comparison, rows)


def check_text(value: Any, place: str) -> None:
    """Refuse what is neither a text nor a conversation.

    Raises:
        UserError: `value` is of another kind; the message names `place`.
    """
    if isinstance(value, str):
        return
    is_messages = isinstance(value, Sequence) and all(
        isinstance(turn, Mapping) and {"role", "content"} <= turn.keys() for turn in value
    )
    if not (is_messages and value):
        raise UserError(
            f"{place}: expected text or a list of messages with role and content, "
            f"found {type(value).__name__} {str(value)[:40]!r}."
        )


def select_objective(
    rows: Collection[Mapping[str, Any]], subset: Subset, source: str
) -> Collection[Mapping[str, Any]]:
    """Rows that were judged by one objective; all rows for `both`.

    Raises:
        UserError: No column says which objective, or no row has it.
    """
    if subset == "both" or not rows:
        return rows
    column = objective_column(rows)
    if column is None:
        raise UserError(
            f"{source} has no column {' or '.join(map(repr, OBJECTIVE_COLUMNS))} to select "
            f"--data_subset {subset} by; columns present: {', '.join(next(iter(rows)))}."
        )
    keep = [row[column] == subset for row in rows]
    if not any(keep):
        values = ", ".join(sorted({str(row[column]) for row in rows})[:5])
        raise UserError(f"{source}: no row has {column} = {subset} (found: {values}).")
    return selected(rows, keep)


def take_evenly(rows: Collection[Mapping[str, Any]], size: int) -> Collection[Mapping[str, Any]]:
    """The first `size` rows (0 for all), as many of each objective as of any other, in order.

    Raises:
        UserError: `size` is negative, or there are not so many.
    """
    if not 0 <= size <= len(rows):
        raise UserError(f"a data set size of {size} was asked for; there are {len(rows)} rows.")
    if size == 0:
        return rows
    column = objective_column(rows)
    if column is None:
        return selected(rows, [number < size for number in range(len(rows))])
    objectives = sorted({str(row[column]) for row in rows})
    quota = {
        objective: size // len(objectives) + (rank < size % len(objectives))
        for rank, objective in enumerate(objectives)
    }
    keep = []
    for row in rows:
        keep.append(quota[str(row[column])] > 0)
        quota[str(row[column])] -= keep[-1]
    if sum(keep) < size:
        short = max(quota, key=lambda objective: quota[objective])
        raise UserError(
            f"a data set size of {size}, split evenly over {', '.join(objectives)}, needs "
            f"{quota[short]} more rows of {short}."
        )
    return selected(rows, keep)


def objective_column(rows: Collection[Mapping[str, Any]]) -> str | None:
    """The column that says by which objective rows were judged, if every row has one."""
    for column in OBJECTIVE_COLUMNS:
        if all(column in row for row in rows):
            return column
    return None


def count_identical(comparisons: Iterable[Comparison]) -> int:
    """How many comparisons are between two equal texts (no model can do better than half)."""
    return sum(comparison.chosen == comparison.rejected for comparison in comparisons)


def _has_prompt(row: Mapping[str, Any]) -> bool:
    prompt, chosen, rejected = row["prompt"], row["chosen"], row["rejected"]
    if not type(prompt) is type(chosen) is type(rejected):
        return False
    size = len(prompt)
    return chosen[:size] == prompt and rejected[:size] == prompt


def _joined(row: Mapping[str, Any], column: str, add_prompt: bool) -> Text:
    return joined(row["prompt"], row[column]) if add_prompt else row[column]


def joined(prompt: Text, response: Text) -> Text:
    """Prompt and response as one text or conversation; a text is a turn of its role.

    Examples: `"Q: " + "A"`, `[user turn] + [assistant turn]`, `[user turn] + "A"`.
    """
    if isinstance(prompt, str) and isinstance(response, str):
        return prompt + response
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if isinstance(response, str):
        response = [{"role": "assistant", "content": response}]
    return [*prompt, *response]
