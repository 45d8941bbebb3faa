"""Numbers, settings and tables as the page writes them."""

from collections.abc import Callable, Sequence
from typing import Any

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.plots import data_set_of, labels_of
from hidden_context.report.results import Table
from hidden_context.risk import PAPER_RISK

NO_VALUE = "–"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number, with a true minus sign."""
    return NO_VALUE if value is None else f"{value:z.{digits}f}".replace("-", "−")


def with_interval(estimate: Estimate | None, digits: int = 3) -> str:
    """A number and its interval."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return decimal(None if estimate is None else estimate.value, digits)
    ends = f"{decimal(estimate.low, digits)} to {decimal(estimate.high, digits)}"
    return f"{decimal(estimate.value, digits)} ({ends})"


def setting(value: Any) -> str:
    """A value of a configuration or a count."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {setting(each)}" for name, each in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


Columns = dict[str, Callable[[Evaluation], Estimate | None]]


def predictions(evaluations: Sequence[Evaluation]) -> Table | None:
    """How well held-out comparisons are predicted."""
    columns: Columns = {
        "log-likelihood, nats per vote": lambda each: each.log_likelihood,
        "more than scalar": lambda each: each.against_base,
        "accuracy": lambda each: (
            each.accuracy.get("mean", each.accuracy_by_probability) if each.log_likelihood else None
        ),
        "with length regressed out": lambda each: (
            each.length.without_length if each.length else None
        ),
        "the longer wins": lambda each: each.length.longer_wins if each.length else None,
        "expected calibration error": lambda each: each.expected_calibration_error,
        "Brier score": lambda each: each.brier_score,
    }
    return _table(("data set", "family"), evaluations, columns, family_first=False)


def main_numbers(
    evaluations: Sequence[Evaluation], risks: Sequence[str] = (str(PAPER_RISK),)
) -> Table | None:
    """r² and both rates of each model, by the mean and by each risk."""
    columns: Columns = {"r², pooled": lambda each: each.explained_variance.get("pooled")}
    for risk in dict.fromkeys(["mean", *risks]):
        columns[f"jailbreak rate, {risk}"] = lambda each, risk=risk: each.jailbreak_rate.get(risk)
    for risk in dict.fromkeys(["mean", *risks]):
        columns[f"accuracy, {risk}"] = lambda each, risk=risk: each.helpfulness_accuracy.get(risk)
    return _table(("family", "trained on"), evaluations, columns, family_first=True)


def _table(
    first: tuple[str, str],
    evaluations: Sequence[Evaluation],
    columns: Columns,
    *,
    family_first: bool,
) -> Table | None:
    """Columns that are known of none are left out; None if these are all."""
    known = {
        name: [column(each) for each in evaluations]
        for name, column in columns.items()
        if any(column(each) for each in evaluations)
    }
    if not known:
        return None
    rows = []
    for number, (label, each) in enumerate(zip(labels_of(evaluations), evaluations, strict=True)):
        model = (label, data_set_of(each)) if family_first else (data_set_of(each), label)
        cells = [
            with_interval(values[number], 4 if name == "more than scalar" else 3)
            for name, values in known.items()
        ]
        rows.append((*model, *cells))
    return Table((*first, *known), tuple(rows))


def jailbreaks(evaluations: Sequence[Evaluation]) -> Table | None:
    """Rates by each risk, with length regressed out, and of the longer response."""
    rows = [
        (
            data_set_of(each),
            label,
            risk,
            with_interval(rate),
            with_interval(each.jailbreak_rate_without_length.get(risk)),
            with_interval(each.longer_is_unsafe),
        )
        for label, each in zip(labels_of(evaluations), evaluations, strict=True)
        for risk, rate in each.jailbreak_rate.items()
    ]
    headers = ("data set", "family", "decided by", "jailbreak rate")
    headers += ("with length regressed out", "the longer wins")
    return Table(headers, tuple(rows)) if rows else None
