"""`Axes`: what people, or other contexts, differ in, as a typed value, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.measures.estimate import Estimate
from hidden_context.records import as_plain, provenance, read_of_kind, validated, write_json
from hidden_context.sentences import in_html, in_records, on_lines

if TYPE_CHECKING:
    import pandas as pd

RECORD = "axes.json"
AXES_VERSION = 1
AVERAGE = "what is liked on average"
"""Name of the axis along which contexts follow the average more or less closely."""


def contexts_name(by: str) -> str:
    """What several contexts are called: annotators, groups, prompts, or values of a column."""
    return f"{by}s" if by in ("annotator", "group", "prompt") else f"values of {by}"


@dataclass(frozen=True)
class Exemplar:
    """A pair of responses on which the two sides of an axis disagree."""

    row: int
    """Of the data, from 1."""
    prompt: str
    more: str
    """The response that has more of the feature."""
    less: str
    prob_by_those_for: float
    """P(more ≻ less) in a context one standard deviation above the average effect."""
    prob_by_those_against: float
    """In one as far below it."""
    votes_for: tuple[float, float]
    """Decided votes for `more`, and all decided ones on these texts, where the context's own effect
    is above the average."""
    votes_against: tuple[float, float]
    """The same where it is below."""


@dataclass(frozen=True)
class TestedFeature:
    """What the first step says of one feature, before anything else is taken into account."""

    name: str
    statistic: float
    """Its spread over contexts, in standard deviations of the permutations."""
    p: float
    """How often the largest of all features is as large by chance."""


@dataclass(frozen=True)
class Axis:
    """A feature whose effect on who wins differs between contexts.

    Effects are log odds per unit of the feature: one root mean square of the difference between
    two responses.
    """

    name: str
    more: str
    """What a response is that has more of it."""
    less: str
    average: float
    """The effect in the average context; above 0, more is preferred."""
    spread: float
    """Standard deviation of the effect over contexts."""
    p: float
    """How often something as large is found by chance, among all features; see `find_axes`."""
    effects: Mapping[str, Estimate]
    """In each context."""
    along: Mapping[str, float]
    """Features whose effect, looked at alone, differs too and that correlate by .5 or more with
    this one: what they do may be its doing, or its doing theirs."""
    exemplars: tuple[Exemplar, ...]
    called: str = ""
    """By a language model, where one was asked."""

    @property
    def effect_name(self) -> str:
        """What an effect is, for the axis of a figure."""
        weight = f"weight of {AVERAGE}"
        return weight if self.name == AVERAGE else f"log odds added by “{self.more}”"

    @property
    def share_for(self) -> float:
        """Share of contexts that prefer more of it, effects being normal over contexts."""
        from statistics import NormalDist

        return 1 - NormalDist(self.average, max(self.spread, 1e-9)).cdf(0)

    def sure(self, side: str) -> list[str]:
        """Contexts whose interval is above or below 0."""
        return [name for name, effect in self.effects.items() if effect.against(0) == side]


@dataclass(frozen=True)
class Axes:
    """What contexts differ in; `print` it for the sentences."""

    source: str
    by: str
    """What a context is: annotator, group, prompt or a column."""
    axes: tuple[Axis, ...]
    """In the order of how clearly they were found."""
    stopped_p: float | None
    """p of the clearest that was not taken; None if all were."""
    shuffled: str
    """Among what contexts changed places under the null hypothesis, in words."""
    counts: Mapping[str, int]
    """rows, decided, contexts, features, features_left_out; ties, equal_texts and without_context
    are pairs that were left out."""
    tested: tuple[TestedFeature, ...]
    """The largest statistic first."""
    config: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    """What is to be known of the contexts, each a sentence without its full stop."""
    made_by: Mapping[str, Any] = field(default_factory=provenance)

    @property
    def contexts_name(self) -> str:
        """What the contexts are called together: annotators, or values of a column."""
        return contexts_name(self.by)

    @property
    def sentences(self) -> tuple[tuple[str, str], ...]:
        """Questions and answers."""
        from hidden_context.axes.sentences import sentences_of

        return sentences_of(self)

    def to_frame(self) -> "pd.DataFrame":
        """A line for each axis."""
        import pandas as pd

        lines = [
            {
                "axis": axis.name,
                "average": axis.average,
                "spread": axis.spread,
                "p": axis.p,
                "share_for": axis.share_for,
                "surely_for": len(axis.sure("above")),
                "surely_against": len(axis.sure("below")),
                "along": ", ".join(axis.along),
                "called": axis.called,
            }
            for axis in self.axes
        ]
        columns = ("axis", "average", "spread", "p", "share_for", "surely_for", "surely_against")
        return pd.DataFrame(lines, columns=[*columns, "along", "called"])

    def effects_to_frame(self) -> "pd.DataFrame":
        """A line for each context and axis: effect, low, high."""
        import pandas as pd

        lines = [
            {
                self.by: name,
                "axis": axis.name,
                "effect": each.value,
                "low": each.low,
                "high": each.high,
            }
            for axis in self.axes
            for name, each in axis.effects.items()
        ]
        return pd.DataFrame(lines, columns=[self.by, "axis", "effect", "low", "high"])

    def to_dict(self) -> dict[str, Any]:
        """As `axes.json` holds it."""
        own = {name: value for name, value in vars(self).items() if name != "made_by"}
        return {
            "kind": "axes",
            **self.made_by,
            "format_version": AXES_VERSION,
            **as_plain(own),
            "sentences": in_records(self.sentences),
        }

    def save(self, folder: Path | str) -> Path:
        """Write `axes.json` into a folder; returns its path."""
        path = Path(folder) / RECORD
        write_json(path, self.to_dict())
        return path

    def __str__(self) -> str:
        return "\n".join(on_lines(self.sentences))

    def _repr_html_(self) -> str:
        return in_html(self.sentences)


def read_axes(file: Path | str) -> Axes:
    """Read an `axes.json`.

    Raises:
        UserError: The file is damaged, of another version, or holds no axes.
    """
    file = Path(file)
    record = read_of_kind(file, "axes", (AXES_VERSION,), remedy="Find them again.")
    made_by = {name: record.get(name) for name in provenance()}
    return validated(Axes, {**record, "made_by": made_by}, file)
