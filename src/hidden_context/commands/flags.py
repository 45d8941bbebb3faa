"""The flags of a command: a parser made from the fields of its frozen dataclass.

argparse rather than a larger parser: `--help` must answer before torch or transformers could be
imported (docs/decisions/0004-argparse.md).
"""

import argparse
import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterable, Sequence
from configparser import ConfigParser
from itertools import pairwise
from typing import Any, Literal, NamedTuple, NoReturn

from hidden_context.commands.fetched import WITHOUT_NETWORK
from hidden_context.commands.printing import Printing
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_name

ALL = "all"
"""`--help all` shows what is passed on to libraries too, for which they are imported."""
REQUIRED = "the following arguments are required:"
"""How argparse begins."""
SHOWN_BY_DEMO = ("audit", "evaluate", "score", "summarize", "report", "serve", "export", "merge")
"""Commands for which the demo makes data or models."""


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


def parser_of(
    config_class: type,
    further: Sequence[FurtherFlag] = (),
    *,
    prog: str | None = None,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """A parser of all flags but those of `parents`, such as `--config`."""
    passed = field_of_further(config_class)
    title = "" if passed is None else passed.metadata["named"]
    parser = FlagParser(
        prog=prog,
        description=inspect.getdoc(config_class),
        epilog=f"{title}: {prog} --help {ALL}" if title and not further else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=list(parents),
    )
    for name in Printing.names(config_class):
        options = _argument_for(bool) | {"default": argparse.SUPPRESS}
        parser.add_argument(f"--{name}", **options, help=_help(field_help(Printing)[name], False))
    sentences = field_help(config_class)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        names = names_of(field)
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


def field_of_further(config_class: type) -> Any:
    """The field that holds what is passed on to a library; None if there is none."""
    found = (field for field in dataclasses.fields(config_class) if "further" in field.metadata)
    return next(found, None)


def further_flags(config_class: type) -> Sequence[FurtherFlag]:
    """What is passed on to a library, which may be imported for it."""
    field = field_of_further(config_class)
    return () if field is None else [FurtherFlag(*each) for each in field.metadata["further"]()]


def names_of(field: dataclasses.Field[Any]) -> list[str]:
    """The name of a field, and others by which it is known; none of one that is no flag."""
    return [] if "further" in field.metadata else [field.name, *field.metadata.get("also", ())]


def takes_several(hint: Any) -> bool:
    """Whether a flag of this type is followed by any number of values."""
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


class FlagParser(argparse.ArgumentParser):
    """argparse whose errors are `UserError`s that say what to do."""

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


def unknown_name(kind: str, given: str, known: Iterable[str], prog: str | None) -> str:
    """That a flag or key is not known, and the nearest that is."""
    nearest = nearest_name(given, known)
    what_to_do = f"did you mean {nearest}?" if nearest else f"see {prog} --help."
    return f"unknown {kind} {given}; {what_to_do}"
