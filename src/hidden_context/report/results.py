"""What the page has of one file, folder or value: evaluations, and what is to be known of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import KnownTruth
from hidden_context.measures.plots import data_set_of, labels_of
from hidden_context.scores.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Verdict: TypeAlias = Literal["yes", "no", "cannot tell"]


@dataclass(frozen=True)
class Run:
    """What is to be known of how numbers were made."""

    name: str
    family: str
    data_set: str
    stopping_rule: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By heading: counts, configurations by step (audit, training, scoring), made by."""


@dataclass(frozen=True)
class ExampleSource:
    """Scored comparisons of which examples can be shown."""

    evaluation: Evaluation
    load: Callable[[], Scores]
    """Reads them, where they are not in memory already."""


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
    caption: str = ""
    """Shown below it; the description, if empty."""
    data_set: str = ""
    """The training set, where it is of one."""
    inches: tuple[float, float] | None = None
    """Width and height, where they are not those of the style."""


@dataclass(frozen=True)
class Section:
    """Panels and tables on one question."""

    title: str
    explanation: str
    panels: tuple[Panel, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()
    """Captions and tables."""
    more: tuple[Panel, ...] = ()
    """Folded."""
    more_title: str = "More"
    """What the folded ones are."""


@dataclass(frozen=True)
class Finding:
    """A question that the numbers answer."""

    question: str
    verdict: Verdict
    text: str
    section: str
    """Title of the section with the evidence."""


@dataclass(frozen=True)
class Answer:
    """What was found, for who reads one sentence."""

    verdict: Verdict
    sentence: str
    evidence: str
    """What the sentence rests on: who says so, with the number and its interval."""
    findings: tuple[Finding, ...]
    about: Evaluation | None = None
    """The model that it speaks of, where it is of one."""


@dataclass(frozen=True)
class Result:
    """Everything that one file or folder has for the page."""

    title: str
    source: str
    command: str = ""
    """That makes its page again; that of a value in memory is a program's."""
    answer: Answer | None = None
    """What is said first."""
    sentences: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Questions and answers, by data set."""
    numbers: Table | None = None
    """The main ones, where there are no sentences."""
    evaluations: tuple[Evaluation, ...] = ()
    runs: tuple[Run, ...] = ()
    examples: tuple[ExampleSource, ...] = ()
    lead: Section | None = None
    """The section that carries the answer: it comes first, its first figure below the answer."""
    synthetic: tuple[Panel, ...] = ()
    sections: tuple[Section, ...] = ()
    """What no evaluation has, such as people."""
    truth: Mapping[str, KnownTruth] = field(default_factory=dict)
    """By training set, where it is known."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    unfinished: str = ""
    """What is missing because a run was interrupted, and the command that makes it; said first."""
    is_out_of_fold: bool = False
    """Whether every figure is of prompts that were held out, as those of an audit."""
    pairs: Mapping[str, Table] = field(default_factory=dict)
    """Texts of the data, by what they are examples of."""

    @property
    def is_held_out(self) -> bool:
        """Whether it is known that no figure is of prompts that its model was trained on."""
        return self.is_out_of_fold or all(each.is_held_out for each in self.evaluations)

    @property
    def on_overlap(self) -> tuple[str, ...]:
        """What is to be said of figures that are not, or may not be, held-out."""
        if self.is_out_of_fold:
            return ()
        said: dict[str, list[str]] = {}
        for label, each in zip(labels_of(self.evaluations), self.evaluations, strict=True):
            if not each.is_held_out:
                said.setdefault(each.overlap_in_words, []).append(f"{label}, {data_set_of(each)}")
        return tuple(f"{sentence} ({'; '.join(of)})" for sentence, of in said.items())


def made_by(record: Mapping[str, Any]) -> dict[str, Any]:
    """What made a file, as its record says: version, commit and versions of the stack."""
    return {name: record.get(name) for name in ("hidden_context", "commit", "versions")}
