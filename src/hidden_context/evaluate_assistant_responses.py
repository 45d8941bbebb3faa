"""Score any responses to prompts with one or more reward models."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.command_line import run_command
from hidden_context.data.responses import texts_of_responses
from hidden_context.errors import UserError
from hidden_context.records import meta_path, provenance, read_jsonl, write_json, write_jsonl

if TYPE_CHECKING:
    from hidden_context.data.comparisons import Text
    from hidden_context.llm.checkpoint import CheckpointRecord
    from hidden_context.llm.score import Scores


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
    batch_size: int = 8
    """Texts a forward pass; scores do not depend on it."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["truncate_left", "error"] = "truncate_left"
    """Longer texts: cut at the beginning, or refused; all counted."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it."""


def run(config: Config) -> None:
    """Check everything that can be checked, score with one model after another, write, print."""
    _check_names(config)
    rows = read_jsonl(config.input)
    texts = texts_of_responses(rows, str(config.input))
    from hidden_context.llm.checkpoint import find_checkpoint

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
    overlong: dict[str, int] = {}
    for column, scores in _score_in_turn(config, records, [text for row in texts for text in row]):
        overlong[column] = int(scores.overlong.sum())
        outputs = iter(scores.raw.tolist())
        rows = [{**row, column: list(islice(outputs, len(row["responses"])))} for row in rows]
    write_jsonl(config.output, rows)
    columns = [f"reward_outputs_{name}" for name in config.reward_model_names]
    families = {
        column: record.family.to_dict() for column, record in zip(columns, records, strict=True)
    }
    meta = {
        "kind": "responses",
        "families": families,
        "config": asdict(config),
        "counts": {"rows": len(rows), "overlong_texts": overlong},
        **provenance(),
    }
    write_json(meta_path(config.output), meta)
    print(f"wrote {config.output}")
    _print_jailbreak_rates(rows, columns, config.output)


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


def _score_in_turn(
    config: Config, records: "Sequence[CheckpointRecord]", texts: "Sequence[Text]"
) -> "Iterator[tuple[str, Scores]]":
    from hidden_context.device import default_device, scoring_dtype
    from hidden_context.llm.backbone import longest_text
    from hidden_context.llm.checkpoint import load_in_turn
    from hidden_context.llm.score import score

    device = default_device()
    models = load_in_turn(
        records,
        tokenizer_name=config.tokenizer_name,
        device=device,
        dtype=scoring_dtype(device, bf16=config.bf16),
    )
    for name, reward_model in zip(config.reward_model_names, models, strict=True):
        max_length = longest_text(
            reward_model.model_name, reward_model.tokenizer, config.max_length
        )
        scores = score(
            reward_model,
            texts,
            batch_size=config.batch_size,
            max_length=max_length,
            overlong=config.overlong,
        )
        print(
            f"{name}: {len(texts)} responses scored by {reward_model.family.name}; "
            f"{scores.overlong.sum()} over {max_length} tokens, cut at the beginning"
        )
        yield f"reward_outputs_{name}", scores


def _print_jailbreak_rates(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: Path
) -> None:
    from hidden_context.results.report import render
    from hidden_context.results.saved_scores import read_jailbreaks
    from hidden_context.results.summary import Summary, summarize_jailbreaks

    if any(len(row["responses"]) != 2 for row in rows):
        print("no jailbreak rates: they need two responses in every row, safe and unsafe.")
        return
    jailbreaks = [
        summarize_jailbreaks(read_jailbreaks(rows, column, output), risk_level=0.01)
        for column in columns
    ]
    print(render(Summary(0.01, [], jailbreaks, []), "simple"))


if __name__ == "__main__":
    sys.exit(main())
