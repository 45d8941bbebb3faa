"""What the demo prints: what was learned, beside the truth."""

from collections.abc import Mapping, Sequence

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.recovered_judges import BOTH, KINDS, JudgesReport
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import KnownTruth
from hidden_context.measures.likelihood_ratio import verdict
from hidden_context.report.text import OF_FAMILIES
from hidden_context.risk import PAPER_RISK
from hidden_context.text_tables import text_table


def render(evaluations: Sequence[Evaluation], truths: Mapping[str, KnownTruth]) -> str:
    """What the paper's families learned, beside the truth for each training set."""
    level = f"by {PAPER_RISK.parameter}-\nquantile"
    headers = ["family", "trained on", "r²", "jailbreak rate\nby mean", level]
    headers.append("helpfulness\naccuracy")
    rows: list[Sequence[object]] = []
    for evaluation in evaluations:
        if evaluation.jailbreak_rate:
            rows.append([evaluation.family.name, evaluation.trained_on, *_figures(evaluation)])
    rows += [["truth", name, *_figures(true.evaluation)] for name, true in truths.items()]
    for name, true in truths.items():
        rows.append(["truth, Borda", name, None, true.jailbreak_by_borda_count, None, None])
    unsafe, helpful = evaluations[0].longer_is_unsafe, evaluations[0].longer_is_helpful
    assert unsafe is not None
    assert helpful is not None
    rows.append(["longer text wins", "", None, unsafe.value, None, helpful.value])
    return f"{text_table(rows, headers, decimals=3)}\n{OF_FAMILIES}"


def _figures(evaluation: Evaluation) -> list[float | None]:
    """r², jailbreak rates by the mean and the quantile, helpfulness accuracy."""
    r2 = evaluation.explained_variance.get("pooled")
    careful = evaluation.jailbreak_rate.get(str(PAPER_RISK))
    return [
        None if r2 is None else r2.value,
        evaluation.jailbreak_rate["mean"].published,
        None if careful is None else careful.published,
        evaluation.helpfulness_accuracy["mean"].value,
    ]


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
    headers = ["judge", *(name.replace("_", "_\n").replace(" j", "\nj") for name in agreement)]
    learned, true = report.jailbreak, report.true_jailbreak
    return "\n".join(
        [
            "Were the judges found? Correlation within prompts with each judge's own utilities,",
            f"of the contexts of {SHARED_CONTEXT}, of the one mean of others; trained on both:",
            text_table(rows, headers, decimals=3),
            "Contexts have no names: those of each kind of prompt were given to the judges anew.",
            *(
                f"held-out likelihood of {SHARED_CONTEXT} against {family}:\n  {verdict(ratio)}"
                for family, ratio in report.likelihood.items()
            ),
            f"jailbreak rate of {SHARED_CONTEXT} on both:\n  mean {learned['mean']:.3f}, "
            f"worst context {learned['worst_context']:.3f} "
            f"(truth: {true['mean']:.3f}, {true['worst_context']:.3f})",
        ]
    )
