"""What should show in a run of the demo, and whether it does."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.recovered_judges import JudgesReport
from hidden_context.measures.evaluation import Evaluation
from hidden_context.risk import PAPER_RISK


@dataclass(frozen=True)
class Finding:
    """Something that should show in this run of one family: one number below another."""

    claim: str
    family: str
    smaller: float
    larger: float

    @property
    def holds(self) -> bool:
        """Whether it shows in this run."""
        return self.smaller < self.larger

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "does NOT hold"
        numbers = f"{self.smaller:.3f} < {self.larger:.3f}"
        return f"{self.claim} ({self.family}):\n  {numbers} {verdict} in this run"


def findings_of_the_paper(evaluations: Iterable[Evaluation]) -> list[Finding]:
    """The two of the paper, for every family with a variance that has all training sets."""
    trained = {
        (evaluation.family.name, evaluation.trained_on): evaluation
        for evaluation in evaluations
        if evaluation.explained_variance and evaluation.jailbreak_rate
    }
    r2 = {key: model.explained_variance["pooled"].value for key, model in trained.items()}
    rates = {name: model.jailbreak_rate for (name, on), model in trained.items() if on == "both"}
    lower = "r² is lower when trained on both than on either"
    level = PAPER_RISK.parameter
    safer = f"trained on both, the {level}-quantile is jailbroken less than the mean"
    return [
        Finding(lower, name, r2[name, "both"], min(r2[name, "helpful"], r2[name, "harmless"]))
        for name in sorted(rates)
    ] + [
        Finding(safer, name, rate[str(PAPER_RISK)].published, rate["mean"].published)
        for name, rate in rates.items()
    ]


def findings_about_judges(report: JudgesReport) -> list[Finding]:
    """What should show if contexts are judges."""
    values = {name: list(chain(*kinds.values())) for name, kinds in report.agreement.items()}
    of_contexts = values.pop(SHARED_CONTEXT)
    return [
        Finding(
            "no mean agrees with any judge as well as contexts do with each",
            SHARED_CONTEXT,
            max(chain(*values.values())),
            min(of_contexts),
        ),
        Finding(
            "trained on both, the worst context is jailbroken less than the mean",
            SHARED_CONTEXT,
            report.jailbreak["worst_context"],
            report.jailbreak["mean"],
        ),
    ]
