"""What is learned of a person is her habit of ties, or her taste."""

import numpy as np
import pytest
from simulated_people import drawn

from hidden_context.people.ballots import Ballots
from hidden_context.people.findings import find
from hidden_context.people.fit import fit
from hidden_context.people.held_out import held_out_table
from hidden_context.people.sentences import HELD_OUT, answers, held_out_rows
from hidden_context.people.source import Source


def habits(seed: int) -> Ballots:
    """80 people of like tastes; half of them call most pairs even, half hardly any."""
    rng = np.random.default_rng(seed)
    utilities = np.tile(rng.normal(size=6), (40, 1))
    often, never = (drawn(utilities, 30, rng, threshold) for threshold in (2.0, 0.0))
    first, second, shares, weight = (
        np.concatenate([getattr(of, name) for of in (often, never)])
        for name in ("first", "second", "shares", "weight")
    )
    return Ballots(first, second, shares, weight, often.items, tuple(range(80)))


def test_habits_of_ties_are_no_taste():
    """And people who differ in nothing else are not told as people who differ."""
    source, how = Source(habits(0)), {"num_directions": 1, "ridge": 1.0}
    table = held_out_table(source, structure=how, numbers=(0, 10), num_folds=2)
    nobody, ten = table
    assert (nobody.habit.value, nobody.taste.value) == pytest.approx((0, 0), abs=1e-9)
    assert ten.habit.low is not None
    assert ten.habit.low > 0.05
    assert abs(ten.taste.value) < 0.01
    assert ten.habit.value + ten.taste.value == pytest.approx(ten.learned.value)
    found = find(fit(source, **how), source.ballots, source="", held_out=table)
    assert ten.learned.against(0) == ten.gain.against(0) == "above"
    assert found.verdict != "yes"
    assert len(held_out_rows(found)[0]) == len(HELD_OUT)
    assert ten.habit.signed(4) in dict(answers(found))["Do people differ?"]


def test_without_ties_all_that_is_learned_is_taste():
    rng = np.random.default_rng(1)
    utilities = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 8))
    source, how = Source(drawn(utilities, 20, rng)), {"num_directions": 2}
    table = held_out_table(source, structure=how, numbers=(0, 5), num_folds=2)
    five = table[-1]
    assert (five.habit.low, five.habit.high) == (0, 0)
    assert five.taste == five.learned
    found = find(fit(source, **how), source.ballots, source="", held_out=table)
    assert "habit" not in dict(answers(found))["Do people differ?"]
