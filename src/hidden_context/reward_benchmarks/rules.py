"""What every benchmark has: a layout of rows, a rule for each row, and figures."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hidden_context.errors import UserError
from hidden_context.records import require_columns
from hidden_context.reward_benchmarks.points import Figure, Points

RESPONSES = "responses"
"""Column of a scored row: the chosen responses, then the rejected ones."""
NUM_CHOSEN = "num_chosen"
"""Column of a scored row: how many of them are chosen."""


@dataclass(frozen=True)
class Item:
    """A row of a benchmark."""

    prompt: Any
    chosen: Sequence[Any]
    """The right responses, in the benchmark's order: texts or conversations."""
    rejected: Sequence[Any]
    columns: Mapping[str, Any]
    """All other columns."""

    @property
    def row(self) -> dict[str, Any]:
        """As it is scored and kept in a score file; see `RewardModel.score_responses`."""
        return {
            **self.columns,
            "prompt": self.prompt,
            NUM_CHOSEN: len(self.chosen),
            RESPONSES: [*self.chosen, *self.rejected],
        }


class Rules(ABC):
    """A benchmark: how its rows are read, and what it makes of rewards."""

    name: ClassVar[str]
    data_path: ClassVar[str]
    """Where it is on the hub."""
    split: ClassVar[str]
    """Of the hub's data set: what is measured by default."""
    subset_column: ClassVar[str]
    columns: ClassVar[tuple[str, ...]] = ("prompt", "chosen", "rejected")
    """Which hold prompt and responses; every row must have them."""
    main: ClassVar[str] = "average"
    """Name of the figure that the leaderboard sorts by."""
    tie: ClassVar[str] = "is wrong"
    """What becomes of a right response whose reward is exactly that of a wrong one."""
    published: ClassVar[Sequence[Mapping[str, int]]]
    """Rows of each subset in the published data, of which there may be several sets."""

    @abstractmethod
    def subset(self, columns: Mapping[str, Any], place: str) -> str:
        """Which of the subsets a row belongs to.

        Raises:
            UserError: None that the benchmark has; the message begins with `place`.
        """

    def check_shape(
        self, columns: Mapping[str, Any], num_chosen: int, num_rejected: int, place: str
    ) -> None:
        """Refuse a row of other numbers of responses than its subset has: one of each, usually.

        Raises:
            UserError: It has; the message begins with `place`.
        """
        if (num_chosen, num_rejected) != (1, 1):
            raise UserError(
                f"{place}: {num_chosen} chosen and {num_rejected} rejected responses; expected one "
                "of each."
            )

    def responses(self, row: Mapping[str, Any], place: str) -> tuple[list[Any], list[Any]]:
        """The chosen and the rejected responses of a row, as the benchmark publishes it.

        Raises:
            UserError: A cell holds something else.
        """
        return texts_of(row, "chosen", place), texts_of(row, "rejected", place)

    def check(self, items: Sequence[Item], source: str) -> None:
        """Refuse items that cannot be measured together.

        Raises:
            UserError: There are none, or two do not fit together; it names the row.
        """
        if not items:
            raise UserError(f"{source} has no rows.")

    def points(self, items: Sequence[Item], rewards: Sequence[np.ndarray]) -> Points:
        """What the rule gives for the rewards of each item's responses, the chosen ones first.

        Of one of each, usually: 1 where the chosen one's is higher, 0 where not, or where they tie.
        """
        is_right = [float(right > wrong) for right, wrong in rewards]
        subset = np.array([self.subset(item.columns, "an item") for item in items])
        return Points(np.array(is_right), subset, subset, np.arange(len(items)))

    @abstractmethod
    def figures(self, strata: Mapping[str, int]) -> dict[str, Figure]:
        """Figures by name, from the strata that have points, with the number of these."""

    def read(self, rows: Collection[Mapping[str, Any]], source: str) -> list[Item]:
        """Rows of the benchmark's layout, or of a score file of it, all checked.

        Raises:
            UserError: A row has another shape or subset; it is named, counted from 1.
        """
        items = [self._item(row, source, number) for number, row in enumerate(rows, start=1)]
        self.check(items, source)
        return items

    def subsets(self, items: Sequence[Item]) -> dict[str, int]:
        """Rows of each subset, in alphabetical order."""
        names = Counter(self.subset(item.columns, "an item") for item in items)
        return dict(sorted(names.items()))

    def _item(self, row: Mapping[str, Any], source: str, number: int) -> Item:
        place = f"{source}, row {number}"
        if NUM_CHOSEN in row and RESPONSES in row:
            prompt, taken = row.get("prompt"), {"prompt", NUM_CHOSEN, RESPONSES}
            chosen, rejected = _divided(row[RESPONSES], row[NUM_CHOSEN], place)
        else:
            require_columns([row], (*self.columns, self.subset_column), source, first=number)
            prompt, taken = row[self.columns[0]], set(self.columns)
            chosen, rejected = self.responses(row, place)
        columns = {name: value for name, value in row.items() if name not in taken}
        self.subset(columns, place)
        self.check_shape(columns, len(chosen), len(rejected), place)
        return Item(prompt, chosen, rejected, columns)


def _divided(responses: Any, num_chosen: Any, place: str) -> tuple[list[Any], list[Any]]:
    """The responses of a scored row."""
    if not isinstance(responses, list) or not isinstance(num_chosen, int):
        raise UserError(
            f"{place}: {RESPONSES!r} is not a list, or {NUM_CHOSEN!r} no number of them; score the "
            "benchmark's own rows anew."
        )
    return responses[:num_chosen], responses[num_chosen:]


def one_of(names: Collection[str], column: str, columns: Mapping[str, Any], place: str) -> str:
    """What a column says, which must be one of the names."""
    given = str(columns.get(column))
    if given not in names:
        raise _unknown(names, column, given, place)
    return given


def begins_with(names: Collection[str], column: str, columns: Mapping[str, Any], place: str) -> str:
    """The one of the names with which what a column says must begin."""
    given = str(columns.get(column))
    for name in names:
        if given.startswith(name):
            return name
    raise _unknown(names, column, given, place)


def _unknown(names: Collection[str], column: str, given: str, place: str) -> UserError:
    return UserError(
        f"{place}: {column} {given[:40]!r} is not one of the benchmark's: {', '.join(names)}."
    )


def texts_of(row: Mapping[str, Any], column: str, place: str) -> list[Any]:
    """A cell that lists the texts of several responses."""
    value = row[column]
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise UserError(f"{place}: column {column!r} is {_kind(value)}; expected a list of texts.")
    return list(value)


def one_response(row: Mapping[str, Any], column: str, place: str) -> Any:
    """A cell that holds one response: a text, or a conversation."""
    value = row[column]
    is_conversation = isinstance(value, list) and all(isinstance(turn, Mapping) for turn in value)
    if not isinstance(value, str) and not (value and is_conversation):
        raise UserError(f"{place}: column {column!r} is {_kind(value)}; expected one response.")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple):
        kinds = sorted({type(part).__name__ for part in value})
        return f"a list of {len(value)} {' and '.join(kinds)}"
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
