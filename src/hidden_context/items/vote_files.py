"""Files of votes on items: comparisons, counts, rankings, win matrices, Polis and PrefLib.

Which layout a file has is told by its suffix and columns, never guessed from values; what is left
out is counted. Whatever else `load_comparisons` reads is read by it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.comparisons.columns import READ_COLUMNS, RESPONSE_COLUMNS
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.comparisons.misspelt_columns import refuse_misspelt
from hidden_context.comparisons.outcome_columns import WINNER_MODELS
from hidden_context.comparisons.people_columns import ANNOTATOR_COLUMNS, GROUP_COLUMNS
from hidden_context.comparisons.refused_columns import refuse_unread
from hidden_context.comparisons.row_files import cells_of_csv, read_rows, suffix_of
from hidden_context.comparisons.survey import is_missing
from hidden_context.comparisons.verdicts import TIE, bare_name, better_of
from hidden_context.errors import UserError
from hidden_context.items.orders import PREFLIB, WeakOrders, read_preflib
from hidden_context.items.vote_account import VoteFile
from hidden_context.items.votes import ItemComparisons, read_votes, weighted_votes
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.misspelt import nearest_path

if TYPE_CHECKING:
    import pandas as pd

PAIRS = (
    ("model_a", "model_b"),
    ("left", "right"),
    ("item_a", "item_b"),
    ("first", "second"),
)
"""Columns of two items, of which `winner` (or wins, losses, ties) is the outcome."""
WON = ("winner", "loser")
"""Columns of two items of which the first won."""
OUTCOMES = (("winner",), ("wins", "losses"), ("wins", "votes"), WINNER_MODELS)
"""What says which of two items won."""
COUNTS = ("wins", "losses", "ties", "votes")
OF_OUTCOMES = ("tie", "probability", "soft_label", "label", "overall_preference", "outcome")
"""Columns that say of two responses what was observed, and of two items are not read."""
ANNOTATORS = (*ANNOTATOR_COLUMNS, "judge", "voter-id")
GROUPS = (*GROUP_COLUMNS, "group-id")
WEIGHT = "weight"


def read_vote_file(path: Path | str) -> VoteFile:
    """Read a file of votes by its layout (docs/items.md).

    Raises:
        UserError: It cannot be read, says nothing, or an outcome is not one of its layout.
    """
    path = Path(path)
    if path.suffix.lower().removeprefix(".") in PREFLIB:
        orders, left_out, what = read_preflib(path)
        return VoteFile(str(path), what, orders.comparisons(str(path)), left_out)
    table = _table(path)
    columns = set(table.columns)
    pair = next((pair for pair in PAIRS if columns.issuperset(pair)), None)
    outcomes = [names for names in OUTCOMES if columns.issuperset(names)]
    if pair and outcomes and not columns & {"strength", "ranking"}:
        return _pairs(path, table, pair, outcomes)
    if columns.issuperset(WON):
        return _pairs(path, table, WON, [()])
    if pair and not any(columns.issuperset(names) for names in RESPONSE_COLUMNS):
        known = {*pair, *READ_COLUMNS, *ANNOTATORS, *GROUPS}
        refuse_misspelt(tuple(table.columns), known, str(path), instead="leave it out")
        raise UserError(
            f"{path}: {pair[0]} and {pair[1]} are two items, and no column says which won; give "
            f"{', or '.join('/'.join(names) for names in OUTCOMES)}. For probabilities or "
            "strengths call the items response_a and response_b."
        )
    if {"participant", "group-id"} <= columns:
        return _polis_table(path, table)
    if {"comment-id", "voter-id", "vote"} <= columns:
        return _polis_list(path, table)
    if "ranking" in columns and table["ranking"].astype(str).str.contains(">").any():
        return _rankings(path, table)
    if sorted(table.columns[1:]) == sorted(map(str, table.iloc[:, 0])) and len(table) > 1:
        return _win_matrix(path, table)
    data = load_comparisons(str(path))
    layout = "preference data, texts are items"
    return VoteFile(str(path), layout, read_votes(data), of_texts=data.account)


def _table(path: Path) -> "pd.DataFrame":
    """All cells of a file as text, without white space around it."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{path} is not a file; give a file of votes.{nearest_path(path)}")
    if suffix_of(path) in (".csv", ".csv.gz"):
        lines = cells_of_csv(path)
        names = next(lines)
        rows: Any = list(lines)
    else:
        found = list(read_rows(path))
        names = list(dict.fromkeys(name for row in found for name in row))
        rows = [[_cell(row.get(name)) for name in names] for row in found]
    if not rows or not names:
        raise UserError(f"{path} has no {'columns' if rows else 'rows'}.")
    table = pd.DataFrame(rows, columns=[_cell(name).strip() for name in names], dtype=object)
    return table.apply(_stripped)


def _stripped(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Without white space around each; few are different, so that is quick."""
    import pandas as pd

    codes, texts = pd.factorize(column)
    stripped = np.array([str(text).strip() for text in texts], dtype=object)
    return pd.Series(stripped[codes], index=column.index, dtype=object)


def _cell(value: Any) -> str:
    """As a csv file has it: whole numbers without a point, nothing for nothing.

    Half of a character, which no file could hold, is written out.
    """
    if is_missing(value):
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).encode("utf-8", "backslashreplace").decode()


def _names_of(table: "pd.DataFrame", columns: tuple[str, ...]) -> tuple[str | None, ...] | None:
    """What the first of some columns that is there says of each row; None where it is empty."""
    name = next((name for name in columns if name in table), None)
    if name is None:
        return None
    return tuple(value or None for value in table[name])


def _pairs(
    path: Path, table: "pd.DataFrame", pair: tuple[str, str], outcomes: Sequence[tuple[str, ...]]
) -> VoteFile:
    """Two items and an outcome a row."""
    import pandas as pd

    read = _read_columns(path, table, pair, outcomes)
    first, second = (table[name] for name in pair)
    header = (first.str.lower() == pair[0]) & (second.str.lower() == pair[1])
    _refuse_rows(path, header.to_numpy(), "the names of the columns again")
    named = (first != "") & (second != "")
    other = first != second
    left_out = {"rows without an item": int((~named).sum())}
    left_out["rows of an item with itself"] = int((named & ~other).sum())
    counts = _counts(path, table, pair, outcomes[0])
    total = counts.sum(1)
    answered = named & other & (total > 0)
    left_out["rows without an answer"] = int((named & other & ~answered).sum())
    own = _numbers(path, table, WEIGHT, empty=None) if WEIGHT in table else np.ones(len(table))
    left_out["rows of weight 0"] = int((answered & (own == 0)).sum())
    keep = np.asarray(answered & (own > 0))
    if not keep.any():
        raise UserError(f"{path} has no row with two items and an answer.")
    kept = table[keep]
    codes, names = pd.factorize(pd.concat([first[keep], second[keep]]))  # pyrefly: ignore
    half = len(kept)
    who, groups = _names_of(kept, ANNOTATORS), _names_of(kept, GROUPS)
    weight, importance = weighted_votes(total[keep], own[keep])
    comparisons = ItemComparisons(
        codes[:half],
        codes[half:],
        Outcomes(counts[keep] / total[keep, None], weight),
        tuple(names),
        who,
        None,
        groups,
        importance,
    )
    return VoteFile(str(path), "two items a row", comparisons, left_out, **read)


def _read_columns(
    path: Path, table: "pd.DataFrame", pair: tuple[str, str], outcomes: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    """Columns of two items a row by what they are read as, and those that nothing reads.

    Raises:
        UserError: One seems to say of the outcome what is not read, or two say it.
    """
    said = tuple(dict.fromkeys(name for names in outcomes for name in names))
    if len({names[:1] for names in outcomes}) > 1:
        named = " and ".join("/".join(names) for names in outcomes)
        raise UserError(f"{path}: {named} both say which item won; remove all but one.")
    said = tuple(dict.fromkeys((*said, *COUNTS))) if "wins" in said else said
    _refuse_columns(path, table, (*pair, *said, WEIGHT))
    return _columns(table, items=pair, outcome=said, weight=(WEIGHT,))


def _refuse_columns(path: Path, table: "pd.DataFrame", read: tuple[str, ...]) -> None:
    """Refuse columns that would be left unread, though they seem to say much."""
    columns = [str(name) for name in table.columns]
    refuse_misspelt(columns, (*read, *ANNOTATORS, *GROUPS), str(path), instead="leave it out")
    refuse_unread(columns, read, str(path), instead="leave it out")
    unread = next((name for name in columns if name in OF_OUTCOMES and name not in read), None)
    if unread is not None:
        raise UserError(
            f"{path}: {unread!r} says something of the outcome beside {'/'.join(read)}, and is not "
            "read; say all in 'winner' (tie, where neither won), or leave it out."
        )


def _columns(table: "pd.DataFrame", **read: tuple[str, ...]) -> dict[str, Any]:
    """Columns by what they are read as, those of people with them; and those that nothing reads."""
    present = [str(name) for name in table.columns]
    by_role = {
        role: tuple(name for name in names if name in present) for role, names in read.items()
    }
    for role, names in (("annotator", ANNOTATORS), ("group", GROUPS)):
        by_role.setdefault(role, tuple(name for name in names if name in present)[:1])
    used = {name for names in by_role.values() for name in names}
    unread = tuple(name for name in present if name not in used)
    notes = tuple(
        f"column {name!r} may also say who judged, and is not read"
        for name in unread
        if name in (*ANNOTATORS, *GROUPS)
    )
    return {"columns": by_role, "unread": unread, "further_notes": notes}


def _counts(
    path: Path, table: "pd.DataFrame", pair: tuple[str, str], outcome: tuple[str, ...]
) -> np.ndarray:
    """Votes for the second, ties, votes for the first of each row, shape `(n, 3)`."""
    if not outcome:
        return np.tile([0.0, 0.0, 1.0], (len(table), 1))
    if outcome == ("winner",):
        return _of_winners(path, table, pair)
    if outcome == WINNER_MODELS:
        one, two, tie = WINNER_MODELS
        counts = np.stack([_numbers(path, table, name) for name in (two, tie, one)], axis=1)
        _refuse_rows(path, counts.sum(1) > 1, "more than one of " + ", ".join(outcome))
        return counts
    wins, losses, ties, votes = (_numbers(path, table, name) for name in COUNTS)
    if "losses" not in table:
        losses = votes - wins - ties
    if "votes" in table:
        total = wins + losses + ties
        _refuse_rows(path, (losses < 0) | ~np.isclose(total, votes), "not as many votes in all")
    return np.stack([losses, ties, wins], axis=1)


def _of_winners(path: Path, table: "pd.DataFrame", pair: tuple[str, str]) -> np.ndarray:
    """One vote a row by `winner`: an item's name, its column or side, or a word for a tie."""
    said, first, second = (table[name] for name in ("winner", *pair))
    sides = [bare_name(name) for name in pair]
    read = {value: better_of(value, sides) for value in said.unique()}
    read |= {value: None for value in {*first, *second} & read.keys() if read[value] == TIE}
    verdict = said.map(read)
    won, lost = (
        (said == item) | ((verdict == side) & (said != other))
        for item, side, other in ((first, sides[0], second), (second, sides[1], first))
    )
    wrong = (said == first) & (verdict == sides[1]) | (said == second) & (verdict == sides[0])
    unclear = (wrong & (first != second)) | ~(won | lost | (verdict == TIE)) & (said != "")
    unknown = unclear.to_numpy().nonzero()[0]
    if len(unknown):
        row = int(unknown[0])
        raise UserError(
            f"{path}, row {row + 1}: winner is {said.iloc[row]!r}; give {pair[0]}, {pair[1]}, "
            "tie, or the winner's name, if it is not what the other side is called."
        )
    return np.stack([lost & ~won, (verdict == TIE) & ~won & ~lost, won], axis=1).astype(float)  # pyrefly: ignore


def _refuse_rows(path: Path, wrong: np.ndarray, what: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise UserError(f"{path}, row {rows[0] + 1}: {what}; mend it, or leave the row out.")


def _numbers(
    path: Path, table: "pd.DataFrame", name: str, *, empty: float | None = 0.0
) -> np.ndarray:
    """A column of numbers, 0 or more; 0 where it is not there, and `empty` where it is empty."""
    import pandas as pd

    if name not in table:
        return np.zeros(len(table))
    filled = table[name] if empty is None else table[name].replace("", empty)
    values = pd.to_numeric(filled, errors="coerce").to_numpy(float)
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
    if "timestamp" in table:
        order = np.argsort(_numbers(path, table, "timestamp"), kind="stable")
        table = table.iloc[order.tolist()]
    kept = table.drop_duplicates(["voter-id", "comment-id"], keep="last")
    wide = kept.pivot(index="voter-id", columns="comment-id", values="vote").fillna("")
    statements = sorted(wide.columns, key=lambda name: (len(name), name))
    frame = wide[statements].reset_index().rename(columns={"voter-id": "participant"})
    read = _polis_table(path, frame)
    left_out = {**read.left_out, "votes that were changed later": len(table) - len(kept)}
    roles = {"items": ("comment-id",), "outcome": ("vote",), "time": ("timestamp",)}
    columns = _columns(table, **roles, annotator=("voter-id",), group=())
    return VoteFile(read.source, "Polis, a row a vote", read.comparisons, left_out, **columns)


def _polis(
    path: Path, statements: list[str], levels: np.ndarray, table: "pd.DataFrame", layout: str
) -> VoteFile:
    """Within a person agreed beats passed beats disagreed; equal votes are ties."""
    names = statements
    beside = path.parent / "comments.csv"
    if beside.is_file():
        texts = _table(beside)
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
    columns = _columns(table, items=tuple(statements))
    return VoteFile(str(path), layout, orders.comparisons(str(path)), left_out, **columns)


def _rankings(path: Path, table: "pd.DataFrame") -> VoteFile:
    """A column `ranking` such as `tea > milk = water`, best first."""
    _refuse_columns(path, table, ("ranking",))
    if WEIGHT in table:
        raise UserError(
            f"{path}: {WEIGHT!r} is not read of rankings; write a row for each ballot, or leave it "
            "out."
        )
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
    columns = _columns(table, outcome=("ranking",))
    return VoteFile(str(path), layout, orders.comparisons(str(path)), left_out, **columns)


def _win_matrix(path: Path, table: "pd.DataFrame") -> VoteFile:
    """How often the row won against the column."""
    names = tuple(str(name) for name in table.columns[1:])
    table = table.set_index(table.columns[0]).loc[list(names)].reset_index()
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
    columns = _columns(table, items=(str(table.columns[0]), *names), annotator=(), group=())
    layout = "a table of wins of rows over columns"
    return VoteFile(str(path), layout, comparisons, left_out, **columns)
