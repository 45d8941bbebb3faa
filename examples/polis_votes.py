"""Votes of Polis conversations: people who agree, disagree or pass on statements, and comparisons.

Within one person a statement agreed with beats one disagreed with. Without the persons these are
comparisons with hidden context, whose true distribution of utility over people is known: the votes.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Outcomes

Pairs: TypeAlias = Literal["opposed", "different", "with_ties"]
"""Which two statements of one person are compared. opposed: one agreed, one disagreed with.
different: agree beats pass beats disagree. with_ties: all that the person voted on; equal votes are
a tie."""
UTILITIES = (-1.0, 0.0, 1.0)
"""Utility of a statement to a person who disagrees, passes, agrees."""
FILE_NAME = "participants-votes.csv"
GROUP = "group-id"


@dataclass(frozen=True, eq=False)
class Votes:
    """Who voted what on which statement."""

    values: np.ndarray
    """1 agree, 0 pass, -1 disagree, NaN not voted on; shape `(people, statements)`, float64."""
    groups: np.ndarray
    """Opinion group of each person as Polis found it, "" if none; shape `(people,)`, texts."""
    statements: tuple[str, ...]
    """Number of each statement in the conversation."""

    def of_people(self, people: np.ndarray) -> "Votes":
        """Those of some people, by index or where true; the statements stay."""
        return replace(self, values=self.values[people], groups=self.groups[people])

    def on_statements(self, kept: np.ndarray) -> "Votes":
        """Those on some statements, by index."""
        names = tuple(self.statements[index] for index in kept)
        return replace(self, values=self.values[:, kept], statements=names)

    def most_voted(self, *, at_most: int, min_votes: int) -> "Votes":
        """The statements with most votes, in their order: `at_most`, of at least `min_votes` each.

        Raises:
            UserError: Fewer than 3 statements are left.
        """
        votes = self.counts.sum(1)
        most = np.argsort(-votes, kind="stable")[:at_most]
        kept = np.sort(most[votes[most] >= min_votes])
        if len(kept) < 3:
            raise UserError(
                f"{len(kept)} statements have {min_votes} votes or more; at least 3 are needed, "
                "so ask for fewer votes."
            )
        return self.on_statements(kept)

    @property
    def counts(self) -> np.ndarray:
        """How many people disagree, pass, agree; shape `(statements, 3)`."""
        return np.stack([(self.values == utility).sum(0) for utility in UTILITIES], axis=-1)

    @property
    def shares(self) -> np.ndarray:
        """Shares of `counts`, NaN where nobody voted; shape `(statements, 3)`."""
        counts = self.counts.astype(float)
        total = counts.sum(1, keepdims=True)
        return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)

    @property
    def mean(self) -> np.ndarray:
        """Mean utility over those who voted, in [-1, 1]; shape `(statements,)`."""
        return self.shares @ np.array(UTILITIES)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of utility over those who voted, in [0, 1]; shape `(statements,)`."""
        second_moment = self.shares @ np.array(UTILITIES) ** 2
        return np.sqrt(np.maximum(second_moment - self.mean**2, 0.0))

    def redrawn(self, rng: np.random.Generator, *, within: Sequence[str] | np.ndarray) -> "Votes":
        """Every vote drawn anew from those on its statement by people of the same class.

        Who votes on what stays. Within a class, statements are independent; the expected shares of
        votes on a statement stay, too.

        Args:
            rng: Draws with replacement.
            within: Class of each person, such as one for all, or `groups`.
        """
        classes, values = np.asarray(within), self.values.copy()
        for name in np.unique(classes):
            members = np.flatnonzero(classes == name)
            for column in range(values.shape[1]):
                voters = members[~np.isnan(values[members, column])]
                values[voters, column] = rng.choice(self.values[voters, column], len(voters))
        return replace(self, values=values)


@dataclass(frozen=True, eq=False)
class VoteComparisons:
    """Comparisons of statements; the earlier statement is first, whatever the votes."""

    first: np.ndarray
    """Index of a statement, shape `(n,)`, int."""
    second: np.ndarray
    """Index of a later one, shape `(n,)`, int."""
    outcomes: Outcomes
    """What was observed, for `first`; each counts once."""
    person: np.ndarray
    """Index of who compared: what is hidden from a model; shape `(n,)`, int."""


def read_votes(file: Path) -> Votes:
    """Read `participants-votes.csv`: one row a person, one column a statement, named by a number.

    Raises:
        UserError: The file is missing or lacks columns, or a vote is not 1, 0, -1 or empty.
    """
    if not file.is_file():
        raise UserError(
            f"{file} does not exist; get {FILE_NAME} of a conversation from "
            "github.com/compdemocracy/openData."
        )
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        columns = [name for name in rows.fieldnames or () if name.isdecimal()]
        if not columns or GROUP not in (rows.fieldnames or ()):
            raise UserError(
                f"{file} has no column {GROUP} or none of a statement (a number); "
                f"give a {FILE_NAME} as Polis exports it."
            )
        values, groups = [], []
        for row in rows:
            place = f"{file}, line {rows.line_num}"
            values.append([_vote(row[name], f"{place}, column {name}") for name in columns])
            groups.append(row[GROUP] or "")
    if not values:
        raise UserError(f"{file} has no people.")
    return Votes(np.array(values), np.array(groups), tuple(columns))


def comparisons_within_people(votes: Votes, pairs: Pairs) -> VoteComparisons:
    """All comparisons of two statements that one person's votes make. See `Pairs`.

    A person with v votes on each side makes many comparisons, which are not independent: resample
    people, not comparisons.

    If votes on different statements are independent, `opposed` follows Bradley and Terry exactly:
    P(a ≻ b) = p_a q_b / (p_a q_b + q_a p_b), whose log-odds are log(p_a/q_a) - log(p_b/q_b), with p
    the share that agrees and q that disagrees. A scalar then is the truth, whatever the spread.

    Raises:
        UserError: Nobody makes such a comparison.
    """
    compared = list(_of_each_person(votes, pairs))
    if not sum(len(signs) for _, _, signs, _ in compared):
        raise UserError(f"no person has two votes that make a comparison ({pairs}).")
    first, second, signs, person = map(np.concatenate, zip(*compared, strict=True))
    shares = np.eye(3)[signs.astype(int) + 1]
    return VoteComparisons(first, second, Outcomes(shares, np.ones(len(first))), person)


def _of_each_person(votes: Votes, pairs: Pairs) -> Iterator[tuple[np.ndarray, ...]]:
    """Earlier statement, later statement, who is better (1, 0, -1), and the person."""
    for person, own in enumerate(votes.values):
        voted = np.flatnonzero(~np.isnan(own))
        i, j = np.triu_indices(len(voted), k=1)
        first, second = voted[i], voted[j]
        ahead = own[first] - own[second]
        least = {"opposed": 2.0, "different": 1.0, "with_ties": 0.0}[pairs]
        kept = np.abs(ahead) >= least
        yield first[kept], second[kept], np.sign(ahead[kept]), np.full(kept.sum(), person)


def split_people(
    num_people: int, parts: Iterable[float], *, rng: np.random.Generator
) -> list[np.ndarray]:
    """Indices of people in random parts, rising within each.

    Args:
        num_people: How many there are.
        parts: Share of each part; they add up to 1.
        rng: Draws the order.
    """
    order = rng.permutation(num_people)
    ends = np.rint(np.cumsum([0.0, *parts]) * num_people).astype(int)
    return [np.sort(order[low:high]) for low, high in pairwise(ends)]


def _vote(text: str | None, place: str) -> float:
    if text is None or text.strip() == "":
        return np.nan
    try:
        value = float(text)
    except ValueError:
        value = np.inf
    if value not in UTILITIES:
        raise UserError(f"{place}: vote {text!r} is not 1, 0, -1 or empty.")
    return value
