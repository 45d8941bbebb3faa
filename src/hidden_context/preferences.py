"""The one loss and its metrics, for the synthetic loop and the language-model trainer alike."""

from array_api_compat import array_namespace

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.distributions.special import Array


def preference_loss(
    family: Family, chosen: Array, rejected: Array, *, regularize: bool = True
) -> Array:
    """Mean negative log-likelihood of the comparisons, and the family's penalty.

    Args:
        family: How the raw outputs are read.
        chosen: Raw outputs for the preferred responses, shape `(*batch, family.num_outputs)`.
        rejected: Raw outputs for the others, same shape, same order.
        regularize: Add `family.regularizer` over all texts; leave out when evaluating.

    Returns:
        A scalar in nats per comparison, float32 unless the outputs are float64.
    """
    utility_chosen, utility_rejected = family.decode(chosen), family.decode(rejected)
    loss = -utility_chosen.log_prob_preferred_to(utility_rejected).mean()
    if not regularize:
        return loss
    both = array_namespace(chosen, rejected).stack([chosen, rejected])
    return loss + family.regularizer(family.decode(both))


def accuracy(chosen: Array, rejected: Array) -> float:
    """Share of comparisons in which the chosen value is the larger; an exact tie counts one half.

    Args:
        chosen: Any statistic of the preferred responses (mean, quantile), shape `(n,)`.
        rejected: The same of the others.
    """
    xp = array_namespace(chosen, rejected)
    wins = xp.astype(chosen > rejected, xp.float64) + 0.5 * xp.astype(
        chosen == rejected, xp.float64
    )
    return float(xp.mean(wins))


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


def is_scalar(utility: UtilityDistribution) -> bool:
    """Whether all utilities are points, so that r² and quantiles say nothing."""
    return not bool((utility.variance > 0).any())


def comparison_metrics(family: Family, chosen: Array, rejected: Array) -> dict[str, float]:
    """Accuracy, negative log-likelihood (nats a comparison), r², and TRL's reward statistics.

    A scalar family has no r².

    Args:
        family: How the outputs are read.
        chosen: Raw outputs, shape `(n, num_outputs)`.
        rejected: The same for the other responses.
    """
    xp = array_namespace(chosen, rejected)
    mean_chosen, mean_rejected = family.decode(chosen).mean, family.decode(rejected).mean
    both = family.decode(xp.concat([chosen, rejected]))
    return {
        "accuracy": accuracy(mean_chosen, mean_rejected),
        "nll": float(preference_loss(family, chosen, rejected, regularize=False)),
        **({} if is_scalar(both) else {"r2": explained_variance(both)}),
        "margin": float((mean_chosen - mean_rejected).mean()),
        "mean_reward": float(both.mean.mean()),
        "min_reward": float(both.mean.min()),
        "max_reward": float(both.mean.max()),
    }
