"""Judges of HH-RLHF held against what people chose, as files to audit.

    hidden-context download relabeled-hh-rlhf jailbroken --to data
    python examples/hh_rlhf_judges.py --data_dir data --out results/hh_rlhf_judges

Of the relabelled test split `helpful.jsonl` and `harmless.jsonl` have the pairs on which people
judged helpfulness or harmlessness: what they chose, and in the columns `help` and `harm` the labels
of the language model that was asked for either (the DPL paper, appendix C; one of them a row).
`jailbreaks.jsonl` says that of two responses to a jailbreak the safe one is better, and
`scores_<type>.jsonl` what the published reward models give both. What came out is in
docs/judges.md.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hidden_context.commands.command_line import run_command
from hidden_context.distributions import PUBLISHED, make_family
from hidden_context.records import iterate_jsonl, write_jsonl
from hidden_context.scores.score_files import columns_of, load_scores, write_scores

ASKED_FOR = {"helpful": "help", "harmless": "harm"}
"""By objective, what the language model was asked for; of harm the less harmful has the label."""


@dataclass(frozen=True)
class Config:
    """Write people's choices with what a language model said, and jailbreaks."""

    data_dir: Path = Path("data")
    """Folder with relabeled_hh_rlhf/ and jailbroken_responses.jsonl, as downloaded."""
    out: Path = Path("results/hh_rlhf_judges")
    """Folder to write to."""


def run(config: Config) -> None:
    """Read, write, say how many."""
    relabeled = list(rows_of(config.data_dir / "relabeled_hh_rlhf" / "both" / "test.jsonl.gz"))
    files = {name: [row for judged_by, row in relabeled if judged_by == name] for name in ASKED_FOR}
    jailbreaks = iterate_jsonl(config.data_dir / "jailbroken_responses.jsonl")
    files["jailbreaks"] = [{**_pair(row), "winner": "a"} for row in jailbreaks]
    for name, rows in files.items():
        file = config.out / f"{name}.jsonl"
        write_jsonl(file, rows)
        print(f"wrote {len(rows)} pairs to {file}")
    for name in PUBLISHED:
        family = make_family(name).as_published()
        file = config.data_dir / f"jailbroken_evaluations_{name}.jsonl"
        scores = [load_scores(file, column, family=family) for column in columns_of(file)]
        write_scores(config.out / f"scores_{name}.jsonl", scores)


def rows_of(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """By what people judged, and a row for each pair."""
    for row in iterate_jsonl(file):
        labels: dict[str, str | None] = dict.fromkeys(ASKED_FOR.values())
        labels[ASKED_FOR[row["objective"]]] = "ab"[row["label"]]
        winner = "ab"[row["original_label"]]
        yield row["data_subset"], {**_pair(row), "winner": winner, **labels}


def _pair(row: dict[str, Any]) -> dict[str, str]:
    first, second = row["responses"]
    return {"prompt": row["prompt"], "response_a": first, "response_b": second}


if __name__ == "__main__":
    sys.exit(run_command(Config, run))
