"""Votes of people on pairs of real responses, with two LLM judges' verdicts, as comparisons.

    python examples/llmfao.py --data_dir data/llmfao --out results/llmfao.jsonl

The data are of github.com/dustalov/llmfao (CC BY 4.0; llmonitor.com, Dmitry Ustalov): 124 people,
who may call a tie, on 2,139 pairs of responses to 13 prompts. A row is a vote: prompt, response_a,
response_b, winner (a, b or tie), annotator, pair_id, which models answered, and what each judge
says of the pair. What came out is in docs/judges.md and docs/axes.md.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.records import read_jsonl, write_jsonl

JUDGES = ("gpt3", "gpt4")
WINNERS = {"left": "a", "right": "b", "tie": "tie"}


@dataclass(frozen=True)
class Config:
    """Put votes, texts and verdicts of llmfao together."""

    data_dir: Path = Path("data/llmfao")
    """Folder of the published files."""
    out: Path = Path("results/llmfao.jsonl")
    """File to write."""


def run(config: Config) -> None:
    """Read, join, write."""
    rows = rows_of(config.data_dir)
    write_jsonl(config.out, rows)
    print(f"wrote {len(rows)} votes to {config.out}")


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """A row for each vote.

    Raises:
        UserError: A file is missing, or a text that was voted on.
    """
    votes = _csv(folder / "crowd-comparisons.csv")
    prompts = {str(row["id"]): row["text"] for row in read_jsonl(folder / "prompts.jsonl")}
    model = {row["name"]: str(row["id"]) for row in read_jsonl(folder / "models.jsonl")}
    texts = {
        (str(row["prompt"]), str(row["model"])): row["result"]
        for row in read_jsonl(folder / "results.jsonl")
    }
    verdicts = {
        judge: {row["id"]: row["winner"] for row in _csv(folder / f"{judge}-crowd-comparisons.csv")}
        for judge in JUDGES
    }
    rows = []
    for vote in votes:
        sides = [texts.get((vote["prompt"], model[vote[side]])) for side in ("left", "right")]
        if None in sides:
            raise UserError(f"{folder}: pair {vote['id']} has a response whose text is missing.")
        rows.append(
            {
                "pair_id": vote["id"],
                "prompt": prompts[vote["prompt"]],
                "response_a": sides[0],
                "response_b": sides[1],
                "winner": WINNERS[vote["winner"]],
                "annotator": vote["worker"],
                "model_a": vote["left"],
                "model_b": vote["right"],
                **{judge: verdicts[judge][vote["id"]] for judge in JUDGES},
            }
        )
    return rows


def _csv(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        raise UserError(f"{file} does not exist; give the folder of llmfao's published files.")
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


if __name__ == "__main__":
    raise SystemExit(run_command(Config, run))
