"""`JudgeAudit`: what judges and reward models are against people, and the file that holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.judging.agreement import MEASURES, SureBin
from hidden_context.judging.choices import BordaOrUtility, RuleChoice
from hidden_context.judging.judgments import Kind
from hidden_context.judging.sides import Sides
from hidden_context.measures.estimate import Estimate
from hidden_context.records import as_plain, provenance, read_of_kind, validated, write_json
from hidden_context.sentences import in_html, in_records, on_lines

if TYPE_CHECKING:
    import pandas as pd

RECORD = "judges.json"
VERSION = 1


@dataclass(frozen=True)
class AuditedJudge:
    """One judge or reward model against the people of a data set."""

    name: str
    kind: Kind
    """scores: a number for each response; distributions: P(a ≻ b) of one of our own models."""
    account: str
    """What was read of it, and what was left out."""
    num_votes: float
    """On pairs of which it says something."""
    num_votes_left_out: float
    num_pairs: int
    measures: Mapping[str, Estimate]
    """Those of `MEASURES` that could be had, and slopes of further features."""
    bins: tuple[SureBin, ...]
    sides: Sides
    choices: tuple[RuleChoice, ...] = ()
    borda_or_utility: BordaOrUtility | None = None
    traits: Mapping[str, Estimate] = field(default_factory=dict)
    """Agreement beyond a follower's for people one standard deviation up a trait."""
    scale: float | None = None
    """Log-odds a unit of score, fitted to the votes."""


@dataclass(frozen=True)
class JudgeAudit:
    """Judges and reward models against people; `print` it for the sentences."""

    source: str
    counts: Mapping[str, int]
    """votes, ties, people (0 where unnamed), groups, pairs, prompts, equal_texts (left out)."""
    judges: tuple[AuditedJudge, ...]
    made_by: Mapping[str, Any] = field(default_factory=provenance)

    @property
    def sentences(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Questions and answers, by judge."""
        from hidden_context.judging.sentences import sentences_of

        return {judge.name: sentences_of(judge) for judge in self.judges}

    def to_dict(self) -> dict[str, Any]:
        """As `judges.json` holds it."""
        return {
            "kind": "judges",
            "format_version": VERSION,
            **self.made_by,
            "source": self.source,
            "counts": dict(self.counts),
            "sentences": {name: in_records(of) for name, of in self.sentences.items()},
            "judges": [as_plain(judge) for judge in self.judges],
        }

    def save(self, folder: Path | str) -> Path:
        """Write `judges.json` into a folder; returns its path."""
        path = Path(folder) / RECORD
        write_json(path, self.to_dict())
        return path

    def to_frame(self) -> "pd.DataFrame":
        """A line for each number: judge, about, measure, value, low, high, how."""
        import pandas as pd

        lines: list[tuple[str, str, str, Estimate]] = []
        for judge in self.judges:
            lines += [(judge.name, "all", name, each) for name, each in judge.measures.items()]
            for kind, leans in (("group", judge.sides.groups), ("person", judge.sides.people)):
                for one in leans:
                    about = f"{kind} {one.name}"
                    lines.append((judge.name, about, "agreement", one.agreement))
                    lines.append((judge.name, about, "lean", one.lean))
            lines += [(judge.name, f"trait {name}", "lean", e) for name, e in judge.traits.items()]
            for choice in judge.choices:
                for name in ("judge", "other_half", "judge_and_other_half", "same_choice"):
                    about = f"choice by {choice.rule}"
                    lines.append((judge.name, about, name, getattr(choice, name)))
            if judge.borda_or_utility and judge.borda_or_utility.for_borda:
                side = judge.borda_or_utility.for_borda
                lines.append((judge.name, "Borda or utility", "for_borda", side))
        rows = [(*of, each.value, each.low, each.high, each.how) for *of, each in lines]
        return pd.DataFrame(
            rows, columns=["judge", "about", "measure", "value", "low", "high", "how"]
        )

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        lines = [f"{self.source}: {counts}"]
        for name, sentences in self.sentences.items():
            lines += ["", name, *on_lines(sentences, "  ")]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(self.source)}</p>"]
        for name, sentences in self.sentences.items():
            parts.append(f"<h4>{escape(name)}</h4>{in_html(sentences)}")
        return "".join(parts)


def meaning_of(measure: str) -> str:
    """What a number of `AuditedJudge.measures` is, in words."""
    if measure in MEASURES:
        return MEASURES[measure]
    feature, _, what = measure.rpartition("_")
    return {
        "judge": f"log-odds that the judge gives a unit more of {feature}",
        "people": f"log-odds that people give a unit more of {feature}",
        "bias": f"log-odds a unit of {feature}: the judge's less the people's",
    }[what]


def read_judges(file: Path | str) -> JudgeAudit:
    """Read a `judges.json`.

    Raises:
        UserError: The file is damaged, of another version, or holds something else.
    """
    file = Path(file)
    record = read_of_kind(file, "judges", (VERSION,), remedy="Run the audit again.")
    own = {name: record.get(name) for name in ("source", "counts", "judges")}
    known = ("kind", "format_version", "sentences", *own)
    made_by = {name: value for name, value in record.items() if name not in known}
    return validated(JudgeAudit, {**own, "made_by": made_by}, file)
