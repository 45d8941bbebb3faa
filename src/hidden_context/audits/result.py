"""`AuditResult`: what an audit found, as a typed value, and the file that holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.records import as_plain, provenance, read_of_kind, validated, write_json
from hidden_context.sentences import in_html, in_records, on_lines

if TYPE_CHECKING:
    import pandas as pd

RECORD = "audit.json"
FEWEST_PROMPTS = 10
"""That a label needs: with fewer, whole folds would not have it."""
FITTED_GAIN = "fitted_gain"
"""Among the figures of `Evaluation.null`, the one that is tested; see `fitted_gain.py`."""
AUDIT_VERSION = 2
"""Of this file; 1 held dictionaries of figures in place of evaluations."""


@dataclass(frozen=True)
class RepresentationRecord:
    """What made the vectors."""

    name: str
    width: int
    description: str


@dataclass(frozen=True)
class BetweenGroups:
    """What heads gain from knowing who judged."""

    by: str
    """group or annotator."""
    family: str
    num_labels: int
    num_comparisons: int
    """Those of these labels."""
    num_labels_left_out: int
    """Too rare."""
    share: Estimate
    """Of the variance of a difference in utility that lies between labels."""
    gain: Estimate
    """Nats per vote that knowing the label adds to the scalar family, out of fold."""
    shuffled: Estimate | None = None
    """`share` with shuffled labels; None where they cannot be shuffled."""
    shuffled_over: str = "comparisons"
    """Among what labels were dealt anew."""
    shuffled_gains: tuple[float, ...] = ()
    """`gain` for each shuffling."""
    p_value: float | None = None
    """(1 + shufflings that gain as much) / (1 + shufflings)."""


@dataclass(frozen=True)
class Lapse:
    """A scalar family some of whose votes are random: careless clicks, not hidden context."""

    share: float
    """Of answers without a look, the median over seeds and folds."""
    gain: Estimate
    """Nats per vote more than the scalar family without them, out of fold."""
    against: Mapping[str, Estimate]
    """Nats per vote that each distributional family has more than this one."""


@dataclass(frozen=True)
class Chosen:
    """What was chosen for each seed and fold."""

    ridge: tuple[tuple[float, ...], ...]
    steps: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class AuditedSet:
    """Everything that was measured on one data set."""

    name: str
    source: str
    counts: Mapping[str, int]
    """rows, comparisons, equal_texts (left out), prompts, texts, texts_read_now, ..."""
    evaluations: tuple[Evaluation, ...]
    """Of each family, out of fold, the scalar one first."""
    chosen: Mapping[str, Chosen] = field(default_factory=dict)
    """By family."""
    lapse: Lapse | None = None
    """None in files of an older version, and where its fit diverged."""
    between: BetweenGroups | None = None
    """None where comparisons do not say who judged, and where a fit diverged."""
    unanswered: Mapping[str, str] = field(default_factory=dict)
    """Why there is no answer, by question, where a fit diverged."""

    @property
    def sentences(self) -> tuple[tuple[str, str], ...]:
        """Questions and answers."""
        from hidden_context.audits.sentences import sentences_of

        return sentences_of(self)

    @property
    def longer_is_unsafe(self) -> Estimate | None:
        """The jailbreak rate of a model that prefers the longer response."""
        return self.evaluations[0].longer_is_unsafe

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, with the sentences."""
        return {**as_plain(vars(self)), "sentences": in_records(self.sentences)}


@dataclass(frozen=True)
class AuditResult:
    """Whether preference data have hidden context; `print` it for the sentences."""

    representation: RepresentationRecord
    config: Mapping[str, Any]
    sets: tuple[AuditedSet, ...]
    made_by: Mapping[str, Any] = field(default_factory=provenance)
    """Versions and commit."""

    @property
    def sentences(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Questions and answers of each set."""
        return {audited.name: audited.sentences for audited in self.sets}

    def to_dict(self) -> dict[str, Any]:
        """As `audit.json` holds it."""
        return {
            "kind": "audit",
            **self.made_by,
            "format_version": AUDIT_VERSION,
            "config": as_plain(self.config),
            "representation": as_plain(self.representation),
            "sets": [audited.to_dict() for audited in self.sets],
        }

    def save(self, folder: Path | str) -> Path:
        """Write `audit.json` into a folder; returns its path."""
        path = Path(folder) / RECORD
        write_json(path, self.to_dict())
        return path

    def to_frame(self) -> "pd.DataFrame":
        """A line for each number: set, family, measure, value, low, high, how."""
        import pandas as pd

        frames = []
        for audited in self.sets:
            for evaluation in audited.evaluations:
                frame = evaluation.to_frame()
                frame.insert(0, "family", evaluation.family.name)
                frame.insert(0, "set", audited.name)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def __str__(self) -> str:
        lines = [f"vectors: {self.representation.description}"]
        for audited in self.sets:
            lines += ["", audited.name, *on_lines(audited.sentences, "  ")]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>Vectors: {escape(self.representation.description)}</p>"]
        for audited in self.sets:
            parts.append(f"<h4>{escape(audited.name)}</h4>{in_html(audited.sentences)}")
        return "".join(parts)


def read_audit(file: Path | str) -> AuditResult:
    """Read an `audit.json`, of this version or the first.

    Raises:
        UserError: The file is damaged, of another version, or not an audit.
    """
    file = Path(file)
    record = read_of_kind(file, "audit", (1, AUDIT_VERSION), remedy="Run the audit again.")
    version = record["format_version"]
    try:
        sets = [_of_version_1(of_set) if version == 1 else of_set for of_set in record["sets"]]
        places = [f"{file}, set {of_set['name']}" for of_set in sets]
        config = dict(record["config"])
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise UserError(
            f"{file} is damaged or of another version: {type(error).__name__} {error}."
        ) from error
    if not sets:
        raise UserError(f"{file} has no sets; run the audit again.")
    representation = validated(RepresentationRecord, record.get("representation"), file)
    own = ("kind", "config", "representation", "sets")
    made_by = {name: value for name, value in record.items() if name not in own}
    audited = tuple(
        validated(AuditedSet, of_set, place) for of_set, place in zip(sets, places, strict=True)
    )
    return AuditResult(representation, config, audited, made_by)


def _of_version_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """A set as `AuditedSet.to_dict` writes it."""
    families = record["families"]
    return {
        **{name: record.get(name) for name in ("name", "source", "counts", "between")},
        "evaluations": [_evaluation_of_version_1(family, record) for family in families],
        "chosen": {
            family["family"]["name"]: family["chosen"]
            for family in families
            if family.get("chosen") is not None
        },
    }


def _evaluation_of_version_1(
    record: Mapping[str, Any], of_set: Mapping[str, Any]
) -> dict[str, Any]:
    """As `Evaluation.to_dict` writes it."""
    same = ("family", "scores", "stopping_rule", "log_likelihood", "against_base", "brier_score")
    same += ("expected_calibration_error", "reliability", "length", "undecided", "std")
    same += ("null", "training_curve")
    matched = record.get("matched_explained_variance") or []
    rates = record.get("jailbreaks") or []
    values: dict[str, Any] = {
        **{name: record[name] for name in same if record.get(name) is not None},
        "trained_on": of_set["name"],
        "evaluated_on": of_set["source"],
        "num_comparisons": of_set["counts"].get("comparisons", 0),
        "num_prompts": of_set["counts"].get("prompts", 0),
        "accuracy": {"mean": record["accuracy"]},
        "explained_variance": {each["scale"]: each for each in record["explained_variance"]},
        "matched_explained_variance": {each["scale"]: each for each in matched},
        "matched_size": matched[0]["matched_size"] if matched else None,
        "jailbreak_rate": {each["risk"]: each["rate"] for each in rates},
        "jailbreak_rate_without_length": {each["risk"]: each["without_length"] for each in rates},
    }
    if rates:
        values["longer_is_unsafe"] = of_set["longer_is_unsafe"]
    return values
