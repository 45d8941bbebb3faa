"""Findings as questions and answers: on lines, in a table of HTML, in a record."""

from collections.abc import Iterable
from html import escape

Sentences = Iterable[tuple[str, str]]
"""Questions, each with its answer."""


def on_lines(sentences: Sentences, indent: str = "") -> list[str]:
    """A line for each question, and one for its answer, four spaces further in."""
    return [f"{indent}{line}" for asked, answer in sentences for line in (asked, f"    {answer}")]


def in_html(sentences: Sentences) -> str:
    """A table of HTML with a row for each question."""
    rows = "".join(
        f"<tr><th>{escape(asked)}</th><td>{escape(answer)}</td></tr>" for asked, answer in sentences
    )
    return f"<table>{rows}</table>"


def in_records(sentences: Sentences) -> list[dict[str, str]]:
    """As files hold them."""
    return [{"question": asked, "answer": answer} for asked, answer in sentences]
