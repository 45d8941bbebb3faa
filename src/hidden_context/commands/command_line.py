"""From a frozen dataclass to a command: flags, a YAML file, clear errors and exit statuses.

argparse rather than a larger parser: `--help` must answer before torch or transformers could be
imported (docs/decisions/0004-argparse.md).
"""

import argparse
import ast
import dataclasses
import difflib
import inspect
import json
import logging
import sys
import textwrap
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from configparser import ConfigParser
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from hidden_context.errors import UserError

ConfigT = TypeVar("ConfigT")

CONFIG_FLAG = "--config"


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
    """Parse, run, and turn a user's mistake into one line on stderr and exit status 2.

    What the library logs is printed, and a warning is one line on stderr. Ctrl-C ends with status
    130. Errors that are ours keep their traceback.
    """
    try:
        config = parse(config_class, sys.argv[1:] if argv is None else argv, prog=prog)
        with _shown():
            return run(config) or 0
    except (UserError, OSError) as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


@contextmanager
def _shown() -> Iterator[None]:
    """Print the log of the library on stdout and its warnings on stderr, a line for each."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)

    logger, printer = logging.getLogger("hidden_context"), logging.Handler()
    printer.emit = lambda record: print(record.getMessage())
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(printer)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        logger.removeHandler(printer)
        logger.setLevel(level)


def parse(config_class: type[ConfigT], argv: Sequence[str], *, prog: str | None = None) -> ConfigT:
    """Make a configuration from flags, over a `--config` file, over the defaults.

    `--some-flag` and `--some_flag` are the same.

    Raises:
        UserError: A flag, key or value is not understood; the nearest known name is given.
    """
    config_parser = _Parser(prog=prog, add_help=False, allow_abbrev=False)
    config_parser.add_argument(
        CONFIG_FLAG,
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="YAML file of flags.",
    )
    given, rest = config_parser.parse_known_args([_with_underscores(token) for token in argv])
    if "config" in given:
        rest = _file_as_flags(given.config, config_class) + rest
    parser = _parser_for(config_class, prog, config_parser)
    values, unknown = parser.parse_known_args(rest)
    if unknown and not unknown[0].startswith("-"):
        parser.error(f"unexpected argument {unknown[0]!r}")
    if unknown:
        flags = [CONFIG_FLAG, *(f"--{name}" for name in vars(values))]
        raise UserError(_unknown_name("flag", unknown[0].split("=")[0], flags))
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(values).items()
    }
    return config_class(**settings)


def field_help(config_class: type) -> dict[str, str]:
    """The sentence written under each field of a dataclass, by field name."""
    sentences = {}
    for kind in reversed(config_class.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(tree, ast.ClassDef)
        for statement, following in pairwise(tree.body):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(sentence))),
                ):
                    sentences[name] = " ".join(sentence.split())
    return sentences


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')}; see {self.prog} --help.")


def _parser_for(
    config_class: type, prog: str | None, config_parser: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        description=inspect.getdoc(config_class),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[config_parser],
    )
    sentences = field_help(config_class)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        options = _argument_for(hints[field.name])
        required = field.default is dataclasses.MISSING
        shown = "" if required or field.default in (None, ()) else f" (default: {field.default})"
        options["help"] = (sentences.get(field.name, "") + shown).replace("%", "%%")
        if field.metadata.get("positional"):  # a tuple without a default
            options |= {"nargs": "+", "metavar": field.name}
            parser.add_argument(field.name, **options)
        else:
            options |= {"required": required, "default": field.default}
            parser.add_argument(f"--{field.name}", **options)
    return parser


def _argument_for(hint: Any) -> dict[str, Any]:
    """argparse options for a type: str, int, float, bool, Path, Literal, tuple of one, or None."""
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        return _argument_for(arguments[0])
    if typing.get_origin(hint) is tuple:
        return {**_argument_for(arguments[0]), "nargs": "*"}
    if typing.get_origin(hint) is Literal:
        return {"choices": arguments, "type": str}
    if hint is bool:
        return {"type": _bool, "nargs": "?", "const": True, "metavar": "true|false"}
    return {"type": hint, "metavar": hint.__name__.upper()}


def _bool(text: str) -> bool:
    """Read true, yes, 1 and on, or false, no, 0 and off, in any case."""
    value = ConfigParser.BOOLEAN_STATES.get(text.lower())
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return value


def _with_underscores(token: str) -> str:
    if not token.startswith("--") or token == "--":
        return token
    name, equals, value = token.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def nearest_name(given: str, known: Iterable[str]) -> str:
    """The known name most like the given one."""
    return difflib.get_close_matches(given, list(known), n=1, cutoff=0.0)[0]


def _unknown_name(kind: str, given: str, known: Iterable[str]) -> str:
    return f"unknown {kind} {given}; did you mean {nearest_name(given, known)}?"


def _file_as_flags(path: Path, config_class: type) -> list[str]:
    """The keys of a YAML file as command-line tokens, so that both are read by the same rules."""
    from hidden_context.records import parse_value

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"--config {path} is not a text in UTF-8: {error}.") from error
    settings = parse_value(text, f"--config {path}") or {}
    if not isinstance(settings, dict):
        raise UserError(
            f"--config {path} holds {type(settings).__name__}; give `key: value` lines."
        )
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    tokens = []
    for key, value in settings.items():
        name = str(key).replace("-", "_")
        if name not in fields:
            raise UserError(_unknown_name(f"key in {path}:", str(key), fields))
        if fields[name].metadata.get("positional"):
            raise UserError(f"{name} in {path} has no flag; give it on the command line.")
        if isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
            raise UserError(f"{key} in {path} has a list or a mapping in its list; give values.")
        if isinstance(value, list) and any(str(item).startswith("--") for item in value):
            raise UserError(f"{key} in {path} has an item that begins with --, like a flag.")
        if isinstance(value, list):
            tokens += [f"--{name}", *map(str, value)]
        elif isinstance(value, dict):
            tokens.append(f"--{name}={json.dumps(value, default=str)}")
        elif value is not None:
            tokens.append(f"--{name}={value}")
    return tokens
