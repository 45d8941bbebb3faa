"""An answer is read as A or B only where it says so, and once."""

import pytest

from hidden_context.relabelling.judge import Answer
from hidden_context.relabelling.verdicts import read_verdict


@pytest.mark.parametrize(
    "text",
    [
        *("A", " A\n", "A.", "**A**", "(A)", '"A"', "[A]", "`A`", "a", "Response A", "response a."),
        *("**Response A**", "Answer: A", "The answer is A.", "Final answer: **A**", "My choice: A"),
        *("The more so is hard to say.\n\nAnswer: A", "[[A]]", r"\boxed{A}", r"$\boxed{\text{A}}$"),
        *('{"answer": "A"}', '```json\n{"verdict": "A"}\n```', "Both are close.\n\n**A**"),
        *("<think>B? No, A.</think>\nA", "Hm, B.\n</think>\n\nA", "Response A is more helpful."),
        "Response A is more harmful than Response B.",
        "The answer is Response A because B is short.",
    ],
)
def test_a_verdict_is_read(text: str):
    for answer, letter in ((text, "A"), (_swapped(text), "B")):
        verdict = read_verdict(Answer(answer, finish_reason="stop"))
        assert (verdict.kind, verdict.letter) == ("verdict", letter), answer


def _swapped(text: str) -> str:
    """With A and B in each other's place, where they stand alone."""
    words = {"A": "B", "B": "A", "a": "b"}
    out, previous = [], " "
    for index, character in enumerate(text):
        following = text[index + 1 : index + 2] or " "
        alone = not previous.isalpha() and not following.isalpha()
        out.append(words.get(character, character) if alone else character)
        previous = character
    return "".join(out)


@pytest.mark.parametrize(
    "text",
    [
        *("AB", "A or B", "A/B", "The answer is A or B.", "Answer: A, B", "Neither", "Tie", "C"),
        *("The answer is a matter of taste.", "A response", "Answer: A\nAnswer: B", "Both A and B"),
        *("I think Response A is more helpful, but Response B is safer.", "A\nB", "Apples"),
        *(
            "Response A is less harmful.",
            "Response A is not more helpful.",
            "It is a tie: A and B.",
        ),
        "The answer is A and B.",
        "<think>A</think>",
    ],
)
def test_what_says_both_or_neither_is_not_guessed(text: str):
    assert read_verdict(Answer(text, finish_reason="stop")).letter is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer("I'm sorry, but I can't help with that."), "refusal"),
        (Answer("I cannot compare these."), "refusal"),
        (Answer("As an AI, I have no preference."), "refusal"),
        (Answer("A", refusal="I will not."), "refusal"),
        (Answer("", finish_reason="content_filter"), "refusal"),
        (Answer(None, error="flagged", error_kind="filtered"), "refusal"),
        (Answer("Let me see. Response A", finish_reason="length"), "truncated"),
        (Answer("Answer: A. But then", finish_reason="length"), "truncated"),
        (Answer("<think>Hm", finish_reason="length"), "truncated"),
        (Answer(None, finish_reason="stop"), "empty"),
        (Answer("  \n"), "empty"),
        (Answer("Hm."), "unreadable"),
        (Answer(None, error="maximum context", error_kind="too_long"), "too_long"),
        (Answer(None, error="odd", error_kind="other"), "request_refused"),
    ],
)
def test_what_has_no_verdict_is_told_apart(answer: Answer, kind: str):
    verdict = read_verdict(answer)
    assert (verdict.kind, verdict.letter) == (kind, None)


def test_one_letter_that_the_limit_allows_is_a_verdict():
    assert read_verdict(Answer("B", finish_reason="length")).letter == "B"
