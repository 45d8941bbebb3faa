"""The tables that a page makes of measures."""

from collections.abc import Sequence

from hidden_context.report.measured import Measured, Table
from hidden_context.report.numbers_in_words import NO_VALUE, estimate


def predictions(measured: Sequence[Measured]) -> Table | None:
    """How well held-out comparisons are predicted; columns that are known of none are left out."""
    headers = (
        "data set",
        "family",
        "log-likelihood, nats per vote",
        "more than scalar",
        "accuracy",
        "with length regressed out",
        "the longer wins",
        "expected calibration error",
        "Brier score",
    )
    rows = [
        (
            each.data_set,
            each.family,
            estimate(each.log_likelihood),
            estimate(each.against_base, 4),
            estimate(each.accuracy),
            estimate(each.without_length),
            estimate(each.longer_wins),
            estimate(each.expected_calibration_error),
            estimate(each.brier_score),
        )
        for each in measured
    ]
    kept = [k for k in range(len(headers)) if any(row[k] != NO_VALUE for row in rows)]
    if len(kept) <= 2:
        return None
    return Table(
        tuple(headers[k] for k in kept), tuple(tuple(row[k] for k in kept) for row in rows)
    )
