"""Score the comparisons of a preference data set with a trained reward model."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.records import meta_path, provenance, write_json, write_jsonl

if TYPE_CHECKING:
    import numpy as np


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
    batch_size: int = 8
    """Texts a forward pass; scores do not depend on it."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["drop", "truncate_left", "error"] = "truncate_left"
    """Longer texts: their comparison left out, cut at the beginning, or refused; all counted."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it."""
    output: Path | None = None
    """File to write; eval_results_<data_subset>.jsonl in the checkpoint if not given."""


def run(config: Config) -> None:
    """Load, score, write, print."""
    from hidden_context.data.comparisons import comparisons_from_rows, count_identical, take_evenly
    from hidden_context.data.sources import load_rows
    from hidden_context.data.tokenize import pair_place
    from hidden_context.device import default_device, scoring_dtype
    from hidden_context.llm.backbone import longest_text
    from hidden_context.llm.checkpoint import find_checkpoint, load_reward_model
    from hidden_context.llm.score import score
    from hidden_context.preferences import comparison_metrics

    output = _output(config)
    record = find_checkpoint(
        config.reward_model_checkpoint,
        model_name=config.model_name,
        num_outputs=config.num_outputs,
        reward_model_type=config.reward_model_type,
        link=config.link,
    )
    rows = load_rows(config.data_path, config.data_subset, "test")
    comparisons = comparisons_from_rows(
        take_evenly(rows, config.eval_dataset_size), config.data_path
    )
    device = default_device()
    reward_model = load_reward_model(
        record,
        tokenizer_name=config.tokenizer_name,
        device=device,
        dtype=scoring_dtype(device, bf16=config.bf16),
    )
    max_length = longest_text(record.model_name, reward_model.tokenizer, config.max_length)
    scores = score(
        reward_model,
        [text for pair in comparisons for text in (pair.chosen, pair.rejected)],
        batch_size=config.batch_size,
        max_length=max_length,
        overlong=config.overlong,
        place=pair_place,
    )
    kept = scores.kept[::2] & scores.kept[1::2]
    if not kept.any():
        raise UserError(f"all comparisons are over {max_length} tokens; raise --max_length.")
    chosen, rejected = scores.raw[::2][kept], scores.raw[1::2][kept]
    family = reward_model.family
    metrics = comparison_metrics(family, chosen, rejected)
    counts = {
        "comparisons": int(kept.sum()),
        "equal_texts": count_identical(comparisons),
        "overlong_texts": int(scores.overlong.sum()),
        "left_out": int((~kept).sum()),
    }
    rows = [pair.row for pair, keep in zip(comparisons, kept, strict=True) if keep]
    write_jsonl(output, _scored_rows(rows, chosen, rejected))
    meta = {
        "kind": "comparisons",
        "families": {"reward_output": family.to_dict()},
        "config": asdict(config),
        "counts": counts,
        "metrics": metrics,
        **provenance(),
    }
    write_json(meta_path(output), meta)
    overlong = f"{counts['overlong_texts']} texts over {max_length} tokens: {config.overlong}"
    print(f"{len(rows)} comparisons ({counts['equal_texts']} with equal texts); {overlong}")
    r2 = f", r² {metrics['r2']:.4f}" if "r2" in metrics else ""
    print(f"accuracy {metrics['accuracy']:.4f}, NLL {metrics['nll']:.4f} nats a comparison{r2}")
    print(f"wrote {output}")


def _scored_rows(
    rows: Sequence[Mapping[str, Any]], chosen: "np.ndarray", rejected: "np.ndarray"
) -> Iterator[dict[str, Any]]:
    for row, raw_chosen, raw_rejected in zip(rows, chosen, rejected, strict=True):
        outputs = {
            "reward_output_chosen": raw_chosen.tolist(),
            "reward_output_rejected": raw_rejected.tolist(),
        }
        yield {**row, **outputs}


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
