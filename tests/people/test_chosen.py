"""What held-out people choose, and what of few people is not tried at all."""

from typing import Any

import numpy as np
import pytest
from simulated_people import drawn

from hidden_context import UserError
from hidden_context.people import Ballots, chosen, fit_people
from hidden_context.people.chosen import most_fits
from hidden_context.people.duration import seconds_expected
from hidden_context.people.held_out import held_out_table
from hidden_context.people.source import Source


def of_people(people: int, seed: int = 0) -> Ballots:
    rng = np.random.default_rng(seed)
    utilities = rng.normal(size=7) + 1.5 * rng.normal(size=(people, 1)) * rng.normal(size=7)
    return drawn(utilities, 12, rng)


@pytest.mark.parametrize("people", [6, 15, 120])
def test_no_more_is_tried_than_people_can_tell(people: int, monkeypatch: pytest.MonkeyPatch):
    """Four of six people differ in three directions at most, and are no two clusters."""
    tried: list[dict[str, Any]] = []
    fitted_to = []

    def counted(source: Source, **settings: Any) -> Any:
        tried.append(settings)
        fitted_to.append(len(source.ballots))
        return fit(source, **settings)

    fit = chosen.fit
    monkeypatch.setattr(chosen, "fit", counted)
    source = Source(of_people(people))
    fit_people(source)
    assert len(tried) <= most_fits(source, None) + 1
    assert max(one["num_directions"] for one in tried) <= min(6, min(fitted_to) - 1)
    assert max(one["num_clusters"] for one in tried) <= max(1, min(fitted_to) // 10)


def test_twenty_people_are_held_out_or_everybody_once():
    """Of 6 people each is held out once, of 60 two parts of 12, of 200 one of 40."""
    for people, held in ((6, 6), (60, 24), (200, 40)):
        split = chosen._Split.of(Source(of_people(people)), seed=0)
        names = [name for part in split.parts for name in part.held.people]
        assert len(names) == len(set(names)) == held
        for part in split.parts:
            assert not set(part.held.people) & set(part.rest.ballots.people)


def test_three_people_cannot_be_held_out():
    with pytest.raises(UserError, match="3 people who made comparisons are too few to hold"):
        fit_people(of_people(3))
    assert fit_people(of_people(3), num_directions=1).num_people == 3


def test_a_loss_that_differs_by_rounding_chooses_nothing():
    split = chosen._Split.of(Source(of_people(6)), seed=0)
    even = np.full(6, 0.7)
    assert split.fewest({0: even + 1e-9, 1: even})[0] == 0
    assert split.fewest({0: even + 1.0, 1: even})[0] == 1


def test_directions_are_drawn_nearer_to_0_where_that_is_worth_something():
    split = chosen._Split.of(Source(of_people(6)), seed=0)
    each = np.full(6, split.votes / 6)
    assert split.least({0.3: 0.6005 * each, 1.0: 0.6 * each, 3.0: 0.6005 * each}) == 0.3
    assert split.least({0.3: 0.61 * each, 1.0: 0.602 * each, 3.0: 0.6 * each}) == 3.0


def test_more_to_choose_takes_more_fits():
    source = Source(of_people(40))
    assert seconds_expected(source, None, 5) > 0
    assert most_fits(source, None) > most_fits(source, 2) > 0


def kind_or_short() -> list[dict[str, Any]]:
    """Votes of eight people, half of whom like kind answers and half short ones, 9 in 10 times."""
    rng, rows = np.random.default_rng(0), []
    filler = [*"abcdefghij"]
    for number in range(160):
        kind, short = (" ".join([*rng.choice(filler, 4), word]) for word in ("kind", "short"))
        likes_kind = (number % 8 % 2 == 1) == (rng.random() < 0.9)
        preferred, other = (kind, short) if likes_kind else (short, kind)
        row = {"prompt": f"q{number}", "chosen": preferred, "rejected": other}
        rows.append({**row, "annotator": number % 8})
    return rows


def test_the_ridge_of_texts_is_chosen_where_people_differ():
    """What all like is nothing, so that for nobody in particular the strongest ridge is best, at
    which no taste is left. Known, a vote is predicted 9 times in 10 (.33 nats at best), and not
    known 5 (.69)."""
    people = fit_people(kind_or_short(), vectors="words")
    assert people.directions.shape[1] >= 1
    assert people.ridge < max(chosen.RIDGES)
    assert people.held_out[1] < people.held_out[0] - 0.1


def test_the_population_of_texts_does_not_depend_on_the_ridge_of_directions():
    """The best of all ridges is the same one whichever the directions have: loss and gain add up
    to its loss."""
    source = Source.read(kind_or_short(), "words")
    losses = []
    for ridge in (3.0, 300.0):
        structure = {"num_directions": 1, "ridge": ridge}
        (row,) = held_out_table(source, structure=structure, numbers=(0,), num_folds=2)
        losses.append(row.loss.value + row.gain.value)
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
