"""What a judge or a reward model says of the pairs that people voted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.outcome_columns import READERS
from hidden_context.comparisons.survey import is_missing
from hidden_context.comparisons.texts import parsed
from hidden_context.comparisons.verdicts import bare_name
from hidden_context.errors import UserError
from hidden_context.judging.slopes import logistic_slope
from hidden_context.judging.votes import Votes, order_of_row

Kind = Literal["scores", "distributions", "verdicts"]


@dataclass(frozen=True, eq=False)
class Judgments:
    """One judge on the N entries of `Votes`; NaN where it says nothing."""

    name: str
    kind: Kind
    prob: np.ndarray
    """How probably the judge prefers the pair's first, ties half, over all that it says of the
    pair, shape `(N,)`."""
    tie: np.ndarray
    """Its share of ties, shape `(N,)`."""
    in_order: np.ndarray | None
    """Its verdict on the row with the row's order, in [-1, 1], from the pair's first; None if it
    sees no order."""
    scale: float | None
    """Log-odds a unit of score, fitted to the votes."""
    account: str
    """What was read, and what was left out."""
    rewards: np.ndarray | None = None
    """Scores of the pair's first and second, shape `(N, 2)`, where responses have such."""

    @property
    def side(self) -> np.ndarray:
        """2P - 1 in [-1, 1], shape `(N,)`."""
        return 2 * self.prob - 1

    @property
    def known(self) -> np.ndarray:
        """Which entries it says something of, shape `(N,)`."""
        return ~np.isnan(self.prob)


def of_scores(name: str, scores: np.ndarray, votes: Votes, account: str) -> Judgments:
    """A reward model, whose P(a ≻ b) is σ(β (score of a - score of b)).

    β, log-odds a unit of score, is fitted to the votes by maximum likelihood, ties as halves: the
    model's own scale means nothing. Scores are of both responses of each pair of the data, shape
    `(pairs, 2)`, NaN where there is none.

    Raises:
        UserError: No pair has two different scores.
    """
    rewards = votes.in_first_order(scores)
    gap = votes.mean_of_pairs(rewards[:, 0] - rewards[:, 1])
    known = ~np.isnan(gap)
    if not (gap[known] != 0).any():
        raise UserError(f"{name}: no pair has two different scores; give one for each response.")
    share = (1 + votes.sign[known]) / 2
    scale = logistic_slope(gap[known], share, votes.weight[known])
    prob = expit(scale * gap)
    tie = np.where(known, (gap == 0).astype(float), np.nan)
    return Judgments(name, "scores", prob, tie, None, scale, account, rewards)


def of_distributions(name: str, prob: np.ndarray, votes: Votes, account: str) -> Judgments:
    """A distributional model, whose own P(first ≻ second) of each pair of the data is taken."""
    both = np.stack([prob, 1 - prob], axis=1)
    of_pair = votes.mean_of_pairs(votes.in_first_order(both)[:, 0])
    tie = np.where(np.isnan(of_pair), np.nan, (of_pair == 0.5).astype(float))
    return Judgments(name, "distributions", of_pair, tie, None, None, account)


def of_columns(
    name: str, columns: Sequence[str], comparisons: Comparisons, votes: Votes
) -> Judgments:
    """An LLM judge, whose verdicts are in columns of the data; several columns are repetitions.

    A cell says which of the row's two responses is better in the words of `winner` (also left and
    right, first and second), gives the share of verdicts for the row's first response, strictly
    between 0 and 1 somewhere in the column, or is a list of verdicts. Empty cells say nothing.

    Raises:
        UserError: A column is missing or empty, or a cell cannot be read; it names the row.
    """
    for column in columns:
        comparisons.columns.refuse_observed(column, comparisons.source, "a judge's verdicts")
    names = comparisons.columns.by_role["responses"]
    called = [bare_name(column) for column in names] if len(names) == 2 else ["0", "1"]
    shares = {column: _is_share(comparisons, column) for column in columns}
    said: list[tuple[float, float]] = []
    missing = 0
    for number, comparison in enumerate(comparisons, start=1):
        if len(comparison.texts) != 2:
            raise UserError(
                f"{comparisons.source}, row {number}: {len(comparison.texts)} responses; a verdict "
                "is about two, so give scores of each response."
            )
        place = f"{comparisons.source}, row {number}"
        found = [
            verdict
            for column in columns
            for verdict in _verdicts(comparison.row[column], column, called, place, shares[column])
        ]
        missing += not found
        mean = np.mean(found, axis=0) if found else (np.nan, np.nan)
        said.append((order_of_row(comparison, names) * float(mean[0]), float(mean[1])))
    by_row = np.array(said)  # of two responses each, a row is a pair
    if np.isnan(by_row[:, 0]).all():
        raise UserError(f"{comparisons.source}: {', '.join(columns)} has no verdict in any row.")
    in_order = np.where(votes.is_turned, -1, 1) * by_row[votes.row, 0]
    side = votes.mean_of_pairs(in_order)
    tie = votes.mean_of_pairs(by_row[votes.row, 1])
    account = f"verdicts in {', '.join(columns)}"
    account += f"; {missing} rows have none and are left out" if missing else ""
    return Judgments(name, "verdicts", (1 + side) / 2, tie, in_order, None, account)


WORDS = {"left": 0, "right": 1, "first": 0, "second": 1}
"""What a row's two responses are called besides what its columns are."""


def _verdicts(
    cell: Any, column: str, called: Sequence[str], place: str, is_share: bool
) -> list[tuple[float, float]]:
    """Side in [-1, 1], from the row's first, and share of ties, of each verdict of a cell."""
    if is_missing(cell) or cell == "":
        return []
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        cell = parsed(cell, f"{place}, column {column!r}")
    if isinstance(cell, list | tuple):
        return [
            found for each in cell for found in _verdicts(each, column, called, place, is_share)
        ]
    if is_share:
        share = _number(cell)
        if share is None or not 0 <= share <= 1:
            raise UserError(
                f"{place}: {column} is {str(cell)[:40]!r}; expected the share of verdicts for the "
                "first response, as in other rows."
            )
        return [(2 * share - 1, 0.0)]
    word = WORDS.get(str(cell).strip().lower())
    given = cell if word is None else called[word]
    observed = READERS[("winner",)]({column: given}, (column,), called, place)
    (sign,) = observed.votes or {}
    return [(float(sign), float(sign == 0))]


def _is_share(comparisons: Comparisons, column: str) -> bool:
    """Whether a column holds shares; words and lists of words do not."""
    numbers: list[float] = []
    for number, comparison in enumerate(comparisons, start=1):
        if column not in comparison.row:
            listed = ", ".join(map(str, comparison.row))
            raise UserError(
                f"{comparisons.source}, row {number}: no column {column!r} of verdicts; columns "
                f"present: {listed}."
            )
        value = _number(comparison.row[column])
        if value is not None:
            numbers.append(value)
    if any(0 < value < 1 for value in numbers):
        return True
    if numbers and {*numbers} <= {0.0, 1.0}:
        raise UserError(
            f"{comparisons.source}: column {column!r} holds 0 and 1, which may be numbers of the "
            "better response or the share of verdicts for the first; write a, b or tie."
        )
    return False


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    try:
        return float(cell)
    except ValueError:
        return None
