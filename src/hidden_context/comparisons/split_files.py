"""Which files of a folder are a split."""

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

from hidden_context.comparisons.row_files import SUFFIXES, suffix_of
from hidden_context.errors import UserError
from hidden_context.kinds import seems

SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5,})-of-(?P<count>\d{5,})(-[0-9a-f]+)?")
"""Name of one of several files of a split, as `datasets` writes them."""

Form: TypeAlias = tuple[str, int | None]
"""Suffix, and number of shards; None for a single file."""


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
