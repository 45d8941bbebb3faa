"""Fixtures of the tests that run commands."""

from collections.abc import Callable

import pytest

from hidden_context.cli import main


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line; returns its status, its output and the last line of its errors."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return status, captured.out, (captured.err.strip().splitlines() or [""])[-1]

    return run_command
