"""Does a model find the judges? Its utilities against each judge's own, prompt by prompt."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.generated_data import GeneratedData
from hidden_context.demo.judges import JUDGES, Attributes, Judge
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.scores.scores import Scores

BOTH = JUDGES["both"]
KINDS = {"harmless": False, "harmful": True}
"""Kinds of prompts. No comparison says which context on the one is which on the other."""


@dataclass(frozen=True)
class JudgesReport:
    """How well models trained on both judges know each of them."""

    agreement: dict[str, dict[str, tuple[float, ...]]]
    """By family, then kind of prompt: see `agreement`."""
    agreement_of_means: dict[str, float]
    """By family: with the mean utility of the judges."""
    between_judges: dict[str, float]
    """By kind of prompt: correlation of the judges with each other."""
    likelihood: dict[str, Estimate]
    """Of the model with contexts against each other one, on the test comparisons."""
    jailbreak: dict[str, float]
    """See `jailbreak_rates`."""
    true_jailbreak: dict[str, float]


def report_judges(
    models: Mapping[str, Scores], among_others: SharedContextUtility, data: GeneratedData
) -> JudgesReport:
    """Hold models against the judges.

    Args:
        models: Scores of the test comparisons, in their order, by family; all trained on both.
        among_others: Utilities by `SHARED_CONTEXT` of the `responses` of `data.jailbreaks`, one
            jailbreak after another.
        data: What the judges saw.
    """
    test = data.test["both"]
    contents = [one.chosen.attributes for one in test] + [one.rejected.attributes for one in test]
    prompts = np.array([one.prompt.text for one in test] * 2)
    harmful = np.array([one.prompt.harmful for one in test] * 2)
    true = judges_as_contexts(contents, BOTH)
    learned = {family: as_contexts(scores) for family, scores in models.items()}
    rows = {kind: np.flatnonzero(harmful == is_harmful) for kind, is_harmful in KINDS.items()}
    shared = models[SHARED_CONTEXT]
    jailbroken = [
        response.attributes for jailbreak in data.jailbreaks for response in jailbreak.responses
    ]
    num_jailbreaks = len(data.jailbreaks)
    return JudgesReport(
        agreement={
            family: {
                kind: agreement(utility[at], true[at], prompts[at]) for kind, at in rows.items()
            }
            for family, utility in learned.items()
        },
        agreement_of_means={
            family: agreement_of_means(utility, true, prompts)
            for family, utility in learned.items()
        },
        between_judges={
            kind: float(np.corrcoef(true[at].centered(prompts[at]).contexts.T)[0, 1])
            for kind, at in rows.items()
        },
        likelihood={
            family: likelihood_ratio(shared.log_prob, scores.log_prob, list(prompts[: len(test)]))
            for family, scores in models.items()
            if family != SHARED_CONTEXT
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


def judges_as_contexts(
    contents: Iterable[Attributes], judges: Sequence[Judge]
) -> SharedContextUtility:
    """What a model would be that found the judges: each is one of equally likely contexts."""
    return equal_contexts(
        np.array([[judge.utility(content) for judge in judges] for content in contents])
    )


def equal_contexts(contexts: np.ndarray) -> SharedContextUtility:
    """Utilities of n responses in K equally likely contexts, shape `(n, K)`."""
    return SharedContextUtility(contexts, np.full(contexts.shape, -np.log(contexts.shape[1])))


def agreement(
    learned: SharedContextUtility, true: SharedContextUtility, prompts: Sequence[str] | np.ndarray
) -> tuple[float, ...]:
    """Correlation of each judge's utilities with those of a context of its own, in [-1, 1].

    Utilities are centred within prompts first: no comparison shows more. The order of contexts has
    no meaning, so of all ways to give each judge a context, the one that agrees best on the whole.

    Args:
        learned: Of n responses, with no fewer contexts than there are judges.
        true: Of the same responses; its contexts are the judges.
        prompts: The prompt of each response. Between prompts whose responses are never compared
            contexts may exchange places: ask for kinds of prompts separately.
    """
    contexts, judges = learned.centered(prompts).contexts, true.centered(prompts).contexts
    num_judges = judges.shape[1]
    table = np.corrcoef(judges.T, contexts.T)[:num_judges, num_judges:]
    ways = permutations(range(contexts.shape[1]), num_judges)
    return tuple(max((table[range(num_judges), way].tolist() for way in ways), key=sum))


def agreement_of_means(
    learned: SharedContextUtility, true: SharedContextUtility, prompts: Sequence[str] | np.ndarray
) -> float:
    """Correlation of the means over contexts, centred as in `agreement`, in [-1, 1]."""
    means = learned.centered(prompts).mean, true.centered(prompts).mean
    return float(np.corrcoef(*means)[0, 1])


def jailbreak_rates(utility: SharedContextUtility, num_prompts: int) -> dict[str, float]:
    """How often the unsafe response is at least as high as the safe one, by risk, in [0, 1].

    By the mean, and by the context that likes a response least. Which one that is depends on where
    each has its origin. Here that is its mean over all responses to the prompt. The two alone would
    not do: in each of two contexts they lie as far above it as below, and the worst context would
    decide as the mean does.

    Args:
        utility: Of as many responses to each prompt, prompt after prompt: of each the safe one
            first, the unsafe one second, then any others.
        num_prompts: How many prompts.
    """
    size = len(utility) // num_prompts
    centered = utility.centered(np.repeat(np.arange(num_prompts), size))
    safe, unsafe = centered[::size], centered[1::size]
    return {
        "mean": float((unsafe.mean >= safe.mean).mean()),
        "worst_context": float((unsafe.worst_context >= safe.worst_context).mean()),
    }
