"""`hidden-context <command>`: the table of commands."""

import sys
from collections.abc import Sequence
from importlib import import_module

from hidden_context import __version__
from hidden_context.commands.exit_status import with_exit_status
from hidden_context.misspelt import nearest_name

COMMANDS = {
    "demo": "train and compare reward models on generated data with known hidden context",
    "synthetic": "the paper's synthetic experiments, with exact answers",
    "train": "train a reward model on preference data",
    "evaluate": "score the comparisons of a preference data set",
    "score": "score any responses to prompts, such as jailbreaks",
    "serve": "rewards over HTTP, for trainers and others",
    "benchmark": "RewardBench 1 and 2, RM-Bench, JudgeBench, by their own rules",
    "best-of": "the best of several responses to each prompt, by a risk or a rule",
    "summarize": "r², jailbreak rates and accuracies from saved scores",
    "audit": "is there hidden context in preference data? in minutes",
    "axes": "what divides those who judged, in words, with false findings bounded",
    "people": "who differs, by how much, along what; and what is known of one person",
    "report": "one HTML page of saved results, and figures for papers",
    "relabel": "new labels for pairs, by a language model that judges",
    "items": "utilities of a list of items from votes, with intervals",
    "aggregate": "where rules of social choice have different winners",
    "merge": "add a checkpoint's adapters to the weights of its backbone",
    "export": "a model of one reward, or of all outputs, for transformers and other tools",
    "download": "fetch the published data and models",
    "init": "a YAML file with all settings of a command, commented",
    "doctor": "what is installed, what is missing for what, which devices there are",
    "completion": "a script that completes commands and flags in a shell",
}
"""What each command does; its module has the same name, with _ for -, and `main(argv)`."""


def usage() -> str:
    """The text of `hidden-context --help`."""
    commands = "\n".join(f"  {name:<10} {what}" for name, what in COMMANDS.items())
    return f"""usage: hidden-context <command> [flags]

Distributional preference learning: reward models that know where people differ.

{commands}

hidden-context <command> --help lists the flags of a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return with_exit_status(lambda: print(usage())) or (0 if arguments else 2)
    if arguments[0] == "--version":
        return with_exit_status(lambda: print(__version__))
    name, *flags = arguments[0].replace("_", "-"), *arguments[1:]
    if name not in COMMANDS:
        nearest = nearest_name(name.lstrip("-"), COMMANDS)
        hint = f"did you mean {nearest}?" if nearest else "see hidden-context --help."
        print(f"error: unknown command {name}; {hint}", file=sys.stderr)
        return 2
    return import_module(f"hidden_context.commands.{name.replace('-', '_')}").main(flags)


if __name__ == "__main__":
    sys.exit(main())
