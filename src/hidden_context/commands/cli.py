"""`hidden-context <command>`: the table of commands."""

import sys
from collections.abc import Sequence
from importlib import import_module

from hidden_context import __version__
from hidden_context.commands.command_line import nearest_name

COMMANDS = {
    "demo": (
        "commands.demo",
        "train and compare reward models on generated data with known hidden context",
    ),
    "synthetic": ("commands.synthetic", "the paper's synthetic experiments, with exact answers"),
    "train": ("commands.train", "train a reward model on preference data"),
    "evaluate": ("commands.evaluate", "score the comparisons of a preference data set"),
    "score": ("commands.score", "score any responses to prompts, such as jailbreaks"),
    "summarize": ("commands.summarize", "r², jailbreak rates and accuracies from saved scores"),
    "audit": ("commands.audit", "is there hidden context in preference data? in minutes"),
    "report": ("commands.report", "one HTML page of saved results, and figures for papers"),
    "aggregate": ("commands.aggregate", "where rules of social choice have different winners"),
    "download": ("commands.download", "fetch the published data and models"),
}
"""Command name → module with `main(argv)`, and what it does."""


def usage() -> str:
    """The text of `hidden-context --help`."""
    lines = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: hidden-context <command> [flags]",
            "",
            "Distributional preference learning: reward models that know where people differ.",
            "",
            *lines,
            "",
            "hidden-context <command> --help lists the flags of a command.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(__version__)
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        nearest = nearest_name(name, COMMANDS)
        print(f"error: unknown command {name}; did you mean {nearest}?", file=sys.stderr)
        return 2
    return import_module(f"hidden_context.{COMMANDS[name][0]}").main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
