"""Small results of every kind that the report page reads, as our commands write them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.records import CHECKPOINT_RECORD, meta_path, write_json, write_jsonl

VERSIONS = {"hidden_context": "0.0", "commit": "abc", "versions": {"numpy": "2"}}
SCALES = ("pooled", "within_prompt", "each_prompt", "rank")
NUM_ROWS, PER_PROMPT = 24, 2


def comparison_rows(
    family: Family, *, num_rows: int = NUM_ROWS, seed: int = 0, **columns: Any
) -> list[dict[str, Any]]:
    """Random outputs, two comparisons of each prompt; `columns` replace those of every row."""
    rng = np.random.default_rng(seed)
    return [
        {
            "prompt": f"prompt {number // PER_PROMPT}",
            "chosen": f"chosen {number}",
            "rejected": f"rejected {number}, longer",
            "objective": "helpful",
            "reward_output_chosen": (0.4 + rng.normal(size=family.num_outputs)).tolist(),
            "reward_output_rejected": rng.normal(size=family.num_outputs).tolist(),
            **columns,
        }
        for number in range(num_rows)
    ]


def write_scores(path: Path, family: Family, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A score file of `evaluate`, with its record."""
    write_jsonl(path, rows)
    meta = {"kind": "comparisons", "families": {"reward_output": family.to_dict()}}
    write_json(meta_path(path), {**meta, "config": {"batch_size": 4}, **VERSIONS})
    return path


def write_run(data_dir: Path, family: Family, *, trained_on: str = "both", name: str = "") -> Path:
    """Scores of one run where `summarize` looks for them."""
    folder = f"{family.name}{name}_last_checkpoint"
    run = data_dir / "reward_models" / "any" / trained_on / folder
    training = {"num_observations": 100, "epochs": 2.0, "steps": 50}
    write_json(run / CHECKPOINT_RECORD, {"training": training, "config": {"seed": 3}, **VERSIONS})
    return write_scores(run / "eval_results_both.jsonl", family, comparison_rows(family))


def write_jailbreaks(data_dir: Path, family: Family, *, trained_on: str = "both") -> Path:
    """Scores of a safe and an unsafe response each, where `summarize` looks for them."""
    column = f"reward_outputs_{trained_on}"
    column += "" if family.name == "base" else f"_{family.name}"
    path = data_dir / f"jailbroken_evaluations_{family.name}.jsonl"
    return write_responses(path, family, column)


def write_responses(path: Path, family: Family, column: str, *, num_responses: int = 2) -> Path:
    """A score file of `score`, with its record."""
    rng = np.random.default_rng(1)
    texts = ["no", "yes, like this", "perhaps"][:num_responses]
    rows = [
        {
            "prompt": f"prompt {number}",
            "responses": texts,
            column: rng.normal(size=(num_responses, family.num_outputs)).tolist(),
        }
        for number in range(20)
    ]
    write_jsonl(path, rows)
    meta = {"kind": "responses", "families": {column: family.to_dict()}, **VERSIONS}
    write_json(meta_path(path), meta)
    return path


def interval(value: float, half_width: float = 0.05) -> dict[str, Any]:
    """As `diagnostics.bootstrap.Interval`."""
    ends = {"low": value - half_width, "high": value + half_width}
    return {"value": value, **ends, "level": 0.95, "num_prompts": 12, "num_resamples": 100}


def r2_report(scale: str, value: float, matched_size: int | None = None) -> dict[str, Any]:
    """As `ExplainedVarianceReport`."""
    found = {**interval(value), "scale": scale, "num_responses": 48, "stopping_rule": "after 10"}
    return {**found, "matched_size": matched_size}


def audited_family(family: Family, scores: str, *, seed: int = 0) -> dict[str, Any]:
    """All figures of one family in an audit."""
    rng = np.random.default_rng(seed)
    is_base = family.name == "base"
    r2 = dict(zip(SCALES, rng.uniform(0.3, 0.9, 4).tolist(), strict=True))
    return {
        "family": family.to_dict(),
        "scores": scores,
        "stopping_rule": f"{family.name} after 10 steps",
        "log_likelihood": interval(float(-rng.uniform(0.5, 0.7))),
        "accuracy": interval(0.6 + 0.01 * seed),
        "brier_score": interval(0.24),
        "expected_calibration_error": interval(0.03 + 0.001 * seed),
        "against_base": None if is_base else interval(0.004, 0.003),
        "reliability": [_bin(low, rng) for low in (0.0, 0.3, 0.6, 0.9)],
        "explained_variance": [] if is_base else [r2_report(name, r2[name]) for name in SCALES],
        "matched_explained_variance": []
        if is_base
        else [r2_report(name, 0.9 * r2[name], 16) for name in SCALES],
        "null": [] if is_base else [_null(name, r2[name], rng) for name in ("pooled", "rank")],
        "training_curve": [] if is_base else [_point(k, rng) for k in range(1, 4)],
        "std": None if is_base else {"edges": [0.0, 0.5, 1.0, 2.0], "counts": [3, 5.5, 1]},
    }


def _bin(low: float, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "low": low,
        "high": low + 0.1,
        "num_comparisons": 10,
        "num_votes": float(rng.integers(1, 90)),
        "predicted": low + 0.05,
        "observed": float(rng.random()),
    }


def _null(scale: str, observed: float, rng: np.random.Generator) -> dict[str, Any]:
    draws = rng.uniform(0.8, 0.95, 9).tolist()
    return {"figure": f"r2_{scale}", "observed": observed, "draws": draws, "p_value": 0.1}


def _point(number: int, rng: np.random.Generator) -> dict[str, Any]:
    names = ("pooled", "within_prompt", "rank")
    return {
        "steps": 10 * number,
        "passes": 0.25 * 2**number,
        "log_likelihood": -0.7 + 0.01 * number,
        "r2": dict(zip(names, rng.random(3).tolist(), strict=True)),
    }


def audit_of(names: Sequence[str] = ("helpful", "harmless", "both")) -> dict[str, Any]:
    """The content of an audit.json of three families on each set."""
    families = (Point(), Normal(), Categorical())
    return {
        "kind": "audit",
        "format_version": 1,
        **VERSIONS,
        "config": {"num_seeds": 2, "families": ["base", "mean_and_variance"]},
        "representation": {"name": "hashed", "width": 512, "description": "Hashed n-grams"},
        "sets": [
            {
                "name": name,
                "source": f"{name}.jsonl",
                "counts": {"comparisons": NUM_ROWS, "prompts": NUM_ROWS // PER_PROMPT},
                "sentences": [{"question": f"Is there any in {name}?", "answer": "Yes."}],
                "families": [
                    audited_family(each, f"{name}/{each.name}_scores.jsonl", seed=3 * place + k)
                    for k, each in enumerate(families)
                ],
            }
            for place, name in enumerate(names)
        ],
    }


def write_audit(
    folder: Path,
    names: Sequence[str] = ("helpful", "harmless", "both"),
    *,
    change: Callable[[dict[str, Any]], object] = lambda audit: None,
    with_scores: bool = True,
) -> Path:
    """An audit.json with its score files; `change` edits its content before it is written."""
    audit = audit_of(names)
    change(audit)
    write_json(folder / "audit.json", audit)
    if with_scores:
        for name in names:
            for family in (Point(), Normal(), Categorical()):
                path = folder / name / f"{family.name}_scores.jsonl"
                write_scores(path, family, comparison_rows(family))
    return folder / "audit.json"
