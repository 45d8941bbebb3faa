"""Fixtures that tests in several folders share."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

# Commands that are started here are to be interrupted, also where the tests run in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hidden-context-")  # before any import reads it


@pytest.fixture(scope="session")
def published_data() -> Path:
    """Folder of the data published with the paper, which is not part of this project."""
    beside_the_checkout = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HIDDEN_CONTEXT_DATA", beside_the_checkout))
    if not folder.is_dir():
        pytest.skip(
            f"no published data at {folder}: run `hidden-context download all --to DIR` "
            "and set HIDDEN_CONTEXT_DATA=DIR"
        )
    return folder
