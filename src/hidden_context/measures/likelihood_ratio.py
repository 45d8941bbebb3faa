"""Does the distribution pay? Held-out log-likelihood of a distributional against a scalar model."""

from numpy.typing import ArrayLike

from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_ratio
from hidden_context.measures.checks import log_probabilities, weights_or_ones
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.prompts import PromptLabels


def likelihood_ratio(
    distributional: ArrayLike,
    scalar: ArrayLike,
    prompts: PromptLabels,
    *,
    votes: ArrayLike | None = None,
    resampling: Resampling = RESAMPLING,
) -> Estimate:
    """Mean of log P_distributional - log P_scalar over held-out comparisons, paired.

    In nats per vote, above 0 where the distribution is better. Invariant to all that leaves
    the two likelihoods as they are. Its expectation is the difference of the two models'
    Kullback–Leibler divergences from the truth.

    Both are log P(chosen ≻ rejected), nats, shape `(n,)`, of the same comparisons, none of them
    trained on, multiplied already by the votes, one each if not given. Prompts are resampled for
    both models together.

    Raises:
        UserError: The lengths differ, or a value is above 0 or not finite.
    """
    first = log_probabilities("distributional", distributional)
    second = log_probabilities("scalar", scalar, len(first))
    counts = weights_or_ones(votes, len(first))
    return bootstrap_ratio(first - second, counts, prompts, resampling=resampling)


def verdict(ratio: Estimate) -> str:
    """A likelihood ratio in words: better, worse, or that these data cannot tell."""
    ends = "no interval"
    if ratio.low is not None and ratio.high is not None:
        ends = f"{ratio.level:.0%} interval {ratio.low:+.4f} to {ratio.high:+.4f}"
    against = ratio.against(0.0)
    if against == "cannot tell":
        return f"cannot tell from these data ({ratio.value:+.4f} nats per vote, {ends})"
    better = "better" if against == "above" else "worse"
    return f"{better} by {abs(ratio.value):.4f} nats per vote ({ends})"
