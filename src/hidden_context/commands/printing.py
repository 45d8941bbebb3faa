"""What a command prints: its result, in words or as JSON, and what `--quiet` leaves out."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from importlib import import_module
from shlex import quote
from typing import Any


@dataclass(frozen=True)
class Printing:
    """How a command prints. No result depends on it, so that no record holds it."""

    quiet: bool = False
    """Print the result and the files written: no progress, no account of the data, no hints."""
    json: bool = False
    """Print the result as one JSON document, to full precision; all else goes to stderr."""

    @classmethod
    def names(cls, config_class: type) -> list[str]:
        """Flags of a command; `json` of those alone whose `prints_numbers` is true."""
        named = [each.name for each in fields(cls)]
        return named if getattr(config_class, "prints_numbers", False) else named[:1]


@dataclass(frozen=True)
class _Command:
    """The command that runs."""

    printing: Printing = Printing()
    given: Sequence[str] = ()
    """Its name and what followed."""
    documents: list[Any] = field(default_factory=list)
    """What `show` was given; at most one."""


HOW_ROWS_ARE_READ = ("split", "dataset_config", "streaming", "ignore_columns", "group")
"""Flags that several commands have, which say what of a data set is read, and how."""
OF_AXES = ("annotator", "group", "prompt")
"""What may divide in `axes` and is no column of groups, or is found without being named."""
BARS = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
"""Variables after which libraries that are not yet imported show no bars of their own."""
_running: ContextVar[_Command] = ContextVar("running")


@contextmanager
def printed(
    printing: Printing, given: Sequence[str] = (), *, is_heard: bool = True
) -> Iterator[None]:
    """Run a command that prints so: with `json`, the document is printed when all has gone well.

    `given` are its name and what followed. There is no document where nothing was shown: of a
    process that has done its share while others have not. Of a process that is not heard, because
    another speaks for it, stdout leads nowhere.
    """
    running, out = _Command(printing, given), sys.stdout
    before = _running.set(running)
    try:
        with (
            _without_bars() if printing.quiet else nullcontext(),
            redirect_stdout(sys.stderr) if printing.json and is_heard else nullcontext(),
        ):
            yield
    finally:
        _running.reset(before)
    if running.documents:
        from hidden_context.records import as_plain, json_text

        (document,) = running.documents
        print(json_text(as_plain(document), indent=2), file=out)


@contextmanager
def _without_bars() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in BARS}
    os.environ.update(dict.fromkeys(BARS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def say(text: object, *, beside: bool = False) -> None:
    """What was read, what is done, what to do next; on stderr, if `beside`."""
    if not _now().printing.quiet:
        print(text, file=sys.stderr if beside else sys.stdout, flush=True)


def say_next(command: str, *files: object, like: Any = None, beside: bool = False) -> None:
    """The command that is useful next, with what was written or read; see `say`. Not with JSON.

    It is told to read the rows as the command that runs did, where its configuration is `like`.
    """
    if not _now().printing.json:
        named = command.format(*(quote(str(file)) for file in files))
        flags = () if like is None else _how_rows_are_read(named.split()[0], like)
        say(" ".join(["next: hidden-context", named, *flags]), beside=beside)


def say_again(*flags: str, without: str = "", beside: bool = False) -> None:
    """The command that runs, with further flags or without one, as the one that is useful next."""
    if not _now().given:  # it was not started as a command
        return
    given = [each for each in _now().given if each.replace("-", "_") != f"__{without}"]
    say_next(" ".join(["{}"] * len([*given, *flags])), *given, *flags, beside=beside)


def _how_rows_are_read(command: str, config: Any) -> Iterator[str]:
    """Flags of another command that say what those of this one do, where they are no defaults."""
    module = import_module(f"hidden_context.commands.{command.replace('-', '_')}")
    defaults = {each.name: each.default for each in fields(module.Config)}
    for name in HOW_ROWS_ARE_READ:
        value = getattr(config, name, None)
        if name == "group" and value in OF_AXES:
            continue
        if name in defaults and value not in (None, defaults[name]):
            values = value if isinstance(value, tuple) else (value,)
            yield " ".join([f"--{name}", *(quote(str(each)) for each in values)])


def show(document: Callable[[], Any], words: Callable[[], object] | None = None) -> None:
    """The result: what JSON is to hold, where it is asked for, else its words, if left to tell."""
    running = _now()
    if running.printing.json:
        assert not running.documents, "a command has one result"
        running.documents.append(document())
    elif words is not None:
        tell(words)


def tell(words: Callable[[], object]) -> None:
    """A part of the result in words, as soon as it is known; nothing where JSON is asked for."""
    if not _now().printing.json:
        from hidden_context.commands.terminal import for_stdout

        print(for_stdout(words), flush=True)


def shows_progress() -> bool:
    """Whether work says how far it is."""
    return not _now().printing.quiet


def _now() -> _Command:
    return _running.get(_Command())
