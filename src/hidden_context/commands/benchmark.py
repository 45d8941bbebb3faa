"""Measure reward models on a public benchmark, by its own rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_next, show, shows_progress, tell
from hidden_context.commands.scoring_flags import SharedScoringFlags
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.llm.checkpoint import CheckpointRecord


@dataclass(frozen=True, kw_only=True)
class Config(SharedScoringFlags):
    """Measure reward models on a public benchmark, by its own rules, with intervals.

    Beside the benchmark's figures: the same by other risks, and of a model that prefers the longer
    or the shorter response; calibration; and how sure the model is where it errs.
    """

    prints_numbers: ClassVar[bool] = True
    benchmark: Literal["rewardbench", "rewardbench2", "rm-bench", "judgebench"] = field(
        metadata={"positional": True}
    )
    """rewardbench, rewardbench2, rm-bench or judgebench."""
    reward_model_checkpoints: tuple[str, ...] = field(metadata={"positional": True})
    """Folders (or hub names) of checkpoints; a backbone that they share is loaded once."""
    names: tuple[str, ...] = ()
    """A name for each, as organisation/model, that files and leaderboards show; the folder's, or
    the hub's, if not given."""
    data_path: str | None = None
    """Hub name, folder or file (jsonl, json, parquet) of the benchmark's rows; where it is on the
    hub, if not given."""
    split: str | None = None
    """Of a hub name or folder, or a slice of it; filtered, test, train or gpt, if not given."""
    dataset_config: str | None = None
    """Configuration of a data set on the hub, where it has several."""
    prior_sets_path: str | None = None
    """Of rewardbench, the older test sets too: a file, or a folder or hub name
    (allenai/pref-test-sets) of splits."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to leave out."""
    output_dir: Path = field(default=Path("benchmarks"), metadata=writes("a folder"))
    """Folder that receives <benchmark>/scores, results, and what the leaderboard reads."""
    max_length: int = 2048
    """Longest text in tokens, special tokens included."""
    overlong: Literal["truncate_left", "error"] = "truncate_left"
    """Longer texts: cut at the beginning, or refused; all counted."""


def run(config: Config) -> None:
    """Check everything that can be checked, score what is not yet scored, measure, write, print."""
    names = _names(config)
    from hidden_context.device import default_device, scoring_dtype
    from hidden_context.reward_benchmarks.benchmark import benchmark
    from hidden_context.reward_benchmarks.kept_scores import kept_scores
    from hidden_context.reward_benchmarks.leaderboards import write_results
    from hidden_context.reward_benchmarks.published_rows import load_benchmark
    from hidden_context.reward_benchmarks.text import render_several

    records, risks = config.checkpoints(config.reward_model_checkpoints)
    parts = load_benchmark(
        config.benchmark,
        config.data_path,
        split=config.split,
        dataset_config=config.dataset_config,
        prior_sets_path=config.prior_sets_path,
        ignore_columns=config.ignore_columns,
    )
    source = " and ".join(part.source for part in parts)
    rows = [row for part in parts for row in part.rows]
    say(f"{config.benchmark}: {len(rows)} rows of {source}")
    folder = config.output_dir / config.benchmark
    record = {"config": config.recorded()}
    kept = kept_scores(
        config.benchmark,
        parts,
        {folder / "scores" / f"{name}.jsonl": of for name, of in zip(names, records, strict=True)},
        config.models,
        dtype=scoring_dtype(default_device(), bf16=config.bf16),
        names=names,
        risks=risks,
        record=record,
        shard=config.this_shard(),
        progress=shows_progress(),
        **config.options(),
    )
    results = []
    for checkpoint, scores in zip(records, kept, strict=True):
        result = benchmark(scores, config.benchmark, rows, risks=risks, source=source)
        template = _chat_template(config, checkpoint)
        written = write_results(
            folder, result, scores, parts, chat_template=template, record=record
        )
        tell(partial("\n{}\n".format, result))
        print(f"wrote {', '.join(map(str, written))}")
        results.append(result)
    if len(results) > 1:
        tell(lambda: f"\n{render_several(results)}")
    show(lambda: {"results": results})
    say_next("serve {}", config.reward_model_checkpoints[0])


def _names(config: Config) -> Sequence[str]:
    """What each checkpoint is called in files, distinct and no path out of the folder."""
    given = config.reward_model_checkpoints
    names = config.names or tuple(
        Path(name).resolve().name if Path(name).exists() else name for name in given
    )
    if len(names) != len(given):
        raise UserError(f"{len(given)} checkpoints but {len(names)} --names; give one for each.")
    if len(set(names)) < len(names):
        raise UserError(f"checkpoints are called {' '.join(names)}; give distinct --names.")
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or {"/", ".."} & set(parts) or name.endswith("/"):
            raise UserError(f"--names {name!r} is no name of a file; give such as mine/model.")
    return names


def _chat_template(config: Config, record: "CheckpointRecord") -> str | None:
    """As the released code calls it: the tokenizer's own, or none."""
    trained = record.recorded.get("reading", {}).get("render")
    return "tokenizer" if (config.render or trained) == "chat" else None


main = command("benchmark", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
