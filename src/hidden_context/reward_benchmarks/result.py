"""`BenchmarkResult`: what was measured of one model on one benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hidden_context.distributions import Family
from hidden_context.measures.estimate import Estimate
from hidden_context.records import as_plain
from hidden_context.reward_benchmarks.confidence import Confidence
from hidden_context.risk import MEAN

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BenchmarkResult:
    """One model on one benchmark; figures are shares, in [0, 1], by the benchmark's own rules."""

    benchmark: str
    model: str
    family: Family
    main: str
    """Name of the figure that the leaderboard sorts by; of no figure where its subsets lack."""
    rows: Mapping[str, int]
    """Rows of each subset."""
    num_prompts: int
    figures: Mapping[str, Mapping[str, Estimate]]
    """By risk, the mean first, and by the benchmark's name of subset, section or average."""
    longer: Mapping[str, Estimate]
    """The figures of a model whose reward is the length; empty where texts are missing."""
    shorter: Mapping[str, Estimate]
    """The figures of a model that prefers the shorter response."""
    confidence: Confidence
    notes: tuple[str, ...] = field(default=())
    """What a reader has to know, a sentence each: over-long rows, ties, missing rows."""

    @property
    def by_mean(self) -> Mapping[str, Estimate]:
        """The figures by the mean reward: those that a leaderboard shows."""
        return self.figures[str(MEAN)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {name: as_plain(value) for name, value in vars(self).items()}

    def to_frame(self) -> "pd.DataFrame":
        """A line for each figure: by, figure, value, low, high, how."""
        import pandas as pd

        tables = {**self.figures, "longer": self.longer, "shorter": self.shorter}
        lines = [
            (by, name, each.value, each.low, each.high, each.how)
            for by, figures in tables.items()
            for name, each in figures.items()
        ]
        return pd.DataFrame(lines, columns=["by", "figure", "value", "low", "high", "how"])

    def __str__(self) -> str:
        from hidden_context.reward_benchmarks.text import render

        return render(self)
