"""What the page shows, from whichever file it was read: measures, runs, score files, results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.distributions import Family
from hidden_context.measures.calibration import ReliabilityBin
from hidden_context.measures.risk_curves import RiskCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Estimate:
    """A number, with its 95 % interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Redrawn:
    """A figure beside what it is where there is no hidden context; see `diagnostics.null`."""

    observed: float
    draws: tuple[float, ...]
    p_value: float | None


@dataclass(frozen=True)
class TrainingPoint:
    """Held-out measures after some training."""

    passes: float
    """Over the training comparisons."""
    log_likelihood: float
    """Nats a vote."""
    r2: Mapping[str, float]
    """By scale."""


@dataclass(frozen=True)
class Histogram:
    """Counts between edges."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """One family trained on one set; what is not known is None or empty."""

    data_set: str
    family: str
    stopping_rule: str
    explained_variance: Mapping[str, Estimate] = field(default_factory=dict)
    """r² by scale; empty for a scalar family."""
    matched: Mapping[str, Estimate] = field(default_factory=dict)
    """The same after training on as many comparisons as the smallest set has."""
    matched_size: int | None = None
    nulls: Mapping[str, Redrawn] = field(default_factory=dict)
    """By figure: r2_pooled and so on."""
    training_curve: tuple[TrainingPoint, ...] = ()
    log_likelihood: Estimate | None = None
    accuracy: Estimate | None = None
    longer_wins: Estimate | None = None
    """Accuracy of the longer response."""
    without_length: Estimate | None = None
    """Accuracy after length is regressed out."""
    against_base: Estimate | None = None
    """Nats a vote more than the scalar family."""
    expected_calibration_error: Estimate | None = None
    brier_score: Estimate | None = None
    reliability: tuple[ReliabilityBin, ...] = ()
    deviations: Histogram | None = None
    """Standard deviations in units of the root of the total variance."""


@dataclass(frozen=True)
class Run:
    """What is to be known of how numbers were made."""

    name: str
    family: str
    data_set: str
    stopping_rule: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By step: audit, training, scoring."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Version, commit and versions of the stack."""

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """Everything to be listed, by heading."""
        return {"counts": self.counts, **self.configs, "made by": self.provenance}


@dataclass(frozen=True)
class ScoreFile:
    """Scored comparisons of which examples can be shown."""

    path: Path
    family: Family
    data_set: str
    log_likelihood: float | None
    """Nats a vote, to choose a model by."""


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Panel:
    """One drawing."""

    title: str
    description: str
    """What it shows, for those who do not see it."""
    draw: "Callable[[Axes], None]"


@dataclass(frozen=True)
class Result:
    """Everything that one file or folder has for the page."""

    title: str
    source: str
    sentences: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Questions and answers, by data set."""
    numbers: Table | None = None
    """The main ones, where there are no sentences."""
    measured: tuple[Measured, ...] = ()
    curves: tuple[RiskCurve, ...] = ()
    runs: tuple[Run, ...] = ()
    score_files: tuple[ScoreFile, ...] = ()
    synthetic: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
