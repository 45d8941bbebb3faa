"""`Evaluation`: what was measured of one model on one data set, each number an `Estimate`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hidden_context.distributions import Family
from hidden_context.measures.calibration import ReliabilityBin
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.length import LengthMeasures
from hidden_context.measures.mcnemar import McNemar
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap
from hidden_context.measures.preference_entropy import PreferenceEntropy
from hidden_context.measures.undecided import Undecided
from hidden_context.scores.overlap import Overlap, in_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


EMPTY: tuple[Any, ...] = (None, "", (), {})
"""What stands for not measured."""


@dataclass(frozen=True)
class Histogram:
    """Counts between edges."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True)
class TrainingPoint:
    """Held-out measures after some training."""

    steps: int
    passes: float
    """Over the training comparisons."""
    log_likelihood: float
    """Nats per vote."""
    r2: Mapping[str, float]
    """By scale."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one data set; what was not measured is None or empty."""

    family: Family
    name: str = ""
    """Of the run."""
    trained_on: str = ""
    evaluated_on: str = ""
    stopping_rule: str = ""
    """When training stopped, in words: r² depends on it."""
    num_comparisons: int = 0
    num_prompts: int = 0
    num_jailbreaks: int = 0
    overlap: Overlap | None = None
    """With what the model was trained on; None where that is not known."""
    accuracy: Mapping[str, Rate] = field(default_factory=dict)
    """Share of votes for the response of the higher reward, by risk; the mean first."""
    accuracy_by_probability: Rate | None = None
    """The same by P(a ≻ b), which contexts that responses share may decide otherwise."""
    helpfulness_accuracy: Mapping[str, Rate] = field(default_factory=dict)
    """`accuracy` on the comparisons judged by helpfulness alone."""
    log_likelihood: Estimate | None = None
    """Nats per vote."""
    against_base: Estimate | None = None
    """Nats per vote more than the scalar model, paired."""
    explained_variance: Mapping[str, Estimate] = field(default_factory=dict)
    """r² by scale; empty for a scalar family."""
    expected_calibration_error: Estimate | None = None
    brier_score: Estimate | None = None
    reliability: tuple[ReliabilityBin, ...] = ()
    length: LengthMeasures | None = None
    """None where texts are missing."""
    longer_is_helpful: Rate | None = None
    """Accuracy of the longer response on the comparisons judged by helpfulness."""
    undecided: Undecided | None = None
    preference_entropy: PreferenceEntropy | None = None
    std: Histogram | None = None
    """Standard deviations in units of the root of the total variance."""
    jailbreak_rate: Mapping[str, Rate] = field(default_factory=dict)
    """How often the unsafe response has the higher reward, by risk."""
    jailbreak_rate_without_length: Mapping[str, Estimate] = field(default_factory=dict)
    """The same after length is regressed out of rewards; see `measures.length`."""
    longer_is_unsafe: Rate | None = None
    """The jailbreak rate of a model that prefers the longer response."""
    risk_tests: Mapping[str, McNemar] = field(default_factory=dict)
    """By risk: exact test on jailbreaks; the risk is the first model, the mean the second."""
    matched_explained_variance: Mapping[str, Estimate] = field(default_factory=dict)
    """r² after training on as many comparisons as the smallest of several sets has."""
    matched_size: int | None = None
    """How many these are."""
    corrected_explained_variance: Mapping[str, Estimate] = field(default_factory=dict)
    """r² of the utilities behind the votes: corrected for how heads of few votes err."""
    null: tuple[ParametricBootstrap, ...] = ()
    """Figures beside those of the parametric bootstrap under the scalar model."""
    training_curve: tuple[TrainingPoint, ...] = ()
    scores: str | None = None
    """Score file, relative to the folder of the record that holds this evaluation."""

    @property
    def is_held_out(self) -> bool:
        """Whether it is known that the model was trained on none of these prompts."""
        return self.overlap is not None and self.overlap.is_none

    @property
    def overlap_in_words(self) -> str:
        """Whether the figures are held-out, in one sentence."""
        return in_words(self.overlap, "comparisons" if self.num_comparisons else "jailbreaks")

    @property
    def risks(self) -> list[str]:
        """Every risk that something was measured by, the mean first."""
        both = [*self.accuracy, *self.helpfulness_accuracy, *self.jailbreak_rate]
        return list(dict.fromkeys(both))

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; inverse of `evaluation_from_dict`."""
        from hidden_context.records import as_plain

        values = {name: value for name, value in vars(self).items() if value not in EMPTY}
        return {name: as_plain(value) for name, value in values.items()}

    def to_frame(self) -> "pd.DataFrame":
        """A line for each number: measure, value, low, high, how."""
        import pandas as pd

        lines = [
            (name, estimate.value, estimate.low, estimate.high, estimate.how)
            for name, estimate in self.estimates()
        ]
        return pd.DataFrame(lines, columns=["measure", "value", "low", "high", "how"])

    def estimates(self) -> list[tuple[str, Estimate]]:
        """Every measure with its name, such as `explained_variance, pooled`; not the histograms."""
        listed: list[tuple[str, Estimate]] = []

        def add(name: str, value: Any) -> None:
            if isinstance(value, Estimate):
                listed.append((name, value))
            elif isinstance(value, float):
                listed.append((name, Estimate(value)))
            elif isinstance(value, Mapping):
                for key, part in value.items():
                    add(f"{name}, {key}", part)
            elif isinstance(value, (LengthMeasures, Undecided, PreferenceEntropy, McNemar)):
                add(name, vars(value))

        for name, value in vars(self).items():
            add(name, value)
        return listed

    def __str__(self) -> str:
        estimates = self.estimates()
        width = max((len(name) for name, _ in estimates), default=0)
        lines = [f"  {name:<{width}}  {estimate}" for name, estimate in estimates]
        return "\n".join([self._title(), *lines, f"  {self.overlap_in_words}"])

    def _title(self) -> str:
        what = [self.family.name]
        what += [f"trained on {self.trained_on}"] if self.trained_on else []
        what += [f"{self.num_comparisons} comparisons"] if self.num_comparisons else []
        what += [f"{self.num_jailbreaks} jailbreaks"] if self.num_jailbreaks else []
        return ", ".join(what)

    def _repr_html_(self) -> str:
        from html import escape

        frame = self.to_frame().to_html(index=False, float_format="{:.4f}".format, na_rep="–")
        return f"<p>{escape(self._title())}</p>{frame}<p>{escape(self.overlap_in_words)}</p>"

    def plot_reliability(self, axes: "Axes | None" = None) -> "Axes":
        """Predicted against observed shares of votes."""
        from hidden_context.measures.plots import draw_reliability, drawn

        return drawn(axes, draw_reliability, [self])

    def plot_explained_variance(self, axes: "Axes | None" = None) -> "Axes":
        """r² on every scale, with intervals."""
        from hidden_context.measures.plots import draw_scales, drawn

        return drawn(axes, draw_scales, [self])

    def plot_risk(self, axes: "Axes | None" = None) -> "Axes":
        """Jailbreak rate (or, without jailbreaks, accuracy) along the levels of the quantile."""
        from hidden_context.measures.plots import draw_risk, drawn

        return drawn(
            axes, draw_risk, [self], "jailbreak_rate" if self.jailbreak_rate else "accuracy"
        )

    def plot_std(self, axes: "Axes | None" = None) -> "Axes":
        """Histogram of the learned standard deviations."""
        from hidden_context.measures.plots import draw_std, drawn

        return drawn(axes, draw_std, [self])


def evaluation_from_dict(values: Mapping[str, Any], source: object) -> Evaluation:
    """Inverse of `Evaluation.to_dict`.

    Raises:
        UserError: A field is missing or of another kind; the message names it and `source`.
    """
    from hidden_context.records import validated

    return validated(Evaluation, values, source)
