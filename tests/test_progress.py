"""Long work says how far it is: a bar on a terminal, a line elsewhere, nothing unasked."""

import io
import sys

import pytest

from hidden_context.progress import in_words, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_a_bar_with_the_time_left(monkeypatch: pytest.MonkeyPatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(3, "scoring", unit="text", shown=True, mininterval=0) as bar:
        for _ in range(3):
            bar.update()
    last = screen.getvalue().split("\r")[-1]
    assert "scoring: 100%" in last
    assert "3/3" in last
    assert "<00:00" in last


def test_elsewhere_a_line_says_what_begins_and_unasked_nothing_is_said(
    capsys: pytest.CaptureFixture[str],
):
    for total, line in ((1200, "scoring: 1,200 texts"), (1, "scoring: 1 text"), (None, "scoring")):
        with progress_bar(total, "scoring", unit="text", shown=True) as bar:
            bar.update()
        assert capsys.readouterr().err == f"{line}\n"
        with progress_bar(total, "scoring", unit="text", shown=False) as bar:
            bar.update()
        assert capsys.readouterr().err == ""
    progress_bar(0, "scoring", unit="text", shown=True).close()
    assert capsys.readouterr().err == ""


def test_elsewhere_work_that_goes_on_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    now = 0.0
    monkeypatch.setattr("tqdm.std.time", lambda: now)
    with (
        progress_bar(4, "scoring", unit="text", shown=True) as bar,
        progress_bar(None, "reading", unit="row", shown=True) as inner,
    ):
        for _ in range(3):
            now += 20
            bar.update()
            inner.update()
    assert capsys.readouterr().err.splitlines() == [
        "scoring: 4 texts",
        "reading",
        "scoring: 2 of 4, 00:40 so far, about 00:40 left",
        "reading: 2 rows, 00:40 so far",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "5 s"), (12, "10 s"), (89, "90 s"), (91, "2 min"), (1000, "17 min"), (9000, "2.5 h")],
)
def test_an_estimate_is_said_no_more_exactly_than_it_is(seconds: float, words: str):
    assert in_words(seconds) == words
