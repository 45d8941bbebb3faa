"""Counts of a server, as Prometheus reads them (text exposition format 0.0.4)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hidden_context.serving.scoring_queue import ScoringQueue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)
"""Seconds; OpenRLHF gives up after 180."""
PREFIX = "hidden_context"


@dataclass
class Histogram:
    """How long answers took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one answer."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass
class Metrics:
    """What happened since the start."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By route and status; 499: the client had gone."""
    seconds: dict[str, Histogram] = field(default_factory=dict)
    """By route."""
    overlong_texts: int = 0

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests[route, status] += 1
        self.seconds.setdefault(route, Histogram()).add(seconds)

    def text(self, queue: ScoringQueue) -> str:
        """All of it and what the queue counts, as Prometheus reads it."""
        counts = queue.counts
        lines = [
            *_metric(
                "requests_total",
                "counter",
                "Requests that were answered, by route and status (499: the client had gone).",
                {
                    f'{{route="{route}",status="{status}"}}': number
                    for (route, status), number in sorted(self.requests.items())
                },
            ),
            *self._durations(),
        ]
        for name, kind, what, value in (
            ("texts_total", "counter", "Texts scored.", counts.texts),
            ("tokens_total", "counter", "Tokens of the texts scored.", counts.tokens),
            ("passes_total", "counter", "Forward passes.", counts.passes),
            ("model_seconds_total", "counter", "Seconds spent in the model.", counts.seconds),
            ("overlong_texts_total", "counter", "Texts cut for max_length.", self.overlong_texts),
            ("aborted_texts_total", "counter", "Texts whose client had gone.", counts.aborted),
            ("accepted_texts", "gauge", "Texts accepted and not yet answered.", queue.accepted),
            ("queue_size", "gauge", "Texts that may be accepted at a time.", queue.capacity),
        ):
            lines += _metric(name, kind, what, {"": value})
        return "\n".join(lines) + "\n"

    def _durations(self) -> Iterable[str]:
        values: dict[str, float] = {}
        for route, histogram in sorted(self.seconds.items()):
            number = 0
            for bound, count in zip((*BUCKETS, "+Inf"), histogram.counts, strict=True):
                number += count
                values[f'_bucket{{route="{route}",le="{bound}"}}'] = number
            values[f'_sum{{route="{route}"}}'] = histogram.total
            values[f'_count{{route="{route}"}}'] = number
        return _metric("request_seconds", "histogram", "Time to the answer.", values)


def _metric(name: str, kind: str, what: str, values: Mapping[str, float]) -> Iterable[str]:
    full = f"{PREFIX}_{name}"
    yield f"# HELP {full} {what}"
    yield f"# TYPE {full} {kind}"
    for labels, value in values.items():
        yield f"{full}{labels} {value!r}"
