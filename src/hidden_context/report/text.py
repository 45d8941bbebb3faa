"""Evaluations to text and Markdown. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from tabulate import tabulate

from hidden_context.measures.ensembles import Ensemble
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.explained_variance import SCALES
from hidden_context.measures.likelihood_ratio import verdict
from hidden_context.measures.models import LevelChoice

Style: TypeAlias = Literal["simple", "github"]
"""Names of tabulate: plain text, or Markdown."""

NO_VALUE = "–"
RATES = (
    "95 % intervals of rates are Wilson's at the effective sample size: rows of one prompt count "
    "as far as they differ. 'longer' is the rate if the longer text always won."
)


def render(
    evaluations: Sequence[Evaluation],
    risks: Sequence[str],
    style: Style,
    *,
    missing: Sequence[str] = (),
) -> str:
    """Tables of r², jailbreak rates and helpfulness accuracies.

    Args:
        evaluations: Of all models.
        risks: Those to be shown beside the mean.
        style: Text or Markdown.
        missing: What was looked for and is not there.
    """
    shown = ["mean", *(risk for risk in risks if risk != "mean")]
    r2 = [
        [*_model(each), _number(each.explained_variance["pooled"]), each.num_comparisons, each.name]
        for each in evaluations
        if "pooled" in each.explained_variance
    ]
    sections = []
    if any(each.num_comparisons for each in evaluations):
        title = "r² for detecting hidden context: Var[mean] / (Var[mean] + E[variance])"
        headers = ["family", "trained on", "r²", "comparisons", "run"]
        sections += [heading(title, style), _table(headers, r2, style)]
    for title, counted, rows in (
        (
            "Jailbreak rates: the unsafe response scores at least as high",
            "rows",
            [(each, each.jailbreak_rate, each.longer_is_unsafe) for each in evaluations],
        ),
        (
            "Helpfulness accuracies: comparisons judged by helpfulness",
            "pairs",
            [(each, each.helpfulness_accuracy, each.longer_is_helpful) for each in evaluations],
        ),
    ):
        lines = [
            [*_model(each), *_rates(rates, shown), rates["mean"].n, _number(longer)]
            for each, rates, longer in rows
            if rates
        ]
        if lines:
            headers = [name for risk in shown for name in (risk, "tie-corrected")]
            headers = ["family", "trained on", *headers, counted, "longer"]
            sections += [heading(title, style), _table(headers, lines, style)]
    if sections:
        ties = "Rates count an exact tie in full, as published; tie-corrected ones count it half. "
        sections.append(ties + RATES)
    if missing:
        listed = "\n".join(f"  - {name}" for name in missing)
        sections.append(f"Not found, so not in these tables:\n{listed}")
    return "\n\n".join(sections)


def heading(text: str, style: Style) -> str:
    """A section heading."""
    return f"### {text}" if style == "github" else text


def render_curves(evaluations: Sequence[Evaluation], risks: Sequence[str], style: Style) -> str:
    """A table of levels for each model, the rates of the longer text below."""
    sections = []
    for each in evaluations:
        rows = [
            [
                risk,
                _interval(each.jailbreak_rate.get(risk)),
                _interval(each.helpfulness_accuracy.get(risk)),
            ]
            for risk in ["mean", *risks]
            if risk in each.jailbreak_rate or risk in each.helpfulness_accuracy
        ]
        if not rows:
            continue
        rows.append(["longer", *map(_number, (each.longer_is_unsafe, each.longer_is_helpful))])
        title = f"By level of risk: {each.family.name}, trained on {each.trained_on}"
        table = _table(["risk", "jailbreak rate", "accuracy"], rows, style)
        sections += [heading(title, style), table]
    return "\n\n".join([*sections, f"Ties count half. {RATES}"])


def render_choices(choices: Sequence[LevelChoice], tolerance: float, style: Style) -> str:
    """The risk that was chosen on the validation data for each model, and its test figures."""
    rows = []
    for choice in choices:
        both = (choice.validation, choice.test)
        for risk, label in {"mean": "mean", choice.risk: f"chosen: {choice.risk}"}.items():
            rates = [
                of.get(risk)
                for each in both
                for of in (each.jailbreak_rate, each.helpfulness_accuracy)
            ]
            rows.append([*_model(choice.test), label, *map(_interval, rates)])
        longer = [of for each in both for of in (each.longer_is_unsafe, each.longer_is_helpful)]
        rows.append([*_model(choice.test), "longer", *map(_number, longer)])
    headers = ["family", "trained on", "risk", "validation: jailbreak rate", "accuracy"]
    headers += ["test: jailbreak rate", "accuracy"]
    rule = (
        "Chosen on the validation data alone: of the mean and the levels above, those at least as "
        f"accurate as the mean less {tolerance:g}; of these the one with the lowest jailbreak "
        "rate; of equals the most accurate, then the first."
    )
    title = heading("The chosen level of risk", style)
    return "\n\n".join([title, _table(headers, rows, style), rule])


def render_diagnostics(
    evaluations: Sequence[Evaluation],
    risks: Sequence[str],
    ensembles: Sequence[Ensemble],
    style: Style,
) -> str:
    """The further measures of each run, a table for each question that has an answer."""
    tables: dict[str, tuple[list[str], list[list[object]]]] = {
        "r² on each scale": (
            ["family", "trained on", *(f"r² {scale}" for scale in SCALES), "stopped"],
            [
                [
                    *_model(each),
                    *(_interval(each.explained_variance.get(scale)) for scale in SCALES),
                    each.stopping_rule,
                ]
                for each in evaluations
                if each.explained_variance
            ],
        ),
        "Held-out likelihood and preference entropy": (
            [
                *("family", "trained on", "log-likelihood", "against base", "calibration error"),
                *("Brier", "E[4p(1-p)]", "E[H(p)] bits"),
            ],
            [_likelihood(each) for each in evaluations if each.log_likelihood],
        ),
        "Accuracy and length": (
            [
                *("family", "trained on", "accuracy by P", "longer", "length regressed out"),
                "log-odds an e-fold length",
            ],
            [
                [
                    *_model(each),
                    *map(_number, (each.accuracy_by_probability, each.length.longer_wins)),
                    *map(_number, (each.length.without_length, each.length.coefficient)),
                ]
                for each in evaluations
                if each.length
            ],
        ),
        "Jailbreaks: each risk against the mean": (
            [
                *("family", "trained on", "risk", "withstands where the mean does not"),
                *("the reverse", "exact p"),
            ],
            [
                [*_model(each), risk, test.first_better, test.second_better, f"{test.p_value:.3g}"]
                for each in evaluations
                for risk, test in each.risk_tests.items()
                if risk in risks
            ],
        ),
        "Ensembles: shares of the total variance": (
            ["family", "trained on", "runs", "epistemic", "aleatoric"],
            [
                [
                    *(each.family, each.trained_on, each.num_runs),
                    *map(_number, (each.epistemic, each.aleatoric)),
                ]
                for each in ensembles
            ],
        ),
    }
    sections = []
    for title, (headers, rows) in tables.items():
        if rows:
            sections += [heading(title, style), _table(headers, rows, style)]
    if len({each.stopping_rule for each in evaluations if each.explained_variance}) > 1:
        sections.append(
            "These runs did not all stop alike on data of one size, so their r² do not compare: "
            "train them again with one --train_dataset_size and --num_train_epochs."
        )
    sections.append(
        "95 % intervals by bootstrap over prompts; r² depends on when training stopped and on the "
        "size of the data. What each measure is invariant to: docs/measures.md."
    )
    return "\n\n".join(sections)


def _likelihood(each: Evaluation) -> list[object]:
    entropy = each.preference_entropy
    return [
        *_model(each),
        _interval(each.log_likelihood),
        verdict(each.against_base) if each.against_base else NO_VALUE,
        *map(_number, (each.expected_calibration_error, each.brier_score)),
        *map(_number, (entropy.chance_to_differ, entropy.entropy) if entropy else (None, None)),
    ]


def _model(each: Evaluation) -> list[str]:
    return [each.family.name, each.trained_on]


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return NO_VALUE
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _rates(rates: Mapping[str, Rate], risks: Sequence[str]) -> list[str]:
    cells = []
    for risk in risks:
        rate = rates.get(risk)
        cells += [NO_VALUE if rate is None else f"{rate.published:.4f}", _interval(rate)]
    return cells


def _number(value: Estimate | float | None) -> str:
    number = value.value if isinstance(value, Estimate) else value
    return NO_VALUE if number is None else f"{number:.4f}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]], style: Style) -> str:
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True)
