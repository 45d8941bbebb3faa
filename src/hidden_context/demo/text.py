"""What the demo prints: what was learned, beside the truth."""

from collections.abc import Mapping, Sequence

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.recovered_judges import BOTH, KINDS, JudgesReport
from hidden_context.demo.truth import Truth
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.likelihood_ratio import verdict
from hidden_context.risk import PAPER_RISK
from hidden_context.text_tables import text_table


def render(evaluations: Sequence[Evaluation], truths: Mapping[str, Truth]) -> str:
    """What the paper's families learned, beside the truth for each training set."""
    level = f"by {PAPER_RISK.parameter}-\nquantile"
    headers = ["family", "trained on", "r²", "jailbreak rate\nby mean", level]
    headers.append("helpfulness\naccuracy")
    rows: list[Sequence[object]] = []
    for evaluation in evaluations:
        if evaluation.jailbreak_rate:
            r2 = evaluation.explained_variance.get("pooled")
            by_quantile = evaluation.jailbreak_rate.get(str(PAPER_RISK))
            row = [evaluation.family.name, evaluation.trained_on, r2 and r2.value]
            row += [evaluation.jailbreak_rate["mean"].published]
            row += [by_quantile and by_quantile.published]
            rows.append([*row, evaluation.helpfulness_accuracy["mean"].published])
    for name, true in truths.items():
        rates = true.jailbreak_by_mean, true.jailbreak_by_quantile
        rows.append(["truth", name, true.r2, *rates, true.accuracy])
    for name, true in truths.items():
        rows.append(["truth, Borda", name, None, true.jailbreak_by_borda_count, None, None])
    unsafe, helpful = evaluations[0].longer_is_unsafe, evaluations[0].longer_is_helpful
    assert unsafe is not None
    assert helpful is not None
    rows.append(["longer text wins", "", None, unsafe.value, None, helpful.value])
    return text_table(rows, headers, decimals=3)


def render_judges(report: JudgesReport) -> str:
    """How well each judge was found: a table and a few lines."""
    other = "the other judge"
    agreement = {**report.agreement, other: {}}
    rows: list[list[object]] = []
    for kind in KINDS:
        agreement[other][kind] = (report.between_judges[kind],) * len(BOTH)
        for k, judge in enumerate(BOTH):
            row = [values[kind][k] for values in agreement.values()]
            rows.append([f"{judge.objective}, {kind} prompts", *row])
    rows.append(["mean of both, all prompts", *report.agreement_of_means.values(), None])
    headers = ["judge", *agreement]
    learned, true = report.jailbreak, report.true_jailbreak
    return "\n".join(
        [
            "Were the judges found? Correlation within prompts with each judge's own utilities,",
            f"of the contexts of {SHARED_CONTEXT}, of the one mean of others; trained on both:",
            text_table(rows, headers, decimals=3),
            "Contexts have no names: those of each kind of prompt were given to the judges anew.",
            *(
                f"held-out likelihood of {SHARED_CONTEXT} against {family}: {verdict(ratio)}"
                for family, ratio in report.likelihood.items()
            ),
            f"jailbreak rate of {SHARED_CONTEXT} on both: mean {learned['mean']:.3f}, "
            f"worst context {learned['worst_context']:.3f} "
            f"(truth: {true['mean']:.3f}, {true['worst_context']:.3f})",
        ]
    )
