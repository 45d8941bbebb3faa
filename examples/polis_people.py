"""People of a Polis conversation (compdemocracy/openData, CC BY 4.0): how soon is a person known?

python examples/polis_people.py --data_dir data/polis/brexit-consensus

Comparisons of a person are pairs of statements that she voted on, at random, 40 at most: one agreed
with beats one passed on, which beats one disagreed with; equal votes are a tie.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from people_table import report
from polis_votes import FILE_NAME, read_votes

MOST_PAIRS = 40


def rows_of(folder: Path, seed: int = 0) -> list[dict[str, str]]:
    """A row for each comparison."""
    votes, rng = read_votes(folder / FILE_NAME), np.random.default_rng(seed)
    rows = []
    for person, values in enumerate(votes.values):
        pairs = list(combinations(np.flatnonzero(~np.isnan(values)), 2))
        for number in rng.permutation(len(pairs))[:MOST_PAIRS]:
            first, second = pairs[number]
            side = np.sign(values[first] - values[second])
            winner = "tie" if side == 0 else "a" if side > 0 else "b"
            names = {"item_a": votes.statements[first], "item_b": votes.statements[second]}
            rows.append({**names, "winner": winner, "annotator": f"person {person}"})
    return rows


def main() -> None:
    """Read, fit, print."""
    parser = argparse.ArgumentParser(description="People of a Polis conversation.")
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--num_directions", type=int, help="if not given, chosen")
    given = parser.parse_args()
    report(rows_of(given.data_dir), num_directions=given.num_directions)


if __name__ == "__main__":
    main()
