"""Every column convention is read as what it says, and what could mean two things is refused."""

from typing import Any

import numpy as np
import pytest

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.schema import Comparison, outcomes_of, prompt_key
from hidden_context.errors import UserError

A_B = {"response_a": "A", "response_b": "B"}
ONE_TWO = {"response_1": "A", "response_2": "B"}
ZERO_ONE = {"response_0": "A", "response_1": "B"}
HELPSTEER_3 = {"response1": "A", "response2": "B"}
BOTH = {"responses": ["A", "B"]}
CHOSEN = {"chosen": "A", "rejected": "B"}
WON, LOST, TIED = (0.0, 0.0, 1.0), "swapped", (0.0, 1.0, 0.0)


def read(*rows: dict[str, Any]) -> list[Comparison]:
    return list(Comparisons.from_rows(rows, "data"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (CHOSEN, WON),
        (A_B | {"winner": "a"}, WON),
        (A_B | {"winner": "model_b"}, LOST),
        (A_B | {"winner": "Response_B"}, LOST),
        (A_B | {"winner": "tie (bothbad)"}, TIED),
        (ONE_TWO | {"winner": 2}, LOST),
        (BOTH | {"winner": 0}, WON),
        (BOTH | {"label": 1}, LOST),
        (ZERO_ONE | {"better_response_id": 1}, LOST),
        (ZERO_ONE | {"label": 0}, WON),
        (A_B | {"winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}, LOST),
        (A_B | {"winner_model_a": 0, "winner_model_b": 0, "winner_tie": 1}, TIED),
        (HELPSTEER_3 | {"overall_preference": -1}, WON),
        (ONE_TWO | {"preference_strength": 1}, LOST),
        (ONE_TWO | {"preference_strength": 0}, TIED),
        (A_B | {"probability": 1.0}, WON),
        (A_B | {"soft_label": 0.75}, (0.25, 0.0, 0.75)),
        (CHOSEN | {"probability": 0.75}, (0.25, 0.0, 0.75)),
        (A_B | {"wins": 3, "losses": 1}, (0.25, 0.0, 0.75)),
        (A_B | {"wins": 5, "losses": 1, "ties": 4}, (0.1, 0.4, 0.5)),
        (A_B | {"wins": 3, "votes": 4}, (0.25, 0.0, 0.75)),
        (A_B | {"wins": 5, "ties": 4, "votes": 10}, (0.1, 0.4, 0.5)),
        (A_B | {"votes_a": 5, "votes_b": 1, "votes_tie": 4}, (0.1, 0.4, 0.5)),
        (CHOSEN | {"strength": 0}, TIED),
        (CHOSEN | {"strength": "slightly better"}, WON),
        (A_B | {"winner": "b", "strength": 1}, LOST),
    ],
)
def test_two_responses_are_read_with_the_preferred_one_first(row: dict[str, Any], expected: Any):
    (comparison,) = read(row)
    if expected == LOST:
        assert comparison.texts == ("B", "A")
        expected = WON
    else:
        assert comparison.texts == ("A", "B")
    assert comparison.outcome.shares == pytest.approx(expected)


def test_the_response_with_more_votes_comes_first_with_its_own_share():
    (comparison,) = read(A_B | {"wins": 1, "losses": 7, "ties": 2})
    assert comparison.texts == ("B", "A")
    assert comparison.outcome.shares == pytest.approx((0.1, 0.2, 0.7))
    assert comparison.outcome.votes == 10


def test_columns_that_say_chosen_keep_their_order_whatever_the_votes():
    (comparison,) = read(CHOSEN | {"probability": 0.25})
    assert comparison.texts == ("A", "B")
    assert comparison.outcome.shares == pytest.approx((0.75, 0.0, 0.25))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (CHOSEN | {"winner": "tie"}, TIED),
        (CHOSEN | {"winner": "chosen"}, WON),
        (CHOSEN | {"winner": "rejected"}, (1.0, 0.0, 0.0)),
        (CHOSEN | BOTH | {"label": 0}, WON),
        (CHOSEN | {"responses": ["B", "A"], "label": 1}, WON),
        (CHOSEN | A_B | {"winner": "tie"}, TIED),
        (CHOSEN | A_B | {"votes_a": 9, "votes_b": 1}, (0.1, 0.0, 0.9)),
        (
            CHOSEN | {"response_a": "B", "response_b": "A", "votes_a": 1, "votes_b": 9},
            (0.1, 0.0, 0.9),
        ),
        (CHOSEN | ONE_TWO | {"overall_preference": -1}, WON),
        (CHOSEN | BOTH | {"ranking": [0, 1]}, WON),
        (CHOSEN | {"outcome": {"shares": [0.25, 0.5, 0.25], "weight": 2}}, (0.25, 0.5, 0.25)),
        (CHOSEN | {"outcome": "good"}, WON),
    ],
)
def test_an_outcome_beside_chosen_and_rejected_is_read(row: dict[str, Any], expected: Any):
    (comparison,) = read(row)
    assert comparison.texts == ("A", "B")
    assert comparison.outcome.shares == pytest.approx(expected)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (CHOSEN | {"votes_a": 1, "votes_b": 9}, "chosen, rejected and votes_a/votes_b both say"),
        (CHOSEN | {"label": 1}, "chosen, rejected and label both say"),
        (CHOSEN | {"overall_preference": 2}, "chosen, rejected and overall_preference both say"),
        (CHOSEN | {"preference_strength": 2}, "rejected and preference_strength both say"),
        (CHOSEN | {"better_response_id": 1}, "rejected and better_response_id both say"),
        (
            CHOSEN | {"winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0},
            "rejected and winner_model_a/winner_model_b/winner_tie both say",
        ),
        (CHOSEN | {"ranking": [1, 0]}, "rejected and ranking both say"),
        (CHOSEN | {"winner": "a"}, "winner is 'a'; expected chosen, rejected or tie"),
        (CHOSEN | {"ties": 3}, "'ties' seems to say something of the outcome beside chosen"),
        (CHOSEN | BOTH | {"label": 1}, "label says that the rejected .* contradicts chosen, rej"),
        (CHOSEN | {"responses": ["A", "C"], "label": 0}, "do not end with the two of responses"),
        (CHOSEN | {"responses": ["A", "B", "C"], "ranks": [1, 2, 3]}, "remove chosen and rejected"),
        (CHOSEN | {"probability": 0.2, "winner": "tie"}, "probability and winner both say"),
    ],
)
def test_an_outcome_that_may_contradict_chosen_is_refused_with_both(
    row: dict[str, Any], message: str
):
    with pytest.raises(UserError, match=message):
        read(row)


def test_a_file_of_scores_says_what_was_observed_in_its_outcome():
    outputs = {"reward_output_chosen": [1.0], "reward_output_rejected": [0.0]}
    tie = {"shares": [0.0, 1.0, 0.0], "weight": 3.0}
    votes = A_B | {"wins": 3, "losses": 0, "weight": 0.5}
    rows = [CHOSEN | outputs | votes, CHOSEN | outputs | votes | {"outcome": tie}]
    plain, tied = read(*rows)
    assert (plain.outcome.shares, plain.weight * plain.outcome.votes) == (WON, 1.0)
    assert (tied.outcome.shares, tied.weight * tied.outcome.votes) == (TIED, 3.0)


def test_strengths_are_as_many_grades_as_the_data_have():
    rows = [CHOSEN | {"strength": word} for word in ("slightly better", "much better", "tie")]
    shares = [comparison.outcome.shares for comparison in read(*rows)]
    assert shares == [(0, 0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0, 1), (0, 0, 0, 1, 0, 0, 0)]
    (swapped, other) = read(
        ONE_TWO | {"preference_strength": 2}, ONE_TWO | {"preference_strength": -1}
    )
    assert swapped.texts == ("B", "A")
    assert swapped.outcome.shares == (0, 0, 0, 0, 1)
    assert other.outcome.shares == (0, 0, 0, 1, 0)


@pytest.mark.parametrize("order", [{"ranking": [2, 0, 1]}, {"ranks": [2, 3, 1]}])
def test_rankings_are_read_best_first(order: dict[str, Any]):
    (ranking,) = read({"prompt": "Q: ", "responses": ["A", "B", "C"]} | order)
    assert ranking.texts == ("Q: C", "Q: A", "Q: B")


def test_votes_and_weights_multiply_to_a_mean_of_one():
    comparisons = read(
        A_B | {"wins": 3, "losses": 1, "weight": 0.5}, A_B | {"wins": 6, "losses": 0, "weight": 1}
    )
    outcomes = outcomes_of(comparisons)
    assert outcomes is not None
    np.testing.assert_allclose(outcomes.weight, [0.5, 1.5])
    np.testing.assert_allclose(outcomes.win_share, [0.75, 1.0])


def test_ordinary_comparisons_need_no_outcomes():
    assert outcomes_of(read(CHOSEN, CHOSEN)) is None
    assert outcomes_of(read(A_B | {"winner": "a"})) is None


def test_who_judged_is_kept():
    (comparison,) = read(CHOSEN | {"annotator_id": 7, "group": "north"})
    assert (comparison.annotator, comparison.group) == ("7", "north")
    assert (read(CHOSEN)[0].annotator, read(CHOSEN)[0].group) == (None, None)
    assert read(CHOSEN | {"annotator": "", "user_id": 3})[0].annotator == "3"


def test_comparisons_of_one_prompt_share_a_key():
    dialogue = "\n\nHuman: Hi\n\nAssistant: {}"
    texts = [
        {"chosen": dialogue.format(a), "rejected": dialogue.format(b)} for a, b in ("xy", "zw")
    ]
    keys = [prompt_key(comparison) for comparison in read(*texts)]
    assert keys[0] == keys[1]
    named = [prompt_key(comparison) for comparison in read(CHOSEN | {"prompt": "Q"}, CHOSEN)]
    assert named[0] != named[1]
    user = {"role": "user", "content": "Hi"}
    turns = [[user, {"role": "assistant", "content": word}] for word in "abcd"]
    keys = [
        prompt_key(comparison)
        for comparison in read(
            {"chosen": turns[0], "rejected": turns[1]}, {"chosen": turns[2], "rejected": turns[3]}
        )
    ]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (A_B, "no column says which response was preferred"),
        (A_B | {"winner": "a", "probability": 0.3}, "probability and winner both say .* ambiguous"),
        (A_B | {"winner": "c"}, "row 1: winner is 'c'; expected a, b or tie"),
        (CHOSEN | A_B | {"wins": 1, "losses": 3}, "so of which wins/losses speaks is ambiguous"),
        (A_B | {"label": 1}, "may be an index, or say that the first was preferred"),
        (A_B | {"strength": 2}, "'strength' does not say which response is better"),
        (A_B | {"probability": 1.2}, "row 1: probability is 1.2; expected a number from 0 to 1"),
        (A_B | {"probability": float("nan")}, "'probability' has no value in any row"),
        (A_B | {"soft_label": "often"}, "soft_label is 'often'; expected a number from 0 to 1"),
        (A_B | {"wins": -1, "losses": 2}, "wins is -1; expected a number that is not negative"),
        (A_B | {"wins": 0, "losses": 0}, "nobody voted"),
        (A_B | {"wins": 1, "ties": 5, "votes": 4}, "ties 5 and losses 0 are not votes 4 in all"),
        (A_B | {"wins": 5, "losses": 1, "votes": 4}, "are not votes 4 in all"),
        (CHOSEN | {"strength": "a lot"}, "strength is 'a lot'; expected a whole number"),
        (CHOSEN | {"strength": 1.5}, "strength is 1.5; expected a whole number"),
        (ONE_TWO | {"preference_strength": 0.5}, "preference_strength is 0.5; expected a whole"),
        (A_B | {"winner_model_a": 1, "winner_model_b": 1, "winner_tie": 0}, "one 1 and two 0"),
        (ONE_TWO | ZERO_ONE | {"winner": 1}, "are three responses"),
        ({"responses": ["A", "B", "C"], "winner": 1}, "about two responses, but there are 3"),
        (
            {"responses": ["A", "B", "C"], "winner_model_a": 1, "winner_model_b": 0}
            | {"winner_tie": 0},
            "winner_model_a is about two responses, but there are 3",
        ),
        (
            {"responses": ["A", "B", "C"], "outcome": {"shares": [0, 0, 1], "weight": 1}},
            "outcome is about two responses, but there are 3",
        ),
        ({"responses": ["A", "B", "C"], "ranking": [1, 2, 3]}, "expected the indices 0 to 2"),
        ({"responses": ["A", "B", "C"], "ranks": [1, 1, 2]}, "each once .give ties as comparisons"),
        ({"responses": ["A"], "winner": 0}, "'responses' is not a list of at least two"),
        ({"responses": ["A", 3], "winner": 0}, "column 'responses': expected text"),
        (CHOSEN | {"weight": -1}, "weight is -1; expected a number that is not negative"),
        (CHOSEN | {"group": ""}, "column 'group' is empty"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_reason(row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        read(row)


def test_a_row_without_the_outcome_of_the_others_is_refused_by_number():
    with pytest.raises(UserError, match="row 2: no column 'winner'"):
        read(A_B | {"winner": "a"}, A_B)
