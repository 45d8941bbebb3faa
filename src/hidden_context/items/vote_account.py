"""Votes on items as they were read from a file, with an account of what was read and what not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from hidden_context.comparisons.account import Account
from hidden_context.comparisons.row_notes import MANY, names_to_be_known, num_of_both_signs
from hidden_context.comparisons.texts import numbers_in_order
from hidden_context.items.votes import ItemComparisons

MOST_NAMED = 6
"""Columns of one kind; of more the first are."""


@dataclass(frozen=True)
class VoteFile:
    """Votes as they were read, and what of the file was not."""

    source: str
    layout: str
    """In words."""
    comparisons: ItemComparisons
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many rows, or answers, for each reason."""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which columns were read as what; none of a file that has no columns."""
    unread: tuple[str, ...] = ()
    """Columns that nothing reads."""
    further_notes: tuple[str, ...] = ()
    """What is to be known of the columns, each a sentence without its full stop."""
    of_texts: Account | None = None
    """Of preference data, whose texts are the items."""

    def lines(self) -> dict[str, str]:
        """In words, by what each line is about, as `Account.lines`."""
        votes = self.comparisons
        middle = votes.outcomes.num_grades
        ties = int((votes.outcomes.shares[:, middle] > 0).sum())
        counted = {
            "layout": self.layout,
            "comparisons": f"{len(votes):,} of {votes.num_items} items, {ties:,} with ties (they "
            f"weigh {votes.outcomes.weight.sum():,.0f} votes)",
        }
        if self.of_texts is not None:
            of_texts = self.of_texts.lines()
            return {"source": of_texts.pop("source"), **counted, **of_texts}
        left = ", ".join(f"{number:,} {why}" for why, number in self.left_out.items() if number)
        notes = "; ".join(self._notes())
        return {
            "source": self.source,
            **counted,
            **{role: _shown(names) for role, names in self.columns.items()},
            **self._who(),
            "left out": left or "nothing",
            "carried along, not read": ", ".join(self.unread) or "no column",
            **({"to be known": notes} if notes else {}),
        }

    def _who(self) -> dict[str, str]:
        """By how many people, or of how many ballots, and of how many groups."""
        votes, said = self.comparisons, {}
        for role, names, what in (
            ("annotator", votes.annotators, "people"),
            ("group", votes.groups, "groups"),
        ):
            said[role] = _shown(self.columns.get(role, ()))
            if names is not None:
                without = names.count(None)
                said[role] += f" ({len({*names} - {None})} {what}"
                said[role] += f", {without} comparisons without one)" if without else ")"
        if votes.ballots is not None:
            said["ballots"] = str(len(np.unique(votes.ballots)))
        return said

    def _notes(self) -> Iterator[str]:
        """What else is to be known, each a sentence without its full stop."""
        yield from self.further_notes
        votes = self.comparisons
        named = {"items": votes.names, "annotators": votes.annotators, "groups": votes.groups}
        for what, names in named.items():
            yield from names_to_be_known({str(name) for name in names or () if name}, what)
        leads = _leads(votes)
        for sign, side in ((1, "first"), (-1, "second")):
            is_alike = len(leads) >= MANY and (np.sign(leads) == sign).all()
            if is_alike and votes.ballots is None and self.columns.get("outcome"):
                yield f"in all {len(leads):,} rows the {side} of the two items is better"
        if votes.ballots is None and len(leads) > 2 and (votes.outcomes.weight == 100).all():
            yield "each row has 100 votes; if they are percents, they make too much of a row"
        if votes.ballots is None:
            yield from _repeats(votes, leads)

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.lines().items())


def _shown(names: tuple[str, ...]) -> str:
    """Columns in words, the first of many."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])}, ... ({len(names)} columns)"
    return ", ".join(names) or "no column"


def _leads(votes: ItemComparisons) -> np.ndarray:
    """Share of the votes for the first of each two items less that for the second, `(n,)`."""
    middle = votes.outcomes.num_grades
    shares = votes.outcomes.shares
    return shares[:, middle + 1 :].sum(1) - shares[:, :middle].sum(1)


def _repeats(votes: ItemComparisons, leads: np.ndarray) -> Iterator[str]:
    """Sentences on several votes of one annotator on one pair of items."""
    if votes.annotators is None:
        return
    by_name = np.array([who is not None for who in votes.annotators])
    size = np.int64(votes.num_items)
    low, high = np.minimum(votes.first, votes.second), np.maximum(votes.first, votes.second)
    pair = (numbers_in_order(votes.annotators) * size + low) * size + high
    of_lower = np.where(votes.first == low, leads, -leads)
    pair, of_lower = pair[by_name], of_lower[by_name]
    repeated = len(pair) - len(np.unique(np.stack([pair, of_lower], axis=1), axis=0))
    if repeated:
        yield (
            f"{repeated:,} rows that say again what their annotator said of the same two items, "
            "each counted as a further vote"
        )
    both = num_of_both_signs(pair, of_lower)
    if both:
        yield (
            f"{both:,} pairs of items of which one annotator prefers now the one, now the other; "
            "each vote counts"
        )
