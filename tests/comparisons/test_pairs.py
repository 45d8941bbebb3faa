"""One pairing and one length, wherever pairs are made and length is measured."""

import math
from typing import Any

import numpy as np
import pytest

from hidden_context.audits.comparison_table import read_table
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import response_lengths
from hidden_context.distributions import Point
from hidden_context.scores.row_texts import texts_of_row
from hidden_context.scores.scores import scores_of_comparisons

USER = {"role": "user", "content": "What is the capital of France?"}
PARIS = {"role": "assistant", "content": "Paris"}
NICE = {"role": "assistant", "content": "Nice"}
DIALOGUE = "\n\nHuman: Hi\n\nAssistant:{}"


@pytest.mark.parametrize(
    ("texts", "prompt", "lengths"),
    [
        (["Q: yes", "Q: no"], "Q: ", [3, 2]),
        (["yes", "no"], "Q: ", [3, 2]),
        (["yes", "no"], None, [3, 2]),
        ([DIALOGUE.format("yes"), DIALOGUE.format("no")], None, [3, 2]),
        ([DIALOGUE.format("yes"), None], None, [3, math.nan]),
        ([DIALOGUE.format("yes"), DIALOGUE.format("no")], "\n\nHuman: Hi", [3, 2]),
        ([[USER, PARIS], [USER, NICE]], None, [5, 4]),
        ([[USER, PARIS], [USER, NICE]], [USER], [5, 4]),
        ([[PARIS], [NICE]], [USER], [5, 4]),
        ([[USER, PARIS], [USER, NICE]], USER["content"], [5, 4]),
        ([[USER, PARIS, USER, NICE], [USER, NICE]], None, [5 + 30 + 4, 4]),
        ([[USER, PARIS], [USER, PARIS]], None, [5, 5]),
        ([[USER, PARIS]], None, [5]),
        (["A\n\nAssistant:B"], "Q", [14]),
    ],
)
def test_a_length_is_the_characters_of_the_response_alone(
    texts: list[Any], prompt: Any, lengths: list[float]
):
    assert response_lengths(texts, prompt) == pytest.approx(lengths, nan_ok=True)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "A long prompt: ", "chosen": "Paris", "rejected": "Nice"},
        {"chosen": DIALOGUE.format("Paris"), "rejected": DIALOGUE.format("Nice")},
        {"chosen": [USER, PARIS], "rejected": [USER, NICE]},
        {"prompt": USER["content"], "chosen": [USER, PARIS], "rejected": [USER, NICE]},
    ],
)
def test_audit_scores_frame_and_raw_row_have_one_length(row: dict[str, Any]):
    comparisons = Comparisons.from_rows([row], "rows")
    scores = scores_of_comparisons(comparisons, np.zeros((1, 2, 1)), Point())
    expected = [5, 4]
    assert read_table(comparisons, "response").lengths.tolist() == [expected]
    assert scores.lengths_of_pairs is not None
    assert scores.lengths_of_pairs.tolist() == [expected]
    frame = comparisons.to_frame()
    assert frame[["length_chosen", "length_rejected"]].to_numpy().tolist() == [expected]
    of_row, texts = texts_of_row(row, "row 1")
    assert response_lengths(texts, of_row) == expected


def test_a_ranking_is_all_its_pairs_of_two_over_its_size_times_weight():
    row = {"responses": ["a", "bb", "ccc"], "ranking": [2, 0, 1], "weight": 3}
    pairs = list(Comparisons.from_rows([row], "rows").pairs())
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("ccc", "a"),
        ("ccc", "bb"),
        ("a", "bb"),
    ]
    assert [pair.weight for pair in pairs] == [2.0, 2.0, 2.0]
    assert [pair.lengths for pair in pairs] == [(3, 1), (3, 2), (1, 2)]
