"""Who differs, by how much, along what: planted axes, groups and gains are found, and no others."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_people import drawn

from hidden_context import UserError, load_comparisons
from hidden_context.measures.estimate import Estimate
from hidden_context.people.ballots import read_ballots
from hidden_context.people.findings import PeopleFindings, find, values_of_people
from hidden_context.people.fit import fit
from hidden_context.people.held_out import folds_for, held_out_table
from hidden_context.people.people import Clusters
from hidden_context.people.sentences import answers, person_to_dict, render, render_person
from hidden_context.people.source import Source
from hidden_context.report.read_people import answer_about_people, people_to_result

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
    assert found.agreement.of_so_few == ""
    few = replace(found.agreement, groups={"north": 3, "south": 3})
    assert few.least_p_value == pytest.approx(2 / 20)  # the names of both may be exchanged
    assert few.of_so_few == "; of so few people no p below 0.100 is possible"
    assert replace(few, groups={"north": 2, "south": 3}).least_p_value == 1 / 10
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
    assert said["Do people differ?"].startswith("Yes, in 1 direction.")
    assert f"{found.disagreement:.2f} is disagreement" in said["By how much?"]
    assert "adjusted Rand index" in said["Are they the groups of country?"]
    assert "n known" in render(found)
    numbers = found.to_dict()
    assert numbers["num_people"] == 80
    assert len(numbers["people"][0]["position"]) == 1
    assert {one["country"] for one in numbers["people"]} == {"north", "south"}


def test_of_people_who_do_not_differ_it_is_said_what_was_compared(planted):
    source, _, found = planted
    alike = replace(found.people, directions=found.people.directions[:, :0])
    alike = replace(alike, clusters=Clusters.one(0), item_covariance=None)
    for held_out, said in (({0: 0.6, 1: 0.59}, "0.600 nats"), ({}, "was not tested")):
        answer = answers(find(replace(alike, held_out=held_out), source.ballots, source=""))
        assert said in dict(answer)["Do people differ?"]


def test_few_people_are_held_out_in_fewer_folds():
    assert folds_for(100, 5) == (5, [])
    assert folds_for(3, 0) == (0, [])
    number, (said,) = folds_for(6, 5)
    assert (number, said) == (3, "6 people are held out in 3 folds, not 5.")
    number, (said,) = folds_for(3, 5)
    assert number == 0
    assert "no table" in said


def null_rows(people: int, each: int, seed: int) -> list[dict[str, object]]:
    """Votes by chance, ties among them, on texts that all differ."""
    rng = np.random.default_rng(seed)
    return [
        {
            "response_a": f"a {k}",
            "response_b": f"b {k}",
            "winner": str(rng.choice(["a", "b", "tie"])),
            "annotator": k % people,
        }
        for k in range(people * each)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_votes_by_chance_on_responses_compared_once_cannot_tell(seed: int):
    """Nothing is shared by two comparisons, so that n of a person's change no other prediction.

    The loss is the same at every n whatever the gain over the population is, which is a worse model
    of items of which nothing is known in these draws or a better one, by the draw.
    """
    ballots = read_ballots(null_rows(8, 8, seed))
    how = {"num_directions": 2, "ridge": 1.0}
    table = held_out_table(Source(ballots), structure=how, numbers=(0, 5), num_folds=4)
    assert table[-1].learned.value == pytest.approx(0, abs=1e-4)
    found = find(fit(Source(ballots), **how), ballots, source="null", held_out=table)
    assert found.compared_once == 128
    assert found.verdict == found.to_dict()["verdict"] == "cannot tell"
    said = dict(answers(found))
    assert "--vectors words" in said["Do people differ?"].split(":")[0]
    assert "By how much?" not in said
    assert "Who?" not in said
    told = answer_about_people(found)
    assert told.verdict == "cannot tell"
    assert "--vectors words" in told.evidence
    assert "yes" not in [each.verdict for each in told.findings]
    alike = replace(found, held_out=(), people=fit(Source(ballots), num_directions=0))
    assert alike.verdict == "not tried"
    chosen = replace(alike, people=replace(alike.people, held_out={0: 1.1, 1: 1.1}))
    assert chosen.verdict == answer_about_people(chosen).verdict == "cannot tell"


def test_a_gain_that_is_there_when_nothing_is_known_is_no_difference_of_people(planted):
    """The same gain at 0 and at 5 comparisons, whichever it is, is none of knowing the person."""
    _, _, found = planted
    nobody, five = found.held_out
    assert five.learned.value == pytest.approx(five.gain.value - nobody.gain.value)
    assert five.learned.low > 0
    assert (nobody.learned.low, nobody.learned.high) == (0, 0)
    same = replace(five, gain=Estimate(0.19, 0.1, 0.3), taste=Estimate(1e-9, 1e-10, 1e-8))
    told = replace(found, held_out=(nobody, same))
    assert told.verdict == "cannot tell"
    assert not dict(answers(told))["Do people differ?"].startswith("Yes")


@pytest.mark.parametrize(("ridge", "said"), [(10.0, "too low"), (0.3, "too high"), (1.0, None)])
def test_a_share_at_an_end_of_the_ridges_is_told_as_such(planted, ridge: float, said: str | None):
    _, _, found = planted
    share = dict(answers(replace(found, people=replace(found.people, ridge=ridge))))["By how much?"]
    assert ("that was tried" in share) == (said is not None)
    assert said is None or said in share


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


@pytest.mark.parametrize(
    ("low", "high", "verdict", "said"),
    [
        (0.1, 0.3, "yes", "People differ: 5 comparisons"),
        (-0.1, 0.3, "cannot tell", "These data cannot tell whether people differ"),
        (-0.3, -0.1, "no", "Nothing shows that people differ"),
    ],
)
def test_the_page_begins_with_whether_people_differ(planted, low, high, verdict: str, said: str):
    """By the interval of what knowing comparisons of held-out people adds."""
    _, _, found = planted
    nobody, five = found.held_out
    learned = Estimate((low + high) / 2, low, high)
    five = replace(five, learned=learned, taste=learned)
    told = answer_about_people(replace(found, held_out=(nobody, five)))
    assert told.verdict == verdict
    assert told.sentence.startswith(said)
    assert f"{abs(learned.value):.4f}" in told.evidence
    apart = "yes" if verdict == "yes" else "cannot tell"
    assert [each.verdict for each in told.findings] == [apart, "yes"]  # told apart; the groups
    (section, *_) = people_to_result(found).sections
    assert {each.section for each in told.findings} == {section.title}


def test_what_a_column_says_of_people_is_read_as_names_are():
    row = {"chosen": "a", "rejected": "b"}
    said = {"x": ["Japan", "Japan ", "japan"], "y": [1, 1.0, "1"], "z": ["", None, " "]}
    rows = [row | {"annotator": who, "at": at} for who, of in said.items() for at in of]
    values, notes = values_of_people(load_comparisons(rows), "at")
    assert values == {"x": "Japan", "y": "1", "z": "not said"}
    assert notes == [
        "Values of at whose names are alike are read as different ones: 'Japan' and 'japan'.",
        "Of 1 people at says several things (of 'x': 'Japan' and 'japan'); the most frequent "
        "counts.",
    ]
    with pytest.raises(UserError, match="row 1: at is a list"):
        values_of_people(load_comparisons([row | {"annotator": "x", "at": [1]}]), "at")
