"""What was meant by a name that is not known, or a path that is not there."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

LIKE = 0.7
"""How much of a name must be like another (difflib's ratio) to be what was meant."""
MOST_FILES = 10_000
"""Names of a folder that are compared."""


def nearest_name(given: str, known: Iterable[str]) -> str | None:
    """The known name that begins or ends with the given one, or is like it; else none.

    Of those that begin with it, whole words and short names come first; of those that are like it,
    the one that begins as it does. A single word that ends several names (steps) names none.
    """
    names, word = {name.lstrip("-"): name for name in known}, given.lstrip("-")
    begin = [name for name in names if len(word) > 2 and name.startswith(word)]
    begin.sort(key=lambda name: (not f"{name}_".startswith(f"{word}_"), len(name)))
    end = [name for name in names if name.endswith(f"_{word}")]
    if len(end) > 1 and "_" not in word:
        end = []
    like = get_close_matches(word, names, cutoff=LIKE)
    like.sort(key=lambda name: -len(os.path.commonprefix([name, word])))  # noqa: RUF071
    return next((names[name] for name in begin + end + like), None)


def nearest_path(path: Path | str) -> str:
    """A question that follows a message: whether a name beside it was meant; nothing if none is."""
    path = Path(path)
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST_FILES))
    except OSError:
        return ""
    if path.name in names:  # it is there, and something else
        return ""
    nearest = nearest_name(path.name, names)
    return f" Did you mean {path.parent / nearest}?" if nearest else ""
