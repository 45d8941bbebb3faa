"""Results as files: ours, and those that the leaderboards read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hidden_context.records import provenance, write_json, write_jsonl
from hidden_context.reward_benchmarks.benchmark import rewards_of, rules_of
from hidden_context.reward_benchmarks.judgebench import LABELS, first_is_right
from hidden_context.reward_benchmarks.published_rows import Part
from hidden_context.reward_benchmarks.result import BenchmarkResult
from hidden_context.reward_benchmarks.rewardbench import ALL_PRIOR_SETS
from hidden_context.reward_benchmarks.rules import Item
from hidden_context.scores.scores import Scores

MODEL_TYPE = "Seq. Classifier"
"""What the leaderboards of RewardBench call a reward model with a head."""


def write_results(
    folder: Path,
    result: BenchmarkResult,
    scores: Scores,
    parts: Sequence[Part],
    *,
    chat_template: str | None,
    record: Mapping[str, Any],
) -> list[Path]:
    """Write what the benchmark's leaderboard reads, and the result; returns the files.

    `parts` are those of `load_benchmark`, `chat_template` what RewardBench's leaderboard shows as
    such, `record` what the result's file is to say beside the result.
    """
    rules = rules_of(result.benchmark)
    items = [item for part in parts for item in rules.read(part.rows, part.source)]
    own = folder / "results" / f"{result.model}.json"
    write_json(own, {**result.to_dict(), **record, **provenance()})
    written = [own]
    described = {"model": result.model, "model_type": MODEL_TYPE, "chat_template": chat_template}
    for name, content in LEADERBOARDS[result.benchmark](result, scores, items, described).items():
        written.append(folder / name)
        write = write_jsonl if name.endswith(".jsonl") else write_json
        write(written[-1], content)
    return written


def _rewardbench(
    result: BenchmarkResult, scores: Scores, items: Sequence[Item], described: Mapping[str, Any]
) -> dict[str, Any]:
    """Accuracies by subset, as in the data set of results that the leaderboard reads."""
    files = {}
    for folder, is_prior in (("eval-set", False), ("pref-sets", True)):
        values = {
            subset: result.by_mean[subset].value
            for subset in result.rows
            if (subset in ALL_PRIOR_SETS) == is_prior
        }
        if values:
            files[f"{folder}/{result.model}.json"] = dict(sorted({**described, **values}.items()))
    return files


def _rm_bench(
    result: BenchmarkResult, scores: Scores, items: Sequence[Item], described: Mapping[str, Any]
) -> dict[str, Any]:
    """The rows with their scores, from which the benchmark's code computes accuracies."""
    rows = [
        {
            **item.columns,
            "prompt": item.prompt,
            "chosen": item.chosen,
            "rejected": item.rejected,
            "score_chosen": reward[: len(item.chosen)].tolist(),
            "score_rejected": reward[len(item.chosen) :].tolist(),
        }
        for item, reward in zip(items, rewards_of(scores), strict=True)
    ]
    return {f"scored/{result.model}.json": rows}


def _judgebench(
    result: BenchmarkResult, scores: Scores, items: Sequence[Item], described: Mapping[str, Any]
) -> dict[str, Any]:
    """The rows with the judgment in either order, a file for each model that wrote responses."""
    files: dict[str, list[dict[str, Any]]] = {}
    for item, reward in zip(items, rewards_of(scores), strict=True):
        pairs = list(zip((item.chosen[0], item.rejected[0]), reward.tolist(), strict=True))
        if not first_is_right(item.columns, "an item"):
            pairs.reverse()
        (first, first_reward), (second, second_reward) = pairs
        judgments = [
            {
                "judgment": {"judge_model": result.model, "scores": [one, other]},
                "decision": LABELS[0] if one > other else LABELS[1],
            }
            for one, other in ((first_reward, second_reward), (second_reward, first_reward))
        ]
        row = {
            **item.columns,
            "question": item.prompt,
            "response_A": first,
            "response_B": second,
            "judge_name": "reward_model",
            "judgments": judgments,
        }
        of = {"dataset": "judgebench", "response_model": item.columns.get("response_model")}
        of |= {"judge_name": "reward_model", "judge_model": result.model}
        name = ",".join(f"{key}={str(value).replace('/', '_')}" for key, value in of.items())
        files.setdefault(f"outputs/{name}.jsonl", []).append(row)
    return files


LEADERBOARDS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "rewardbench": _rewardbench,
    "rewardbench2": _rewardbench,
    "rm-bench": _rm_bench,
    "judgebench": _judgebench,
}
"""By benchmark: files by name, from a result, scores, items and what describes the model."""
