"""Numbers to text and Markdown. Pure functions."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from tabulate import tabulate

from hidden_context.results.summary import ComparisonSummary, JailbreakSummary, Rate, Summary

Style: TypeAlias = Literal["simple", "github"]
"""Names of tabulate: plain text, or Markdown."""

NO_VALUE = "–"


def render(summary: Summary, style: Style) -> str:
    """The whole summary as three tables and a list of what is missing."""
    level = f"{summary.risk_level:g}-quantile"
    sections = []
    if summary.comparisons:
        sections += [
            heading(
                "r² for detecting hidden context: Var[mean] / (Var[mean] + E[variance])", style
            ),
            _explained_variance(summary, style),
        ]
    if summary.jailbreaks:
        sections += [
            heading("Jailbreak rates: the unsafe response scores at least as high", style),
            _jailbreaks(summary, level, style),
        ]
    if any(run.accuracy_mean for run in summary.comparisons):
        sections += [
            heading("Helpfulness accuracies: comparisons judged by helpfulness", style),
            _accuracies(summary, level, style),
        ]
    if summary.jailbreaks or summary.comparisons:
        sections.append(
            "Rates count an exact tie in full, as published; tie-corrected ones count it half, "
            "with 95 % Wilson intervals. 'longer' is the rate if the longer text always won."
        )
    if summary.missing:
        listed = "\n".join(f"  - {name}" for name in summary.missing)
        sections.append(f"Not found, so not in these tables:\n{listed}")
    return "\n\n".join(sections)


def heading(text: str, style: Style) -> str:
    """A section heading."""
    return f"### {text}" if style == "github" else text


def _explained_variance(summary: Summary, style: Style) -> str:
    rows = [
        [run.family, run.trained_on, _number(run.r2), run.n, run.run]
        for run in summary.comparisons
        if run.r2 is not None
    ]
    return _table(["family", "trained on", "r²", "comparisons", "run"], rows, style)


def _jailbreaks(summary: Summary, level: str, style: Style) -> str:
    rows = [
        [*_rate_row(found, found.mean, found.quantile), _number(found.longer_is_unsafe)]
        for found in summary.jailbreaks
    ]
    return _table([*_rate_headers(level, "rows"), "longer"], rows, style)


def _accuracies(summary: Summary, level: str, style: Style) -> str:
    rows = [
        [*_rate_row(run, run.accuracy_mean, run.accuracy_quantile), _number(run.longer_is_chosen)]
        for run in summary.comparisons
        if run.accuracy_mean is not None
    ]
    return _table([*_rate_headers(level, "pairs"), "longer"], rows, style)


def _rate_headers(level: str, unit: str) -> list[str]:
    return ["family", "trained on", "mean", "tie-corrected", level, "tie-corrected", unit]


def _rate_row(
    found: ComparisonSummary | JailbreakSummary, mean: Rate, quantile: Rate | None
) -> list[object]:
    return [found.family, found.trained_on, *_rate(mean), *_rate(quantile), mean.n]


def _rate(rate: Rate | None) -> list[str]:
    if rate is None:
        return [NO_VALUE, NO_VALUE]
    corrected = f"{rate.corrected:.3f} [{rate.low:.3f}, {rate.high:.3f}]"
    return [f"{rate.published:.4f}", corrected]


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.4f}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]], style: Style) -> str:
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True)
