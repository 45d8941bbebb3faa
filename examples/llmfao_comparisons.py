"""The votes of people on real responses (github: dustalov/llmfao, CC BY 4.0), as comparisons.

    python examples/llmfao_comparisons.py --data_dir data/llmfao --out results/llmfao.jsonl

One row a vote: prompt, response_a, response_b, winner (a, b or tie), annotator, and which models
answered. `hidden-context axes results/llmfao.jsonl` then says what the people differ in.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.records import iterate_jsonl, write_jsonl

WINNERS = {"left": "a", "right": "b", "tie": "tie"}


@dataclass(frozen=True)
class Config:
    """Write the votes of llmfao as comparisons that the commands read."""

    data_dir: Path = Path("data/llmfao")
    """Folder with crowd-comparisons.csv, prompts.jsonl and results.jsonl."""
    out: Path = Path("results/llmfao.jsonl")
    """File to write."""


def run(config: Config) -> None:
    """Read, join, write, say how many."""
    rows = list(comparisons_in(config.data_dir))
    write_jsonl(config.out, rows)
    print(f"wrote {len(rows)} votes to {config.out}")


def comparisons_in(data_dir: Path) -> Iterator[dict[str, Any]]:
    """One row a vote."""
    votes = data_dir / "crowd-comparisons.csv"
    if not votes.is_file():
        raise UserError(f"{votes} is not there; get the data from github.com/dustalov/llmfao.")
    prompts = {row["id"]: row["text"] for row in iterate_jsonl(data_dir / "prompts.jsonl")}
    results = {
        (row["model"], row["prompt"]): row["result"]
        for row in iterate_jsonl(data_dir / "results.jsonl")
    }
    with votes.open(newline="", encoding="utf-8") as file:
        for vote in csv.DictReader(file):
            prompt = int(vote["prompt"])
            yield {
                "prompt": prompts[prompt],
                "response_a": results[int(vote["model_x"]), prompt],
                "response_b": results[int(vote["model_y"]), prompt],
                "winner": WINNERS[vote["winner"]],
                "annotator": vote["worker"],
                "model_a": vote["left"],
                "model_b": vote["right"],
            }


if __name__ == "__main__":
    sys.exit(run_command(Config, run))
