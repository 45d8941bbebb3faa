"""`hidden-context init COMMAND`: a commented YAML file of all settings of a command."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from hidden_context.commands.command_line import command
from hidden_context.commands.flags import field_help
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import Printing, say, say_next
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_name
from hidden_context.records import atomic_write

WIDTH = 96


@dataclass(frozen=True)
class Config:
    """A YAML file for `--config`, with every setting of a command, its meaning and its default."""

    command: str = field(metadata={"positional": True})
    """The command, such as train."""
    out: Path | None = field(default=None, metadata=writes("a YAML file"))
    """The file; COMMAND.yaml if not given. One that is there already is left alone."""


def run(config: Config) -> None:
    """Write the file, whole or not at all."""
    from hidden_context.commands.cli import COMMANDS

    name = config.command.replace("_", "-")
    if name not in COMMANDS:
        nearest = nearest_name(name, COMMANDS)
        hint = f"did you mean {nearest}?" if nearest else f"give one of {', '.join(COMMANDS)}."
        raise UserError(f"there is no command {config.command}; {hint}")
    out = config.out or Path(f"{name}.yaml")
    if out.exists():
        raise UserError(f"{out} is there already; give --out another name.")
    config_class = import_module(f"hidden_context.commands.{name.replace('-', '_')}").Config
    with atomic_write(out) as file:
        file.write(("\n".join(lines_of(name, config_class)) + "\n").encode())
    print(f"wrote {out}")
    say("take the # off what you set")
    without_flags = [
        each.name.upper()
        for each in dataclasses.fields(config_class)
        if each.metadata.get("positional")
    ]
    say_next(" ".join([name, *without_flags, "--config {}"]), out)


def lines_of(name: str, config_class: type) -> Iterator[str]:
    """Each setting as a comment, below what it means."""
    sentences = field_help(Printing) | field_help(config_class)
    of_printing = Printing.names(config_class)
    yield f"# Settings of hidden-context {name}; flags on the command line win over these."
    printing = [each for each in dataclasses.fields(Printing) if each.name in of_printing]
    for each in [*dataclasses.fields(config_class), *printing]:
        if "further" in each.metadata:
            yield f"\n# {each.metadata['named']}: hidden-context {name} --help all"
            continue
        yield ""
        yield from (f"# {line}" for line in wrap(sentences.get(each.name, ""), WIDTH))
        if each.metadata.get("positional"):
            yield f"# {each.name}: on the command line, without a flag"
            continue
        yield f"# {each.name}: {_plain(each.default)}".rstrip()


def _plain(default: Any) -> str:
    """As YAML on one line; nothing where there is no default."""
    if default is dataclasses.MISSING or default is None:
        return ""
    value = list(default) if isinstance(default, tuple) else default
    value = str(value) if isinstance(value, Path) else value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]


main = command("init", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
