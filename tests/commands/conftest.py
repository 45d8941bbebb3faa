"""Fixtures of the tests that run commands."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import forked
from saved_results import write_audit, write_data_dir, write_synthetic

from hidden_context.commands.cli import main


@pytest.fixture(scope="session", autouse=True)
def only_new_garbage() -> None:
    """Every training collects garbage; what imports leave need not be looked through each time."""
    import hidden_context.llm.train  # noqa: F401 (the model stack)

    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def page(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all of them, as the command writes it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert main(["report", str(results), "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """Start a command line in a process of its own, forked from one that has the model stack."""

    def started(
        arguments: list[Any],
        stderr: Path,
        *,
        stdout: Path | None = None,
        largest_file: int | None = None,
    ) -> Any:
        given = [str(argument) for argument in arguments]
        process = forked().Process(target=_command, args=(given, stderr, stdout, largest_file))
        process.start()
        return process

    return started


def _command(
    arguments: list[str], stderr: Path, stdout: Path | None, largest_file: int | None
) -> None:
    import resource
    import signal

    for number, path in ((1, stdout), (2, stderr)):
        if path is not None:
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    os._exit(main(arguments))
