"""audit.json to what the page shows."""

from functools import partial
from pathlib import Path

from hidden_context.audits import result as audit_result
from hidden_context.audits.result import AuditResult
from hidden_context.records import as_plain
from hidden_context.report.answers import audit_answer
from hidden_context.report.results import ExampleSource, Result, Run, made_by
from hidden_context.report.tables import jailbreaks
from hidden_context.scores.score_files import load_scores
from hidden_context.text_tables import NO_VALUE


def read_audit(file: Path) -> Result:
    """Read an audit; its score files are looked for beside it.

    Raises:
        UserError: The file is damaged, of another version, or not an audit.
    """
    return audit_to_result(audit_result.read_audit(file), source=str(file), folder=file.parent)


def audit_to_result(audited: AuditResult, *, source: str, folder: Path | None = None) -> Result:
    """An audit as the page shows it.

    Args:
        audited: All of it.
        source: Where it is from.
        folder: Of the score files that evaluations name.
    """
    vectors = audited.representation
    notes = [f"Vectors: {vectors.description} (width {vectors.width or NO_VALUE})."]
    evaluations = tuple(one for audited_set in audited.sets for one in audited_set.evaluations)
    examples = []
    for evaluation in evaluations:
        if folder is None or evaluation.scores is None:
            continue
        path = folder / evaluation.scores
        if path.is_file():
            load = partial(load_scores, path, family=evaluation.family)
            examples.append(ExampleSource(evaluation, load))
        else:
            notes.append(f"{path} is missing, so no examples of it are shown.")
    return Result(
        title=f"Audit of {', '.join(audited_set.name for audited_set in audited.sets)}",
        source=source,
        answer=audit_answer(audited.sets, _in_words(vectors)),
        sentences=audited.sentences,
        numbers=jailbreaks(evaluations),
        evaluations=evaluations,
        runs=tuple(
            Run(
                name=audited_set.source,
                family=", ".join(one.family.name for one in audited_set.evaluations),
                data_set=audited_set.name,
                stopping_rule="; ".join(
                    f"{one.family.name}: {one.stopping_rule}" for one in audited_set.evaluations
                ),
                settings={
                    "counts": audited_set.counts,
                    "audit": as_plain(audited.config),
                    "made by": made_by(audited.made_by),
                },
            )
            for audited_set in audited.sets
        ),
        examples=tuple(examples),
        notes=tuple(notes),
        is_out_of_fold=True,
    )


def _in_words(vectors: audit_result.RepresentationRecord) -> str:
    """What the heads read: words alone, or the states of a model of this name."""
    return "counts of words" if vectors.name.startswith("hashed") else f"states of {vectors.name}"
