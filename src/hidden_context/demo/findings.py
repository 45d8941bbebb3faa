"""What should show in a run of the demo, and whether it does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.judges_report import JudgesReport
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
        return f"{self.claim}, {self.family}: {numbers} {verdict} in this run"


def findings_of_the_paper(evaluations: Iterable[Evaluation]) -> list[Finding]:
    """The two of the paper, for every family with a variance that has all training sets."""
    by_family: dict[str, dict[str, Evaluation]] = {}
    for evaluation in evaluations:
        if evaluation.explained_variance and evaluation.jailbreak_rate:
            by_family.setdefault(evaluation.family.name, {})[evaluation.trained_on] = evaluation
    r2 = [_explained_variance(name, trained) for name, trained in sorted(by_family.items())]
    return r2 + [_jailbreaks(name, trained["both"]) for name, trained in by_family.items()]


def _explained_variance(family: str, trained_on: Mapping[str, Evaluation]) -> Finding:
    r2 = {name: each.explained_variance["pooled"].value for name, each in trained_on.items()}
    of_one_judge = min(r2["helpful"], r2["harmless"])
    claim = "r² is lower when trained on both than on either"
    return Finding(claim, family, r2["both"], of_one_judge)


def _jailbreaks(family: str, trained_on_both: Evaluation) -> Finding:
    rate = trained_on_both.jailbreak_rate
    claim = f"trained on both, the {PAPER_RISK.parameter}-quantile is jailbroken less than the mean"
    return Finding(claim, family, rate[str(PAPER_RISK)].published, rate["mean"].published)


def findings_about_judges(report: JudgesReport) -> list[Finding]:
    """What should show if contexts are judges."""
    agreement = {name: _values(by_kind) for name, by_kind in report.agreement.items()}
    of_contexts = agreement.pop(SHARED_CONTEXT)
    return [
        Finding(
            "no mean agrees with any judge as well as contexts do with each",
            SHARED_CONTEXT,
            max(value for values in agreement.values() for value in values),
            min(of_contexts),
        ),
        Finding(
            "trained on both, the worst context is jailbroken less than the mean",
            SHARED_CONTEXT,
            report.jailbreak.by_worst_context,
            report.jailbreak.by_mean,
        ),
    ]


def _values(by_kind: Mapping[str, Sequence[float]]) -> list[float]:
    return [value for values in by_kind.values() for value in values]
