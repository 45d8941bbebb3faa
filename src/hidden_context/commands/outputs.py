"""What a command writes: never over what it reads, and under a suffix that says what it is."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError

SUFFIXES = {
    "JSON lines": (".jsonl", ".ndjson"),
    "an HTML page": (".html", ".htm"),
    "a YAML file": (".yaml", ".yml"),
    "a folder": (),
}
"""Of what a field with the metadata `writes` may be."""
OTHERS = (".json", ".csv", ".tsv", ".parquet", ".xlsx", ".txt", ".md", ".png", ".pdf", ".svg")
"""Suffixes of files that no such field names."""


def writes(what: str) -> dict[str, str]:
    """Metadata of a field that says where a command writes: a key of `SUFFIXES`."""
    assert what in SUFFIXES, what
    return {"writes": what}


def check_outputs(config: Any, config_file: Path | None = None) -> None:
    """Refuse an output that is what the command reads, or that has the suffix of something else.

    Files are compared, not names: links and relative paths lead to the same one.

    Raises:
        UserError: It names the flag, and the input that would be lost or the suffix expected.
    """
    fields = dataclasses.fields(config)
    inputs = [each for each in fields if "writes" not in each.metadata]
    read = [(each.name, path) for each in inputs for path in _paths(getattr(config, each.name))]
    read += [] if config_file is None else [("config", config_file)]
    for field in fields:
        if "writes" not in field.metadata:
            continue
        output = getattr(config, field.name)
        if output is None:
            continue
        _check_suffix(field.name, Path(output), field.metadata["writes"])
        for name, path in read:
            if _is_same(Path(output), path):
                raise UserError(
                    f"--{field.name} {output} is what {name} reads ({path}), which would be lost; "
                    "give another name to write to."
                )


def _check_suffix(name: str, output: Path, what: str) -> None:
    own = SUFFIXES[what]
    is_lines = what == "JSON lines"
    stem = output.name.lower().removesuffix(".gz") if is_lines else output.name.lower()
    suffix = Path(stem).suffix
    others = {*OTHERS, *(each for of in SUFFIXES.values() for each in of)} - {*own}
    if suffix in others and not (output.exists() and what == "a folder"):
        expected = f"a name that ends in {own[0]}" if own else "the name of a folder"
        raise UserError(f"--{name} {output}: {what} is written there; give {expected}.")


def _paths(value: Any) -> Iterator[Path]:
    values = value if isinstance(value, tuple | list) else (value,)
    for each in values:
        if isinstance(each, str | Path) and str(each):
            yield Path(each)


def _is_same(output: Path, path: Path) -> bool:
    try:
        return output.samefile(path)
    except (OSError, ValueError):  # one of them is not there
        return False
