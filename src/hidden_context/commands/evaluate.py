"""Score the comparisons of a preference data set with a trained reward model."""

import functools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_next, show, shows_progress
from hidden_context.commands.scoring_flags import SharedScoringFlags
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_path

if TYPE_CHECKING:
    from hidden_context.measures.estimate import Rate
    from hidden_context.risk import Risk
    from hidden_context.scores.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Config(SharedScoringFlags):
    """Score the comparisons of a preference data set with a trained reward model."""

    prints_numbers: ClassVar[bool] = True
    reward_model_checkpoint: str
    """Folder (or hub name) of the checkpoint."""
    data_path: str = "Anthropic/hh-rlhf"
    """Hub name, folder or file (jsonl, json, csv, perhaps .gz; parquet) of comparisons."""
    split: str = "test"
    """Of a hub name or folder; a slice of it as in test[:100], test[10%:]."""
    dataset_config: str | None = None
    """Configuration of a data set on the hub, where it has several."""
    streaming: bool = False
    """Read rows one by one, no more than split and size need: of the hub without the download."""
    data_subset: Literal["both", "helpful", "harmless"] = "both"
    """Score comparisons judged by this objective."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    eval_dataset_size: int = 0
    """Number of comparisons, split evenly over objectives; 0 for all."""
    test_size: float | None = field(default=None, metadata={"also": ("test_split_size",)})
    """Score only the part that train with this test_size, and this seed, holds out by prompt."""
    seed: int = 0
    """Of that part: the seed of the training."""
    output: Path | None = field(default=None, metadata=writes("JSON lines"))
    """File to write; eval_results_<data_subset>.jsonl in the checkpoint if not given."""


def run(config: Config) -> None:
    """Load, score, write, print."""
    import numpy as np

    from hidden_context.commands.training_data import held_out
    from hidden_context.comparisons.comparisons import load_comparisons
    from hidden_context.likelihood.outcomes import check_num_grades
    from hidden_context.measures.evaluate import comparison_metrics
    from hidden_context.scores.overlap import in_words
    from hidden_context.scores.score_files import write_scores

    output = _output(config)
    records, risks = config.checkpoints([config.reward_model_checkpoint])
    comparisons = load_comparisons(
        config.data_path,
        split=config.split,
        subset=config.data_subset,
        size=config.eval_dataset_size,
        dataset_config=config.dataset_config,
        streaming=config.streaming,
        ignore_columns=config.ignore_columns,
    )
    if config.test_size is not None:
        comparisons = held_out(comparisons, config.test_size, config.seed)[1]
    say(comparisons.account)
    num_grades = len(comparisons[0].outcome.shares) // 2
    check_num_grades(num_grades, records[0].outcome_model.num_grades)
    partial = output.with_name(output.name + ".partial")
    (model,) = config.models(records)
    scores = model.score_comparisons(
        comparisons,
        partial=partial,
        shard=config.this_shard(),
        is_saved=functools.partial(config.is_saved, output),
        progress=shows_progress(),
        **config.options(),
    )
    each_alone = replace(scores, centered_within=np.arange(len(scores)))  # as in training
    metrics = comparison_metrics(each_alone)
    record = {"config": config.recorded(), "metrics": metrics}
    write_scores(output, [scores], risks=risks, record=record)
    shutil.rmtree(partial, ignore_errors=True)  # another process may do so too
    _say_counts(scores)
    say(in_words(scores.overlap))
    accuracy = _accuracy_by_rule(scores, risks)
    counts = scores.record["counts"]
    measured = {"counts": counts, "overlap": scores.overlap, "metrics": metrics}
    measured["accuracy"] = accuracy
    unlearned = _not_learned(scores) if "r2" in metrics else ""
    show(
        lambda: {"output": output, **measured, "not_learned": unlearned or None},
        lambda: "\n".join([_in_words(metrics, accuracy), *filter(None, [unlearned])]),
    )
    print(f"wrote {output}")
    say_next("report {} --out report.html", output)


def _say_counts(scores: "Scores") -> None:
    counts = scores.record["counts"]
    say(
        f"{counts['comparisons']} comparisons ({counts['equal_texts']} with equal texts); "
        f"{counts['overlong_texts']} over-long texts, {counts['left_out']} comparisons left out"
    )
    if len(scores) > counts["comparisons"]:
        say(
            f"of each ranking all pairs are scored: {len(scores)} from {counts['comparisons']} rows"
        )


def _accuracy_by_rule(scores: "Scores", risks: "Sequence[Risk]") -> "dict[str, Rate]":
    """By each risk and by length, where that is known."""
    from hidden_context.measures.rates import rate_of_higher

    values = {f"by {risk}": scores.rewards(risk) for risk in risks}
    if scores.lengths_of_pairs is not None:
        values["if the longer response won"] = scores.lengths_of_pairs
    return {
        rule: rate_of_higher(
            value[:, 0],
            value[:, 1],
            scores.prompt,
            win_share=scores.win_share,
            weights=scores.votes,
        )
        for rule, value in values.items()
    }


def _in_words(metrics: "Mapping[str, float]", accuracy: "Mapping[str, Rate]") -> str:
    r2 = f", r² {metrics['r2']:.4f}" if "r2" in metrics else ""
    lines = [
        f"accuracy {metrics['accuracy']:.4f}, NLL {metrics['nll']:.4f} nats per comparison{r2}"
    ]
    return "\n".join([*lines, *(f"accuracy {by}: {of.value:.4f}" for by, of in accuracy.items())])


def _not_learned(scores: "Scores") -> str:
    """Why its r² says nothing of hidden context; nothing if it may."""
    from hidden_context.measures.evaluate import evaluate
    from hidden_context.measures.learned_enough import not_learned

    return not_learned(evaluate(scores, measures=("accuracy", "likelihood"), risks=()))


def _output(config: Config) -> Path:
    folder = Path(config.reward_model_checkpoint)
    if config.output is None and not folder.is_dir():
        raise UserError(
            f"--reward_model_checkpoint {folder}: there is no such folder here."
            f"{nearest_path(folder)} If it is on the hub, say with --output which file receives "
            "the scores."
        )
    return config.output or folder / f"eval_results_{config.data_subset}.jsonl"


main = command("evaluate", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
