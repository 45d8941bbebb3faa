"""Fixtures of the tests of language models."""

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def only_new_garbage() -> None:
    """Every training collects garbage; what imports leave need not be looked through each time."""
    import hidden_context.llm.train  # noqa: F401 (the model stack)

    gc.collect()
    gc.freeze()
