"""Numbers to text and Markdown. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from tabulate import tabulate

from hidden_context.measures.bootstrap import Interval
from hidden_context.measures.diagnosis import Diagnosis, Ensemble, RiskTest
from hidden_context.measures.explained_variance_report import SCALES, ExplainedVarianceReport
from hidden_context.measures.risk_curves import Choice, RiskCurve
from hidden_context.measures.summary import Rate, Summary

Style: TypeAlias = Literal["simple", "github"]
"""Names of tabulate: plain text, or Markdown."""

NO_VALUE = "–"


def render(summary: Summary, style: Style) -> str:
    """The whole summary as three tables and a list of what is missing."""
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
            _jailbreaks(summary, style),
        ]
    if any(run.accuracy for run in summary.comparisons):
        sections += [
            heading("Helpfulness accuracies: comparisons judged by helpfulness", style),
            _accuracies(summary, style),
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


def _jailbreaks(summary: Summary, style: Style) -> str:
    risks = ["mean", *summary.risks]
    rows = [
        [
            *(found.family, found.trained_on),
            *_rates(found.rate, risks),
            *(found.rate["mean"].n, _number(found.longer_is_unsafe)),
        ]
        for found in summary.jailbreaks
    ]
    return _table([*_rate_headers(risks), "rows", "longer"], rows, style)


def _accuracies(summary: Summary, style: Style) -> str:
    risks = ["mean", *summary.risks]
    rows = [
        [
            *(run.family, run.trained_on),
            *_rates(run.accuracy, risks),
            *(run.accuracy["mean"].n, _number(run.longer_is_chosen)),
        ]
        for run in summary.comparisons
        if run.accuracy
    ]
    return _table([*_rate_headers(risks), "pairs", "longer"], rows, style)


def render_curves(curves: Sequence[RiskCurve], style: Style) -> str:
    """A table of levels for each model, the length-only baseline below."""
    sections = []
    for curve in curves:
        rows = [
            [point.risk, _corrected(point.jailbreak), _corrected(point.accuracy)]
            for point in curve.points
        ]
        rows.append(["longer", _number(curve.longer_is_unsafe), _number(curve.longer_is_chosen)])
        sections += [
            heading(f"By level of risk: {curve.family}, trained on {curve.trained_on}", style),
            _table(["risk", "jailbreak rate", "accuracy"], rows, style),
        ]
    sections.append(
        "Ties count half; 95 % intervals: jailbreak rates Wilson's, accuracies a bootstrap over "
        "prompts. 'longer' is the rate if the longer text always won."
    )
    return "\n\n".join(sections)


def render_choices(choices: Sequence[Choice], tolerance: float, style: Style) -> str:
    """The risk that was chosen on the validation data for each model, and its test figures."""
    rows = []
    for choice in choices:
        curves = (choice.validation, choice.test)
        names = [choice.test.family, choice.test.trained_on]
        labels = {"mean": "mean", choice.risk: f"chosen: {choice.risk}"}
        for risk, label in labels.items():
            found = [curve.at(risk) for curve in curves]
            rates = [rate for point in found for rate in (point.jailbreak, point.accuracy)]
            rows.append([*names, label, *map(_corrected, rates)])
        longer = [
            value for curve in curves for value in (curve.longer_is_unsafe, curve.longer_is_chosen)
        ]
        rows.append([*names, "longer", *map(_number, longer)])
    headers = ["family", "trained on", "risk", "validation: jailbreak rate", "accuracy"]
    headers += ["test: jailbreak rate", "accuracy"]
    rule = (
        "Chosen on the validation data alone: of the mean and the levels above, those at least as "
        f"accurate as the mean less {tolerance:g}; of these the one with the lowest jailbreak "
        "rate; of equals the most accurate, then the first."
    )
    title = heading("The chosen level of risk", style)
    return "\n\n".join([title, _table(headers, rows, style), rule])


def render_diagnoses(
    diagnoses: Sequence[Diagnosis],
    tests: Sequence[RiskTest],
    found_ensembles: Sequence[Ensemble],
    style: Style,
) -> str:
    """The measures of each run, a table for each question that has an answer."""
    tables = {
        "r² on each scale": _scales(diagnoses),
        "Held-out likelihood and preference_entropy": _likelihoods(diagnoses),
        "Accuracy and length": _lengths(diagnoses),
        "Jailbreaks: each risk against the mean": _risk_tests(tests),
        "Ensembles: shares of the total variance": _ensembles(found_ensembles),
    }
    sections = []
    for title, (headers, rows) in tables.items():
        if rows:
            sections += [heading(title, style), _table(headers, rows, style)]
    rules = {found.stopping_rule for found in diagnoses if found.explained_variance}
    if len(rules) > 1:
        sections.append(
            "These runs did not all stop alike on data of one size, so their r² do not compare: "
            "train them again with one --train_dataset_size and --num_train_epochs."
        )
    sections.append(
        "95 % intervals by bootstrap over prompts; r² depends on when training stopped and on the "
        "size of the data. What each measure is invariant to: docs/diagnostics.md."
    )
    return "\n\n".join(sections)


Rows: TypeAlias = tuple[list[str], list[list[object]]]
"""Headers and rows of a table."""


def _scales(diagnoses: Sequence[Diagnosis]) -> Rows:
    headers = ["family", "trained on", *(f"r² {scale}" for scale in SCALES), "stopped"]
    return headers, [
        [
            *(found.family, found.trained_on),
            *(_interval(report) for report in found.explained_variance),
            found.stopping_rule,
        ]
        for found in diagnoses
        if found.explained_variance
    ]


def _likelihoods(diagnoses: Sequence[Diagnosis]) -> Rows:
    headers = ["family", "trained on", "log-likelihood", "against base", "calibration error"]
    headers += ["Brier", "E[4p(1-p)]", "E[H(p)] bits"]
    return headers, [
        [
            *(found.family, found.trained_on),
            _interval(found.log_likelihood),
            found.against_base.verdict if found.against_base else NO_VALUE,
            *map(_number, (found.expected_calibration_error, found.brier_score)),
            *map(
                _number,
                (found.preference_entropy.chance_to_differ, found.preference_entropy.entropy),
            ),
        ]
        for found in diagnoses
    ]


def _lengths(diagnoses: Sequence[Diagnosis]) -> Rows:
    headers = ["family", "trained on", "accuracy by P", "longer", "length regressed out"]
    headers += ["log-odds an e-fold length"]
    return headers, [
        [
            *(found.family, found.trained_on),
            *map(_number, (length.model, length.longer_wins, length.without_length)),
            _number(length.coefficient),
        ]
        for found in diagnoses
        if (length := found.length) is not None
    ]


def _risk_tests(tests: Sequence[RiskTest]) -> Rows:
    headers = ["family", "trained on", "risk", "withstands where the mean does not"]
    headers += ["the reverse", "exact p"]
    return headers, [
        [
            *(each.family, each.trained_on, each.risk),
            *(each.test.first_better, each.test.second_better, f"{each.test.p_value:.3g}"),
        ]
        for each in tests
    ]


def _ensembles(found_ensembles: Sequence[Ensemble]) -> Rows:
    return ["family", "trained on", "runs", "epistemic", "aleatoric"], [
        [
            *(each.family, each.trained_on, each.num_runs),
            *map(_number, (each.epistemic, each.aleatoric)),
        ]
        for each in found_ensembles
    ]


def _interval(found: Interval | ExplainedVarianceReport) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _rate_headers(risks: Sequence[str]) -> list[str]:
    by_risk = [header for risk in risks for header in (risk, "tie-corrected")]
    return ["family", "trained on", *by_risk]


def _rates(found: Mapping[str, Rate], risks: Sequence[str]) -> list[str]:
    cells = []
    for risk in risks:
        rate = found.get(risk)
        cells += [NO_VALUE if rate is None else f"{rate.published:.4f}", _corrected(rate)]
    return cells


def _corrected(rate: Rate | None) -> str:
    return NO_VALUE if rate is None else f"{rate.corrected:.3f} [{rate.low:.3f}, {rate.high:.3f}]"


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.4f}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]], style: Style) -> str:
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True)
