"""What models trained on both judges know of each of them, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.scores.scores import Scores

BOTH = JUDGES["both"]
KINDS = {"harmless": False, "harmful": True}
"""Kinds of prompts. No comparison says which context on the one is which on the other."""


@dataclass(frozen=True)
class JudgesReport:
    """How well each judge was found."""

    agreement: dict[str, dict[str, tuple[float, ...]]]
    """By family, then kind of prompt: see `recovered_judges.agreement`."""
    agreement_of_means: dict[str, float]
    """By family: with the mean utility of the judges."""
    between_judges: dict[str, float]
    """By kind of prompt: correlation of the judges with each other."""
    likelihood: dict[str, Estimate]
    """Of the model with contexts against each other one, on the test comparisons."""
    jailbreak: JailbreakRates
    true_jailbreak: JailbreakRates


def report_judges(
    models: Mapping[str, Scores],
    shared: str,
    among_others: SharedContextUtility,
    data: GeneratedData,
) -> JudgesReport:
    """Hold models against the judges.

    Args:
        models: Scores of the test comparisons, in their order, by family; all trained on both.
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
        agreement={name: by_kind(as_contexts(model)) for name, model in models.items()},
        agreement_of_means={
            name: agreement_of_means(as_contexts(model), true, list(prompts))
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


def as_contexts(scores: Scores) -> SharedContextUtility:
    """Chosen responses, then rejected ones; one mean, for each judge, if there are no contexts.

    With independent contexts nothing says which utility of the one response goes with which of
    the other, so the mean is all that can be held against a judge.
    """
    raw = scores.by_row
    utility = scores.family.decode(np.concatenate([raw[:, 0], raw[:, 1]]))
    if isinstance(utility, SharedContextUtility):
        return utility
    return equal_contexts(np.repeat(np.asarray(utility.mean)[:, None], len(BOTH), axis=1))


def _only(utility: SharedContextUtility, rows: np.ndarray) -> SharedContextUtility:
    return SharedContextUtility(utility.contexts[rows], utility.log_weights[rows])
