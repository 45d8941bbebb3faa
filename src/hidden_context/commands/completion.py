"""`hidden-context completion SHELL`: a script that completes commands and flags."""

import argparse
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

from hidden_context.commands.command_line import command, parser_of


@dataclass(frozen=True)
class Config:
    """A script of completions. bash: eval "$(hidden-context completion bash)", in ~/.bashrc."""

    shell: Literal["bash", "zsh", "tcsh"] = field(metadata={"positional": True})
    """Whose script is printed."""


def run(config: Config) -> None:
    """Print the script."""
    import shtab

    print(shtab.complete(whole_parser(), shell=config.shell))


def whole_parser() -> argparse.ArgumentParser:
    """All commands and their own flags."""
    from hidden_context.commands.cli import COMMANDS

    parser = argparse.ArgumentParser(prog="hidden-context")
    commands = parser.add_subparsers()
    for name, what in COMMANDS.items():
        module = import_module(f"hidden_context.commands.{name.replace('-', '_')}")
        flags = parser_of(module.Config, prog=f"hidden-context {name}")
        commands.add_parser(name, help=what, parents=[flags], add_help=False)
    return parser


main = command("completion", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
