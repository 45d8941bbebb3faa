"""Votes that are ties and nothing else: no item is better, and nothing says how sure that is."""

import numpy as np
import pytest

import hidden_context as hc

TIES = [{"first": a, "second": b, "winner": "tie"} for a, b in ("ab", "bc") for _ in range(20)]
MODELS = [hc.OutcomeModel(), hc.OutcomeModel("threshold", (0.5,)), hc.OutcomeModel("davidson")]


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_ties_alone_give_even_items_without_intervals_and_say_why(model, learned):
    fit = hc.fit_items(TIES, "base", outcome_model=model, learn_outcomes=learned)
    table = fit.to_frame()
    np.testing.assert_allclose(table["win_share"], 0.5)
    np.testing.assert_allclose(table["mean"], 0, atol=1e-9)
    ends = [name for name in map(str, table) if name.endswith(("_low", "_high"))]
    assert len(ends) == 4
    assert table[ends].isna().all(axis=None)
    assert len(fit.prob_frame()) == 3
    assert fit.prob_frame()[["low", "high"]].isna().all(axis=None)
    (said,) = fit.warnings
    assert "All 40 votes are ties" in said
    assert "no intervals" in said
    is_open = learned and model.ties != "half"
    assert ("No finite fit" in said) == is_open
    assert fit.converged != is_open
    assert fit.outcome_model == model


def test_people_who_each_vote_both_ways_give_no_interval_of_no_width():
    votes = [
        {"first": "a", "second": "b", "winner": winner, "annotator": person}
        for person in range(5)
        for winner in ("first", "second")
    ]
    fit = hc.fit_items(votes, "base")
    assert fit.prob_frame()[["low", "high"]].isna().all(axis=None)
    np.testing.assert_allclose(np.diagonal(fit.preferences[0].low), 0.5)


def test_one_vote_that_is_no_tie_is_enough_for_thresholds_and_intervals():
    votes = [*TIES, {"first": "a", "second": "b", "winner": "a"}]
    model = hc.OutcomeModel("threshold", (0.5,))
    fit = hc.fit_items(votes, "base", outcome_model=model, learn_outcomes=True, ridge=1.0)
    assert 1 < fit.outcome_model.thresholds[0] < 10
    assert fit.to_frame()["win_share_low"].notna().all()
