"""Fixtures of the tests of relabelling."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import KEY, JudgeServer, hh_rows, judge_server

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.relabelling import asking
from hidden_context.relabelling.asking import Asking
from hidden_context.relabelling.judge import Judge
from hidden_context.relabelling.relabel import relabel
from hidden_context.relabelling.result import Relabelled


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.002)
    with judge_server() as running:
        yield running


@pytest.fixture
def judged(server: JudgeServer, tmp_path: Path) -> Callable[..., Relabelled]:
    """Relabel `rows` by the server's judge."""

    def run(
        rows: list[Any] | int = 6,
        *,
        out: Path = tmp_path / "out",
        asking: dict[str, Any] | None = None,
        judge: dict[str, Any] | None = None,
        **options: Any,
    ) -> Relabelled:
        data = hh_rows(rows) if isinstance(rows, int) else rows
        comparisons = Comparisons.from_rows(data, "data")
        settings: dict[str, Any] = {"model": "judge", "base_url": server.url, "timeout": 5.0}
        pace: dict[str, Any] = {"concurrency": 4, "retries": 2}
        how = Asking(**pace | (asking or {}))
        return relabel(comparisons, out, Judge(**settings | (judge or {})), asking=how, **options)

    return run
