"""Rankings, with ties and of some items only, as the pairs that they count as; PrefLib's files."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hidden_context.errors import UserError
from hidden_context.items.votes import ItemComparisons
from hidden_context.likelihood.outcomes import Outcomes

PREFLIB = {
    "soc": "strict orders of all items",
    "soi": "strict orders of some items",
    "toc": "orders with ties of all items",
    "toi": "orders with ties of some items",
}
"""PrefLib's ordinal files (Mattei and Walsh 2013)."""
MOST_PAIRS = 5 * 10**7


@dataclass(frozen=True, eq=False)
class WeakOrders:
    """B rankings: an item of a lower level is better, of one level equally good.

    Items that a ranking does not name are not compared.
    """

    names: tuple[Hashable, ...]
    """What all items are called."""
    items: Sequence[np.ndarray]
    """Numbers of those that each ranking names."""
    levels: Sequence[np.ndarray]
    """Of the same, in the same order."""
    annotators: tuple[str | None, ...] | None = None
    """Whose each is, where it is said."""
    groups: tuple[str | None, ...] | None = None

    def comparisons(self, source: str) -> ItemComparisons:
        """All pairs of each ranking of K, of weight 2/K, so that it counts as K − 1 comparisons.

        Raises:
            UserError: No ranking names two items, or there are too many pairs.
        """
        sizes = np.array([len(items) for items in self.items])
        num_pairs = int((sizes * (sizes - 1) // 2).sum())
        if not 0 < num_pairs <= MOST_PAIRS:
            raise UserError(
                f"{source}: rankings hold {num_pairs:,} pairs of items; give 1 to {MOST_PAIRS:,}."
            )
        first, second, win, weight, ballot = [], [], [], [], []
        for number, (items, levels) in enumerate(zip(self.items, self.levels, strict=True)):
            a, b = np.triu_indices(len(items), 1)
            first.append(items[a])
            second.append(items[b])
            win.append((1 + np.sign(levels[b] - levels[a])) / 2)
            weight.append(np.full(len(a), 2 / max(len(items), 1)))
            ballot.append(np.full(len(a), number))
        ballots = np.concatenate(ballot)
        made = ItemComparisons.decided(
            np.concatenate(first), np.concatenate(second), np.concatenate(win), self.names
        )
        outcomes = Outcomes(made.outcomes.shares, np.concatenate(weight))

        def each(names: tuple[str | None, ...] | None) -> tuple[str | None, ...] | None:
            return None if names is None else tuple(names[number] for number in ballots)

        who, groups = each(self.annotators), each(self.groups)
        return ItemComparisons(made.first, made.second, outcomes, self.names, who, ballots, groups)


def read_preflib(path: Path) -> tuple[WeakOrders, dict[str, int], str]:
    """Rankings of a PrefLib file, what was left out, and what kind it is, in words.

    Raises:
        UserError: The file cannot be read, or a line is not of this form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    names: dict[int, str] = {}
    items, levels, short = [], [], 0
    for number, line in enumerate(lines, start=1):
        named = re.fullmatch(r"#\s*ALTERNATIVE NAME (\d+):\s*(.*)", line.strip())
        if named:
            names[int(named[1])] = named[2].strip()
        if not line.strip() or line.startswith("#"):
            continue
        count, tiers = _order(path, number, line, names)
        flat = [item for tier in tiers for item in tier]
        level = [float(place) for place, tier in enumerate(tiers) for _ in tier]
        short += count if len(flat) < 2 else 0
        items += [np.array(flat, dtype=int)] * count
        levels += [np.array(level)] * count
    place = {number: index for index, number in enumerate(names)}
    items = [np.array([place[item] for item in order], dtype=int) for order in items]
    called = tuple(names.values())
    if len(set(called)) < len(called):  # PrefLib does not promise that names differ
        called = tuple(f"{number} {name}" for number, name in names.items())
    kind = path.suffix.lower().removeprefix(".")
    what = f"PrefLib {kind}, {PREFLIB[kind]}; items that a voter does not name are not compared"
    return WeakOrders(called, items, levels), {"ballots of fewer than two items": short}, what


def _order(
    path: Path, number: int, line: str, names: dict[int, str]
) -> tuple[int, list[list[int]]]:
    """How many gave it, and the items of each level, best first: `12: 3,{1,4},2`."""
    expected = "expected a count and numbers of alternatives, such as 12: 3,{1,4},2"
    parts = re.fullmatch(r"\s*(\d+)\s*:\s*([\d,{}\s]*)", line)
    if parts is None:
        raise UserError(f"{path}, line {number}: {line.strip()!r:.60}; {expected}.")
    tiers = [
        [int(item) for item in re.findall(r"\d+", tier)]
        for tier in re.findall(r"\{[^{}]*\}|\d+", parts[2])
    ]
    flat = [item for tier in tiers for item in tier]
    unknown = [item for item in flat if item not in names]
    if unknown or len(set(flat)) < len(flat):
        what = f"alternative {unknown[0]} has no name" if unknown else "one is named twice"
        raise UserError(f"{path}, line {number}: {what}; {expected}.")
    return int(parts[1]), [tier for tier in tiers if tier]
