"""Named features count what their names say; words are chosen without looking at who won."""

import numpy as np
import pytest

from hidden_context.axes.features import NAMED, REPEATS, measured, words_said
from hidden_context.errors import UserError

PAIRS = {
    "length": ("Flour, water, salt and time.", "Flour."),
    "refusal": ("I'm sorry, but I can't help with that.", "Sure, here it is."),
    "apology": ("Sorry about that.", "Right."),
    "lists": ("- one\n- two\n3. three", "one, two - three"),
    "headings": ("# Bread\nFlour.", "Bread #1"),
    "code": ("```\nx = f(1);\n```", "x is one"),
    "emphasis": ("This is **very** good", "This is 2 * 3 * 4"),
    "paragraphs": ("One.\n\nTwo.", "One.\nTwo."),
    "questions": ("Why? How?", "Why."),
    "exclamations": ("Great!", "Great."),
    "numbers": ("In 1999, 3.5 times", "Once"),
    "hedging": ("It may perhaps work, I think", "It works"),
    "sentiment": ("A wonderful, happy day", "A horrible, sad day"),
    "first person": ("I told my friend", "Someone told a friend"),
    "second person": ("You and your friend", "She and her friend"),
    "word length": ("Extraordinary circumstances notwithstanding", "As it is so"),
}


def test_each_named_feature_is_larger_in_what_has_more_of_it() -> None:
    assert {feature.name for feature in NAMED} == {*PAIRS}
    for feature, measure in NAMED.items():
        more, less = PAIRS[feature.name]
        assert measure(more) > measure(less), feature.name


@pytest.mark.parametrize("text", ["I can help you give advice.", "You can't give up.", ""])
def test_what_is_no_refusal_is_not_taken_for_one(text: str) -> None:
    (refusal,) = (measure for feature, measure in NAMED.items() if feature.name == "refusal")
    assert refusal(text) == 0


def test_features_of_a_user_stand_beside_the_named_ones() -> None:
    features, values = measured(
        ["tea", "tea with milk"], ["tea?"] * 2, {"milk": lambda t: "milk" in t}
    )
    assert features[-2] == REPEATS
    assert features[-1].more == "more milk"
    assert values[:, -1].tolist() == [0, 1]
    assert values[0, -2] > 0
    with pytest.raises(UserError, match="'length' is there already"):
        measured(["tea"], [""], {"length": len})
    with pytest.raises(UserError, match="feature 'x' of a response is nan; expected a number"):
        measured(["tea"], [""], {"x": lambda _: float("nan")})


def test_words_are_those_that_tell_most_pairs_apart() -> None:
    texts = ["green tea", "the milk", "green milk", "the tea", "milk"]
    pairs = np.array([[0, 1], [2, 3], [0, 4], [1, 4]])
    words, has = words_said(texts, pairs, 2, 2)
    assert [word.name for word in words] == ["“green”", "“milk”"]
    assert has.T.tolist() == [[1, 0, 1, 0, 0], [0, 1, 1, 0, 1]]
    assert words_said(texts, pairs, 0, 2)[0] == []
    assert words_said(["a", "b"], np.array([[0, 1]]), 5, 1)[0] == []
