"""From a frozen dataclass to a command: flags, a YAML file, clear errors and exit statuses.

argparse rather than a larger parser: `--help` must answer before torch or transformers could be
imported (docs/decisions/0004-argparse.md).
"""

import argparse
import ast
import dataclasses
import inspect
import json
import logging
import os
import re
import signal
import sys
import textwrap
import threading
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from configparser import ConfigParser
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar

from hidden_context.commands.fetched import WITHOUT_NETWORK
from hidden_context.commands.printing import Printing, printed
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_name
from hidden_context.shards import UnmergedError

ConfigT = TypeVar("ConfigT")

CONFIG_FLAG = "--config"
ALL = "all"
"""`--help all` shows what is passed on to libraries too, for which they are imported."""
REQUIRED = "the following arguments are required:"
"""How argparse begins."""
SHOWN_BY_DEMO = ("audit", "evaluate", "score", "summarize", "report", "serve", "export", "merge")
"""Commands for which the demo makes data or models."""
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


def with_exit_status(run: Callable[[], int | None]) -> int:
    """Run, and turn a user's mistake into one line on stderr and exit status 2.

    Ctrl-C, SIGTERM and SIGHUP end with one line and status 128 + the signal's number; a closed
    pipe with 141 and nothing said, as of a program that SIGPIPE ends. Errors that are ours keep
    their traceback.
    """
    try:
        with _printing(), _stopped_by_signals():
            return run() or 0
    except _ClosedPipeError:
        return 128 + signal.SIGPIPE
    except (UserError, OSError) as error:
        _say(f"error: {' '.join(_in_words(error).split())}")
        return 2
    except KeyboardInterrupt as interrupt:
        stopped_by = interrupt.signal if isinstance(interrupt, _StopError) else signal.SIGINT
        _say("interrupted" if stopped_by is signal.SIGINT else f"stopped by {stopped_by.name}")
        return 128 + stopped_by


def _in_words(error: Exception) -> str:
    """Which file it was, and why; of an error of the system without its number."""
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}."
    return str(error)


class _ClosedPipeError(Exception):
    """Whoever read what was printed has left."""


class _StopError(KeyboardInterrupt):
    """A signal asked for the end; libraries let it pass as they do Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Raise at SIGTERM and SIGHUP, so that temporary files are removed, as at Ctrl-C.

    A signal that is ignored (as `nohup` has SIGHUP ignored) or handled by the program around stays
    so, and nothing is changed outside the main thread, which alone may.
    """

    def stop(number: int, _: object) -> NoReturn:
        raise _StopError(number)

    is_main = threading.current_thread() is threading.main_thread()
    signals = (signal.SIGTERM, signal.SIGHUP) if is_main else ()
    taken = [number for number in signals if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _printing() -> Iterator[None]:
    """Write out what was printed before the status is decided.

    Left to the end of the interpreter, a closed pipe or a full disk would show as a traceback.

    Raises:
        UserError: What is printed cannot be written.
    """
    try:
        yield
    except BrokenPipeError as error:
        _print_nowhere()
        raise _ClosedPipeError from error
    except (OSError, SystemExit):  # if printing failed, that is the reason; --help has printed
        _write_out()
        raise
    except BaseException:
        with suppress(_ClosedPipeError, UserError):
            _write_out()
        raise
    _write_out()


def _write_out() -> None:
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except BrokenPipeError as error:
        _print_nowhere()
        raise _ClosedPipeError from error
    except OSError as error:
        _print_nowhere()
        raise UserError(f"standard output cannot be written: {error.strerror}.") from error


def _print_nowhere() -> None:
    """Give what is still to be written to nobody, or it would be tried again at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _say(line: str) -> None:
    """One line on stderr, if anybody is there: SIGHUP says that the terminal is not."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _print_nowhere()


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
        from_file = _file_as_flags(given.config, config_class, prog)
        rest = [*from_file, f"{CONFIG_FLAG}={given.config}", *rest]  # it ends a list of the file
        _refuse_nul(rest)
    further = _further_flags(config_class) if _unknown_to(config_class, rest) else ()
    parser = _parser_for(config_class, prog, config_parser, further)
    of_printing = Printing.names(config_class)
    values, unknown = parser.parse_known_args(_with_true(rest, of_printing))
    vars(values).pop("config", None)
    if unknown and not unknown[0].startswith("-"):
        parser.error(f"unexpected argument {unknown[0]!r}")
    if unknown:
        flags = [option for action in parser._actions for option in action.option_strings]
        raise UserError(_unknown_name("flag", unknown[0].split("=")[0], flags, prog))
    hints = typing.get_type_hints(config_class) | typing.get_type_hints(Printing)
    hints |= {flag.name: flag.hint for flag in further}
    for name, value in vars(values).items():
        if value == [] and not _takes_several(hints[name]):
            parser.error(f"--{name}: expected one argument")  # argparse reads --flag=-- as no value
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(values).items()
    }
    printing = Printing(**{name: bool(settings.pop(name, False)) for name in of_printing})
    names = {flag.name for flag in further}
    if further:
        passed = {name: settings.pop(name) for name in names & settings.keys()}
        settings[_field_of_further(config_class).name] = passed
    return config_class(**settings), printing


def as_typed(message: str, config_class: type) -> str:
    """A message of the library, with its parameters called as they are typed: `by` is --by.

    A name of one word is taken for a parameter in backticks, before =, and where the message begins
    with it and its value; one with an underscore everywhere but within quotes and paths.
    """
    fields = (
        each for each in dataclasses.fields(config_class) if "positional" not in each.metadata
    )
    for name in {name for field in fields for name in _names_of(field)}:
        message = message.replace(f"`{name}`", f"--{name}")
        shown = rf"^{name}(?= \S+ must | is )|{FREE}{name}(?==)"
        if "_" in name:
            shown += rf"|{FREE}{name}(?![\w'\"/\-]|\.\w)"
        message = re.sub(shown, f"--{name}", message)
    return message


def refuse_given(config: Any, names: Iterable[str], why: str) -> None:
    """Refuse settings of a configuration that are not their defaults, where they say nothing."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in names:
        if getattr(config, name) != defaults[name]:
            raise UserError(f"--{name} {why}; leave it out.")


class FurtherFlag(NamedTuple):
    """A flag that is no field of a configuration, but passed on to a library in one of them.

    That field, a mapping, has in its metadata under `further` a function that returns these as
    tuples; it is called where a flag is not known otherwise, since it may import the library.
    """

    name: str
    hint: Any
    """As of a field; see `_argument_for`."""
    help: str
    default: Any


def full_help(config_class: type, *, prog: str | None = None) -> str:
    """What `--help` says, and the flags that are passed on to a library."""
    return parser_of(config_class, _further_flags(config_class), prog=prog).format_help()


def parser_of(
    config_class: type, further: Sequence[FurtherFlag] = (), *, prog: str | None = None
) -> argparse.ArgumentParser:
    """A parser of all flags but `--config`, whose file is read before."""
    nothing = _Parser(prog=prog, add_help=False, allow_abbrev=False)
    return _parser_for(config_class, prog, nothing, further)


def _field_of_further(config_class: type) -> Any:
    found = (field for field in dataclasses.fields(config_class) if "further" in field.metadata)
    return next(found, None)


def _further_flags(config_class: type) -> Sequence[FurtherFlag]:
    field = _field_of_further(config_class)
    return () if field is None else [FurtherFlag(*each) for each in field.metadata["further"]()]


def _names_of(field: dataclasses.Field[Any]) -> list[str]:
    """The name of a field, and others by which it is known; none of one that is no flag."""
    return [] if "further" in field.metadata else [field.name, *field.metadata.get("also", ())]


def _unknown_to(config_class: type, tokens: Iterable[str]) -> bool:
    """Whether a token is a flag of no field."""
    known = {name for field in dataclasses.fields(config_class) for name in _names_of(field)}
    known |= {*Printing.names(config_class)}
    flags = (token.partition("=")[0] for token in tokens if token.startswith("--"))
    return any(flag[2:] not in known for flag in flags if flag not in ("--", "--help"))


def _takes_several(hint: Any) -> bool:
    return any(typing.get_origin(kind) is tuple for kind in (hint, *typing.get_args(hint)))


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


def _refuse_nul(arguments: Iterable[str]) -> None:
    if any("\0" in token for token in arguments):
        raise UserError("an argument holds a NUL character, which no name of a file can.")


class _Parser(argparse.ArgumentParser):
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if nearest := nearest_name(str(value), map(str, action.choices or ())):
                error.message += f"; did you mean {nearest}?"
            raise

    def error(self, message: str) -> NoReturn:
        if message.startswith(REQUIRED):
            message = self._missing(message.removeprefix(REQUIRED).strip().split(", "))
        see = " See" if message.endswith("?") else "; see"
        raise UserError(f"{message.removeprefix('argument ')}{see} {self.prog} --help.")

    def _missing(self, names: Sequence[str]) -> str:
        """What to give for each, and where there is some to try."""
        said = {"/".join(each.option_strings) or each.dest: each.help for each in self._actions}
        what = [f"{name} ({str(said[name]).rstrip('.').replace('%%', '%')})" for name in names]
        own = f"; give your own, {WITHOUT_NETWORK.rstrip('.')}"
        return f"missing: {', '.join(what)}{own if self.prog.split()[-1] in SHOWN_BY_DEMO else ''}"


def _parser_for(
    config_class: type,
    prog: str | None,
    config_parser: argparse.ArgumentParser,
    further: Sequence[FurtherFlag] = (),
) -> argparse.ArgumentParser:
    passed = _field_of_further(config_class)
    title = "" if passed is None else passed.metadata["named"]
    parser = _Parser(
        prog=prog,
        description=inspect.getdoc(config_class),
        epilog=f"{title}: {prog} --help {ALL}" if title and not further else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[config_parser],
    )
    for name in Printing.names(config_class):
        options = _argument_for(bool) | {"default": argparse.SUPPRESS}
        parser.add_argument(f"--{name}", **options, help=_help(field_help(Printing)[name], False))
    sentences = field_help(config_class)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        names = _names_of(field)
        if not names:
            continue
        options = _argument_for(hints[field.name])
        required = field.default is dataclasses.MISSING
        options["help"] = _help(sentences.get(field.name, ""), None if required else field.default)
        if field.metadata.get("positional"):  # without a default
            options |= {"metavar": field.name} | ({"nargs": "+"} if "nargs" in options else {})
            parser.add_argument(field.name, **options)
        else:
            options |= {"required": required, "default": field.default}
            parser.add_argument(*(f"--{name}" for name in names), **options)
    group = parser.add_argument_group(title) if further else parser
    for flag in further:
        options = _argument_for(flag.hint) | {"default": argparse.SUPPRESS}
        group.add_argument(f"--{flag.name}", **options, help=_help(flag.help, flag.default))
    return parser


def _help(sentence: str, default: Any) -> str:
    shown = "" if default in (None, (), "") else f" (default: {default})"
    return (sentence + shown).replace("%", "%%")


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


def _unknown_name(kind: str, given: str, known: Iterable[str], prog: str | None) -> str:
    nearest = nearest_name(given, known)
    what_to_do = f"did you mean {nearest}?" if nearest else f"see {prog} --help."
    return f"unknown {kind} {given}; {what_to_do}"


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
            f"--config {_in_words(error)} hidden-context {' '.join(['init', *name])} writes one."
        ) from error
    settings = parse_value(text, f"--config {path}") or {}
    if not isinstance(settings, dict):
        raise UserError(
            f"--config {path} holds {type(settings).__name__}; give `key: value` lines."
        )
    names = [str(key).replace("-", "_") for key in settings]
    fields = {
        name: field for field in dataclasses.fields(config_class) for name in _names_of(field)
    }
    known = [*fields, *Printing.names(config_class)]
    if not set(names) <= set(known):
        known += [flag.name for flag in _further_flags(config_class)]
    tokens = []
    for name, (key, value) in zip(names, settings.items(), strict=True):
        if name not in known:
            raise UserError(_unknown_name(f"key in {path}:", str(key), known, prog))
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
