"""Rank the responses to each prompt, and say which is best."""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_next, show, shows_progress
from hidden_context.commands.scoring_flags import ScoringFlags
from hidden_context.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Config(ScoringFlags):
    """Choose the best of several responses to each prompt (docs/optimise.md)."""

    prints_numbers: ClassVar[bool] = True
    input: Path
    """File of rows (jsonl, jsonl.gz) with a prompt and a list of responses, as score reads it."""
    output: Path = field(metadata=writes("JSON lines"))
    """File to write: the rows with rewards, ranking (indices, best first) and chosen_index."""
    reward_model_checkpoints: tuple[str, ...] = ()
    """Folders (or hub names) of checkpoints; several are groups of people, and need a --rule."""
    people: Path | None = None
    """People fitted to a checkpoint's states (people --save), in its place: by --risk or --rule."""
    person: Path | None = None
    """Comparisons of one of the --people: rank for her alone, as far as she is known."""
    risk: tuple[str, ...] = ()
    """Rank by this reward: mean (default), quantile:α, cvar:α, lcb:λ, entropic:θ, kl:β, ..."""
    rule: str | None = None
    """Rank by a rule instead: borda, copeland, maximin, reference, nash, worst_group, ..."""
    reference: int | None = None
    """Number, from 1, of the response that --rule reference compares with."""
    overlong: Literal["truncate_left", "error"] = "truncate_left"
    """Longer texts: cut at the beginning, or refused; all counted."""


def run(config: Config) -> None:
    """Check everything that can be checked, score, rank, write, print."""
    _check(config)
    from hidden_context.aggregation.best_of import check_columns
    from hidden_context.comparisons.responses import account_of_responses, read_responses
    from hidden_context.comparisons.row_files import read_rows
    from hidden_context.llm.best_of import best_of_rows, preference_of
    from hidden_context.records import meta_path, read_object

    head, names = _head(config)
    reference = None if config.reference is None else config.reference - 1
    preference = preference_of(next(iter(config.risk), None), config.rule, reference)
    records, _ = config.checkpoints(names)
    preference.check([record.family for record in records] if head is None else [head[1]])
    rows, source = read_rows(config.input), str(config.input)
    read_responses(rows, source)  # checks them
    check_columns(rows, source)
    say(account_of_responses(rows, source))
    partial = [
        config.output.with_name(f"{config.output.name}.{number}.partial")
        for number in range(1, len(names) + 1)
    ]
    models = config.models(records)
    if head is not None:
        from hidden_context.llm.linear_head import with_head

        weight, family = head
        models = (with_head(model, weight, family) for model in models)
    ranked = best_of_rows(
        models,
        rows,
        source,
        preference,
        partial=partial,
        progress=shows_progress(),
        **config.options(),
    )
    overlong = [scores.record["counts"]["overlong_texts"] for scores in ranked.scores]
    record = {"config": asdict(config), "counts": {"rows": len(rows), "overlong_texts": overlong}}
    ranked.save(config.output, record=record)
    for folder in partial:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"wrote {config.output}")
    show(
        lambda: {"output": config.output, **read_object(meta_path(config.output))},
        lambda: ranked,
    )
    risk = [f"--risk {each}" for each in config.risk]
    say_next(" ".join(["serve {}", *risk]), names[0])


def _head(config: Config) -> tuple[tuple[Any, Any] | None, tuple[str, ...]]:
    """That of people or of one of them, and the checkpoints that are read."""
    if config.people is None:
        return None, config.reward_model_checkpoints
    from hidden_context.people.saved import load_people

    people = load_people(config.people)
    if config.person is None:
        return people.head(), (people.checkpoint,)
    person = people.posterior(str(config.person))
    if len(person.people) != 1:
        raise UserError(f"{config.person} is of {len(person.people)} people; give one's.")
    return person.head(), (person.checkpoint,)


def _check(config: Config) -> None:
    """Refuse settings that do not go together, before anything is read."""
    if bool(config.reward_model_checkpoints) == (config.people is not None):
        raise UserError("give --reward_model_checkpoints, at least one, or --people; not both.")
    if config.person is not None and config.people is None:
        raise UserError("--person goes with --people, of whom she is one; give both.")
    if len(config.risk) > 1:
        raise UserError(f"--risk {' '.join(config.risk)}: responses are ranked by one; give one.")
    if config.risk and config.rule is not None:
        raise UserError("--risk and --rule both rank the responses; give one of them.")
    if config.reference is not None and config.reference < 1:
        raise UserError(f"--reference is {config.reference}; responses are numbered from 1.")


main = command("best-of", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
