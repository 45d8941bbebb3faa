"""Numbers, settings and tables as the page writes them."""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from markupsafe import Markup, escape

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.plots import data_set_of, labels_of
from hidden_context.report.results import Table
from hidden_context.risk import PAPER_RISK
from hidden_context.text_tables import NO_VALUE

GAIN = "more than scalar"
NATS_BEHIND = "nats behind the best"
FINE = (GAIN, NATS_BEHIND)
"""Headers of columns of small numbers, which need a digit more."""
_WITH_INTERVAL = re.compile(r"(\S+) (\([+−-]?[\d.]+ to [+−-]?[\d.]+\))")
_MINUS = re.compile(r"(?<![\w.])-(?=\d)|(?<=\|2P )-(?= 1\|)", re.IGNORECASE)
"""A hyphen that stands for minus, as terminals have it."""
Row: TypeAlias = dict[str, str | Estimate | None]
"""Names and numbers by the headers of their columns."""


def decimal(value: float | None, digits: int = 3) -> str:
    """A number, with a true minus sign."""
    return NO_VALUE if value is None else f"{value:z.{digits}f}".replace("-", "−")


def with_interval(estimate: Estimate | None, digits: int = 3) -> str:
    """A number and its interval."""
    if estimate is None:
        return NO_VALUE
    value = decimal(estimate.value, digits)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({decimal(estimate.low, digits)} to {decimal(estimate.high, digits)})"


def setting(value: Any) -> str:
    """A value of a configuration or a count."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {setting(part)}" for name, part in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def predictions(evaluations: Sequence[Evaluation]) -> Table | None:
    """How well comparisons are predicted."""
    rows: list[Row] = [
        {
            _set_header(evaluations): data_set_of(each),
            "family": label,
            "log-likelihood, nats per vote": each.log_likelihood,
            GAIN: each.against_base,
            "accuracy": each.log_likelihood
            and each.accuracy.get("mean", each.accuracy_by_probability),
            "with length regressed out": each.length.without_length if each.length else None,
            "the longer wins": each.length.longer_wins if each.length else None,
            "expected calibration error": each.expected_calibration_error,
            "Brier score": each.brier_score,
        }
        for label, each in zip(labels_of(evaluations), evaluations, strict=True)
    ]
    return table_of(rows)


def main_numbers(
    evaluations: Sequence[Evaluation], risks: Sequence[str] = (str(PAPER_RISK),)
) -> Table | None:
    """r² and both rates of each model, by the mean and by each risk."""
    rows: list[Row] = []
    for label, each in zip(labels_of(evaluations), evaluations, strict=True):
        row: Row = {"family": label, _set_header(evaluations): data_set_of(each)}
        row["r², pooled"] = each.explained_variance.get("pooled")
        measures = {"jailbreak rate": each.jailbreak_rate}
        measures["accuracy on helpfulness"] = each.helpfulness_accuracy
        for name, rates in measures.items():
            row |= {f"{name}, {risk}": rates.get(risk) for risk in ("mean", *risks)}
        rows.append(row)
    return table_of(rows)


def _set_header(evaluations: Sequence[Evaluation]) -> str:
    """What `data_set_of` says of them."""
    return "trained on" if all(each.trained_on for each in evaluations) else "data set"


def jailbreaks(evaluations: Sequence[Evaluation]) -> Table | None:
    """Rates by each risk, with length regressed out, and of the longer response."""
    rows: list[Row] = [
        {
            "data set": data_set_of(each),
            "family": label,
            "decided by": risk,
            "jailbreak rate": rate,
            "with length regressed out": each.jailbreak_rate_without_length.get(risk),
            "the longer wins": each.longer_is_unsafe,
        }
        for label, each in zip(labels_of(evaluations), evaluations, strict=True)
        for risk, rate in each.jailbreak_rate.items()
    ]
    return table_of(rows)


def with_minus(text: str) -> str:
    """A text whose numbers below 0 have a true minus."""
    return _MINUS.sub("−", text)


def with_interval_apart(cell: str) -> Markup:
    """A cell whose interval, if it has one, is an element of its own.

    A long name may be broken after its underscores.
    """
    cell = with_minus(cell)
    found = _WITH_INTERVAL.fullmatch(cell)
    apart = Markup('{} <span class="interval">{}</span>')
    if found:
        return apart.format(*found.groups())
    return Markup("_<wbr>").join(map(escape, cell.split("_")))


def table_of(rows: Sequence[Row]) -> Table | None:
    """Columns that are known of none are left out; None if no number is known."""
    if not any(isinstance(cell, Estimate) for row in rows for cell in row.values()):
        return None
    headers = [header for header in rows[0] if any(row[header] is not None for row in rows)]
    return Table(
        tuple(headers), tuple(tuple(_cell(row, header) for header in headers) for row in rows)
    )


def _cell(row: Row, header: str) -> str:
    cell = row[header]
    return cell if isinstance(cell, str) else with_interval(cell, 4 if header in FINE else 3)
