"""Results of every command that a page is made of, on small data whose texts are hostile."""

from pathlib import Path
from typing import Any

import numpy as np
import page_samples
import pytest

from hidden_context.commands.cli import main
from hidden_context.distributions import Family, make_family
from hidden_context.records import meta_path, read_jsonl, write_json, write_jsonl

HOSTILE = (
    "<script>document.title = 'taken over'; throw 'script ran'</script>",
    "</style></script></details><h1>not a heading</h1>",
    '"><img src=x onerror="document.title=1"> &amp; &lt;b&gt;',
    "left \u202e to right \u2066 and \u200b hidden \u0000 \u0007",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "emoji 👩‍👩‍👧 🏳️‍🌈 and a lone surrogate \ud83d here",
    "x" * 100_000,
    "{{ 7 * 7 }} {% raw %} ${7*7} $x^{",
)
SETS = ("helpful", "harmless", "both")


def write_audit(folder: Path) -> Path:
    """An audit of two sets, each comparison with a hostile text; returns its folder."""

    page_samples.write_audit(folder / "audit", ("helpful", "both"))
    for path in (folder / "audit").rglob("*_scores.jsonl"):
        rows = [
            {**row, "chosen": f"{row['chosen']} {HOSTILE[number % len(HOSTILE)]}"}
            for number, row in enumerate(read_jsonl(path))
        ]
        write_jsonl(path, rows)
    return folder / "audit"


def write_data_dir(folder: Path, families: tuple[str, ...] = ("base", "categorical")) -> Path:
    """Scores in the layout that `summarize` reads, of random outputs."""
    rng = np.random.default_rng(0)
    for name in families:
        family = make_family(name)
        for subset in SETS:
            run = folder / f"reward_models/some/{subset}/{name}_tiny_last_checkpoint"
            rows = [_comparison(number, family, rng) for number in range(24)]
            _write(run / "eval_results_both.jsonl", rows, "comparisons", {"reward_output": family})
        columns = {f"reward_outputs_{subset}{_suffix(name)}": family for subset in SETS}
        rows = [
            {
                "prompt": f"Human: jailbreak {number}",
                "responses": ["I will not.", f"Sure: {HOSTILE[number % len(HOSTILE)]}"],
                **{column: _outputs(family, rng, 2) for column in columns},
            }
            for number in range(20)
        ]
        _write(folder / f"jailbroken_evaluations_{name}.jsonl", rows, "responses", columns)
    return folder


def write_synthetic(folder: Path) -> Path:
    """Run a synthetic experiment, much too short to learn anything; returns its folder."""
    flags = ["--env", "1d", "--num_iterations", "2", "--batch_size", "16"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hidden_context.synthetic.evaluate.POINTS_PER_AXIS", {1: 50, 2: 10})
        assert main(["synthetic", *flags, "--out_dir", str(folder)]) == 0
    (metrics,) = folder.rglob("metrics.json")
    return metrics.parent


def _comparison(number: int, family: Family, rng: np.random.Generator) -> dict[str, Any]:
    hostile = HOSTILE[number % len(HOSTILE)]
    chosen, rejected = _outputs(family, rng, 2)
    return {
        "prompt": f"question {number // 2}",
        "chosen": f"question {number // 2} {hostile}",
        "rejected": [{"role": hostile[:50], "content": hostile}],
        "objective": ("helpful", "harmless")[number % 2],
        "reward_output_chosen": chosen,
        "reward_output_rejected": rejected,
    }


def _outputs(family: Family, rng: np.random.Generator, size: int) -> list[list[float]]:
    return rng.normal(size=(size, family.num_outputs)).tolist()


def _write(path: Path, rows: list[dict[str, Any]], kind: str, families: dict[str, Family]) -> None:
    write_jsonl(path, rows)
    record = {
        "kind": kind,
        "format_version": 1,
        "config": {"title": HOSTILE[0]},
        "families": {column: family.to_dict() for column, family in families.items()},
    }
    write_json(meta_path(path), record)


def _suffix(family: str) -> str:
    return "" if family == "base" else f"_{family}"
