"""People of two groups who vote, and judges of whom it is known whom they follow.

python tests/judging/planted_judges.py 1000

prints how often each judge is said to take a side, A's or B's, by the size of group A and by how
what the groups think of a pair correlates; behind it Wilson's 95 % interval (1927). A world takes
some .02 s. What came out is in docs/judges.md.
"""

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import binomtest

from hidden_context.judging.judgments import Judgments
from hidden_context.judging.sides import leans_to_groups
from hidden_context.judging.votes import Votes

NUM_PAIRS, PAIRS_A_PROMPT, VOTES_A_PAIR, NUM_PEOPLE = 500, 5, 4, 40
STRENGTH, OF_A_PERSON = 1.5, 0.5
"""Standard deviation of a group's utility differences in units of the logistic noise, and of what
each person adds."""
COPIES = ("A", "B", "A's majority", "B's majority", "one vote of A", "one vote of B")
FOLLOWERS = ("all", "the majority of all", "one vote of all", "nobody")


@dataclass(frozen=True)
class World:
    """Votes, and the true share of each group, and of all, for the first of each pair."""

    votes: Votes
    shares: dict[str, np.ndarray]

    def judge(self, follows: str, rng: np.random.Generator) -> Judgments:
        """A judge that says the share of somebody, their majority, or draws a vote of theirs."""
        whom = "all" if follows == "nobody" else follows.removesuffix("'s majority").split(" ")[-1]
        prob = np.full(NUM_PAIRS, 0.5) if follows == "nobody" else self.shares[whom]
        if "majority" in follows:
            prob = (prob > 0.5).astype(float)
        elif "vote" in follows or follows == "nobody":
            prob = (rng.random(NUM_PAIRS) < prob).astype(float)
        said = prob[self.votes.pair]
        return Judgments(follows, "verdicts", said, np.zeros_like(said), None, None, "")


def world(
    rng: np.random.Generator,
    share: float = 0.5,
    num_people: int = NUM_PEOPLE,
    correlation: float = 0.3,
) -> World:
    """Two groups, the first of which has `share` of the people; who votes on a pair is drawn.

    `correlation` is that of what the two think of a pair.
    """
    group = (np.arange(num_people) >= round(share * num_people)).astype(int)
    first, apart = rng.normal(size=(2, NUM_PAIRS))
    second = correlation * first + (1 - correlation**2) ** 0.5 * apart
    utility = STRENGTH * np.stack([first, second])
    of_person = OF_A_PERSON * rng.normal(size=(num_people, NUM_PAIRS))
    drawn = np.argsort(rng.random((NUM_PAIRS, num_people)), axis=1)[:, :VOTES_A_PAIR]
    pair, person = np.repeat(np.arange(NUM_PAIRS), VOTES_A_PAIR), drawn.ravel()
    prob = expit(utility[group] + of_person)
    sign = np.where(rng.random(len(pair)) < prob[person, pair], 1, -1)
    by_group = [prob[group == g].mean(0) for g in (0, 1)]
    every = np.ones(len(pair))
    votes = Votes(
        row=np.arange(len(pair)),
        pair=pair,
        prompt=pair // PAIRS_A_PROMPT,
        sign=sign,
        count=every,
        weight=every,
        voter=person,
        person=person,
        people=tuple(map(str, range(num_people))),
        group=group[person],
        groups=("A", "B"),
        shown=np.zeros(len(pair), int),
        length=np.zeros(len(pair)),
        items=np.stack([2 * pair, 2 * pair + 1], axis=1),
        is_turned=np.zeros(len(pair), bool),
        num_equal=0,
    )
    return World(votes, {"A": by_group[0], "B": by_group[1], "all": prob.mean(0)})


def named(follows: str, seed: int, **options: float) -> str:
    """The group whose side the judge is said to take; empty if none."""
    rng = np.random.default_rng(seed)
    made = world(rng, **options)  # type: ignore[arg-type]
    leans = leans_to_groups(made.judge(follows, rng), made.votes)
    most = max(leans, key=lambda one: one.lean.value)
    return most.name if most.p_value is not None and most.p_value < 0.05 else ""


GROUPS = ((0.5, 0.3), (0.6, 0.3), (0.8, 0.3), (0.5, -1.0), (0.6, -1.0))
"""Share of group A, and correlation."""


def rates(judge: str, share: float, correlation: float, replicates: int) -> str:
    """How often each side is named, with intervals, in words."""
    options = {"share": share, "correlation": correlation}
    said = [named(judge, seed, **options) for seed in range(replicates)]
    shown = []
    for what, sides in (("A", "A"), ("B", "B"), ("either", "AB")):
        found = binomtest(sum(side != "" and side in sides for side in said), replicates)
        low, high = found.proportion_ci(method="wilson")
        shown.append(f"{what} {found.statistic:.3f} ({low:.3f} to {high:.3f})")
    return ", ".join(shown)


if __name__ == "__main__":
    for share, correlation in GROUPS:
        for judge in (*COPIES, *FOLLOWERS):
            said = rates(judge, share, correlation, int(sys.argv[1]))
            print(f"{share:.1f}  {correlation:+.1f}  {judge:21}  {said}", flush=True)
