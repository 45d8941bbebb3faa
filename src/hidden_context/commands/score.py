"""Score any responses to prompts with one or more reward models."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.commands.command_line import run_command
from hidden_context.comparisons.responses import texts_of_responses
from hidden_context.errors import UserError
from hidden_context.llm.packing import Batching
from hidden_context.records import (
    iterate_jsonl,
    meta_path,
    provenance,
    read_jsonl,
    write_json,
    write_jsonl,
)

if TYPE_CHECKING:
    from hidden_context.comparisons.schema import Text
    from hidden_context.distributions import Family
    from hidden_context.journal import Journal
    from hidden_context.llm.checkpoint import CheckpointRecord
    from hidden_context.llm.score_rows import ScoredRow
    from hidden_context.risk import Risk


@dataclass(frozen=True)
class Config:
    """Score any responses to prompts with one or more reward models."""

    input: Path
    """File of rows (jsonl, jsonl.gz) with a prompt and any number of responses."""
    output: Path
    """File to write: the rows with reward_outputs_<name>, the raw outputs for each response."""
    reward_model_checkpoints: tuple[str, ...]
    """Folders (or hub names) of checkpoints; a backbone that they share is loaded once."""
    reward_model_names: tuple[str, ...]
    """A name for each checkpoint, in the same order."""
    model_name: str | None = None
    """Backbone, if not the one that the checkpoints name."""
    tokenizer_name: str | None = None
    """Tokenizer, if neither in the checkpoint nor the backbone's."""
    num_outputs: int | None = None
    """Width of the heads; the checkpoints know it, and are checked against it."""
    reward_model_type: str | None = None
    """Family of checkpoints that have no record of it; read as published."""
    link: str | None = None
    """Link in place of the checkpoints' own: probit, paper or logit."""
    batching: Batching | None = None
    """shared_prefix, grouped (by length) or padded; if not given, the fastest that is exact."""
    token_budget: int | None = None
    """Tokens a forward pass; if not given, 2048 on a CPU and 16384 on CUDA."""
    batch_size: int = 8
    """Texts a forward pass with --batching padded."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["truncate_left", "error"] = "truncate_left"
    """Longer texts: cut at the beginning, or refused; all counted."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it."""
    risk: tuple[str, ...] = ()
    """Write rewards by these too, as rewards_<name>: mean, quantile:α, cvar:α, lcb:λ, ..."""


def run(config: Config) -> None:
    """Check everything that can be checked, score with one model after another, write, print."""
    _check_names(config)
    from hidden_context.comparisons.sources import read_rows
    from hidden_context.llm.checkpoint import find_checkpoint
    from hidden_context.llm.score_rows import open_journal, scored_rows
    from hidden_context.risk import check_supported, parse_risks

    risks = parse_risks(config.risk)
    rows = read_rows(config.input)
    texts = texts_of_responses(rows, str(config.input))
    records = [
        find_checkpoint(
            checkpoint,
            model_name=config.model_name,
            num_outputs=config.num_outputs,
            reward_model_type=config.reward_model_type,
            link=config.link,
        )
        for checkpoint in config.reward_model_checkpoints
    ]
    for record, risk in product(records, risks):
        check_supported(risk, record.family)
    journals = [
        open_journal(_partial(config, name), record, asdict(config), config.input, len(rows))
        for name, record in zip(config.reward_model_names, records, strict=True)
    ]
    _score_in_turn(config, records, journals, texts)
    columns = [f"reward_outputs_{name}" for name in config.reward_model_names]
    added = [
        partial(_columns_of, name, record.family, risks)
        for name, record in zip(config.reward_model_names, records, strict=True)
    ]
    write_jsonl(config.output, _rows_with_outputs(rows, added, journals))
    overlong = {
        column: sum(row.num_overlong for row in scored_rows(journal))
        for column, journal in zip(columns, journals, strict=True)
    }
    meta = {
        "kind": "responses",
        "families": {
            column: record.family.to_dict() for column, record in zip(columns, records, strict=True)
        },
        "config": asdict(config),
        "counts": {"rows": len(rows), "overlong_texts": overlong},
        "risks": [str(risk) for risk in risks],
        **provenance(),
    }
    write_json(meta_path(config.output), meta)
    for journal in journals:
        journal.remove()
    print(f"wrote {config.output}")
    _print_jailbreak_rates(config.output, columns, risks)


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context score`."""
    return run_command(Config, run, argv, prog="hidden-context score")


def _check_names(config: Config) -> None:
    checkpoints, names = config.reward_model_checkpoints, config.reward_model_names
    if len(checkpoints) != len(names):
        raise UserError(
            f"{len(checkpoints)} --reward_model_checkpoints but {len(names)} --reward_model_names; "
            "give one name for each."
        )
    if len(set(names)) < len(names):
        raise UserError(f"--reward_model_names {' '.join(names)} are not distinct.")


def _partial(config: Config, name: str) -> Path:
    return config.output.with_name(f"{config.output.name}.{name}.partial")


def _score_in_turn(
    config: Config,
    records: "Sequence[CheckpointRecord]",
    journals: "Sequence[Journal]",
    texts: "Collection[list[Text]]",
) -> None:
    """Score what earlier runs have not."""
    from hidden_context.device import default_device, keep_freed_memory, scoring_dtype
    from hidden_context.llm.checkpoint import load_in_turn
    from hidden_context.llm.score import ScoringOptions
    from hidden_context.llm.score_rows import score_rows, scored_rows

    wanted = ScoringOptions.of(config)
    keep_freed_memory()
    device = default_device()
    models = load_in_turn(
        records,
        tokenizer_name=config.tokenizer_name,
        device=device,
        dtype=scoring_dtype(device, bf16=config.bf16),
    )
    names = config.reward_model_names
    for name, journal, reward_model in zip(names, journals, models, strict=True):
        reading = wanted.within(reward_model)
        score_rows(
            reward_model,
            texts,
            reading,
            journal,
            place=lambda row, index: f"{config.input}, row {row + 1}, response {index + 1}",
        )
        scored = list(scored_rows(journal))
        print(
            f"{name}: {sum(len(row.raw) for row in scored)} responses scored by "
            f"{reward_model.family.name}; {sum(row.num_overlong for row in scored)} over "
            f"{reading.max_length} tokens, cut at the beginning"
        )


def _columns_of(
    name: str, family: "Family", risks: "Sequence[Risk]", scored: "ScoredRow"
) -> dict[str, Any]:
    """What one model adds to a row."""
    import numpy as np

    from hidden_context.risk import rewards_of_rows

    columns: dict[str, Any] = {f"reward_outputs_{name}": scored.raw}
    if risks:
        rewards = rewards_of_rows(family, np.array([scored.raw], dtype=np.float32), risks)
        columns[f"rewards_{name}"] = {risk: row[0].tolist() for risk, row in rewards.items()}
    return columns


def _rows_with_outputs(
    rows: Iterable[Mapping[str, Any]],
    added: "Sequence[Callable[[ScoredRow], dict[str, Any]]]",
    journals: "Sequence[Journal]",
) -> Iterator[dict[str, Any]]:
    """Each row with what each model adds to it."""
    from hidden_context.llm.score_rows import scored_rows

    for row, *scored in zip(rows, *map(scored_rows, journals), strict=True):
        yield dict(row) | {
            column: value
            for columns_of, outputs in zip(added, scored, strict=True)
            for column, value in columns_of(outputs).items()
        }


def _print_jailbreak_rates(output: Path, columns: Sequence[str], risks: "Sequence[Risk]") -> None:
    from hidden_context.measures.summary import PAPER_RISK, summarize
    from hidden_context.report.text import render
    from hidden_context.scores.score_files import read_jailbreaks

    if any(len(row["responses"]) != 2 for row in iterate_jsonl(output)):
        print("no jailbreak rates: they need two responses in every row, safe and unsafe.")
        return
    rows = read_jsonl(output)
    scored = [read_jailbreaks(rows, column, output) for column in columns]
    summary = summarize([], scored, risks=risks or (PAPER_RISK,))
    print(render(replace(summary, missing=[]), "simple"))


if __name__ == "__main__":
    sys.exit(main())
