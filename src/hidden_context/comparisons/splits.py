"""Splits: which files of a folder are one, and which rows a slice such as `train[:1%]` takes."""

import re
import sys
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hidden_context.comparisons.streamed import between
from hidden_context.errors import UserError
from hidden_context.kinds import seems

T = TypeVar("T")

PLAIN_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
SUFFIXES = (*PLAIN_SUFFIXES, *(f"{suffix}.gz" for suffix in PLAIN_SUFFIXES), ".parquet")
"""Of files of rows."""
SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5,})-of-(?P<count>\d{5,})(-[0-9a-f]+)?")
"""Name of one of several files of a split, as `datasets` writes them."""


def suffix_of(file: Path) -> str | None:
    """The suffix of a file of rows in small letters; None if it is of another kind."""
    name = file.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


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
        return between(rows, *self.limits_of(len(rows), source))


def files_of_split(folder: Path, name: str) -> list[Path]:
    """The file `<name>.jsonl` (or another suffix) of a folder, or all its shards, in order.

    They may be in a folder `data` within, as in a clone from the hub.

    Raises:
        UserError: The split is not there, there in several forms, or not whole.
    """
    found = _splits(folder)
    if not found and (folder / "data").is_dir():
        return files_of_split(folder / "data", name)
    if name not in found and (what := seems(folder)):
        raise UserError(f"{folder} is no folder of preference data.{what}")
    if name not in found:
        raise UserError(f"{folder} has no split {name!r} {_what_is_there(folder, found)}")
    forms = found[name]
    if len(forms) > 1:
        files = ", ".join(file.name for shards in forms.values() for file in shards[:1])
        raise UserError(
            f"{folder} has split {name!r} in {len(forms)} forms ({files}); keep one of them, or "
            "give a file."
        )
    (((_, count), files),) = forms.items()
    if count is not None:
        _check_shards(folder, name, files, count)
    return files


Form = tuple[str, int | None]
"""Suffix, and number of shards; None for a single file."""


def _splits(folder: Path) -> dict[str, dict[Form, list[Path]]]:
    """Files by split and form, in order."""
    found: dict[str, dict[Form, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(_entries(folder)):
        suffix = suffix_of(file)
        if suffix is None or not file.is_file():
            continue
        name, suffix = file.name[: -len(suffix)], file.name[-len(suffix) :]  # in its own letters
        if shard := SHARD.fullmatch(name):
            found[shard["split"]][suffix, int(shard["count"])].append(file)
        else:
            found[name][suffix, None].append(file)
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}.") from error


def _what_is_there(folder: Path, found: Collection[str]) -> str:
    if found:
        return f"(it has {', '.join(sorted(found))}); choose one of them with split."
    names = sorted(entry.name for entry in _entries(folder))
    more = ", ..." if len(names) > 8 else ""
    return (
        f"and no other (found: {', '.join(names[:8]) or 'nothing'}{more}); a split is a file such "
        f"as train.jsonl, of {', '.join(SUFFIXES)}."
    )


def _check_shards(folder: Path, name: str, files: list[Path], count: int) -> None:
    """Refuse shards that lack one, or of which one is there twice."""
    numbers = [int(SHARD.fullmatch(file.name.split(".")[0])["number"]) for file in files]  # type: ignore
    missing = sorted(set(range(count)) - set(numbers))
    if missing:
        named = ", ".join(f"{name}-{number:05}-of-{count:05}" for number in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UserError(f"{folder}: split {name!r} lacks {named}{more} of its {count} files.")
    if len(numbers) > count:
        raise UserError(
            f"{folder}: split {name!r} is of {count} files, but {len(numbers)} are there: "
            f"{', '.join(file.name for file in files[:8])}; remove those of another version."
        )
