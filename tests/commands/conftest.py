"""Fixtures of the tests that run commands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from saved_results import write_audit, write_data_dir, write_synthetic

from hidden_context.commands.cli import main


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line; returns its status, its output and the last line of its errors."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return status, captured.out, (captured.err.strip().splitlines() or [""])[-1]

    return run_command


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an audit, scores and a synthetic experiment; see `saved_results`."""
    folder = tmp_path_factory.mktemp("results")
    write_audit(folder)
    write_data_dir(folder / "data", ("base", "categorical", "shared_context"))
    write_synthetic(folder / "synthetic")
    return folder
