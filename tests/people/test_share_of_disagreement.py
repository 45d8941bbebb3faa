"""The share of disagreement and its interval; coverage is measured by `share_errors`."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_people import drawn

from hidden_context import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.people import share_of_disagreement as module
from hidden_context.people.ballots import Ballots
from hidden_context.people.findings import find
from hidden_context.people.fit import fit, fit_again
from hidden_context.people.people import Clusters, People
from hidden_context.people.sentences import answers
from hidden_context.people.share_of_disagreement import (
    answered,
    fitted_share,
    read_backwards,
    share_of_disagreement,
)
from hidden_context.people.source import Source


def world(spread: float, seed: int = 0) -> tuple[Ballots, float]:
    """What 60 people say who differ in two directions on ten items, and the true share."""
    rng = np.random.default_rng(seed)
    mean, directions = rng.normal(size=10), spread * rng.normal(size=(10, 2))
    ballots = drawn(mean + rng.normal(size=(60, 2)) @ directions.T, 20, rng)
    one = Clusters.one(2)
    truth = People(ballots.items, mean, directions, np.zeros(1), np.ones(1), one, 60)
    return ballots, fitted_share(truth, ballots)


@pytest.fixture(scope="module")
def fitted() -> tuple[Source, People, float]:
    """60 people who differ, what was fitted to them, and the true share."""
    ballots, truth = world(1.4)
    source = Source(ballots)
    return source, fit(source, num_directions=2), truth


def test_a_fit_that_starts_from_another_ends_where_one_from_nothing_does(fitted):
    source, people, _ = fitted
    same = fit_again(people, source)
    assert fitted_share(same, source.ballots) == pytest.approx(
        fitted_share(people, source.ballots), abs=0.003
    )
    assert same.log_likelihood == pytest.approx(people.log_likelihood, abs=1e-4)
    others = replace(source, ballots=answered(people, source.ballots, np.random.default_rng(0)))
    anew = fit(others, num_directions=2)
    assert fitted_share(fit_again(people, others), others.ballots) == pytest.approx(
        fitted_share(anew, others.ballots), abs=0.01
    )


def test_new_people_answer_as_the_model_says():
    """By shares of outcomes, with ties and clusters."""
    clusters = Clusters(
        np.array([[2.0], [-1.0]]), np.full((2, 1, 1), 0.5), np.array([1 / 3, 2 / 3])
    )
    people = People(
        items=(0, 1),
        mean=np.array([0.3, -0.3]),
        directions=np.array([[0.8], [-0.8]]),
        thresholds=np.array([0.1, 1.0]),
        threshold_shares=np.array([0.7, 0.3]),
        clusters=clusters,
        num_people=1,
    )
    ballots = drawn(np.zeros((40_000, 2)), 1, np.random.default_rng(0))
    ballots = replace(ballots, first=ballots.first * 0, second=ballots.second * 0 + 1)
    said = answered(people, ballots, np.random.default_rng(1)).shares.mean((0, 1))
    nobody = people.posterior_of_nobody()
    expected = nobody.outcome_probs(np.array([[0]]), np.array([[1]]))[:, 0, 0]
    np.testing.assert_allclose(said, expected, atol=4 * 0.5 / 200)


def test_the_interval_holds_the_truth_and_the_value_is_nearer_than_the_fit(fitted):
    source, people, truth = fitted
    found = people.share_of_disagreement(source.ballots)
    assert found.low < truth < found.high
    assert abs(found.value - truth) < abs(fitted_share(people, source.ballots) - truth)
    assert found.high - found.low < 0.25


def test_where_nobody_differs_the_interval_begins_at_0():
    ballots, truth = world(0.0)
    people = fit(Source(ballots), num_directions=2)
    assert truth < 1e-9
    assert fitted_share(people, ballots) > 0.05
    found = people.share_of_disagreement(ballots)
    assert found.low == 0
    assert found.value < 0.05
    alike = fit(Source(ballots), num_directions=0)
    nothing = alike.share_of_disagreement(ballots)
    assert nothing.value == pytest.approx(0, abs=1e-9)
    assert (nothing.low, nothing.high) == (None, None)


def test_a_line_is_read_backwards():
    """What is found is .2 where nothing is, and goes as .8 of the true angle; spread .01."""
    rng, true, wanted = np.random.default_rng(0), np.linspace(0, 0.8, 60), 0.4
    angle = np.hypot(0.2, 0.8 * np.arcsin(np.sqrt(true)))
    again = np.sin(angle + 0.01 * rng.normal(size=60)) ** 2
    found = np.sin(np.hypot(0.2, 0.8 * np.arcsin(np.sqrt(wanted)))) ** 2
    value, low, high = read_backwards(true, again, found)
    assert value == pytest.approx(wanted, abs=0.02)
    arm = 2 * 0.01 / 0.75 * 2 * np.sqrt(wanted * (1 - wanted))
    assert (high - low) / 2 == pytest.approx(arm, rel=0.3)
    assert read_backwards(true, again, 0.0)[:2] == (0, 0)
    assert read_backwards(true, again, 0.0)[2] > 0
    assert read_backwards(true, again, 0.95)[2] == 1.0


def test_shares_above_all_that_were_drawn_are_drawn_too(fitted, monkeypatch):
    source, people, _ = fitted
    monkeypatch.setattr(module, "SCALES", (0.0, 0.3, 0.6))
    monkeypatch.setattr(module, "DRAWS", 2)
    monkeypatch.setattr(module, "MOST_WIDENED", 1)
    found = share_of_disagreement(people, source)
    assert int(found.how.split()[0]) > 6


def test_people_of_texts_have_an_interval_after_they_were_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SCALES", (0.0, 0.5, 0.8, 1.0, 1.3, 1.7))
    monkeypatch.setattr(module, "DRAWS", 1)
    monkeypatch.setattr(module, "MOST_WIDENED", 0)
    rng, words = np.random.default_rng(0), ("red", "green", "blue", "grey", "white", "black")
    rows = []
    for person in range(12):
        taste = (1 if person % 2 else -1) * np.array([2.0, 1.0, 0.5, -0.5, -1.0, -2.0])
        for _ in range(12):
            first, second = rng.choice(6, 2, replace=False)
            wins = rng.random() < 1 / (1 + np.exp(taste[second] - taste[first]))
            rows.append(
                {
                    "prompt": "which?",
                    "response_a": f"{words[first]} {rng.integers(100)}",
                    "response_b": f"{words[second]} {rng.integers(100)}",
                    "winner": "a" if wins else "b",
                    "annotator": f"p{person}",
                }
            )
    source = Source.read(rows, "words")
    people = fit(source, num_directions=1, ridge=0.3)
    found = people.share_of_disagreement(rows)
    assert 0 <= found.low < found.value < found.high <= 1
    people.save(tmp_path / "people")
    again = People.load(tmp_path / "people").share_of_disagreement(rows)
    assert again.value == pytest.approx(found.value, abs=0.01)


def test_the_sentence_has_the_interval_where_the_share_is_shown(fitted):
    source, people, _ = fitted
    found = find(people, source.ballots, source="votes")
    assert found.shows_share
    assert "without an interval" in dict(answers(found))["By how much?"]
    assert found.to_dict()["share_of_disagreement"] is None
    share = Estimate(0.31, 0.25, 0.4, "24 fits")
    said = replace(found, share=share)
    assert (
        f"{share.value:.2f} is disagreement between people (95 % interval {share.low:.2f} to "
        in (dict(answers(said))["By how much?"])
    )
    assert said.to_dict()["share_of_disagreement"]["high"] == share.high
    assert said.to_dict()["disagreement"] == found.disagreement
    once = replace(said, compared_once=10)
    assert not once.shows_share
    assert "By how much?" not in dict(answers(once))


def test_other_items_are_refused(fitted):
    _, people, _ = fitted
    row = {"item_a": "x", "item_b": "y", "winner": "a", "annotator": "p"}
    with pytest.raises(UserError, match="not among the 10 items"):
        people.share_of_disagreement([row])
    ballots, _ = world(1.4)
    with pytest.raises(UserError, match="other items"):
        people.share_of_disagreement(replace(ballots, items=tuple("abcdefghij")))
