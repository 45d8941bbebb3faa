"""How much of the variance in utility responses explain: r² on each scale, with its interval.

Which changes leave each as it is, and which the likelihood, is in docs/measures.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import ArrayLike

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.distributions.base import check_choice
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_weighted
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.moments import moments, refuse_points
from hidden_context.measures.population_rank import wins_by_prompt
from hidden_context.measures.prompts import (
    PromptGroups,
    PromptLabels,
    group_prompts,
    with_several_rows,
)

SCALES = ("pooled", "within_prompt", "each_prompt", "rank")
ByWeights = Callable[[np.ndarray], np.ndarray]
"""From weights of the prompts, shape `(b, m)`, to r², shape `(b,)`; weights of 1 are the data."""
Statistic = tuple[ByWeights, PromptGroups]
"""r² by the weights of these prompts."""
NO_WIDTH = 1e-9
"""An interval that is no wider than this is rounding."""
MOST_RANKED = 500
"""Responses of one training on the scale of ranks; all pairs are compared, in time n²."""


@dataclass(frozen=True, eq=False)
class Training:
    """What one training of a model says of k responses that it did not see."""

    raw: np.ndarray
    """Raw outputs, shape `(k, num_outputs)`."""
    prompt: np.ndarray
    """Prompt of each response, shape `(k,)`: what is resampled."""
    centered_within: np.ndarray
    """Label of what contexts that responses share are centred within, shape `(k,)`."""

    def utility(self, family: Family) -> UtilityDistribution:
        """Of each response, shape `(k,)`."""
        raw: np.ndarray[Any, Any] = np.asarray(self.raw, np.float64)
        return family.decode(raw).centered(self.centered_within)


def explained_variance(utility: UtilityDistribution) -> float:
    """Share of utility variance explained by the response: r² of the DPL paper, in [0, 1].

    Var[mean] / (Var[mean] + E[variance]), pooled over all responses. 1 means that no hidden
    context was found. Its size depends on how long and on how much data the model was trained, and
    on a scale that the likelihood does not fix between prompts: compare it between models trained
    alike.
    """
    mean, variance = utility.mean, utility.variance
    xp = array_namespace(mean)
    mean, variance = xp.astype(mean, xp.float64), xp.astype(variance, xp.float64)
    explained = float(((mean - mean.mean()) ** 2).mean())
    unexplained = float(variance.mean())
    total = explained + unexplained
    return explained / total if total > 0 else float("nan")


def explained_variance_estimate(
    family: Family,
    trainings: Sequence[Training],
    *,
    scale: str,
    most_ranked: int = MOST_RANKED,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Mean over trainings of each one's r², with an interval over prompts.

    The interval is for these trainings: it holds the fits fixed, and so leaves out how r² varies
    with the votes that they were fitted to. Where that leaves nothing to vary, as where every
    prompt has the same responses, there is no interval. Each training has a scale and origin of its
    own, so responses of two are never pooled; prompts are resampled for all of them together, and a
    training none of whose prompts is drawn is left out of that resample.

    Args:
        family: Reads the outputs.
        trainings: At least one, such as the folds and seeds of a cross-validation.
        scale: `pooled` (`explained_variance`), `within_prompt`, `each_prompt` or `rank`; see the
            functions of these names.
        most_ranked: Responses of a training that are ranked; of more, a random sample.
        resampling: See `Resampling`.

    Raises:
        UserError: The scale is unknown, the family is scalar, the lengths differ, or no prompt has
            two responses (if within).
    """
    mean, labels = by_prompt_weights(family, trainings, scale=scale, most_ranked=most_ranked)
    found = bootstrap_weighted(mean, len(labels), resampling=resampling)
    if found.low is None or found.high is None or found.high - found.low > NO_WIDTH:
        return found
    return Estimate(found.value, how="none: with the fits held fixed nothing varies")


def by_prompt_weights(
    family: Family,
    trainings: Sequence[Training],
    *,
    scale: str,
    most_ranked: int = MOST_RANKED,
) -> tuple[ByWeights, np.ndarray]:
    """The mean over trainings of r² as a function of weights of the prompts; these prompts."""
    statistics = [_statistic(family, training, scale, most_ranked) for training in trainings]
    labels = np.unique(np.concatenate([groups.labels for _, groups in statistics]))
    by_columns = [(at, np.searchsorted(labels, groups.labels)) for at, groups in statistics]

    def mean(weights: np.ndarray) -> np.ndarray:
        total, count = np.zeros(len(weights)), np.zeros(len(weights))
        for at, columns in by_columns:
            own = weights[:, columns]
            drawn = own.any(1)
            total[drawn] += at(own[drawn])
            count += drawn
        return total / count

    return mean, labels


def rank_explained_variance(family: Family, raw: ArrayLike) -> float:
    """r² of the population rank of the utility, in [0, 1]: 12 Var[E[rank]], of n responses.

    Every utility is replaced by its rank among all utilities of all responses, which is uniform on
    [0, 1], with variance 1/12. E[rank] is the response's Borda count (see `borda_counts`). Exact.

    Invariant to every increasing map of all utilities, not to a shift of each prompt. With contexts
    that responses share, ranks are taken within each context: then too their variance is 1/12.

    Raises:
        UserError: All utilities are points, or there are none.
    """
    outputs: np.ndarray[Any, Any] = np.asarray(raw, np.float64)
    return _of_the_data(_by_rank(family, outputs, np.arange(len(outputs))))


def within_prompt_explained_variance(utility: UtilityDistribution, prompts: PromptLabels) -> float:
    """r² among the responses to one prompt: E_p[S_p] / (E_p[S_p] + E_p[v_p]), in [0, 1].

    For a prompt of K ≥ 2 responses S_p = Σ_k (mean_k - mean of means)² / (K - 1), with K - 1
    because its responses are a sample of those it could have, and v_p is their mean variance. Every
    such prompt counts once; prompts of one response are left out.

    Invariant to a shift of each prompt and to a common scale, not to a scale for each prompt.

    Raises:
        UserError: All utilities are points, the lengths differ, or no prompt has two responses.
    """
    return _of_the_data(_within_prompts(utility, prompts))


def each_prompt_explained_variance(utility: UtilityDistribution, prompts: PromptLabels) -> float:
    """Mean over prompts of each prompt's r², S_p / (S_p + v_p), in [0, 1].

    Invariant to a shift and a scale of each prompt, as the likelihood is. With two responses it is
    E[z² / (1 + z²)], z = (mean_a - mean_b) / √(variance_a + variance_b): for normal utilities with
    independent contexts a function of P(a ≻ b). S_p, v_p and errors are those of
    `within_prompt_explained_variance`; a prompt with neither is refused.
    """
    return _of_the_data(_each_prompt(utility, prompts))


def _of_the_data(statistic: Statistic) -> float:
    at, groups = statistic
    return float(at(np.ones((1, groups.num_prompts)))[0])


def _pooled(utility: UtilityDistribution, prompts: PromptLabels) -> Statistic:
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


def _within_prompts(utility: UtilityDistribution, prompts: PromptLabels) -> Statistic:
    """`within_prompt_explained_variance`, with a weight for each prompt."""
    explained, unexplained, groups = _components(utility, prompts)
    total = explained + unexplained
    return lambda weights: weights @ explained / (weights @ total), groups


def _each_prompt(utility: UtilityDistribution, prompts: PromptLabels) -> Statistic:
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


def _by_rank(family: Family, raw: np.ndarray, prompts: PromptLabels) -> Statistic:
    """`rank_explained_variance`, with a weight for each prompt in ranks and variance alike."""
    refuse_points(family.decode(raw))
    groups = group_prompts(prompts, num_rows=len(raw))
    wins = wins_by_prompt(family, raw, groups)

    def at(weights: np.ndarray) -> np.ndarray:
        rows = weights @ groups.num_rows
        deviation = weights @ wins.T / rows[:, None] - 0.5  # the mean rank is ½ at any weights
        return 12 * (weights * groups.sums(deviation**2)).sum(-1) / rows

    return at, groups


def _statistic(family: Family, training: Training, scale: str, most_ranked: int) -> Statistic:
    check_choice("scale", scale, SCALES)
    prompt = np.asarray(training.prompt)
    if scale == "rank":  # a sample of responses: a few prompts with many each would be all
        kept = np.sort(np.random.default_rng(0).permutation(len(prompt))[:most_ranked])
        return _by_rank(family, np.asarray(training.raw, np.float64)[kept], prompt[kept])
    by_weights = {"pooled": _pooled, "within_prompt": _within_prompts, "each_prompt": _each_prompt}
    return by_weights[scale](training.utility(family), prompt)


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
