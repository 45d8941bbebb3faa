"""Which rows of a split a slice such as `train[:1%]` takes."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from hidden_context.comparisons.streamed import between
from hidden_context.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Split:
    """A split, or a slice of one, as `datasets` writes it: `train`, `train[:1%]`."""

    name: str
    limits: str = ""
    """What the slice takes, up to its closing bracket; nothing without one."""

    @classmethod
    def parse(cls, split: str) -> "Split":
        """Of what a user wrote.

        Raises:
            UserError: It names several splits, or none.
        """
        name, bracket, limits = split.partition("[") if isinstance(split, str) else ("", "", "")
        if not name or "+" in split:
            raise UserError(f"split is {split!r}; give one name, such as train or train[:1%].")
        return cls(name, bracket + limits)

    def __str__(self) -> str:
        return self.name + self.limits

    @property
    def is_relative(self) -> bool:
        """Whether what the slice takes depends on how many rows there are."""
        return "%" in self.limits or "-" in self.limits

    def limits_of(self, count: int | None, source: object) -> tuple[int, int]:
        """The first row that is taken, from 0, and where they end.

        `count` is how many rows there are; None if that is not known: the end may lie beyond them
        then.

        Raises:
            UserError: The slice cannot be read, takes no row, or needs a count that is not known.
        """
        if count is None and self.is_relative:
            raise UserError(
                f"split is {str(self)!r}, but {source} does not say how many rows it has, and a "
                "stream does not know before its end; count from the start, as in train[:1000], "
                "or read it without streaming."
            )
        known = sys.maxsize if count is None else count
        if not self.limits:
            return 0, known
        import datasets

        try:
            read = datasets.ReadInstruction.from_spec(f"all{self.limits}")
            (taken,) = read.to_absolute({"all": known})
        except (ValueError, AssertionError) as error:
            raise UserError(
                f"split is {str(self)!r}; a slice is written as in train[:100], train[10%:20%]."
            ) from error
        if taken.from_ >= taken.to:
            of = "rows" if count is None else f"{count} rows"
            raise UserError(f"{source}: split {self} takes none of {of}.")
        return taken.from_, taken.to

    def taken(self, rows: Collection[T], source: object) -> Collection[T]:
        """The rows that are taken.

        Raises:
            UserError: See `limits_of`.
        """
        start, stop = self.limits_of(len(rows), source)
        return between(rows, start, stop)
