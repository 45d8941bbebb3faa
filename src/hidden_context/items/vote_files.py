"""Files of votes on items: comparisons, counts, rankings, win matrices, Polis and PrefLib.

Which layout a file has is told by its suffix and columns, never guessed from values; what is left
out is counted. Whatever else `load_comparisons` reads is read by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hidden_context.comparisons.row_files import read_rows
from hidden_context.errors import UserError
from hidden_context.items.orders import PREFLIB, WeakOrders, read_preflib
from hidden_context.items.votes import ItemComparisons, read_votes
from hidden_context.likelihood.outcomes import Outcomes

if TYPE_CHECKING:
    import pandas as pd

PAIRS = (
    ("model_a", "model_b"),
    ("left", "right"),
    ("item_a", "item_b"),
    ("first", "second"),
)
"""Columns of two items, of which `winner` (or wins, losses, ties) is the outcome."""
WINNER_COLUMNS = ("winner_model_a", "winner_model_b", "winner_tie")
ANNOTATORS = (
    *("annotator", "annotator_id", "worker", "worker_id", "user_id", "judge"),
    *("participant", "voter", "voter-id"),
)
GROUPS = ("group", "group_id", "group-id", "annotator_group")
TIES = ("tie", "tie (bothbad)", "both_bad", "bothbad", "both bad", "draw", "equal")
WEIGHT = "weight"


@dataclass(frozen=True)
class VoteFile:
    """Votes as they were read, and what of the file was not."""

    source: str
    layout: str
    """In words."""
    comparisons: ItemComparisons
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many rows, or answers, for each reason."""

    def __str__(self) -> str:
        read = self.comparisons
        who = "nothing says by whom"
        if read.annotators is not None:
            who = f"by {len(set(read.annotators))} people"
        elif read.ballots is not None:
            who = f"of {len(np.unique(read.ballots))} ballots"
        said = (
            f"{self.source}: {self.layout}; {len(read):,} comparisons of {read.num_items} items "
            f"(they weigh {read.outcomes.weight.sum():,.0f} votes), {who}"
        )
        if read.groups is not None:
            said += f", {len(set(read.groups))} groups"
        left = ", ".join(f"{number:,} {why}" for why, number in self.left_out.items() if number)
        return f"{said}; left out: {left or 'nothing'}."


def read_vote_file(path: Path | str) -> VoteFile:
    """Read a file of votes by its layout (docs/items.md).

    Raises:
        UserError: It cannot be read, says nothing, or an outcome is not one of its layout.
    """
    path = Path(path)
    if path.suffix.removeprefix(".") in PREFLIB:
        orders, left_out, what = read_preflib(path)
        return VoteFile(str(path), what, orders.comparisons(str(path)), left_out)
    if path.name.endswith((".csv", ".csv.gz")):
        table = _csv(path)
    else:
        import pandas as pd

        table = pd.DataFrame.from_records([dict(row) for row in read_rows(path)]).fillna("")
    columns = set(table.columns)
    pair = next((pair for pair in PAIRS if columns.issuperset(pair)), None)
    outcome = columns & {"winner", "wins", *WINNER_COLUMNS}
    if pair and outcome and not columns & {"strength", "ranking"}:
        return _pairs(path, table, pair)
    if {"participant", "group-id"} <= columns:
        return _polis_table(path, table)
    if {"comment-id", "voter-id", "vote"} <= columns:
        return _polis_list(path, table)
    if "ranking" in columns and table["ranking"].astype(str).str.contains(">").any():
        return _rankings(path, table)
    if list(table.columns[1:]) == [str(name) for name in table.iloc[:, 0]] and len(table) > 1:
        return _win_matrix(path, table)
    return VoteFile(str(path), "preference data, texts are items", read_votes(str(path)))


def _csv(path: Path) -> "pd.DataFrame":
    """All cells as text."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{path} is not a file; give a file of votes.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not len(table):
        raise UserError(f"{path} has no rows.")
    return table


def _names_of(table: "pd.DataFrame", columns: tuple[str, ...]) -> tuple[str | None, ...] | None:
    """What the first of some columns that is there says of each row; None where it is empty."""
    name = next((name for name in columns if name in table), None)
    if name is None:
        return None
    return tuple(str(value) if value != "" else None for value in table[name])


def _pairs(path: Path, table: "pd.DataFrame", pair: tuple[str, str]) -> VoteFile:
    """Two items and an outcome a row."""
    import pandas as pd

    first, second = (table[name].astype(str) for name in pair)
    named = (first != "") & (second != "")
    other = first != second
    left_out = {"rows without an item": int((~named).sum())}
    left_out["rows of an item with itself"] = int((named & ~other).sum())
    shares, weight, answered = _outcomes(path, table, pair, first, second)
    left_out["rows without an answer"] = int((named & other & ~answered).sum())
    keep = np.asarray(named & other & answered)
    if not keep.any():
        raise UserError(f"{path} has no row with two items and an answer.")
    kept = table[keep]
    codes, names = pd.factorize(pd.concat([first[keep], second[keep]]))  # pyrefly: ignore
    half = len(kept)
    who, groups = _names_of(kept, ANNOTATORS), _names_of(kept, GROUPS)
    comparisons = ItemComparisons(
        codes[:half],
        codes[half:],
        Outcomes(shares[keep], weight[keep]),
        tuple(names),
        who,
        None,
        groups,
    )
    layout = f"two items a row, {pair[0]} and {pair[1]}"
    return VoteFile(str(path), layout, comparisons, left_out)


def _outcomes(
    path: Path,
    table: "pd.DataFrame",
    pair: tuple[str, str],
    first: "pd.Series[str]",
    second: "pd.Series[str]",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of votes for the second, ties, the first; how many votes; which rows have any."""
    if "wins" in table:
        names = ("losses", "ties", "wins")
        counts = np.stack([_numbers(path, table, name) for name in names], axis=1)
    elif set(WINNER_COLUMNS) <= set(table.columns):
        one, two, tie = WINNER_COLUMNS
        counts = np.stack([_numbers(path, table, name) for name in (two, tie, one)], axis=1)
    else:
        said = table["winner"].astype(str)
        lower = said.str.strip().str.lower()
        won = (lower == pair[0]) | (said == first) | lower.isin(["a", "model_1"])
        lost = (lower == pair[1]) | (said == second) | lower.isin(["b", "model_2"])
        tied = lower.isin(TIES) & ~won & ~lost
        unknown = np.flatnonzero(~(won | lost | tied) & (lower != ""))  # pyrefly: ignore
        if len(unknown):
            row = int(unknown[0])
            raise UserError(
                f"{path}, row {row + 1}: winner is {said.iloc[row]!r}; give {pair[0]}, {pair[1]}, "
                "tie, or the winner's name."
            )
        counts = np.stack([lost & ~won, tied, won], axis=1).astype(float)  # pyrefly: ignore
    total = counts.sum(1)
    weight = total * (_numbers(path, table, WEIGHT) if WEIGHT in table else 1.0)
    return counts / np.maximum(total, 1e-300)[:, None], weight, weight > 0


def _numbers(path: Path, table: "pd.DataFrame", name: str) -> np.ndarray:
    """A column of numbers, 0 or more; 0 where it is empty, or not there."""
    import pandas as pd

    if name not in table:
        return np.zeros(len(table))
    values = pd.to_numeric(table[name].replace("", 0), errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{path}, row {row + 1}: {name} is {table[name].iloc[row]!r}; give a number, 0 or more."
        )
    return values  # pyrefly: ignore


def _polis_table(path: Path, table: "pd.DataFrame") -> VoteFile:
    """Polis' participants-votes.csv: a row a person, a column a statement."""
    statements = [name for name in table.columns if name.isdigit()]
    answers = table[statements].to_numpy()
    wrong = np.argwhere(~np.isin(answers, ("", "-1", "0", "1", "-1.0", "0.0", "1.0")))  # pyrefly: ignore
    if len(wrong):
        row, column = wrong[0]
        raise UserError(
            f"{path}, row {row + 1}, column {statements[column]}: {answers[row, column]!r} is no "
            "vote; give 1 (agree), 0 (pass), -1 (disagree) or nothing."
        )
    levels = np.where(answers == "", np.nan, np.where(answers == "", "0", answers).astype(float))  # pyrefly: ignore
    return _polis(path, statements, levels, table, "Polis, a row a person")


def _polis_list(path: Path, table: "pd.DataFrame") -> VoteFile:
    """Polis' votes.csv: a vote a row; the last one of a person on a statement counts."""
    kept = table.drop_duplicates(["voter-id", "comment-id"], keep="last")
    wide = kept.pivot(index="voter-id", columns="comment-id", values="vote").fillna("")
    statements = sorted(wide.columns, key=lambda name: (len(name), name))
    frame = wide[statements].reset_index().rename(columns={"voter-id": "participant"})
    read = _polis_table(path, frame)
    left_out = {**read.left_out, "votes that were changed later": len(table) - len(kept)}
    return VoteFile(read.source, "Polis, a row a vote", read.comparisons, left_out)


def _polis(
    path: Path, statements: list[str], levels: np.ndarray, table: "pd.DataFrame", layout: str
) -> VoteFile:
    """Within a person agreed beats passed beats disagreed; equal votes are ties."""
    names = statements
    beside = path.parent / "comments.csv"
    if beside.is_file():
        texts = _csv(beside)
        bodies = dict(zip(texts["comment-id"], texts["comment-body"], strict=True))
        names = [f"{name} {bodies.get(name, '')}".strip() for name in statements]
        layout += ", texts from comments.csv"
    known = ~np.isnan(levels)
    orders = WeakOrders(
        tuple(names),
        [np.flatnonzero(row) for row in known],
        [-values[row] for values, row in zip(levels, known, strict=True)],
        _names_of(table, ANNOTATORS),
        _names_of(table, GROUPS),
    )
    left_out = {"people with fewer than two votes": int((known.sum(1) < 2).sum())}
    layout += "; agree beats pass beats disagree, equal votes are ties, a pair of K counts 2/K"
    return VoteFile(str(path), layout, orders.comparisons(str(path)), left_out)


def _rankings(path: Path, table: "pd.DataFrame") -> VoteFile:
    """A column `ranking` such as `tea > milk = water`, best first."""
    number: dict[str, int] = {}
    items, levels, short = [], [], 0
    for row, text in enumerate(table["ranking"].astype(str), start=1):
        tiers = [[name.strip() for name in tier.split("=")] for tier in text.split(">")]
        flat = [name for tier in tiers for name in tier]
        if text.strip() and (len(set(flat)) < len(flat) or "" in flat):
            raise UserError(
                f"{path}, row {row}: ranking {text!r} names an item twice, or none between signs; "
                "give names such as tea > milk = water."
            )
        flat = [name for name in flat if name]
        short += len(flat) < 2
        items.append(np.array([number.setdefault(name, len(number)) for name in flat], int))
        levels.append(
            np.array([at for at, tier in enumerate(tiers) for name in tier if name], float)
        )
    orders = WeakOrders(
        tuple(number), items, levels, _names_of(table, ANNOTATORS), _names_of(table, GROUPS)
    )
    layout = "a ranking a row, each pair of K counts 2/K"
    left_out = {"rankings of fewer than two items": short}
    return VoteFile(str(path), layout, orders.comparisons(str(path)), left_out)


def _win_matrix(path: Path, table: "pd.DataFrame") -> VoteFile:
    """How often the row won against the column."""
    names = tuple(str(name) for name in table.columns[1:])
    wins = np.stack([_numbers(path, table, name) for name in names], axis=1)
    itself = int((wins.diagonal() > 0).sum())
    np.fill_diagonal(wins, 0.0)
    first, second = np.nonzero(wins)
    if not len(first):
        raise UserError(f"{path}: nobody won in this table.")
    shares = np.tile([0.0, 0.0, 1.0], (len(first), 1))
    outcomes = Outcomes(shares, wins[first, second])
    comparisons = ItemComparisons(first, second, outcomes, names)
    left_out = {"cells of an item with itself": itself}
    return VoteFile(str(path), "a table of wins of rows over columns", comparisons, left_out)
