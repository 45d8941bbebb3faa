"""Shells complete commands, flags and files: each is started on a terminal, and typed to."""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hidden_context.commands.completion import Completion

SHELLS = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i", "+m"]}
"""How they are started without anything of the user's."""
SECONDS = 60.0
"""To wait for what is expected; the script that completes is made within."""


class Typed:
    """A shell that is typed to."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal

    def until(self, expected: str, keys: str) -> str:
        """Type, and return what is shown until something expected is."""
        os.write(self.terminal, keys.encode())
        shown, end = "", time.monotonic() + SECONDS
        while expected not in shown and time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.2)[0]:
                shown += os.read(self.terminal, 65536).decode(errors="replace")
        assert expected in shown, shown
        return shown


@contextmanager
def started(shell: str, home: Path) -> Iterator[Typed]:
    """The shell, with a `hidden-context` that is this one."""
    own = home / "bin" / "hidden-context"
    own.parent.mkdir()
    own.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hidden_context.commands.cli "$@"\n')
    own.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(home),
        "TERM": "vt100",
        "COLUMNS": "200",
        "PATH": f"{own.parent}:{os.environ['PATH']}",
    }
    terminal, side = os.openpty()
    process = subprocess.Popen(
        SHELLS[shell],
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment,
        cwd=home,
        start_new_session=True,
    )
    try:
        yield Typed(terminal)
    finally:
        process.kill()
        process.wait()
        os.close(side)
        os.close(terminal)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_line_that_doctor_names_completes_commands_flags_choices_and_files(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    completion = Completion.of_user()
    assert completion is not None
    (tmp_path / "my_pairs.jsonl").touch()
    with started(shell, tmp_path) as typed:
        typed.until("is-on", f"{completion.line}; echo is''-on\n")
        for typed_word, completed in (
            ("hidden-context bench", "benchmark"),
            ("hidden-context audit --num_fo", "--num_folds"),
            ("hidden-context audit --ties dav", "davidson"),
            ("hidden-context audit my_pa", "my_pairs.jsonl"),
        ):
            typed.until(completed, f"{typed_word}\t")
            typed.until("cleared", "\x15echo clear''ed\n")
