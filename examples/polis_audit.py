"""What an audit says of comparisons whose hidden context is known: the votes of real people.

    python examples/polis_audit.py --data_dir data/polis --out_dir results/polis_audit

Each person's votes become comparisons of the statements' texts, with prompt_id the person, so that
heads are measured on people whom they never saw. Learned deviations and r² are then held against
those of the votes. What came out is in docs/polis.md.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from polis_setting import Config as PolisConfig
from polis_votes import FILE_NAME, Pairs, Votes, comparisons_within_people, read_votes
from scipy.stats import spearmanr
from tabulate import tabulate

from hidden_context.audits.audit import audit
from hidden_context.audits.result import AuditResult
from hidden_context.commands.command_line import run_command
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.errors import UserError
from hidden_context.records import iterate_jsonl, write_json, write_jsonl

STATEMENTS = "comments.csv"
WINNERS = {1.0: "a", 0.0: "tie", -1.0: "b"}
HEADERS = ("conversation", "pairs", "family", "gain over base, nats", "r² pooled", "r² rank")
HEADERS += ("real r²", "Spearman of std", "Spearman of mean")


@dataclass(frozen=True)
class Config:
    """Audit the votes of Polis conversations, and hold what is learned against the votes."""

    data_dir: Path = PolisConfig.data_dir
    """Folder with a folder for each conversation: participants-votes.csv and comments.csv."""
    conversation: tuple[str, ...] = PolisConfig.conversation
    """Folders of conversations."""
    out_dir: Path = Path("results/polis_audit")
    """Folder that receives comparisons, audits and polis_audit.json."""
    pairs: tuple[Pairs, ...] = PolisConfig.pairs
    """Comparisons of agree with disagree, of any two different votes, or of all, with ties."""
    num_statements: int = PolisConfig.num_statements
    """Statements to keep, those with most votes."""
    min_votes: int = PolisConfig.min_votes
    """Votes that a statement needs."""
    families: tuple[str, ...] = ("mean_and_variance", "categorical")
    """Families beside base."""
    num_seeds: int = 1
    """Partitions of the people."""
    num_null_draws: int = 0
    """Sets of redrawn labels; they are independent, which those of one person are not."""


def run(config: Config) -> None:
    """Write comparisons, audit them, compare, print, save."""
    rows: list[dict[str, Any]] = []
    for name in config.conversation:
        folder = config.data_dir / name
        votes = read_votes(folder / FILE_NAME)
        votes = votes.most_voted(at_most=config.num_statements, min_votes=config.min_votes)
        texts = statements(folder / STATEMENTS, votes)
        for pairs in config.pairs:
            out = config.out_dir / f"{name}_{pairs}"
            write_jsonl(out / "comparisons.jsonl", comparisons(votes, texts, pairs))
            result = audit_votes(config, out)
            rows += [
                {"conversation": name, "pairs": pairs, **row}
                for row in against_votes(result, out, votes, texts)
            ]
    write_json(config.out_dir / "polis_audit.json", rows)
    print(tabulate([[row[name] for name in HEADERS] for row in rows], HEADERS, floatfmt=".3f"))


def statements(file: Path, votes: Votes) -> list[str]:
    """Text of each statement.

    Raises:
        UserError: The file is missing, lacks one, or two are alike.
    """
    if not file.is_file():
        raise UserError(f"{file} does not exist; it comes with {FILE_NAME}.")
    with file.open(newline="", encoding="utf-8") as lines:
        by_number = {row["comment-id"]: row["comment-body"] for row in csv.DictReader(lines)}
    missing = [number for number in votes.statements if number not in by_number]
    if missing:
        raise UserError(f"{file} has no statement {missing[0]}, which was voted on.")
    texts = [by_number[number] for number in votes.statements]
    if len(set(texts)) < len(texts):
        raise UserError(f"{file}: two statements have one text; drop one from both files.")
    return texts


def comparisons(votes: Votes, texts: list[str], pairs: Pairs) -> Iterator[dict[str, str]]:
    """Rows as `audit` reads them."""
    compared = comparisons_within_people(votes, pairs)
    signs = compared.outcomes.shares @ (-1.0, 0.0, 1.0)
    for first, second, sign, person in zip(
        compared.first, compared.second, signs, compared.person, strict=True
    ):
        row = {"response_a": texts[first], "response_b": texts[second], "winner": WINNERS[sign]}
        group = str(votes.groups[person]) or "none"
        yield {"prompt": "", "prompt_id": f"person {person}", "group": group, **row}


def audit_votes(config: Config, out: Path) -> AuditResult:
    """By hashed words; audit.json and the scores are written too."""
    return audit(
        {"both": load_comparisons(out / "comparisons.jsonl")},
        families=config.families,
        num_seeds=config.num_seeds,
        num_null_draws=config.num_null_draws,
        cache_dir=config.out_dir / "states",
        out=out,
        progress=True,
    )


def against_votes(
    result: AuditResult, out: Path, votes: Votes, texts: list[str]
) -> list[dict[str, Any]]:
    """What each distributional family learned, beside what the votes are."""
    real_r2 = votes.mean.var() / (votes.mean.var() + (votes.std**2).mean())
    rows = []
    for evaluation in result.sets[0].evaluations:
        if evaluation.against_base is None:
            continue
        r2 = evaluation.explained_variance
        mean, std = utilities(out / str(evaluation.scores), texts)
        values = (evaluation.family.name, evaluation.against_base.value)
        values += (r2["pooled"].value, r2["rank"].value, real_r2)
        values += tuple(
            spearmanr(learned, real).statistic
            for learned, real in ((std, votes.std), (mean, votes.mean))
        )
        rows.append(dict(zip(HEADERS[2:], values, strict=True)))
    return rows


def utilities(scores: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each statement, over all rows in which it was scored."""
    number = {text: index for index, text in enumerate(texts)}
    totals, rows = np.zeros((len(texts), 2)), np.zeros(len(texts))
    for row in iterate_jsonl(scores):
        for side, text in enumerate((row["chosen"], row["rejected"])):
            totals[number[text]] += row["utility"]["mean"][side], row["utility"]["std"][side]
            rows[number[text]] += 1
    mean, std = (totals / rows[:, None]).T
    return mean, std


if __name__ == "__main__":
    sys.exit(run_command(Config, run))
