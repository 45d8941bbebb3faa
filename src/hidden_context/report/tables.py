"""Numbers, settings and tables as the page writes them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.plots import data_set_of, labels_of
from hidden_context.report.results import Table
from hidden_context.risk import PAPER_RISK

NO_VALUE = "–"
GAIN = "more than scalar"
"""Header of a column of small numbers, which need a digit more."""


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
        return ", ".join(f"{name}: {setting(each)}" for name, each in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def predictions(evaluations: Sequence[Evaluation]) -> Table | None:
    """How well held-out comparisons are predicted."""
    return _table(
        {"data set": list(map(data_set_of, evaluations)), "family": labels_of(evaluations)},
        {
            "log-likelihood, nats per vote": [each.log_likelihood for each in evaluations],
            GAIN: [each.against_base for each in evaluations],
            "accuracy": [
                each.log_likelihood and each.accuracy.get("mean", each.accuracy_by_probability)
                for each in evaluations
            ],
            "with length regressed out": [
                each.length.without_length if each.length else None for each in evaluations
            ],
            "the longer wins": [
                each.length.longer_wins if each.length else None for each in evaluations
            ],
            "expected calibration error": [each.expected_calibration_error for each in evaluations],
            "Brier score": [each.brier_score for each in evaluations],
        },
    )


def main_numbers(
    evaluations: Sequence[Evaluation], risks: Sequence[str] = (str(PAPER_RISK),)
) -> Table | None:
    """r² and both rates of each model, by the mean and by each risk."""
    r2, jailbreak_rates, accuracies = (
        [getattr(each, measure) for each in evaluations]
        for measure in ("explained_variance", "jailbreak_rate", "helpfulness_accuracy")
    )
    columns = {"r², pooled": [scales.get("pooled") for scales in r2]}
    for name, of_models in (("jailbreak rate", jailbreak_rates), ("accuracy", accuracies)):
        for risk in dict.fromkeys(["mean", *risks]):
            columns[f"{name}, {risk}"] = [rates.get(risk) for rates in of_models]
    names = {"family": labels_of(evaluations), "trained on": list(map(data_set_of, evaluations))}
    return _table(names, columns)


def _table(
    names: Mapping[str, Sequence[str]], columns: Mapping[str, Sequence[Estimate | None]]
) -> Table | None:
    """Columns that are known of none are left out; None if these are all."""
    known = {
        header: [with_interval(estimate, 4 if header == GAIN else 3) for estimate in column]
        for header, column in columns.items()
        if any(column)
    }
    if not known:
        return None
    return Table((*names, *known), tuple(zip(*names.values(), *known.values(), strict=True)))


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
