"""How much of the variance in utility responses explain: r² over all, or within prompts.

On the family's own scale of utility; `population_rank` has the scale of ranks. Which changes leave
each as it is, and which the likelihood, is in docs/diagnostics.md.
"""

from collections.abc import Callable

import numpy as np

from hidden_context.distributions import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import explained_variance, is_scalar
from hidden_context.measures.prompts import (
    PromptGroups,
    PromptLabels,
    group_prompts,
    with_several_rows,
)

__all__ = [
    "each_prompt_explained_variance",
    "explained_variance",
    "within_prompt_explained_variance",
]

ByWeights = Callable[[np.ndarray], np.ndarray]
"""From weights of the prompts, shape `(b, m)`, to r², shape `(b,)`; weights of 1 are the data."""


def within_prompt_explained_variance(utility: UtilityDistribution, prompts: PromptLabels) -> float:
    """r² among the responses to one prompt: E_p[S_p] / (E_p[S_p] + E_p[v_p]), in [0, 1].

    For a prompt of K ≥ 2 responses S_p = Σ_k (mean_k - mean of means)² / (K - 1), with K - 1
    because its responses are a sample of those it could have, and v_p is their mean variance. Every
    such prompt counts once; prompts of one response are left out.

    Invariant to a shift of each prompt and to a common scale, not to a scale for each prompt.

    Args:
        utility: Of n responses, shape `(n,)`.
        prompts: The prompt of each, shape `(n,)`.

    Raises:
        UserError: All utilities are points, the lengths differ, or no prompt has two responses.
    """
    within, groups = within_prompts(utility, prompts)
    return float(within(np.ones((1, groups.num_prompts)))[0])


def each_prompt_explained_variance(utility: UtilityDistribution, prompts: PromptLabels) -> float:
    """Mean over prompts of each prompt's r², S_p / (S_p + v_p), in [0, 1].

    Invariant to a shift and a scale of each prompt, as the likelihood is. With two responses it is
    E[z² / (1 + z²)], z = (mean_a - mean_b) / √(variance_a + variance_b): for normal utilities with
    independent contexts a function of P(a ≻ b). S_p, v_p, arguments and
    errors are those of `within_prompt_explained_variance`; a prompt with neither is refused.
    """
    each, groups = each_prompt(utility, prompts)
    return float(each(np.ones((1, groups.num_prompts)))[0])


def pooled(utility: UtilityDistribution, prompts: PromptLabels) -> tuple[ByWeights, PromptGroups]:
    """`explained_variance`, with a weight for each prompt."""
    mean, variance = moments(utility)
    groups = group_prompts(prompts, num_rows=len(mean))
    centred = mean - mean.mean()
    first, second = groups.sums(centred), groups.sums(centred**2)
    unexplained = groups.sums(variance)

    def at(weights: np.ndarray) -> np.ndarray:
        rows = weights @ groups.num_rows
        explained = weights @ second / rows - (weights @ first / rows) ** 2
        return explained / (explained + weights @ unexplained / rows)

    return at, groups


def within_prompts(
    utility: UtilityDistribution, prompts: PromptLabels
) -> tuple[ByWeights, PromptGroups]:
    """`within_prompt_explained_variance`, with a weight for each prompt."""
    explained, unexplained, groups = _components(utility, prompts)

    def at(weights: np.ndarray) -> np.ndarray:
        return weights @ explained / (weights @ (explained + unexplained))

    return at, groups


def each_prompt(
    utility: UtilityDistribution, prompts: PromptLabels
) -> tuple[ByWeights, PromptGroups]:
    """`each_prompt_explained_variance`, with a weight for each prompt."""
    explained, unexplained, groups = _components(utility, prompts)
    total = explained + unexplained
    if (total == 0).any():
        raise UserError(
            f"{int((total == 0).sum())} prompts have equal means and no variance, so no r² of "
            "their own; leave them out."
        )
    ratio = explained / total
    return lambda weights: weights @ ratio / weights.sum(-1), groups


def moments(utility: UtilityDistribution) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of n responses in float64, shape `(n,)` each.

    Raises:
        UserError: The batch is no vector, is empty, or all its utilities are points.
    """
    refuse_points(utility)
    mean = np.asarray(utility.mean, dtype=np.float64)
    if mean.ndim != 1:
        raise UserError(f"utilities have shape {mean.shape}; give one for each response, (n,).")
    return mean, np.asarray(utility.variance, dtype=np.float64)


def _components(
    utility: UtilityDistribution, prompts: PromptLabels
) -> tuple[np.ndarray, np.ndarray, PromptGroups]:
    """S_p and v_p of the prompts with at least two responses, shape `(m,)` each."""
    mean, variance = moments(utility)
    labels = np.asarray(prompts)
    rows = with_several_rows(group_prompts(labels, num_rows=len(mean)))
    groups = group_prompts(labels[rows])
    deviation = mean[rows] - groups.means(mean[rows])[groups.group]
    explained = groups.sums(deviation**2) / (groups.num_rows - 1)
    return explained, groups.means(variance[rows]), groups


def refuse_points(utility: UtilityDistribution) -> None:
    """Refuse a batch whose utilities are all points, or an empty one."""
    if is_scalar(utility):
        raise UserError(
            "a scalar family has no r²: all its utilities are points, or there are none."
        )
