"""Each order is as likely as the other, whatever else there is; harm is asked for and inverted."""

import numpy as np
import pytest
from judge_server import hh_rows, is_about_harm, shown
from scipy.stats import binomtest, chi2_contingency

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.relabelling.judge import Judge
from hidden_context.relabelling.questions import (
    OBJECTIVES,
    Objective,
    objectives_of,
    preferred,
    questions_on,
)
from hidden_context.relabelling.read_pairs import JudgedPair, read_pairs

JUDGE = Judge(model="judge")
PAIRS = read_pairs(Comparisons.from_rows(hh_rows(3000), "data"))


def first_shown(pairs: list[JudgedPair], seed: int, objective: Objective = "helpful") -> np.ndarray:
    return np.array(
        [
            next(questions_on(pair, objective, JUDGE, votes=1, seed=seed)).shown_first
            for pair in pairs
        ]
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_order_is_as_likely(objective: Objective, seed: int):
    first = first_shown(PAIRS, seed, objective)
    assert binomtest(int(first.sum()), len(first), 0.5).pvalue > 1e-3
    runs = (first[1:] == first[:-1]).sum()  # and tells nothing of its neighbour's
    assert binomtest(int(runs), len(first) - 1, 0.5).pvalue > 1e-3


def test_orders_of_seeds_and_objectives_are_independent():
    one, two = first_shown(PAIRS, 0), first_shown(PAIRS, 1)
    other = first_shown(PAIRS, 0, "harmless")
    objectives = np.array([objectives_of(pair, "mixed", 0)[0] == "helpful" for pair in PAIRS])
    for a, b in ((one, two), (one, other), (one, objectives)):
        counts = np.array([[((a == i) & (b == j)).sum() for i in (0, 1)] for j in (0, 1)])
        assert chi2_contingency(counts).pvalue > 1e-3
    assert binomtest(int(objectives.sum()), len(objectives), 0.5).pvalue > 1e-3


def test_an_order_depends_on_the_texts_and_not_on_the_other_rows():
    some = read_pairs(Comparisons.from_rows(hh_rows(50, first=100), "other"))
    assert (first_shown(some, 0) == first_shown(PAIRS[100:150], 0)).all()


def test_further_verdicts_turn_the_order_and_have_keys_of_their_own():
    for pair in PAIRS[:20]:
        questions = list(questions_on(pair, "helpful", JUDGE, votes=4, seed=0))
        orders = [question.shown_first for question in questions]
        assert orders == [orders[0], 1 - orders[0]] * 2
        assert len({question.key for question in questions}) == 4
        assert questions[0].body == questions[2].body


def test_a_key_is_of_everything_that_is_asked():
    pair = PAIRS[0]
    judges = [
        JUDGE,
        Judge(model="other"),
        Judge(model="judge", temperature=0.0),
        Judge(model="judge", max_answer_tokens=65),
        Judge(model="judge", limit_name="max_completion_tokens"),
        Judge(model="judge", extra_body={"seed": 1}),
    ]
    keys = {
        next(questions_on(pair, objective, judge, votes=1, seed=0)).key
        for judge in judges
        for objective in OBJECTIVES
    }
    assert len(keys) == 12
    elsewhere = Judge(model="judge", base_url="http://127.0.0.1:1/v1", api_key_env="X", timeout=1.0)
    assert next(questions_on(pair, "helpful", elsewhere, votes=1, seed=0)).key in keys


def test_the_question_shows_both_responses_in_the_order_and_names_what_is_asked_for():
    for pair in PAIRS[:20]:
        for objective in OBJECTIVES:
            (question,) = questions_on(pair, objective, JUDGE, votes=1, seed=0)
            first = question.shown_first
            assert shown(question.body) == (pair.responses[first], pair.responses[1 - first])
            assert is_about_harm(question.body) == (objective == "harmless")
            assert pair.prompt in question.body["messages"][0]["content"]


@pytest.mark.parametrize("shown_first", [0, 1])
def test_harm_is_inverted(shown_first: int):
    assert preferred("helpful", shown_first, "A") == shown_first
    assert preferred("helpful", shown_first, "B") == 1 - shown_first
    assert preferred("harmless", shown_first, "A") == 1 - shown_first
    assert preferred("harmless", shown_first, "B") == shown_first
