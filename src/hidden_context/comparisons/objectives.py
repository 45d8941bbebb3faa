"""Rows by the objective that they were judged by."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from hidden_context.comparisons.streamed import selected
from hidden_context.errors import UserError

Subset: TypeAlias = Literal["both", "helpful", "harmless"]

OBJECTIVE_COLUMNS = ("objective", "data_subset")
"""Columns that say by which objective a row was judged; the first one present counts.

In the relabelled HH-RLHF data `data_subset` is where the prompt came from and `objective` is what
the label was judged by; HH-RLHF itself has one objective for each source.
"""


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
        for name in OBJECTIVE_COLUMNS:
            lacking = [number for number, row in enumerate(rows, start=1) if name not in row]
            if len(lacking) < len(rows):
                raise UserError(
                    f"{source}, row {lacking[0]}: no column {name!r} to select subset {subset!r} "
                    f"by, which {len(rows) - len(lacking)} of {len(rows)} rows have."
                )
        raise UserError(
            f"{source} has no column {' or '.join(map(repr, OBJECTIVE_COLUMNS))} to select "
            f"subset {subset!r} by; columns present: {', '.join(next(iter(rows)))}."
        )
    keep = [row[column] == subset for row in rows]
    if not any(keep):
        values = ", ".join(sorted({str(row[column]) for row in rows})[:5])
        raise UserError(f"{source}: no row has {column} = {subset} (found: {values}).")
    return selected(rows, keep)


def as_many_as_needed(
    rows: Iterable[Mapping[str, Any]], subset: Subset, size: int
) -> Iterator[Mapping[str, Any]]:
    """Rows up to the last that `select_objective` and `take_stratified` may take; 0 for all.

    Where a column says the objective and all are wanted, that is all rows: which objectives there
    are, and so how many of each are taken, is known at the end.
    """
    number = 0
    for row in rows:
        yield row
        column = objective_column([row])
        number += column is None or row[column] == subset
        if size and number == size:
            return


def take_stratified(
    rows: Collection[Mapping[str, Any]], size: int
) -> Collection[Mapping[str, Any]]:
    """The first `size` rows (0 for all), as many of each objective as of any other, in order.

    Raises:
        UserError: `size` is negative, or there are not so many.
    """
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rows):
        raise UserError(
            f"size is {size!r}; there are {len(rows)} rows, so give a number up to that, or 0 for "
            "all."
        )
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
