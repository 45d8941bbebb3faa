"""Compare social-choice rules on a data set: where their winners differ."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.printing import say, say_next, show
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.aggregation.choices import Choices
    from hidden_context.comparisons.comparisons import Comparisons


@dataclass(frozen=True)
class Config:
    """Compare social-choice rules on a data set (docs/aggregation.md)."""

    prints_numbers: ClassVar[bool] = True
    input: Path
    """File of comparisons (jsonl, jsonl.gz, parquet or csv), or a score file with --column."""
    rules: tuple[str, ...]
    """Two or more of borda, expected_utility, copeland, maximin, reference, nash, worst_group."""
    column: str | None = None
    """Column of a score file, such as reward_outputs_both: choose by learned distributions."""
    group: str | None = None
    """Column of groups of those who judged, for nash and worst_group; of comparisons alone."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    reference: int | None = None
    """Number, from 1, of the response that others are measured against; with --column."""
    incomplete: Literal["leave_out", "keep"] = "leave_out"
    """Prompts with pairs that were never compared; kept, rules go by the pairs that were."""
    show: int = 3
    """Prompts whose rankings to show, first those where winners differ most."""


def run(config: Config) -> None:
    """Read, decide, count, print."""
    from hidden_context.aggregation.disagreement import decide, disagreements, most_different
    from hidden_context.aggregation.text import as_json, render

    _check(config)
    choices, comparisons = _read(config)
    if not choices.kept:
        left_out = ", ".join(f"{number} {why}" for why, number in choices.left_out.items())
        raise UserError(f"{config.input} has no prompt to choose for; left out: {left_out}.")
    decisions = [decide(choice, config.rules) for choice in choices.kept]
    counts = disagreements(decisions, config.rules)
    examples = most_different(decisions, config.show)
    if comparisons is not None:
        say(comparisons.account, beside=True)  # what is printed is the result alone
    show(
        lambda: as_json(choices, counts, examples, config.rules),
        lambda: render(str(config.input), choices, counts, examples, config.rules),
    )
    _say_next(config, comparisons)


def _say_next(config: Config, comparisons: "Comparisons | None") -> None:
    if comparisons is None:
        return say_next("report {} --out report.html", config.input, beside=True)
    if config.group is not None:
        return say_next("axes {}", config.input, like=config, beside=True)
    who = "people" if comparisons.account.num_annotators else "audit"
    return say_next(f"{who} {{}}", config.input, like=config, beside=True)


def _check(config: Config) -> None:
    """Refuse settings that do not go together, before anything is read."""
    from hidden_context.aggregation.rule_table import RULES
    from hidden_context.distributions.base import check_choice

    for name in config.rules:
        check_choice("rule", name, tuple(RULES))
    if len(set(config.rules)) < 2 or len(set(config.rules)) < len(config.rules):
        raise UserError(f"--rules {' '.join(config.rules)}: give two or more different rules.")
    if config.show < 0:
        raise UserError(f"--show is {config.show}; give 0 or more.")
    if config.column is not None and config.group is not None:
        raise UserError(
            "--group is for comparisons; learned distributions (--column) have no groups."
        )
    if config.column is None and config.reference is not None:
        raise UserError("--reference is for score files (--column), whose responses have an order.")
    if config.reference is not None and config.reference < 1:
        raise UserError(f"--reference is {config.reference}; responses are numbered from 1.")


def _read(config: Config) -> "tuple[Choices, Comparisons | None]":
    """The choices, and the comparisons that they are of, unless they are of scores."""
    from hidden_context.aggregation.compared_choices import choices_from_comparisons
    from hidden_context.aggregation.scored_choices import choices_from_scores
    from hidden_context.comparisons.comparisons import Comparisons
    from hidden_context.comparisons.row_files import read_rows
    from hidden_context.scores.score_files import columns_of, load_scores

    if config.column is not None:
        reference = None if config.reference is None else config.reference - 1
        scores = load_scores(config.input, config.column)
        return choices_from_scores(scores, reference=reference), None
    scored = columns_of(config.input)
    if scored:
        raise UserError(
            f"{config.input} holds scores; choose a column: --column {' or '.join(scored)}."
        )
    comparisons = Comparisons.from_rows(
        read_rows(config.input), str(config.input), ignore_columns=config.ignore_columns
    )
    choices = choices_from_comparisons(
        comparisons, group=config.group, keep_incomplete=config.incomplete == "keep"
    )
    return choices, comparisons


main = command("aggregate", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
