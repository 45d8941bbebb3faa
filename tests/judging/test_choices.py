"""What a judge would choose of many, where everybody knows what is best."""

from typing import Any

import numpy as np
import pytest

import hidden_context as hc
from hidden_context.judging.choices import borda_or_utility, choices_by_rule
from hidden_context.judging.score_columns import of_numbers
from hidden_context.judging.votes import read_votes


def judged_by(worth: dict[str, float], *, groups: bool = False) -> Any:
    """Twelve people agree that a beats b beats c, on four prompts; a judge scores by `worth`."""
    rows, numbers = [], []
    for prompt in range(4):
        for person in range(12):
            for first, second in ("ab", "cb", "ac"):
                row = {"prompt": f"{prompt}? ", "response_a": first, "response_b": second}
                row |= {"winner": "ab"[first > second], "annotator": f"{person}"}
                rows.append(row | ({"group": "xy"[person % 2]} if groups else {}))
                numbers.append([worth[first], worth[second]])
    comparisons = hc.load_comparisons(rows)
    votes = read_votes(comparisons)
    return of_numbers("rm", numbers, comparisons, votes), votes


def test_the_best_and_the_worst_have_the_scores_of_the_rule():
    best = {each.rule: each for each in choices_by_rule(*judged_by({"a": 3, "b": 2, "c": 1}))}
    worst = {each.rule: each for each in choices_by_rule(*judged_by({"a": 1, "b": 2, "c": 3}))}
    assert list(best) == ["borda", "copeland", "maximin"]
    assert best["borda"].judge.value == pytest.approx((0.5 + 1 + 1) / 3)
    assert best["borda"].judge_and_other_half.value == pytest.approx(0)
    assert best["borda"].any_response == pytest.approx(0.5)
    assert best["copeland"].same_choice.value == 1
    assert worst["copeland"].judge.value == pytest.approx(0)
    assert worst["maximin"].same_choice.value == 0
    assert worst["borda"].num_prompts == 4


def test_groups_add_their_rules_and_two_alternatives_are_no_choice():
    judged, votes = judged_by({"a": 3, "b": 2, "c": 1}, groups=True)
    rules = {each.rule: each for each in choices_by_rule(judged, votes)}
    assert set(rules) == {"borda", "copeland", "maximin", "nash", "worst_group"}
    assert rules["worst_group"].judge.value == pytest.approx((0.5 + 1 + 1) / 3)
    pair = hc.load_comparisons([{"response_a": "a", "response_b": "b", "winner": "a"}] * 3)
    two = read_votes(pair)
    of_two = of_numbers("rm", [[1.0, 0.0]] * 3, pair, two)
    assert choices_by_rule(of_two, two) == ()
    assert borda_or_utility(of_two, two) is None


def test_where_borda_and_utility_agree_no_pair_is_left():
    found = borda_or_utility(*judged_by({"a": 3, "b": 2, "c": 1}))
    assert found is not None
    assert found.num_pairs in range(3)
    assert np.isclose(found.share_of_pairs, found.num_pairs / 12)
