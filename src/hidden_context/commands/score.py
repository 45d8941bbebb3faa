"""Score any responses to prompts with one or more reward models."""

import functools
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_next, show, shows_progress
from hidden_context.commands.scoring_flags import SharedScoringFlags
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.llm.checkpoint import CheckpointRecord
    from hidden_context.llm.reward_model import RewardModel
    from hidden_context.measures.evaluation import Evaluation
    from hidden_context.risk import Risk
    from hidden_context.scores.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Config(SharedScoringFlags):
    """Score any responses to prompts with one or more reward models."""

    prints_numbers: ClassVar[bool] = True
    input: Path
    """File of rows (jsonl, jsonl.gz) with a prompt and any number of responses."""
    output: Path = field(metadata=writes("JSON lines"))
    """File to write: the rows with reward_outputs_<name>, the raw outputs for each response."""
    reward_model_checkpoints: tuple[str, ...]
    """Folders (or hub names) of checkpoints; a backbone that they share is loaded once."""
    reward_model_names: tuple[str, ...]
    """A name for each checkpoint, in the same order."""
    from_first_turn: bool = False
    """Read a plain prompt from its first "Human: " on, without what comes before, as published."""
    overlong: Literal["truncate_left", "error"] = "truncate_left"
    """Longer texts: cut at the beginning, or refused; all counted."""


def run(config: Config) -> None:
    """Check everything that can be checked, score with one model after another, write, print."""
    _check_names(config)
    from hidden_context.comparisons.responses import account_of_responses, read_responses
    from hidden_context.comparisons.row_files import read_rows
    from hidden_context.risk import PAPER_RISK
    from hidden_context.scores.score_files import OUTPUTS, write_scores
    from hidden_context.shards import each_merged

    records, risks = config.checkpoints(config.reward_model_checkpoints)
    rows, source = read_rows(config.input), str(config.input)
    read_responses(rows, source)  # checks them
    say(account_of_responses(rows, source))
    scored = each_merged(lambda: _score(config, records, rows))
    overlong = {
        f"{OUTPUTS}{scores.name}": scores.record["counts"]["overlong_texts"] for scores in scored
    }
    counts = {"rows": len(rows), "overlong_texts": overlong}
    runs = {f"{OUTPUTS}{scores.name}": scores.record["run"] for scores in scored}
    record = {"config": config.recorded(), "counts": counts, "run": runs}
    write_scores(config.output, scored, risks=risks, record=record)
    for folder in _partial(config).values():
        shutil.rmtree(folder, ignore_errors=True)  # another process may do so too
    print(f"wrote {config.output}")
    evaluations = _jailbreak_rates(scored, risks or (PAPER_RISK,))
    show(
        lambda: {"output": config.output, "counts": counts, "evaluations": evaluations},
        lambda: _in_words(evaluations, risks or (PAPER_RISK,)),
    )
    if evaluations:
        say_next("report {} --out report.html", config.output)
    else:
        best = "best-of --input {} --output best.jsonl --reward_model_checkpoints {}"
        say_next(best, config.input, config.reward_model_checkpoints[0])


def _score(
    config: Config, records: "Sequence[CheckpointRecord]", rows: "Collection[Mapping[str, Any]]"
) -> "Iterator[Callable[[], Scores]]":
    """What scores with each model; it is loaded when the model before is done with."""
    from hidden_context.scores.overlap import in_words

    def score(model: "RewardModel", name: str, folder: Path) -> "Scores":
        scores = model.score_responses(
            rows,
            str(config.input),
            first_turn_on=config.from_first_turn,
            partial=folder,
            shard=config.this_shard(),
            is_saved=functools.partial(config.is_saved, config.output),
            progress=shows_progress(),
            **config.options(),
        )
        say(
            f"{name}: {len(scores.raw)} responses scored by {scores.family.name}; "
            f"{scores.record['counts']['overlong_texts']} over-long, cut at the beginning"
        )
        if scores.overlap is not None and not scores.overlap.is_none:
            say(f"{name}: {in_words(scores.overlap, 'rows')}")
        return replace(scores, name=name, trained_on=name)

    named = _partial(config).items()
    for model, (name, folder) in zip(config.models(records), named, strict=True):
        yield functools.partial(score, model, name, folder)


def _partial(config: Config) -> dict[str, Path]:
    """Folders that keep what each model has scored."""
    return {
        name: config.output.with_name(f"{config.output.name}.{name}.partial")
        for name in config.reward_model_names
    }


def _jailbreak_rates(scored: "Sequence[Scores]", risks: "Sequence[Risk]") -> "list[Evaluation]":
    """Of every model, where each row has two responses; else none."""
    from hidden_context.measures.evaluate import evaluate

    if any((scores.sizes != 2).any() for scores in scored):
        return []
    return [evaluate(scores, risks=risks, measures=["jailbreaks"]) for scores in scored]


def _in_words(evaluations: "Sequence[Evaluation]", risks: "Sequence[Risk]") -> str:
    from hidden_context.report.text import render

    if not evaluations:
        return "no jailbreak rates: they need two responses in every row, safe and unsafe."
    return render(evaluations, list(map(str, risks)), "simple")


def _check_names(config: Config) -> None:
    checkpoints, names = config.reward_model_checkpoints, config.reward_model_names
    if len(checkpoints) != len(names):
        raise UserError(
            f"{len(checkpoints)} --reward_model_checkpoints but {len(names)} --reward_model_names; "
            "give one name for each."
        )
    if len(set(names)) < len(names):
        raise UserError(f"--reward_model_names {' '.join(names)} are not distinct.")
    for name in names:
        if not name.strip() or Path(name).name != name or name == ".." or "\0" in name:
            raise UserError(
                f"--reward_model_names {name!r}: it stands in names of columns and files; give one "
                "without a slash, such as rm."
            )


main = command("score", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
