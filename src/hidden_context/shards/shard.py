"""Which of the processes that share a piece of work this is."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from hidden_context.errors import UserError

T = TypeVar("T")
ARRAY = "SLURM_ARRAY_TASK_"
"""How the variables of a Slurm array begin."""


@dataclass(frozen=True)
class Shard:
    """The share of process `index` of `count`: every `count`-th chunk of the work.

    The chunks are those of a single process, so results do not depend on how many there are.
    """

    index: int = 0
    """From 0."""
    count: int = 1
    waits: bool = False
    """Whether all processes run at once, so that the first can wait for the others and put
    together what they did. Where they may run one after the other, nobody waits, and whoever finds
    that all is done puts it together."""

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise UserError(
                f"shard {self.index + 1} of {self.count} cannot be; the first is 1, the last is "
                "as many as there are."
            )

    def __str__(self) -> str:
        return f"shard {self.index + 1} of {self.count}"

    @property
    def merges(self) -> bool:
        """Whether this process may be the one that puts all together."""
        return self.index == 0 or not self.waits

    def has(self, chunk: int) -> bool:
        """Whether chunk number `chunk`, from 0, is of this share."""
        return chunk % self.count == self.index

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/8`, the second of eight.

        Raises:
            UserError: It is not of this form, or there is no such shard.
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII)
        if match is None:
            raise UserError(f"shard {text!r} is not of the form i/n, such as 2/8.")
        index, count = map(int, match.groups())
        if not 1 <= index <= count:
            raise UserError(f"shard {text!r}: there are 1/{count} to {count}/{count}.")
        return cls(index - 1, count)

    @classmethod
    def from_environment(
        cls, given: "Shard | None" = None, *, environ: Mapping[str, str] = os.environ
    ) -> Self:
        """What a launcher or the scheduler says, or all of the work if nobody says anything.

        Read are `RANK` and `WORLD_SIZE` of torchrun and its kin, and the task of a Slurm array, in
        whose place a share may be `given`. The processes of a launcher divide the share of their
        task.

        Raises:
            UserError: The variables contradict each other.
        """
        rank, size = _process(environ)
        task, tasks = (given.index, given.count) if given else _array_task(environ)
        return cls(task * size + rank, tasks * size, waits=size > 1 and tasks == 1)


class UnmergedError(Exception):
    """This process has done its share, and another one puts all of it together."""

    def __init__(self, message: str, is_whole: Callable[[], bool] = lambda: False) -> None:
        """`is_whole` tells whether this process could put all together now."""
        super().__init__(message)
        self.is_whole = is_whole


def each_merged(pieces: Callable[[], Iterable[Callable[[], T]]]) -> list[T]:
    """Do this share of several pieces of work, one after the other, and have the whole of each.

    A piece that others have not ended yet keeps nobody from the next. If they have when the last is
    done, `pieces` is asked for them once more, of which nothing is left but to put them together.

    Raises:
        UnmergedError: All shares of this process are done, those of others are not.
    """
    whole, unmerged = [], []
    for piece in pieces():
        try:
            whole.append(piece())
        except UnmergedError as error:
            unmerged.append(error)
        del piece  # it may hold a model, and the next one may not fit beside it
    if unmerged and all(error.is_whole() for error in unmerged):
        return each_merged(pieces)
    if unmerged:
        raise unmerged[-1]
    return whole


def _process(environ: Mapping[str, str]) -> tuple[int, int]:
    size = _number(environ, "WORLD_SIZE", 1)
    if size <= 1:
        return 0, 1
    if "RANK" not in environ:
        raise UserError(
            f"WORLD_SIZE is {size}, but there is no RANK to say which process this is; start them "
            "with torchrun, or give the shard."
        )
    rank = _number(environ, "RANK", 0)
    if rank >= size:
        raise UserError(f"RANK is {rank}, but WORLD_SIZE is {size}; ranks are counted from 0.")
    return rank, size


def _array_task(environ: Mapping[str, str]) -> tuple[int, int]:
    """Which task of how many, from 0, in the order of their numbers."""
    count = _number(environ, f"{ARRAY}COUNT", 1)
    if count <= 1:
        return 0, 1
    task, first, step = (
        _number(environ, f"{ARRAY}{name}", otherwise)
        for name, otherwise in (("ID", -1), ("MIN", 0), ("STEP", 1))
    )
    last = _number(environ, f"{ARRAY}MAX", first + (count - 1) * step)
    index, rest = divmod(task - first, max(step, 1))
    if rest or not 0 <= index < count or last != first + (count - 1) * step:
        raise UserError(
            f"this is task {task} of a Slurm array of {count} from {first} to {last}, whose "
            "numbers do not follow each other, so it is not clear which share this one has; give "
            "the shard."
        )
    return index, count


def _number(environ: Mapping[str, str], name: str, otherwise: int) -> int:
    value = environ.get(name, "")
    if value and not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise UserError(f"{name} is {value!r}; expected a whole number.")
    return int(value) if value else otherwise
