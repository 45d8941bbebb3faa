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
    """The known name most like the given one; none if none is like it, or begins with it."""
    known = list(known)
    begin = [name for name in known if len(given.lstrip("-")) > 2 and name.startswith(given)]
    return next(iter(get_close_matches(given, known, n=1, cutoff=LIKE) or begin), None)


def nearest_path(path: Path | str) -> str:
    """A question that follows a message: whether a name beside it was meant; nothing if none is."""
    path = Path(path)
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST_FILES))
    except OSError:
        return ""
    nearest = nearest_name(path.name, names)
    return f" Did you mean {path.parent / nearest}?" if nearest else ""
