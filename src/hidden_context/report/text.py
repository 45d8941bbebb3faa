"""Evaluations to text and Markdown. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from hidden_context.measures.ensembles import Ensemble
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.explained_variance import SCALES
from hidden_context.measures.learned_enough import not_learned
from hidden_context.measures.likelihood_ratio import verdict
from hidden_context.measures.models import LevelChoice
from hidden_context.text_tables import NO_VALUE, text_table

Style: TypeAlias = Literal["simple", "github"]
"""Plain text, or Markdown."""
Row: TypeAlias = dict[str, object]
"""Cells by the headers of their columns."""

RATES = (
    "95 % intervals of rates are Wilson's at the effective sample size: rows of one prompt count "
    "as far as they differ. 'longer' is the rate if the longer text always won."
)

OF_FAMILIES = "Each family has a scale of its own: r² of two families do not compare."


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
    sections = []
    if any(evaluation.num_comparisons for evaluation in evaluations):
        title = "r² for detecting hidden context: Var[mean] / (Var[mean] + E[variance])"
        headers = ["family", "trained on", "r²", "comparisons", "run"]
        rows = [
            [*_model(each), _number(pooled), each.num_comparisons, each.name]
            for each in evaluations
            if (pooled := each.explained_variance.get("pooled"))
        ]
        sections.append(_section(title, rows, style, headers))
        if len({family for family, *_ in rows}) > 1:
            sections.append(OF_FAMILIES)
        sections += [
            f"Trained on {each.trained_on}: {said}"
            for each in evaluations
            if each.explained_variance and (said := not_learned(each))
        ]
    shown = list(dict.fromkeys(["mean", *risks]))
    headers = ["family", "trained on"]
    headers += [name for risk in shown for name in (risk, "tie-corrected")]
    jailbreaks = [
        [*_model(each), *_rates(each.jailbreak_rate, shown), _number(each.longer_is_unsafe)]
        for each in evaluations
        if each.jailbreak_rate
    ]
    accuracies = [
        [*_model(each), *_rates(each.helpfulness_accuracy, shown), _number(each.longer_is_helpful)]
        for each in evaluations
        if each.helpfulness_accuracy
    ]
    if jailbreaks:
        title = "Jailbreak rates: the unsafe response scores at least as high"
        sections.append(_section(title, jailbreaks, style, [*headers, "rows", "longer"]))
    if accuracies:
        title = "Helpfulness accuracies: comparisons judged by helpfulness"
        sections.append(_section(title, accuracies, style, [*headers, "pairs", "longer"]))
    if sections:
        ties = "Rates count an exact tie in full, as published; tie-corrected ones count it half. "
        sections.append(ties + RATES)
    if missing:
        listed = "\n".join(f"  - {name}" for name in missing)
        sections.append(f"Not found, so not in these tables:\n{listed}")
    return "\n\n".join(sections)


def render_curves(evaluations: Sequence[Evaluation], risks: Sequence[str], style: Style) -> str:
    """A table of levels for each model, the rates of the longer text below."""
    sections = []
    for each in evaluations:
        rows = [
            [risk, *_both_rates(each, risk)]
            for risk in ["mean", *risks]
            if risk in each.jailbreak_rate or risk in each.helpfulness_accuracy
        ]
        if rows:
            rows.append(["longer", *_both_longer(each)])
            title = f"By level of risk: {each.family.name}, trained on {each.trained_on}"
            sections.append(_section(title, rows, style, ["risk", "jailbreak rate", "accuracy"]))
    return "\n\n".join([*sections, f"Ties count half. {RATES}"])


def render_choices(choices: Sequence[LevelChoice], tolerance: float, style: Style) -> str:
    """The risk that was chosen on the validation data for each model, and its test figures."""
    rows = []
    for choice in choices:
        model, both = _model(choice.test), (choice.validation, choice.test)
        for risk, label in {"mean": "mean", choice.risk: f"chosen: {choice.risk}"}.items():
            rows.append([*model, label, *(cell for of in both for cell in _both_rates(of, risk))])
        rows.append([*model, "longer", *(cell for of in both for cell in _both_longer(of))])
    headers = ["family", "trained on", "risk", "validation: jailbreak rate", "accuracy"]
    headers += ["test: jailbreak rate", "accuracy"]
    rule = (
        "Chosen on the validation data alone: of the mean and the levels above, those at least as "
        f"accurate as the mean less {tolerance:g}; of these the one with the lowest jailbreak "
        "rate; of equals the most accurate, then the first."
    )
    return "\n\n".join([_section("The chosen level of risk", rows, style, headers), rule])


def render_diagnostics(
    evaluations: Sequence[Evaluation],
    risks: Sequence[str],
    ensembles: Sequence[Ensemble],
    style: Style,
) -> str:
    """The further measures of each run, a table for each question that has an answer."""
    tables: dict[str, list[Row]] = {}
    for evaluation in evaluations:
        for title, rows in _diagnostics(evaluation, risks).items():
            tables.setdefault(title, []).extend(rows)
    tables["Ensembles: shares of the total variance"] = [
        {
            "family": ensemble.family,
            "trained on": ensemble.trained_on,
            "runs": ensemble.num_runs,
            "epistemic": _number(ensemble.epistemic),
            "aleatoric": _number(ensemble.aleatoric),
        }
        for ensemble in ensembles
    ]
    sections = [
        _section(title, [[*row.values()] for row in rows], style, [*rows[0]])
        for title, rows in tables.items()
        if rows
    ]
    if len({each.stopping_rule for each in evaluations if each.explained_variance}) > 1:
        sections.append(
            "These runs did not all stop alike on data of one size, so their r² do not compare: "
            "train them again with one train_dataset_size and num_train_epochs."
        )
    sections += dict.fromkeys(each.overlap_in_words for each in evaluations)
    sections.append(
        "95 % intervals by bootstrap over prompts; r² depends on when training stopped and on the "
        "size of the data. What each measure is invariant to: docs/measures.md."
    )
    return "\n\n".join(sections)


def _diagnostics(evaluation: Evaluation, risks: Sequence[str]) -> dict[str, list[Row]]:
    """What one model adds to each table, by its title: rows, or none."""
    model: Row = {"family": evaluation.family.name, "trained on": evaluation.trained_on}
    r2, entropy = evaluation.explained_variance, evaluation.preference_entropy
    against_base, length = evaluation.against_base, evaluation.length
    scales = {f"r² {scale}": _interval(r2.get(scale)) for scale in SCALES}
    likelihood = {
        "log-likelihood": _interval(evaluation.log_likelihood),
        "against base": verdict(against_base) if against_base else NO_VALUE,
        "calibration error": _number(evaluation.expected_calibration_error),
        "Brier": _number(evaluation.brier_score),
        "E[4p(1-p)]": _number(entropy.chance_to_differ if entropy else None),
        "E[H(p)] bits": _number(entropy.entropy if entropy else None),
    }
    by_length = {
        "accuracy by P": _number(evaluation.accuracy_by_probability),
        "longer": _number(length.longer_wins if length else None),
        "length regressed out": _number(length.without_length if length else None),
        "log-odds an e-fold length": _number(length.coefficient if length else None),
    }
    tests = [
        {
            "risk": risk,
            "withstands where the mean does not": test.first_better,
            "the reverse": test.second_better,
            "exact p": f"{test.p_value:.3g}",
        }
        for risk, test in evaluation.risk_tests.items()
        if risk in risks
    ]
    rows = {
        "r² on each scale": [scales | {"stopped": evaluation.stopping_rule}] if r2 else [],
        "Likelihood and preference entropy": ([likelihood] if evaluation.log_likelihood else []),
        "Accuracy and length": [by_length] if length else [],
        "Jailbreaks: each risk against the mean": tests,
    }
    return {title: [model | row for row in of_title] for title, of_title in rows.items()}


def _model(evaluation: Evaluation) -> list[str]:
    return [evaluation.family.name, evaluation.trained_on]


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return NO_VALUE
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _rates(rates: Mapping[str, Rate], risks: Sequence[str]) -> list[object]:
    """By each risk, as published and tie-corrected; and of how many."""
    cells: list[object] = []
    for risk in risks:
        rate = rates.get(risk)
        cells += [NO_VALUE if rate is None else f"{rate.published:.4f}", _interval(rate)]
    return [*cells, rates["mean"].n]


def _both_rates(evaluation: Evaluation, risk: str) -> list[str]:
    """Jailbreak rate and accuracy."""
    rates = evaluation.jailbreak_rate, evaluation.helpfulness_accuracy
    return [_interval(by_risk.get(risk)) for by_risk in rates]


def _both_longer(evaluation: Evaluation) -> list[str]:
    """The same of the longer text."""
    return [_number(evaluation.longer_is_unsafe), _number(evaluation.longer_is_helpful)]


def _number(value: Estimate | float | None) -> str:
    number = value.value if isinstance(value, Estimate) else value
    return NO_VALUE if number is None else f"{number:.4f}"


def _section(
    title: str, rows: Sequence[Sequence[object]], style: Style, headers: Sequence[str]
) -> str:
    """A heading and a table."""
    heading = f"### {title}" if style == "github" else title
    return f"{heading}\n\n{text_table(rows, headers, markdown=style == 'github')}"
