"""Score the comparisons of a preference data set with a trained reward model."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.llm.packing import Batching
from hidden_context.records import meta_path, provenance, write_json, write_jsonl

if TYPE_CHECKING:
    import numpy as np

    from hidden_context.comparisons.schema import Text
    from hidden_context.journal import Journal
    from hidden_context.llm.checkpoint import CheckpointRecord
    from hidden_context.llm.scored_pairs import PairArrays, ScoredPair


@dataclass(frozen=True)
class Config:
    """Score the comparisons of a preference data set with a trained reward model."""

    reward_model_checkpoint: str
    """Folder (or hub name) of the checkpoint."""
    model_name: str | None = None
    """Backbone, if not the one that the checkpoint names."""
    tokenizer_name: str | None = None
    """Tokenizer, if neither in the checkpoint nor the backbone's."""
    num_outputs: int | None = None
    """Width of the head; the checkpoint knows it, and is checked against it."""
    reward_model_type: str | None = None
    """Family of a checkpoint that has no record of it; read as published."""
    link: str | None = None
    """Link in place of the checkpoint's own: probit, paper or logit."""
    data_path: str = "Anthropic/hh-rlhf"
    """Hub name, folder or file (jsonl, jsonl.gz, parquet, csv); of a data set, its test split."""
    data_subset: Literal["both", "helpful", "harmless"] = "both"
    """Score comparisons judged by this objective."""
    eval_dataset_size: int = 0
    """Number of comparisons, split evenly over objectives; 0 for all."""
    batching: Batching | None = None
    """shared_prefix, grouped (by length) or padded; if not given, the fastest that is exact."""
    token_budget: int | None = None
    """Tokens a forward pass; if not given, 2048 on a CPU and 16384 on CUDA."""
    batch_size: int = 8
    """Texts a forward pass with --batching padded."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["drop", "truncate_left", "error"] = "truncate_left"
    """Longer texts: their comparison left out, cut at the beginning, or refused; all counted."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it."""
    risk: tuple[str, ...] = ()
    """Write and print rewards by these too: mean, quantile:α, cvar:α, lcb:λ, entropic:θ, ..."""
    output: Path | None = None
    """File to write; eval_results_<data_subset>.jsonl in the checkpoint if not given."""


def run(config: Config) -> None:
    """Load, score, write, print."""
    from hidden_context.comparisons.objectives import take_stratified
    from hidden_context.comparisons.schema import comparisons_from_rows, count_identical
    from hidden_context.comparisons.sources import load_rows
    from hidden_context.comparisons.streamed import mapped
    from hidden_context.likelihood.loss import comparison_metrics
    from hidden_context.likelihood.outcomes import check_num_grades, with_num_grades
    from hidden_context.llm.checkpoint import find_checkpoint
    from hidden_context.llm.score_rows import scored_rows
    from hidden_context.llm.scored_pairs import pair_arrays, scored_pairs
    from hidden_context.risk import check_supported, parse_risks, rewards_of_rows

    risks = parse_risks(config.risk)
    output = _output(config)
    record = find_checkpoint(
        config.reward_model_checkpoint,
        model_name=config.model_name,
        num_outputs=config.num_outputs,
        reward_model_type=config.reward_model_type,
        link=config.link,
    )
    for risk in risks:
        check_supported(risk, record.family)
    rows = load_rows(config.data_path, config.data_subset, "test")
    comparisons = comparisons_from_rows(
        take_stratified(rows, config.eval_dataset_size), config.data_path
    )
    model = record.outcome_model
    check_num_grades(len(next(iter(comparisons)).outcome.shares) // 2, model.num_grades)
    texts = mapped(lambda comparison: comparison.texts, comparisons)
    journal, max_length = _score(config, record, texts, output)
    scored = list(scored_rows(journal))
    kept = [row.is_whole for row in scored]
    if not any(kept):
        journal.remove()
        raise UserError(f"all comparisons are over {max_length} tokens; raise --max_length.")
    counts = {
        "comparisons": sum(kept),
        "equal_texts": count_identical(comparisons),
        "overlong_texts": sum(row.num_overlong for row in scored),
        "left_out": len(kept) - sum(kept),
    }
    found = pair_arrays(scored_pairs(comparisons, scored))
    outcomes = with_num_grades(found.outcomes, model.num_grades)
    rewards = rewards_of_rows(record.family, found.raw, risks)
    write_jsonl(output, _rows(scored_pairs(comparisons, scored), rewards))
    first, second = found.raw[:, 0], found.raw[:, 1]
    metrics = comparison_metrics(record.family, first, second, outcomes, model)
    meta = {
        "kind": "comparisons",
        "families": {"reward_output": record.family.to_dict()},
        "outcome_model": model.to_dict(),
        "config": asdict(config),
        "counts": counts,
        "metrics": metrics,
        "risks": [str(risk) for risk in risks],
        **provenance(),
    }
    write_json(meta_path(output), meta)
    journal.remove()
    overlong = f"{counts['overlong_texts']} texts over {max_length} tokens: {config.overlong}"
    print(
        f"{counts['comparisons']} comparisons ({counts['equal_texts']} with equal texts); "
        f"{overlong}"
    )
    if len(found.raw) > counts["comparisons"]:
        print(
            f"rankings count as all their pairs: {len(found.raw)} from {counts['comparisons']} rows"
        )
    _print_measures(metrics, found, rewards)
    print(f"wrote {output}")


def _score(
    config: Config,
    record: "CheckpointRecord",
    texts: "Collection[Sequence[Text]]",
    output: Path,
) -> "tuple[Journal, int]":
    """Score what an earlier run has not; returns the scores and the longest text in tokens."""
    from hidden_context.device import default_device, keep_freed_memory, scoring_dtype
    from hidden_context.llm.checkpoint import load_reward_model
    from hidden_context.llm.score import ScoringOptions
    from hidden_context.llm.score_rows import open_journal, score_rows

    reading = ScoringOptions.of(config)
    partial = output.with_name(output.name + ".partial")
    keep_freed_memory()
    journal = open_journal(partial, record, asdict(config), Path(config.data_path), len(texts))
    device = default_device()
    reward_model = load_reward_model(
        record,
        tokenizer_name=config.tokenizer_name,
        device=device,
        dtype=scoring_dtype(device, bf16=config.bf16),
    )
    reading = reading.within(reward_model)
    score_rows(
        reward_model,
        texts,
        reading,
        journal,
        place=lambda row, text: f"row {row + 1}, text {text + 1}, best first",
    )
    return journal, reading.max_length


def _print_measures(
    metrics: "Mapping[str, float]", found: "PairArrays", rewards: "Mapping[str, np.ndarray]"
) -> None:
    """Metrics, then the accuracy by each risk and by length."""
    from hidden_context.likelihood.loss import accuracy

    r2 = f", r² {metrics['r2']:.4f}" if "r2" in metrics else ""
    print(f"accuracy {metrics['accuracy']:.4f}, NLL {metrics['nll']:.4f} nats per comparison{r2}")
    decided_by = {f"by {risk}": reward for risk, reward in rewards.items()}
    for rule, reward in {**decided_by, "if the longer text won": found.lengths}.items():
        print(f"accuracy {rule}: {accuracy(reward[:, 0], reward[:, 1], found.outcomes):.4f}")


def _rows(
    pairs: "Iterable[ScoredPair]", rewards: "Mapping[str, np.ndarray]"
) -> Iterator[dict[str, Any]]:
    for number, pair in enumerate(pairs):
        by_risk = {risk: reward[number].tolist() for risk, reward in rewards.items()}
        yield {**pair.as_row(), **({"rewards": by_risk} if by_risk else {})}


def _output(config: Config) -> Path:
    folder = Path(config.reward_model_checkpoint)
    if config.output is None and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; if it is on the hub, give --output.")
    return config.output or folder / f"eval_results_{config.data_subset}.jsonl"


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context evaluate`."""
    return run_command(Config, run, argv, prog="hidden-context evaluate")


if __name__ == "__main__":
    sys.exit(main())
