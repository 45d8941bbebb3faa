"""Findings as questions and answers: one text for lines, HTML and records."""

from hidden_context.sentences import in_html, in_records, on_lines

FOUND = (("Is it more than noise?", "No: p < .05 & nothing else."), ("Ties?", "None."))


def test_each_question_is_followed_by_its_answer_further_in():
    assert on_lines(FOUND, "  ") == [
        "  Is it more than noise?",
        "      No: p < .05 & nothing else.",
        "  Ties?",
        "      None.",
    ]


def test_html_shows_what_was_said_and_no_more():
    assert in_html(FOUND[:1]) == (
        "<table><tr><th>Is it more than noise?</th>"
        "<td>No: p &lt; .05 &amp; nothing else.</td></tr></table>"
    )


def test_records_name_both():
    assert in_records(FOUND)[1] == {"question": "Ties?", "answer": "None."}
