"""How undecided the comparisons within prompts are: measures with the likelihood's invariances."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.measures.prompts import PromptLabels, group_prompts, with_several_rows


@dataclass(frozen=True)
class PreferenceEntropy:
    """Mean preference_entropy of the comparisons within prompts; each prompt counts once."""

    chance_to_differ: float
    """E[4p(1 - p)], in [0, 1]: twice the chance that two people drawn at random differ."""
    entropy: float
    """E[H(p)], bits, in [0, 1]; never below `chance_to_differ`."""
    num_pairs: int
    num_prompts: int
    """Prompts with at least two responses."""


def preference_entropy(family: Family, raw: ArrayLike, prompts: PromptLabels) -> PreferenceEntropy:
    """E[4p(1 - p)] and E[H(p)]/ln 2 over the pairs within each prompt, p = P(a ≻ b).

    1: every comparison is a coin toss; 0: all are certain. Both follow from the preference
    probabilities alone, so that whatever leaves the likelihood of each comparison as it is, such as
    a shift and scale of each prompt, leaves them too. They do not tell hidden context from noise:
    a scalar family has them as well. A prompt of K responses has K(K - 1)/2 pairs.

    Raises:
        UserError: The lengths differ, or no prompt has two responses.
    """
    outputs: np.ndarray[Any, Any] = np.asarray(raw, dtype=np.float64)
    labels = np.asarray(prompts)
    by_prompt = group_prompts(labels, num_rows=len(outputs))
    with_several_rows(by_prompt)
    first, second = by_prompt.pairs()
    a, b = family.decode(outputs[first]), family.decode(outputs[second])
    log_prob = np.asarray(a.log_prob_preferred_to(b))
    log_reverse = np.asarray(b.log_prob_preferred_to(a))
    groups = group_prompts(labels[first])
    return PreferenceEntropy(
        chance_to_differ=float(groups.means(chance_to_differ(log_prob, log_reverse)).mean()),
        entropy=float(groups.means(entropy_bits(log_prob, log_reverse)).mean()),
        num_pairs=len(first),
        num_prompts=groups.num_prompts,
    )


def chance_to_differ(log_prob: np.ndarray, log_reverse: np.ndarray) -> np.ndarray:
    """4p(1 - p) of each comparison, in [0, 1] (twice the Gini impurity).

    From both log P(a ≻ b) and log P(b ≻ a), nats, because 1 - p cancels where p is near 1.
    """
    return 4 * np.exp(log_prob + log_reverse)


def entropy_bits(log_prob: np.ndarray, log_reverse: np.ndarray) -> np.ndarray:
    """H(p)/ln 2 of each comparison in bits (Shannon 1948), in [0, 1]. See `chance_to_differ`.

    An impossible preference, log P = -∞, contributes 0.
    """
    nats = -sum(np.exp(log) * np.maximum(log, -1e300) for log in (log_prob, log_reverse))
    return np.asarray(nats / math.log(2))
