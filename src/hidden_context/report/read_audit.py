"""audit.json to what the page shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hidden_context.audits import result as audit_result
from hidden_context.measures.evaluation import Evaluation
from hidden_context.report.results import PROVENANCE, ExampleSource, Result, Run
from hidden_context.report.tables import NO_VALUE, jailbreaks
from hidden_context.scores.score_files import load_scores


def read_audit(file: Path) -> Result:
    """Read an audit; its score files are looked for beside it.

    Raises:
        UserError: The file is damaged, of another version, or not an audit.
    """
    audited = audit_result.read_audit(file)
    record = audited.to_dict()
    return audit_to_result(audited.sets, record, source=str(file), folder=file.parent)


def audit_to_result(
    sets: Sequence[Any], record: Mapping[str, Any], *, source: str, folder: Path | None = None
) -> Result:
    """The sets of an audit as the page shows them.

    Args:
        sets: `AuditedSet`s.
        record: Configuration, representation and provenance.
        source: Where they are from.
        folder: Of the score files that evaluations name.
    """
    representation = record["representation"]
    width = representation.get("width")
    notes = [f"Vectors: {representation['description']} (width {width or NO_VALUE})."]
    examples = []
    for each in sets:
        for evaluation in each.evaluations:
            if folder is None or evaluation.scores is None:
                continue
            path = folder / evaluation.scores
            if path.is_file():
                examples.append(_examples(path, each.name, evaluation))
            else:
                notes.append(f"{path} is missing, so no examples of it are shown.")
    evaluations = tuple(one for each in sets for one in each.evaluations)
    return Result(
        title=f"Audit of {', '.join(each.name for each in sets)}",
        source=source,
        sentences={each.name: tuple(each.sentences) for each in sets},
        numbers=jailbreaks(evaluations),
        evaluations=evaluations,
        runs=tuple(
            Run(
                name=each.source,
                family=", ".join(one.family.name for one in each.evaluations),
                data_set=each.name,
                stopping_rule="; ".join(
                    f"{one.family.name}: {one.stopping_rule}" for one in each.evaluations
                ),
                counts=each.counts,
                configs={"audit": record["config"]},
                provenance={name: record.get(name) for name in PROVENANCE},
            )
            for each in sets
        ),
        examples=tuple(examples),
        notes=tuple(notes),
    )


def _examples(path: Path, data_set: str, evaluation: Evaluation) -> ExampleSource:
    nats, family = evaluation.log_likelihood, evaluation.family
    return ExampleSource(
        lambda: load_scores(path, family=family), family, data_set, nats.value if nats else None
    )
