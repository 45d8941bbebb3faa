"""`Comparisons`: preference data with an account of what was read; `load_comparisons` gets it."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from hidden_context.comparisons.account import Account, ColumnsRead
from hidden_context.comparisons.in_memory import IN_MEMORY, rows_in_memory
from hidden_context.comparisons.objectives import Subset, take_stratified
from hidden_context.comparisons.pairs import Pair, pairs_of
from hidden_context.comparisons.people_columns import name_in
from hidden_context.comparisons.schema import (
    Comparison,
    outcomes_of,
    prompt_key,
    read_comparisons,
)
from hidden_context.comparisons.sources import load_rows
from hidden_context.comparisons.streamed import Streamed, chained, mapped, rows_at
from hidden_context.comparisons.survey import is_empty
from hidden_context.comparisons.texts import in_turns, numbers_of
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.records import require_columns

if TYPE_CHECKING:
    import pandas as pd

MOST_FILES = 3
"""Of a split, named in an account."""


class Comparisons(Streamed[Comparison]):
    """Preference data: n comparisons, each of two responses or a ranking of more.

    Data of a large file are read again each time that they are gone through.
    """

    def __init__(
        self, comparisons: Collection[Comparison], source: str, columns: ColumnsRead
    ) -> None:
        """See `load_comparisons`."""
        super().__init__(partial(iter, comparisons), len(comparisons))
        self._comparisons = comparisons
        self.source = source
        """Where they are from, for messages."""
        self.columns = columns
        """Which columns were read."""

    @classmethod
    def from_rows(
        cls,
        rows: Collection[Mapping[str, Any]],
        source: str,
        *,
        ignore_columns: Collection[str] = (),
    ) -> "Comparisons":
        """Check and read rows; see `read_comparisons`."""
        names = (
            (ignore_columns,) if isinstance(ignore_columns, str) else tuple(ignore_columns or ())
        )
        comparisons, columns = read_comparisons(rows, source, ignored=names)
        return cls(comparisons, source, columns)

    @classmethod
    def concatenate(
        cls, parts: Sequence["Comparisons"], weights: Sequence[float] | None = None
    ) -> "Comparisons":
        """One data set after the other, each as it was read by its own layout.

        Args:
            parts: At least one.
            weights: For each part a number above 0, by which the weights of its comparisons are
                multiplied; nothing for 1. Only their ratios matter: likelihoods are per vote.

        Raises:
            UserError: There are no parts, or not as many weights; a weight is not above 0; or the
                parts tell different numbers of strengths apart.
        """
        weights = [1.0] * len(parts) if weights is None else weights
        if not parts or len(weights) != len(parts):
            raise UserError(
                f"{len(weights)} weights for {len(parts)} data sets; give one for each."
            )
        grades = [len(part[0].outcome.shares) // 2 for part in parts]
        for part, weight, number in zip(parts, weights, grades, strict=True):
            if not 0 < weight < np.inf:
                raise UserError(f"{part.source}: weight is {weight!r}; expected a number above 0.")
            if number != grades[0]:
                raise UserError(
                    f"{parts[0].source} tells {grades[0]} strength(s) of preference apart, "
                    f"{part.source} {number}; what is much better in one is only better in the "
                    "other, so leave out the strengths, or train on each alone."
                )
        weighted = [
            part._comparisons
            if weight == 1
            else mapped(partial(_weighted, weight), part._comparisons)
            for part, weight in zip(parts, weights, strict=True)
        ]
        source = " + ".join(part.source for part in parts)
        columns = ColumnsRead.of_all([part.columns for part in parts])
        places = [part.columns.places or (part.source,) for part in parts]
        return cls(chained(weighted), source, replace(columns, places=sum(places, ())))

    @overload
    def __getitem__(self, index: int) -> Comparison: ...

    @overload
    def __getitem__(self, index: slice | Sequence[Any] | np.ndarray) -> "Comparisons": ...

    def __getitem__(self, index: Any) -> "Comparison | Comparisons":
        """One comparison, or some: a slice, a mask of shape `(n,)`, or indices in any order."""
        numbers = np.arange(len(self))[index]
        if numbers.ndim == 0:
            return next(islice(iter(self), int(numbers), None))
        return Comparisons(rows_at(self._comparisons, numbers), self.source, self.columns)

    def grouped_by(self, column: str) -> "Comparisons":
        """The same, with the groups that a column says, in place of those of a column `group`.

        Raises:
            UserError: A row has no such column, it is empty, or it says what was compared.
        """
        self.columns.refuse_observed(column, self.source, "the group of those who judged")
        require_columns((comparison.row for comparison in self), (column,), self.source)
        for number, comparison in enumerate(self, start=1):
            place = f"{self.source}, row {number}"
            if is_empty(comparison.row[column]):
                raise UserError(
                    f"{place}: column {column!r} is empty; name the group, or drop the row."
                )
            name_in(comparison.row, column, place)
        grouped = mapped(partial(_grouped, column, self.source), self._comparisons)
        return Comparisons(grouped, self.source, self.columns.grouped_by(column))

    def in_turns(self) -> "Comparisons":
        """Plain prompts with plain responses as conversations; all others as they are."""
        turned = mapped(_in_turns, self._comparisons)
        return Comparisons(turned, self.source, self.columns)

    def pairs(self) -> Iterator[Pair]:
        """All pairs, equal texts with them; see `pairs_of`."""
        return pairs_of(self)

    @property
    def outcomes(self) -> Outcomes | None:
        """What was observed of comparisons of two; see `outcomes_of`."""
        return outcomes_of(self)

    @cached_property
    def prompts(self) -> np.ndarray:
        """The number of each row's prompt, shape `(n,)`; see `prompt_key`."""
        return numbers_of(map(prompt_key, self))

    @cached_property
    def account(self) -> Account:
        """What was read of the data, and what was not."""
        rankings = pairs = ties = equal = 0
        annotators: Counter[str | None] = Counter()
        for comparison in self:
            texts, shares = comparison.texts, comparison.outcome.shares
            rankings += len(texts) > 2
            ties += shares[len(shares) // 2] > 0
            pairs += len(texts) * (len(texts) - 1) // 2
            equal += sum(a == b for i, a in enumerate(texts) for b in texts[:i])
            annotators[comparison.annotator] += 1
        prompts = len(np.unique(self.prompts))
        without = annotators.pop(None, 0)
        people = (len(annotators), without if annotators else 0)
        read = (len(self), rankings, pairs, ties, equal, prompts)
        return Account(self.source, self.columns, *read, *people)

    def split(
        self, by: str = "prompt", test_size: float = 0.1, seed: int = 0
    ) -> "tuple[Comparisons, Comparisons]":
        """Training and test set, at random, both in the order of the data.

        Args:
            by: What stays together: `prompt`, `row` (nothing), or what a column says.
            test_size: Share of the comparisons, or their number if it is a whole number; as near
                to it as whole groups allow.
            seed: Of the random choice.

        Raises:
            UserError: `test_size` leaves one of both empty, a row has no such column, or there are
                fewer than two groups.
        """
        wanted = self._test_count(test_size)
        groups, sizes = np.unique(self._groups(by), return_inverse=True, return_counts=True)[1:]
        if len(sizes) < 2:
            raise UserError(
                f"{self.source}: all {len(self)} comparisons have one {by}, so they cannot be "
                "split by it; split by another column, or by 'row'."
            )
        order = np.random.default_rng(seed).permutation(len(sizes))
        number = 1 + np.abs(np.cumsum(sizes[order])[:-1] - wanted).argmin()
        in_test = np.isin(groups, order[:number])
        return self[~in_test], self[in_test]

    def _test_count(self, test_size: float) -> float:
        is_count = isinstance(test_size, int | np.integer) and not isinstance(test_size, bool)
        wanted = test_size if is_count else test_size * len(self)
        if isinstance(test_size, bool) or not 0 < wanted < len(self):
            raise UserError(
                f"test_size is {test_size!r}; expected a share between 0 and 1, or a number from 1 "
                f"to {len(self) - 1} of {len(self)} comparisons."
            )
        return float(wanted)

    def _groups(self, by: str) -> np.ndarray:
        if by == "row":
            return np.arange(len(self))
        if by == "prompt":
            return self.prompts
        return numbers_of(self._values(by))

    def _values(self, column: str) -> Iterator[str]:
        for number, comparison in enumerate(self, start=1):
            if column not in comparison.row:
                present = ", ".join(map(str, comparison.row))
                raise UserError(
                    f"{self.source}, row {number}: no column {column!r} to split by; give "
                    f"'prompt', 'row' or one of {present}."
                )
            value, place = comparison.row[column], f"{self.source}, row {number}"
            is_name = isinstance(value, (str, int, float))
            yield (
                name_in(comparison.row, column, place)
                if is_name
                else json.dumps(value, default=str)
            )

    def to_frame(self) -> "pd.DataFrame":
        """A line for each pair, with the characters of both responses alone."""
        import pandas as pd

        return pd.DataFrame([_line(pair) for pair in self.pairs()])

    def __repr__(self) -> str:
        return f"Comparisons({self.source}: {len(self)} rows)"

    def __str__(self) -> str:
        return str(self.account)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self.account.lines().items()
        )
        return f"<table>{rows}</table>"


def _weighted(weight: float, comparison: Comparison) -> Comparison:
    return replace(comparison, weight=weight * comparison.weight)


def _grouped(column: str, source: str, comparison: Comparison) -> Comparison:
    return replace(comparison, group=name_in(comparison.row, column, source))


def load_comparisons(
    source: Any,
    *,
    split: str = "train",
    subset: Subset = "both",
    size: int = 0,
    dataset_config: str | None = None,
    ignore_columns: Collection[str] = (),
    streaming: bool = False,
) -> Comparisons:
    """Read preference data of any layout; print the result to see what was read.

    Args:
        source: A hub name, a folder or a file (see `load_rows`); or, in memory, a list of rows, a
            pandas DataFrame, or a Dataset, DatasetDict, IterableDataset or IterableDatasetDict of
            `datasets`.
        split: Of a hub name, a folder or a DatasetDict; other sources are their own split. A slice
            of it is written as `train[:100]` or `train[10%:20%]`.
        subset: The objective that rows were judged by.
        size: How many rows, the first of each objective; 0 for all.
        dataset_config: Configuration of a data set on the hub, where it has several.
        ignore_columns: Columns to carry along unread, whatever they say: a name, or several.
        streaming: Read rows one after another, and none after those that `split` and `size` need:
            of the hub without downloading the whole, of files without holding it. See `load_rows`.

    Raises:
        UserError: The data cannot be found or read; the message says what to do.
    """
    files: list[Path] = []
    how: Any = {"streaming": streaming, "size": size}
    if isinstance(source, str | Path):
        name = str(source)
        rows = load_rows(name, subset, split, dataset_config, files_read=files, **how)
    elif dataset_config is not None:
        raise UserError(f"dataset_config is {dataset_config!r}, but the data are in memory.")
    else:
        name = IN_MEMORY
        rows = rows_in_memory(source, split, subset, **how)
    taken = take_stratified(rows, size)
    read = Comparisons.from_rows(taken, name, ignore_columns=ignore_columns)
    if isinstance(source, str | Path) and not Path(source).is_file():
        place = f"{name}, {_split_and_files(split, files)}"
        read.columns = replace(read.columns, places=(place,))
    return read


def _split_and_files(split: str, files: Sequence[Path]) -> str:
    shown = ", ".join(map(str, files[:MOST_FILES])) + (", ..." if len(files) > MOST_FILES else "")
    return f"split {split}" + (f" ({shown})" if files else "")


def _in_turns(comparison: Comparison) -> Comparison:
    if not comparison.is_joined:
        return comparison
    texts, prompt = in_turns(comparison.texts, comparison.prompt, is_joined=True)
    return replace(comparison, texts=tuple(texts), prompt=prompt, is_joined=False)


def _line(pair: Pair) -> dict[str, Any]:
    comparison, shares = pair.comparison, pair.comparison.outcome.shares
    middle = len(shares) // 2
    return {
        "prompt": comparison.prompt,
        "chosen": pair.first,
        "rejected": pair.second,
        "win_share": sum(shares[middle + 1 :]) + shares[middle] / 2,
        "weight": pair.weight,
        "annotator": comparison.annotator,
        "group": comparison.group,
        "length_chosen": pair.lengths[0],
        "length_rejected": pair.lengths[1],
    }
