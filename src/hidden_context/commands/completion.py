"""`hidden-context completion SHELL`: a script that completes commands and flags."""

import argparse
import os
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self

from hidden_context.commands.command_line import command
from hidden_context.commands.flags import parser_of


@dataclass(frozen=True)
class Config:
    """A script of completions; hidden-context doctor says how to switch it on in your shell."""

    shell: Literal["bash", "zsh", "tcsh"] = field(metadata={"positional": True})
    """Whose script is printed."""


EVALUATED = 'eval "$(hidden-context completion {shell})"'
SWITCHED_ON = {
    "bash": (".bashrc", EVALUATED.format(shell="bash")),
    "zsh": (".zshrc", f"autoload -Uz compinit && compinit; {EVALUATED.format(shell='zsh')}"),
    "tcsh": (
        ".tcshrc",
        "hidden-context completion tcsh > ~/.hidden-context.tcsh; source ~/.hidden-context.tcsh",
    ),
}
"""By shell: the file in the home folder that it reads at its start, and the line to put there."""


@dataclass(frozen=True)
class Completion:
    """Whether a user's shell completes commands and flags."""

    shell: str
    file: Path
    """That it reads at its start."""
    is_on: bool
    """Whether the file speaks of it; a file that it reads in turn is not looked into."""
    line: str
    """That switches it on."""

    @classmethod
    def of_user(cls) -> Self | None:
        """By `SHELL` and the home folder; None for a shell without a script."""
        shell = Path(os.environ.get("SHELL", "")).name
        if shell not in SWITCHED_ON:
            return None
        name, line = SWITCHED_ON[shell]
        file = Path.home() / name
        try:
            is_on = "hidden-context" in file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            is_on = False
        return cls(shell, file, is_on, line)

    def __str__(self) -> str:
        if self.is_on:
            return f"ok       completion in {self.shell}: ~/{self.file.name}"
        return (
            f"off      completion in {self.shell}: add to ~/{self.file.name} the line {self.line}"
        )


def run(config: Config) -> None:
    """Print the script."""
    import shtab

    if config.shell == "bash":  # it falls back on files where nothing else fits, after lists too
        script = shtab.complete(whole_parser(), shell="bash")
        print(script.replace("complete -o bashdefault ", "complete -o bashdefault -o default "))
    else:
        print(shtab.complete(whole_parser(text=shtab.FILE), shell=config.shell))


def whole_parser(text: Any = None) -> argparse.ArgumentParser:
    """All commands and their own flags; `text` says how a text without choices is completed."""
    from hidden_context.commands.cli import COMMANDS

    parser = argparse.ArgumentParser(prog="hidden-context")
    commands = parser.add_subparsers()
    for name, what in COMMANDS.items():
        module = import_module(f"hidden_context.commands.{name.replace('-', '_')}")
        flags = parser_of(module.Config, prog=f"hidden-context {name}")
        for action in flags._actions:
            if text is not None and action.type in (str, Path) and action.choices is None:
                vars(action)["complete"] = text
        commands.add_parser(name, help=what, parents=[flags], add_help=False)
    return parser


main = command("completion", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
