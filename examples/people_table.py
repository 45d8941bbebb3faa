"""What is chosen for people, and how well they are predicted from few of their comparisons."""

from typing import Any

import numpy as np

from hidden_context.people.chosen import fit_people
from hidden_context.people.held_out import held_out_table
from hidden_context.people.share_of_disagreement import fitted_share
from hidden_context.people.source import Source


def report(
    votes: Any,
    vectors: str | None = None,
    *,
    by_prompt: bool = False,
    num_directions: int | None = None,
) -> None:
    """Print a table for docs/people.md; see `fit_people` and `held_out_table`."""
    source = Source.read(votes, vectors)
    people = fit_people(source, num_directions=num_directions)
    print(f"{people}, ridge {people.ridge:g}")
    print("loss by number of directions:", _rounded(people.held_out))
    print("loss by number of clusters:", _rounded(people.held_out_clusters))
    share = people.share_of_disagreement(source)
    print(f"share of disagreement: {share}; as fitted {fitted_share(people, source.ballots):.3f}")
    print("| n | loss, nats a vote | accuracy | learned: habit of ties | learned: taste | gain |")
    print("|---|---|---|---|---|---|")
    rows = held_out_table(source, structure=people.structure, by_prompt=by_prompt)
    for row in rows:
        of_gain = " | ".join(str(of) for of in (row.habit, row.taste, row.gain))
        print(f"| {row.number} | {row.loss} | {row.accuracy} | {of_gain} |")
    print(f"{rows[0].num_votes} votes of {rows[0].num_people} people")


def _rounded(losses: Any) -> dict[int, float]:
    return {number: float(np.round(loss, 4)) for number, loss in losses.items()}
