"""`audit_judges`: judges and reward models held against the people of a data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import pairs_of
from hidden_context.errors import UserError
from hidden_context.judging.agreement import agreement_measures, slopes_of, sure_bins
from hidden_context.judging.choices import borda_or_utility, choices_by_rule
from hidden_context.judging.judgments import Judgments, of_columns
from hidden_context.judging.result import AuditedJudge, JudgeAudit
from hidden_context.judging.score_columns import of_numbers, of_own, read_scores
from hidden_context.judging.sides import lean_along, sides_of
from hidden_context.judging.votes import Votes, order_of_row, read_votes
from hidden_context.progress import progress_bar
from hidden_context.records import require_columns
from hidden_context.scores.scores import Scores


def audit_judges(
    comparisons: Comparisons,
    *,
    scores: Mapping[str, Any] | None = None,
    verdicts: Mapping[str, str | Sequence[str]] | None = None,
    traits: Sequence[str] = (),
    features: Sequence[str] = (),
    pair_column: str | None = None,
    progress: bool = False,
) -> JudgeAudit:
    """Measure judges and reward models against the votes of people; every interval is 95 %.

    Args:
        comparisons: Votes, at best with a column of annotators, and of groups.
        scores: By name, of each reward model: a file (see `read_scores`), `Scores`, or for each
            comparison a list of a number for each response, in the order of the row's columns.
        verdicts: By name, of each LLM judge: the column with its verdicts, or several columns of
            repeated ones (see `of_columns`).
        traits: Columns of numbers that say something of who voted, such as age.
        features: Columns of numbers that say something of the two responses: the value of the
            row's first less that of its second.
        pair_column: Column that tells pairs of the same texts apart; if None, they are one.
        progress: Show how far it is.

    Raises:
        UserError: Nothing is to be measured, a name is given twice, a file or column cannot be
            read, or it is unclear which score belongs to which response.
    """
    scores, verdicts = scores or {}, verdicts or {}
    twice = sorted({*scores} & {*verdicts})
    if twice or not (scores or verdicts):
        what = f"two are called {twice[0]!r}" if twice else "there is none"
        raise UserError(f"judges need names of their own, and at least one; {what}.")
    votes = read_votes(comparisons, pair_column=pair_column)
    read = [_scored(name, given, comparisons, votes) for name, given in scores.items()]
    read += [
        of_columns(name, [columns] if isinstance(columns, str) else columns, comparisons, votes)
        for name, columns in verdicts.items()
    ]
    of_people = {name: _numbers(name, comparisons, votes) for name in traits}
    of_pairs = {name: _differences(name, comparisons, votes) for name in features}
    judges = []
    with progress_bar(len(read), "measuring", unit="judge", shown=progress, leave=False) as bar:
        for judged in read:
            judges.append(_audited(judged, votes, of_people, of_pairs))
            bar.update()
    return JudgeAudit(comparisons.source, _counts(votes), tuple(judges))


def _scored(name: str, given: Any, comparisons: Comparisons, votes: Votes) -> Judgments:
    if isinstance(given, Scores):
        return of_own(name, given, comparisons, votes)
    if isinstance(given, str | Path):
        return read_scores(name, given, comparisons, votes)
    return of_numbers(name, given, comparisons, votes)


def _audited(
    judged: Judgments,
    votes: Votes,
    traits: Mapping[str, np.ndarray],
    features: Mapping[str, np.ndarray],
) -> AuditedJudge:
    known = judged.known
    if not known.any():
        raise UserError(f"{judged.name} says nothing of any pair that people voted on.")
    measures = agreement_measures(judged, votes)
    for name, difference in features.items():
        measures |= slopes_of(name, difference, judged, votes)
    leans = {name: lean_along(name, trait, judged, votes) for name, trait in traits.items()}
    return AuditedJudge(
        name=judged.name,
        kind=judged.kind,
        account=judged.account,
        num_votes=float(votes.count[known].sum()),
        num_votes_left_out=float(votes.count[~known].sum()),
        num_pairs=len(np.unique(votes.pair[known])),
        measures=measures,
        bins=sure_bins(judged, votes),
        sides=sides_of(judged, votes),
        choices=choices_by_rule(judged, votes),
        borda_or_utility=borda_or_utility(judged, votes),
        traits={name: lean for name, lean in leans.items() if lean is not None},
        scale=judged.scale,
    )


def _counts(votes: Votes) -> dict[str, int]:
    return {
        "votes": round(votes.count.sum()),
        "ties": round(votes.count[votes.sign == 0].sum()),
        "people": len(votes.people),
        "groups": len(votes.groups),
        "pairs": len(np.unique(votes.pair)),
        "prompts": len(np.unique(votes.prompt)),
        "equal_texts": votes.num_equal,
    }


def _numbers(column: str, comparisons: Comparisons, votes: Votes) -> np.ndarray:
    """A column's number for each entry; NaN where the cell is empty."""
    require_columns((each.row for each in comparisons), (column,), comparisons.source)
    numbers = []
    for row, comparison in enumerate(comparisons, start=1):
        cell = comparison.row[column]
        try:
            number = np.nan if cell is None else float(cell)
        except (TypeError, ValueError):
            number = np.inf
        if isinstance(cell, bool) or np.isinf(number):
            raise UserError(
                f"{comparisons.source}, row {row}: {column} is {str(cell)[:40]!r}; expected a "
                "finite number, or an empty cell."
            )
        numbers += [number] * sum(1 for _ in pairs_of([comparison]))
    return np.array(numbers)[votes.row]


def _differences(column: str, comparisons: Comparisons, votes: Votes) -> np.ndarray:
    """A column's number for each entry, seen from the pair's first."""
    names = comparisons.columns.by_role["responses"]
    orders = []
    for row, comparison in enumerate(comparisons, start=1):
        if len(comparison.texts) != 2:
            raise UserError(
                f"{comparisons.source}, row {row}: {len(comparison.texts)} responses; {column!r} "
                "can say the difference of two."
            )
        orders.append(order_of_row(comparison, names))
    turn = np.array(orders)[votes.row] * np.where(votes.is_turned, -1, 1)
    return turn * _numbers(column, comparisons, votes)
