"""Whose side a judge takes: planted judges are named, followers of all are not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from planted_judges import named, world
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.judging.judgments import Judgments
from hidden_context.judging.sides import lean_along, leans_to_groups, leans_to_people, sides_of


def rate(follows: str, seeds: Sequence[int], said: str | None, share: float = 0.5) -> int:
    """How often the judge is said to take this side, or any."""
    names = [named(follows, seed, share=share) for seed in seeds]
    return sum(name == said if said is not None else name != "" for name in names)


def at_most(share: float, number: int) -> int:
    """What is exceeded once in a thousand such tests."""
    return int(stats.binom.ppf(0.999, number, share))


def test_a_judge_that_copies_a_group_is_named():
    assert 12 - rate("A", range(12), "A") <= at_most(0.05, 12)
    assert 12 - rate("B's majority", range(12), "B") <= at_most(0.05, 12)


def test_a_judge_that_follows_all_is_not():
    assert rate("one vote of all", range(30), None, share=0.6) <= at_most(0.05, 30)


@pytest.mark.slow
@pytest.mark.parametrize("follows", ["A", "B", "A's majority", "B's majority"])
def test_power_at_500_pairs_is_95_percent(follows: str):
    assert 200 - rate(follows, range(200), follows[0]) <= at_most(0.05, 200)


@pytest.mark.slow
@pytest.mark.parametrize("follows", ["B", "B's majority", "one vote of B"])
def test_a_judge_that_copies_a_fifth_of_the_people_is_named(follows: str):
    assert 200 - rate(follows, range(200), "B", share=0.8) <= at_most(0.05, 200)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.6, 0.8])
@pytest.mark.parametrize("follows", ["all", "the majority of all", "one vote of all", "nobody"])
def test_followers_are_named_in_at_most_5_percent(follows: str, share: float):
    assert rate(follows, range(400), None, share) <= at_most(0.05, 400)


@pytest.mark.parametrize("share", [0.5, 0.6])
def test_of_opposed_groups_copies_are_named_and_followers_of_the_mean_are_not(share: float):
    for follows, said in (("A", "A"), ("B's majority", "B"), ("one vote of all", "")):
        names = [named(follows, seed, share=share, correlation=-1.0) for seed in range(6)]
        assert sum(name != said for name in names) <= at_most(0.05, 6)


def test_the_lean_is_what_a_groups_votes_have_beyond_a_follower():
    """Agreement with the two groups in closed form: true shares stand for many votes."""
    rng = np.random.default_rng(0)
    made = world(rng, 0.5)
    leans = {one.name: one for one in leans_to_groups(made.judge("A", rng), made.votes)}
    side = {name: 2 * share - 1 for name, share in made.shares.items()}
    agreement = {name: np.mean(side[name] * side["A"]) for name in "AB"}
    common = {name: np.mean(side[name] * side["all"]) for name in "AB"}
    strength = sum(agreement.values()) / sum(common.values())
    for name in "AB":
        expected = (agreement[name] - strength * common[name]) / 2
        lean = leans[name].lean
        assert lean.low is not None
        assert lean.low < expected < lean.high
        assert leans[name].num_people == 20


def judge_of(votes_first: np.ndarray) -> Judgments:
    return Judgments("j", "verdicts", votes_first, np.zeros_like(votes_first), None, None, "")


def test_a_judge_that_copies_one_person_leans_to_her():
    rng = np.random.default_rng(3)
    made = world(rng, num_people=12)
    votes = made.votes
    own = votes.person == 7
    said = np.full(500, 0.5)
    said[votes.pair[own]] = (1 + votes.sign[own]) / 2
    leans, left_out, spread = leans_to_people(judge_of(said[votes.pair]), votes)
    assert leans[0].name == "7"
    assert leans[0].p_value is not None
    assert leans[0].p_value < 0.001
    assert left_out == 0
    assert spread is not None
    assert spread > 0.05


def test_the_interval_of_an_agreement_is_one_of_shares():
    """150 people of some 13 votes each: Student's arms reach beyond 1 for many."""
    rng = np.random.default_rng(8)
    made = world(rng, num_people=150)
    judged = made.judge("the majority of all", rng)
    leans = [*leans_to_people(judged, made.votes)[0], *leans_to_groups(judged, made.votes)]
    ends = np.array([[lean.agreement.low, lean.agreement.high] for lean in leans], float)
    assert (ends[:, 1] == 1).sum() > 10
    assert np.nanmin(ends) >= 0
    assert np.nanmax(ends) <= 1


def test_the_lean_along_a_trait_tells_whom_the_judge_copies():
    rng = np.random.default_rng(4)
    made = world(rng)
    judged = made.judge("B's majority", rng)
    age = np.where(made.votes.group == 1, 40.0, 30.0)
    along = lean_along("age", age, judged, made.votes)
    follower = lean_along("age", age, made.judge("all", rng), made.votes)
    assert along is not None
    assert follower is not None
    assert along.against(0) == "above"
    assert follower.against(0) == "cannot tell"
    with pytest.raises(UserError, match="'age' is the same for all"):
        lean_along("age", np.ones(len(made.votes)), judged, made.votes)


def test_what_cannot_be_told_is_said():
    rng = np.random.default_rng(5)
    votes = world(rng).votes
    judged = judge_of(np.full(len(votes), 0.7))
    unnamed = replace(votes, group=None, person=None)
    assert sides_of(judged, unnamed).notes == (
        "The data name no groups.",
        "The data do not say who voted.",
    )
    apart = replace(votes, group=votes.pair % 2)
    assert "never voted on the same pair" in sides_of(judged, apart).notes[0]
