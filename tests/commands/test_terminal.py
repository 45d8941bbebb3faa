"""What commands print on a terminal that can do more than letters, and elsewhere."""

import io
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from test_printing import RANKED

from hidden_context.commands.cli import main
from hidden_context.records import write_jsonl


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"  # pyrefly: ignore (read-only in the parent)

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What doctor and aggregate print on one."""

    def shown(*arguments: str, **environment: str) -> str:
        environment = {"TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": "", **environment}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = Terminal()
        with redirect_stdout(stream):
            assert main([*arguments]) in (0, 1)
        return stream.getvalue()

    return shown


def plain_text(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def test_a_terminal_is_shown_tables_by_rich_and_every_word_that_is_plain_elsewhere(
    terminal: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_jsonl(tmp_path / "ranked.jsonl", RANKED)
    given = ["aggregate", f"--input={tmp_path / 'ranked.jsonl'}", "--rules", "borda", "copeland"]
    assert main(given) == 0
    plain = capsys.readouterr().out
    shown = terminal(*given)
    assert "─" in shown
    assert "─" not in plain
    assert terminal(*given, TERM="dumb") == plain
    assert "\x1b[1m" in shown  # headers
    without_colour = terminal(*given, NO_COLOR="1")
    assert plain_text(shown) == plain_text(without_colour)
    words = re.compile(r"[\w.*:]+")
    assert words.findall(plain_text(shown)) == words.findall(plain)
    narrow = plain_text(terminal(*given, COLUMNS="30"))
    assert "…" not in narrow  # what does not fit is folded
    letters = [re.sub(r"\W", "", text) for text in (narrow, plain)]
    assert sorted(letters[0]) == sorted(letters[1])


def test_colour_repeats_what_a_word_says(
    terminal: Callable[..., str], capsys: pytest.CaptureFixture[str]
):
    status = main(["doctor"])
    plain = capsys.readouterr().out
    shown = terminal("doctor")
    assert status in (0, 1)
    assert "\x1b[1;32mok\x1b[0m " in shown
    assert plain_text(shown) == plain
    assert terminal("doctor", NO_COLOR="1") == plain


@pytest.mark.parametrize(
    ("line", "coloured"),
    [
        ("      Yes: it is surer", "Yes"),
        ("      Yes, towards the first", "Yes"),
        ("    No, the reverse: it is", "No"),
        ("      Cannot tell from these data: so", "Cannot tell from these data"),
        ("lower, x: .1 < .2 holds in this run", "holds"),
        ("lower, x: .2 < .1 does NOT hold in this run", "does NOT hold"),
        ("No test, for there are few", None),
        ("Notes: Yes", None),
        ("okay   then", None),
    ],
)
def test_only_a_verdict_is_coloured(
    line: str, coloured: str | None, monkeypatch: pytest.MonkeyPatch
):
    from hidden_context.commands.terminal import for_stdout

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    shown = for_stdout(lambda: line)
    assert plain_text(shown) == line
    found = re.findall(r"\x1b\[[0-9;]+m(.*?)\x1b\[0m", shown)
    assert found == ([] if coloured is None else [coloured])
