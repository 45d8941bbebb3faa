"""From a frozen dataclass to a command: it is parsed from flags over a YAML file, and run."""

import argparse
import dataclasses
import json
import logging
import os
import re
import sys
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from configparser import ConfigParser
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hidden_context.commands.exit_status import in_words, with_exit_status
from hidden_context.commands.flags import (
    ALL,
    FlagParser,
    field_of_further,
    further_flags,
    names_of,
    parser_of,
    takes_several,
    unknown_name,
)
from hidden_context.commands.outputs import check_outputs
from hidden_context.commands.printing import Printing, printed
from hidden_context.errors import UserError
from hidden_context.shards import UnmergedError

ConfigT = TypeVar("ConfigT")

CONFIG_FLAG = "--config"
FREE = r"(?<![\w'\"/.\=-])"
"""What is no part of a path, a quotation or another name."""


def command(
    name: str, config_class: type[ConfigT], run: Callable[[ConfigT], int | None]
) -> Callable[..., int]:
    """`main(argv)` of `hidden-context <name>`; see `run_command`."""
    return partial(run_command, config_class, run, prog=f"hidden-context {name}")


def run_command(
    config_class: type[ConfigT],
    run: Callable[[ConfigT], int | None],
    argv: Sequence[str] | None = None,
    *,
    prog: str | None = None,
) -> int:
    """Parse and run; see `with_exit_status`.

    What the library logs is printed, unless `--quiet`, and a warning is one line on stderr. Of
    processes that share work, one that has done its share while others have not ends well, and
    says so.
    """

    def parse_and_run() -> int | None:
        given = list(sys.argv[1:] if argv is None else argv)
        if given in (["--help", ALL], [f"--help={ALL}"]):
            return print(full_help(config_class, prog=prog))
        config, printing = parse_with_printing(config_class, given, prog=prog)
        with (
            _only_of_first_process() as is_first,
            printed(printing, [*(prog or "").split()[1:], *given], is_heard=is_first),
            _shown(config_class, quiet=printing.quiet),
        ):
            try:
                return run(config)
            except UnmergedError as unmerged:
                print(unmerged)
                return None
            except UserError as error:
                raise UserError(as_typed(str(error), config_class)) from error

    return with_exit_status(parse_and_run)


@contextmanager
def _only_of_first_process() -> Iterator[bool]:
    """Of the processes that a launcher such as torchrun started, let the first alone print.

    Errors and warnings, which are on stderr, are shown of all. Yields whether this is the first.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0":
        yield True
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield False


@contextmanager
def _shown(config_class: type, *, quiet: bool) -> Iterator[None]:
    """Print the log of the library on stdout and its warnings on stderr, a line for each."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        text = as_typed(" ".join(str(message).split()), config_class)
        print(f"warning: {text}", file=sys.stderr)

    logger, printer = logging.getLogger("hidden_context"), logging.Handler()
    printer.emit = lambda record: print(record.getMessage())
    level = logger.level
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(printer)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        logger.removeHandler(printer)
        logger.setLevel(level)


def parse(config_class: type[ConfigT], argv: Sequence[str], *, prog: str | None = None) -> ConfigT:
    """The configuration alone; see `parse_with_printing`."""
    return parse_with_printing(config_class, argv, prog=prog)[0]


def parse_with_printing(
    config_class: type[ConfigT], argv: Sequence[str], *, prog: str | None = None
) -> tuple[ConfigT, Printing]:
    """Make a configuration from flags, over a `--config` file, over the defaults.

    `--some-flag` and `--some_flag` are the same. How the command prints is apart from what it does.

    Raises:
        UserError: A flag, key or value is not understood; the nearest known name is given.
    """
    _refuse_nul(argv)
    config_parser = FlagParser(prog=prog, add_help=False, allow_abbrev=False)
    config_parser.add_argument(
        CONFIG_FLAG,
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="YAML file of flags.",
    )
    given, rest = config_parser.parse_known_args([_with_underscores(token) for token in argv])
    if "config" in given:
        from_file = _file_as_flags(given.config, config_class, prog)
        rest = [*from_file, f"{CONFIG_FLAG}={given.config}", *rest]  # it ends a list of the file
        _refuse_nul(rest)
    further = further_flags(config_class) if _unknown_to(config_class, rest) else ()
    parser = parser_of(config_class, further, prog=prog, parents=[config_parser])
    of_printing = Printing.names(config_class)
    values, unknown = parser.parse_known_args(_with_true(rest, of_printing))
    vars(values).pop("config", None)
    if unknown and not unknown[0].startswith("-"):
        parser.error(f"unexpected argument {unknown[0]!r}")
    if unknown:
        flags = [option for action in parser._actions for option in action.option_strings]
        raise UserError(unknown_name("flag", unknown[0].split("=")[0], flags, prog))
    hints = typing.get_type_hints(config_class) | typing.get_type_hints(Printing)
    hints |= {flag.name: flag.hint for flag in further}
    for name, value in vars(values).items():
        if value == [] and not takes_several(hints[name]):
            parser.error(f"--{name}: expected one argument")  # argparse reads --flag=-- as no value
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(values).items()
    }
    printing = Printing(**{name: bool(settings.pop(name, False)) for name in of_printing})
    names = {flag.name for flag in further}
    if further:
        passed = {name: settings.pop(name) for name in names & settings.keys()}
        settings[field_of_further(config_class).name] = passed
    config = config_class(**settings)
    seed = getattr(config, "seed", 0)
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed is {seed}; give a whole number from 0 to 2^32 - 1.")
    check_outputs(config, given.config if "config" in given else None)
    return config, printing


def as_typed(message: str, config_class: type) -> str:
    """A message of the library, with its parameters called as they are typed: `by` is --group.

    Another name of a flag is called by its first. A name of one word is taken for a parameter in
    backticks, before =, and where the message begins with it and its value; one with an underscore
    everywhere but within quotes and paths.
    """
    fields = (
        each for each in dataclasses.fields(config_class) if "positional" not in each.metadata
    )
    flags = {name: f"--{field.name}" for field in fields for name in names_of(field)}
    for name, flag in flags.items():
        message = message.replace(f"`{name}`", flag)
        shown = rf"^{name}(?= \S+ must | is )|{FREE}{name}(?==)"
        if "_" in name:
            shown += rf"|{FREE}{name}(?![\w'\"/\-]|\.\w)"
        message = re.sub(shown, flag, message)
    return message


def refuse_given(config: Any, names: Iterable[str], why: str) -> None:
    """Refuse settings of a configuration that are not their defaults, where they say nothing."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in names:
        if getattr(config, name) != defaults[name]:
            raise UserError(f"--{name} {why}; leave it out.")


def full_help(config_class: type, *, prog: str | None = None) -> str:
    """What `--help` says, and the flags that are passed on to a library."""
    return parser_of(config_class, further_flags(config_class), prog=prog).format_help()


def _unknown_to(config_class: type, tokens: Iterable[str]) -> bool:
    """Whether a token is a flag of no field."""
    known = {name for field in dataclasses.fields(config_class) for name in names_of(field)}
    known |= {*Printing.names(config_class)}
    flags = (token.partition("=")[0] for token in tokens if token.startswith("--"))
    return any(flag[2:] not in known for flag in flags if flag not in ("--", "--help"))


def _refuse_nul(arguments: Iterable[str]) -> None:
    if any("\0" in token for token in arguments):
        raise UserError("an argument holds a NUL character, which no name of a file can.")


def _with_underscores(token: str) -> str:
    if not token.startswith("--") or token == "--":
        return token
    name, equals, value = token.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _with_true(tokens: Sequence[str], names: Iterable[str]) -> list[str]:
    """Say true after each flag of these names where the next token says neither true nor false.

    Else argparse would take what follows, such as the name of a file, for its value.
    """
    end = tokens.index("--") if "--" in tokens else len(tokens)
    flags, said = {f"--{name}" for name in names}, ConfigParser.BOOLEAN_STATES
    all_following = [*tokens, ""][1:]
    return [
        f"{token}=true"
        if number < end and token in flags and following.lower() not in said
        else token
        for number, (token, following) in enumerate(zip(tokens, all_following, strict=True))
    ]


def _file_as_flags(path: Path, config_class: type, prog: str | None) -> list[str]:
    """The keys of a YAML file as command-line tokens, so that both are read by the same rules."""
    from hidden_context.records import parse_value

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"--config {path} is not a text in UTF-8: {error}.") from error
    except OSError as error:
        name = (prog or "").split()[-1:]
        raise UserError(
            f"--config {in_words(error)} hidden-context {' '.join(['init', *name])} writes one."
        ) from error
    settings = parse_value(text, f"--config {path}") or {}
    if not isinstance(settings, dict):
        raise UserError(
            f"--config {path} holds {type(settings).__name__}; give `key: value` lines."
        )
    names = [str(key).replace("-", "_") for key in settings]
    fields = {name: field for field in dataclasses.fields(config_class) for name in names_of(field)}
    known = [*fields, *Printing.names(config_class)]
    if not set(names) <= set(known):
        known += [flag.name for flag in further_flags(config_class)]
    tokens = []
    for name, (key, value) in zip(names, settings.items(), strict=True):
        if name not in known:
            raise UserError(unknown_name(f"key in {path}:", str(key), known, prog))
        if name in fields and fields[name].metadata.get("positional"):
            raise UserError(f"{name} in {path} has no flag; give it on the command line.")
        if isinstance(value, list) and any(isinstance(item, list) for item in value):
            raise UserError(f"{key} in {path} has a list in its list; give values.")
        if isinstance(value, list) and any(str(item).startswith("--") for item in value):
            raise UserError(f"{key} in {path} has an item that begins with --, like a flag.")
        if isinstance(value, list):
            items = [
                json.dumps(item, default=str) if isinstance(item, dict) else item for item in value
            ]
            tokens += [f"--{name}", *map(str, items)]
        elif isinstance(value, dict):
            tokens.append(f"--{name}={json.dumps(value, default=str)}")
        elif value is not None:
            tokens.append(f"--{name}={value}")
    return tokens
