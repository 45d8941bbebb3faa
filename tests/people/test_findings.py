"""Who differs, by how much, along what: planted axes, groups and gains are found, and no others."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_people import drawn

from hidden_context import UserError
from hidden_context.people.findings import PeopleFindings, find
from hidden_context.people.fit import Source, fit
from hidden_context.people.held_out import held_out_table
from hidden_context.people.sentences import answers, person_to_dict, render, render_person

ITEMS = tuple("abcdefgh")


@pytest.fixture(scope="module")
def planted() -> tuple[Source, tuple[str, ...], PeopleFindings]:
    """80 people of two groups, far apart on a and h, and a little on all."""
    rng = np.random.default_rng(0)
    member = rng.integers(2, size=80)
    axis = np.array([2.0, 0.3, 0, 0, 0, 0, -0.3, -2.0])
    utilities = (2 * member - 1)[:, None] * axis + 0.3 * rng.normal(size=(80, 8))
    source = Source(replace(drawn(utilities, 30, rng), items=ITEMS))
    people = fit(source, num_directions=1)
    colors = tuple(np.where(member, "north", "south").tolist())
    table = held_out_table(source, structure={"num_directions": 1}, numbers=(0, 5), num_folds=2)
    found = find(
        people, source.ballots, source="votes", held_out=table, colors=colors, column="country"
    )
    return source, colors, found


def test_an_axis_has_its_items_at_its_ends_and_its_groups_on_its_sides(planted):
    _, colors, found = planted
    high, low = found.axes[0].ends(1)
    assert {ITEMS[high[0]], ITEMS[low[0]]} == {"a", "h"}
    side = found.axes[0].position > 0
    north = np.array(colors) == "north"
    assert max((side == north).mean(), (side != north).mean()) > 0.95
    assert found.axes[0].share == pytest.approx(1)
    assert 0.2 < found.disagreement < 0.8


def test_groups_are_compared_beyond_chance(planted):
    source, colors, found = planted
    assert found.agreement.adjusted_rand > 0.8
    assert found.agreement.adjusted_mutual_information > 0.7
    assert found.agreement.p_value == pytest.approx(0.001)
    shuffled = tuple(np.random.default_rng(1).permutation(colors).tolist())
    other = find(found.people, source.ballots, source="", colors=shuffled, column="country")
    assert other.agreement is not None
    assert abs(other.agreement.adjusted_rand) < 0.1
    assert other.agreement.p_value > 0.01


def test_what_is_gained_is_measured_on_the_same_votes_of_held_out_people(planted):
    _, _, found = planted
    nobody, five = found.held_out
    assert (nobody.number, five.number) == (0, 5)
    assert (nobody.num_votes, nobody.num_people) == (five.num_votes, 80)
    assert five.gain.low > 0.05
    assert abs(nobody.gain.value) < 0.02
    assert five.accuracy.value > nobody.accuracy.value


def test_nothing_is_gained_where_nobody_differs(capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(5)
    source = Source(drawn(np.tile(rng.normal(size=6), (60, 1)), 20, rng))
    how = {"structure": {"num_directions": 1}, "numbers": (0, 10), "num_folds": 2}
    table = held_out_table(source, **how, progress=True)
    assert capsys.readouterr().err == "predicting held-out people: 2 folds\n"
    for row in table:
        assert row.gain.low <= 0 <= row.gain.high or row.gain.high < 0.002


def test_held_out_prompts_need_some(planted):
    source, _, _ = planted
    with pytest.raises(UserError, match="fewer than 3 prompts"):
        held_out_table(source, structure={"num_directions": 1}, by_prompt=True, num_folds=2)
    few = Source(source.ballots.selected(np.arange(3)))
    with pytest.raises(UserError, match="3 people are too few"):
        held_out_table(few, structure={"num_directions": 1})


def test_sentences_and_numbers_say_the_same(planted):
    _, _, found = planted
    said = dict(answers(found))
    assert "Yes, in 1 direction." in said["Do people differ?"]
    assert f"{found.disagreement:.2f} is disagreement" in said["By how much?"]
    assert "adjusted Rand index" in said["Are they the groups of country?"]
    assert "n known" in render(found)
    numbers = found.to_dict()
    assert numbers["num_people"] == 80
    assert len(numbers["people"][0]["position"]) == 1
    assert {one["country"] for one in numbers["people"]} == {"north", "south"}


def test_one_person_is_told_with_what_is_not_known_of_her(planted):
    source, _, found = planted
    shares = []
    for count in (0, 3, 30):
        few = source.ballots.kept(np.arange(30) < np.full((80, 1), count))
        answer = person_to_dict(found.people.posterior(few), 0, count)
        shares.append(answer["share_not_known"])
    assert shares[0] == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert np.array(answer["prob_matrix"]).shape == (8, 8)
    assert "30 comparisons" in render_person(answer)
