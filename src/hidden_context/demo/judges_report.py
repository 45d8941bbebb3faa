"""What models trained on both judges know of each, as numbers and as a few printed lines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from hidden_context.demo.generated_data import GeneratedData
from hidden_context.demo.judges import JUDGES
from hidden_context.demo.recovered_judges import (
    JailbreakRates,
    agreement,
    agreement_of_means,
    equal_contexts,
    jailbreak_rates,
    judges_as_contexts,
)
from hidden_context.distributions import Family
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.measures.likelihood_ratio import LikelihoodRatio, likelihood_ratio

BOTH = JUDGES["both"]
KINDS = {"harmless": False, "harmful": True}
"""Kinds of prompts. No comparison says which context on the one is which on the other."""


@dataclass(frozen=True)
class ScoredModel:
    """Raw outputs of a model trained on both, for the test comparisons in their order."""

    family: Family
    chosen: np.ndarray
    """Shape `(n, num_outputs)`."""
    rejected: np.ndarray
    """Shape `(n, num_outputs)`."""

    @property
    def log_prob(self) -> np.ndarray:
        """log P(chosen ≻ rejected) in nats, shape `(n,)`."""
        chosen, rejected = self.family.decode(self.chosen), self.family.decode(self.rejected)
        return np.asarray(chosen.log_prob_preferred_to(rejected))

    @property
    def as_contexts(self) -> SharedContextUtility:
        """Chosen responses, then rejected ones; one mean, for each judge, if there are no contexts.

        With independent contexts nothing says which utility of the one response goes with which of
        the other, so the mean is all that can be held against a judge.
        """
        utility = self.family.decode(np.concatenate([self.chosen, self.rejected]))
        if isinstance(utility, SharedContextUtility):
            return utility
        return equal_contexts(np.repeat(np.asarray(utility.mean)[:, None], len(BOTH), axis=1))


@dataclass(frozen=True)
class JudgesReport:
    """How well each judge was found."""

    agreement: dict[str, dict[str, tuple[float, ...]]]
    """By family, then kind of prompt: see `recovered_judges.agreement`."""
    agreement_of_means: dict[str, float]
    """By family: with the mean utility of the judges."""
    between_judges: dict[str, float]
    """By kind of prompt: correlation of the judges with each other."""
    likelihood: dict[str, LikelihoodRatio]
    """Of the model with contexts against each other one, on the test comparisons."""
    jailbreak: JailbreakRates
    true_jailbreak: JailbreakRates


def report_judges(
    models: Mapping[str, ScoredModel],
    shared: str,
    among_others: SharedContextUtility,
    data: GeneratedData,
) -> JudgesReport:
    """Hold models against the judges.

    Args:
        models: By family, all trained on both.
        shared: The family of these whose contexts are shared.
        among_others: Its utilities of the responses in `data.among_others`, prompt after prompt.
        data: What the judges saw.
    """
    test = data.test["both"]
    contents = [one.chosen.attributes for one in test] + [one.rejected.attributes for one in test]
    prompts = np.array([one.prompt.text for one in test] * 2)
    harmful = np.array([one.prompt.harmful for one in test] * 2)
    true = judges_as_contexts(contents, BOTH)
    rows = {kind: np.flatnonzero(harmful == is_harmful) for kind, is_harmful in KINDS.items()}

    def by_kind(learned: SharedContextUtility) -> dict[str, tuple[float, ...]]:
        return {
            kind: agreement(_only(learned, at), _only(true, at), list(prompts[at]))
            for kind, at in rows.items()
        }

    first, second = (equal_contexts(true.contexts[:, [judge] * 2]) for judge in (0, 1))
    jailbroken = [each.attributes for responses in data.among_others for each in responses]
    num_jailbreaks = len(data.jailbreaks)
    return JudgesReport(
        agreement={name: by_kind(model.as_contexts) for name, model in models.items()},
        agreement_of_means={
            name: agreement_of_means(model.as_contexts, true, list(prompts))
            for name, model in models.items()
        },
        between_judges={
            kind: agreement_of_means(_only(first, at), _only(second, at), list(prompts[at]))
            for kind, at in rows.items()
        },
        likelihood={
            name: likelihood_ratio(
                models[shared].log_prob, model.log_prob, [one.prompt.text for one in test]
            )
            for name, model in models.items()
            if name != shared
        },
        jailbreak=jailbreak_rates(among_others, num_jailbreaks),
        true_jailbreak=jailbreak_rates(judges_as_contexts(jailbroken, BOTH), num_jailbreaks),
    )


def render_judges(report: JudgesReport, shared: str) -> str:
    """A table and three lines."""
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
                f"held-out likelihood of {shared} against {name}: {ratio.verdict}"
                for name, ratio in report.likelihood.items()
            ),
            f"jailbreak rate of {shared} on both: mean {found.by_mean:.3f}, "
            f"worst context {found.by_worst_context:.3f} "
            f"(truth: {true.by_mean:.3f}, {true.by_worst_context:.3f})",
        ]
    )


def _only(utility: SharedContextUtility, rows: np.ndarray) -> SharedContextUtility:
    return SharedContextUtility(utility.contexts[rows], utility.log_weights[rows])
