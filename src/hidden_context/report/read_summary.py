"""What `summarize --json` printed, to what the page shows."""

from collections.abc import Sequence
from pathlib import Path

from hidden_context.errors import UserError
from hidden_context.measures.risk_curves import RiskCurve, RiskPoint
from hidden_context.measures.summary import Rate
from hidden_context.records import read_json
from hidden_context.report.checked_fields import CheckedFields
from hidden_context.report.distinct_names import distinct_names
from hidden_context.report.measured import Estimate, Measured, Result, Run, Table
from hidden_context.report.numbers_in_words import NO_VALUE, decimal, estimate
from hidden_context.report.risk_panels import level_of
from hidden_context.risk import parse_risk


def read_summary(file: Path) -> Result:
    """Read a summary; without `--diagnostics` its r² have no intervals.

    Raises:
        UserError: The file is damaged, or not a summary.
    """
    values = read_json(file)
    if not isinstance(values, dict):
        raise UserError(f"{file} is not what summarize --json prints: it is no JSON object.")
    summary = CheckedFields(values, file)
    comparisons = summary.list_of_fields("comparisons")
    jailbreaks = summary.list_of_fields("jailbreaks")
    diagnoses = summary.list_of_fields("diagnoses")
    risks = ["mean", *summary.texts("risks")]
    read = _diagnosed if diagnoses else _plain
    runs = diagnoses or comparisons
    measured = map(read, runs, _names(runs))
    curves = tuple(map(_curve, summary.list_of_fields("curves")))
    return Result(
        title=f"Summary {file.name}",
        source=str(file),
        numbers=_numbers(comparisons, jailbreaks, risks),
        measured=tuple(measured),
        curves=curves,
        runs=tuple(
            Run(
                each.text("run"), each.text("family"), each.text("trained_on"), counts=_counts(each)
            )
            for each in comparisons
        ),
        notes=(
            *(f"Not found by summarize: {name}." for name in summary.texts("missing")),
            *_undrawn(curves),
        ),
    )


def _names(models: list[CheckedFields]) -> list[str]:
    return distinct_names([(each.text("family"), each.text("trained_on")) for each in models])


def _undrawn(curves: Sequence[RiskCurve]) -> list[str]:
    """A note of the risks that have no place on an axis of quantiles."""
    risks = [point.risk for curve in curves for point in curve.points]
    kinds = dict.fromkeys(risk.partition(":")[0] for risk in risks if level_of(risk) is None)
    return [f"Curves along {kind} are not drawn; summarize prints them." for kind in kinds]


def _counts(found: CheckedFields) -> dict[str, int]:
    return {"comparisons": round(found.number("n"))}


def _plain(found: CheckedFields, name: str) -> Measured:
    r2 = {"pooled": Estimate(found.number("r2"))} if found.has("r2") else {}
    return Measured(found.text("trained_on"), name, "", r2)


def _diagnosed(found: CheckedFields, name: str) -> Measured:
    against = found.fields("against_base") if found.has("against_base") else None
    return Measured(
        data_set=found.text("trained_on"),
        family=name,
        stopping_rule=found.text("stopping_rule"),
        explained_variance={
            each.text("scale"): _estimate(each)
            for each in found.list_of_fields("explained_variance")
        },
        log_likelihood=_estimate(found.fields("log_likelihood")),
        against_base=_estimate(against.fields("interval")) if against else None,
        accuracy=_of_length(found, "model"),
        longer_wins=_of_length(found, "longer_wins"),
        without_length=_of_length(found, "without_length"),
        expected_calibration_error=Estimate(found.number("expected_calibration_error")),
        brier_score=Estimate(found.number("brier_score")),
    )


def _estimate(found: CheckedFields) -> Estimate:
    return Estimate(found.number("value"), found.number("low"), found.number("high"))


def _of_length(found: CheckedFields, name: str) -> Estimate | None:
    return Estimate(found.fields("length").number(name)) if found.has("length") else None


def _curve(found: CheckedFields) -> RiskCurve:
    return RiskCurve(
        family=found.text("family"),
        trained_on=found.text("trained_on"),
        points=tuple(
            RiskPoint(_risk(each), _rate(each, "jailbreak"), _rate(each, "accuracy"))
            for each in found.list_of_fields("points")
        ),
        longer_is_unsafe=_optional(found, "longer_is_unsafe"),
        longer_is_chosen=_optional(found, "longer_is_chosen"),
    )


def _risk(found: CheckedFields) -> str:
    try:
        return str(parse_risk(found.text("risk")))
    except UserError as error:
        raise UserError(f"{found.file}: {found.place}risk: {error}") from error


def _optional(found: CheckedFields, name: str) -> float | None:
    return found.number(name) if found.has(name) else None


def _rate(found: CheckedFields, name: str) -> Rate | None:
    if not found.has(name):
        return None
    rate = found.fields(name)
    low, high = rate.number("low"), rate.number("high")
    ties, n = round(rate.number("ties")), round(rate.number("n"))
    return Rate(rate.number("published"), rate.number("corrected"), low, high, ties, n)


def _numbers(
    comparisons: list[CheckedFields], jailbreaks: list[CheckedFields], risks: list[str]
) -> Table:
    """r² and both rates of each model, by mean and by each risk."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for each, name in zip(comparisons, _names(comparisons), strict=True):
        row = rows.setdefault((name, each.text("trained_on")), {})
        row["r², pooled"] = decimal(_optional(each, "r2"))
        row |= _rates("accuracy", each.fields("accuracy"), risks)
    for each in jailbreaks:
        row = rows.setdefault((each.text("family"), each.text("trained_on")), {})
        row |= _rates("jailbreak rate", each.fields("rate"), risks)
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    return Table(
        ("family", "trained on", *columns),
        tuple(
            (*model, *(row.get(name, NO_VALUE) for name in columns)) for model, row in rows.items()
        ),
    )


def _rates(what: str, found: CheckedFields, risks: list[str]) -> dict[str, str]:
    cells = {}
    for risk in risks:
        rate = _rate(found, risk)
        if rate is not None:
            cells[f"{what}, {risk}"] = estimate(Estimate(rate.corrected, rate.low, rate.high))
    return cells
