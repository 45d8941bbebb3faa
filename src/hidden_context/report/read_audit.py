"""audit.json to what the page shows."""

from pathlib import Path

from hidden_context.distributions import Family, family_from_dict
from hidden_context.errors import UserError
from hidden_context.measures.calibration import ReliabilityBin
from hidden_context.measures.explained_variance_report import SCALES
from hidden_context.records import read_json
from hidden_context.report.checked_fields import CheckedFields
from hidden_context.report.measured import (
    Estimate,
    Histogram,
    Measured,
    Redrawn,
    Result,
    Run,
    ScoreFile,
    Table,
    TrainingPoint,
)
from hidden_context.report.numbers_in_words import NO_VALUE, estimate

KNOWN_VERSION = 1
CURVE_SCALES = ("pooled", "within_prompt", "rank")
"""Of r² as training goes on."""
PROVENANCE = ("hidden_context", "commit", "versions")


def read_audit(file: Path) -> Result:
    """Read an audit; its score files are looked for beside it.

    Raises:
        UserError: The file is damaged, of another version, or not an audit.
    """
    values = read_json(file)
    if not isinstance(values, dict) or values.get("kind") != "audit":
        raise UserError(f"{file} is not an audit: it has no field kind that says so.")
    audit = CheckedFields(values, file)
    version = audit.number("format_version")
    if version != KNOWN_VERSION:
        raise UserError(
            f"{file} has format_version {version:g}; this version reads {KNOWN_VERSION}. "
            "Run the audit again."
        )
    sets = audit.list_of_fields("sets")
    if not sets:
        raise UserError(f"{file} has no sets; run the audit again.")
    names = [each.text("name") for each in sets]
    representation = audit.fields("representation")
    notes = [f"Vectors: {representation.text('description')} (width {_width(representation)})."]
    score_files = []
    for each in sets:
        found, missing = _score_files(each, file.parent)
        score_files += found
        notes += missing
    return Result(
        title=f"Audit of {', '.join(names)}",
        source=str(file),
        sentences={
            each.text("name"): tuple(
                (sentence.text("question"), sentence.text("answer"))
                for sentence in each.list_of_fields("sentences")
            )
            for each in sets
        },
        numbers=_jailbreaks(sets),
        measured=tuple(
            _measured(each.text("name"), family)
            for each in sets
            for family in each.list_of_fields("families")
        ),
        runs=tuple(_run(audit, each) for each in sets),
        score_files=tuple(score_files),
        notes=tuple(notes),
    )


def _width(representation: CheckedFields) -> str:
    return f"{representation.number('width'):g}" if representation.has("width") else NO_VALUE


def _run(audit: CheckedFields, of_set: CheckedFields) -> Run:
    families = of_set.list_of_fields("families")
    return Run(
        name=of_set.text("source"),
        family=", ".join(each.fields("family").text("name") for each in families),
        data_set=of_set.text("name"),
        stopping_rule="; ".join(
            f"{each.fields('family').text('name')}: {each.text('stopping_rule')}"
            for each in families
        ),
        counts=of_set.mapping("counts"),
        configs={"audit": audit.mapping("config")},
        provenance={name: audit.values.get(name) for name in PROVENANCE},
    )


def _score_files(of_set: CheckedFields, folder: Path) -> tuple[list[ScoreFile], list[str]]:
    """Those that are there, and a note for each that is not."""
    found, missing = [], []
    for each in of_set.list_of_fields("families"):
        if not each.has("scores"):
            continue
        path = folder / each.text("scores")
        if path.is_file():
            family = _family(each)
            nats = each.fields("log_likelihood").number("value")
            found.append(ScoreFile(path, family, of_set.text("name"), nats))
        else:
            missing.append(f"{path} is missing, so no examples of it are shown.")
    return found, missing


def _family(found: CheckedFields) -> Family:
    try:
        return family_from_dict(found.mapping("family"))
    except UserError as error:
        raise UserError(f"{found.file}: {found.place}family: {error}") from error


def _measured(data_set: str, found: CheckedFields) -> Measured:
    matched = found.list_of_fields("matched_explained_variance")
    return Measured(
        data_set=data_set,
        family=found.fields("family").text("name"),
        stopping_rule=found.text("stopping_rule"),
        explained_variance=_by_scale(found.list_of_fields("explained_variance")),
        matched=_by_scale(matched),
        matched_size=round(matched[0].number("matched_size")) if matched else None,
        nulls={
            each.text("figure"): Redrawn(
                each.number("observed"),
                tuple(each.numbers("draws")),
                each.number("p_value") if each.has("p_value") else None,
            )
            for each in found.list_of_fields("null")
        },
        training_curve=tuple(map(_point, found.list_of_fields("training_curve"))),
        log_likelihood=_estimate(found.fields("log_likelihood")),
        accuracy=_estimate(found.fields("accuracy")),
        longer_wins=_of_length(found, "longer_wins"),
        without_length=_of_length(found, "without_length"),
        against_base=_estimate(found.fields("against_base")) if found.has("against_base") else None,
        expected_calibration_error=_estimate(found.fields("expected_calibration_error")),
        brier_score=_estimate(found.fields("brier_score")),
        reliability=tuple(map(_bin, found.list_of_fields("reliability"))),
        deviations=_histogram(found.fields("std")) if found.has("std") else None,
    )


def _of_length(found: CheckedFields, name: str) -> Estimate | None:
    return _estimate(found.fields("length").fields(name)) if found.has("length") else None


def _jailbreaks(sets: list[CheckedFields]) -> Table | None:
    rows = [
        (
            each.text("name"),
            family.fields("family").text("name"),
            rate.text("risk"),
            estimate(_estimate(rate.fields("rate"))),
            estimate(_estimate(rate.fields("without_length"))),
            estimate(_estimate(each.fields("longer_is_unsafe"))),
        )
        for each in sets
        for family in each.list_of_fields("families")
        for rate in family.list_of_fields("jailbreaks")
    ]
    headers = ("data set", "family", "decided by", "jailbreak rate")
    headers += ("with length regressed out", "the longer wins")
    return Table(headers, tuple(rows)) if rows else None


def _by_scale(reports: list[CheckedFields]) -> dict[str, Estimate]:
    for each in reports:
        if each.text("scale") not in SCALES:
            raise UserError(
                f"{each.file}: field {each.place}scale is {each.text('scale')!r}; expected one of "
                f"{', '.join(SCALES)}."
            )
    return {each.text("scale"): _estimate(each) for each in reports}


def _estimate(found: CheckedFields) -> Estimate:
    return Estimate(found.number("value"), found.number("low"), found.number("high"))


def _point(found: CheckedFields) -> TrainingPoint:
    r2 = found.fields("r2")
    return TrainingPoint(
        found.number("passes"),
        found.number("log_likelihood"),
        {scale: r2.number(scale) for scale in CURVE_SCALES},
    )


def _bin(found: CheckedFields) -> ReliabilityBin:
    return ReliabilityBin(
        found.number("low"),
        found.number("high"),
        round(found.number("num_comparisons")),
        found.number("num_votes"),
        found.number("predicted"),
        found.number("observed"),
    )


def _histogram(found: CheckedFields) -> Histogram:
    histogram = Histogram(tuple(found.numbers("edges")), tuple(found.numbers("counts")))
    if len(histogram.edges) != len(histogram.counts) + 1:
        raise UserError(
            f"{found.file}: {found.place}edges has {len(histogram.edges)} numbers for "
            f"{len(histogram.counts)} counts; expected one more."
        )
    return histogram
