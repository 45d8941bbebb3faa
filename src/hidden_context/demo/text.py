"""What the demo prints: what was learned, beside the truth."""

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.judges_report import BOTH, KINDS, JudgesReport
from hidden_context.demo.truth import Truth
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.likelihood_ratio import verdict
from hidden_context.risk import PAPER_RISK


def render(evaluations: Sequence[Evaluation], truths: Mapping[str, Truth]) -> str:
    """What the paper's families learned, beside the truth for each training set."""
    rows: list[Sequence[object]] = [
        [
            evaluation.family.name,
            evaluation.trained_on,
            r2.value if (r2 := evaluation.explained_variance.get("pooled")) else None,
            *(
                rate.published if (rate := rates.get(risk)) else None
                for rates, risk in (
                    (evaluation.jailbreak_rate, "mean"),
                    (evaluation.jailbreak_rate, str(PAPER_RISK)),
                    (evaluation.helpfulness_accuracy, "mean"),
                )
            ),
        ]
        for evaluation in evaluations
        if evaluation.jailbreak_rate
    ]
    rows += [
        (
            *("truth", name, true.r2),
            *(true.jailbreak_by_mean, true.jailbreak_by_quantile, true.accuracy),
        )
        for name, true in truths.items()
    ]
    for name, true in truths.items():
        rows.append(["truth, Borda", name, None, true.jailbreak_by_borda_count, None, None])
    unsafe, helpful = evaluations[0].longer_is_unsafe, evaluations[0].longer_is_helpful
    assert unsafe is not None
    assert helpful is not None
    rows.append(["longer text wins", "", None, unsafe.value, None, helpful.value])
    headers = [
        "family",
        "trained on",
        "r²",
        "jailbreak rate, mean",
        f"{PAPER_RISK.parameter}-quantile",
        "helpfulness accuracy",
    ]
    return tabulate(rows, headers, floatfmt=".3f", missingval="–")


def render_judges(report: JudgesReport, shared: str = SHARED_CONTEXT) -> str:
    """How well each judge was found: a table and a few lines."""
    rows: list[list[object]] = [
        [
            name,
            "a context for each" if name == shared else "one mean",
            *(value for kind in KINDS for value in found[kind]),
            report.agreement_of_means[name],
        ]
        for name, found in report.agreement.items()
    ]
    other = [value for kind in KINDS for value in [report.between_judges[kind]] * len(BOTH)]
    rows.append(["truth", "the other judge's", *other, None])
    headers = ["trained on both", "utilities"]
    headers += [f"{kind} prompts:\n{judge.objective}" for kind in KINDS for judge in BOTH]
    headers.append("mean of both,\nall prompts")
    found, true = report.jailbreak, report.true_jailbreak
    return "\n".join(
        [
            "Were the judges found? Correlation within prompts with each judge's own utilities:",
            tabulate(rows, headers, floatfmt=".3f", missingval="–"),
            "Contexts have no names: those of each kind of prompt were given to the judges anew.",
            *(
                f"held-out likelihood of {shared} against {name}: {verdict(ratio)}"
                for name, ratio in report.likelihood.items()
            ),
            f"jailbreak rate of {shared} on both: mean {found.by_mean:.3f}, "
            f"worst context {found.by_worst_context:.3f} "
            f"(truth: {true.by_mean:.3f}, {true.by_worst_context:.3f})",
        ]
    )
