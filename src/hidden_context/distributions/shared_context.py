"""Family `shared_context`: a utility in each of a few contexts, which compared responses share."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from hidden_context.distributions import certainty_equivalent
from hidden_context.distributions.base import HEAD_SCALE, Family
from hidden_context.distributions.special import (
    Array,
    as_array,
    log_sigmoid,
    log_softmax,
    logsumexp,
    through_torch,
)
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError


@dataclass(frozen=True, eq=False, repr=False)
class SharedContextUtility(UtilityDistribution):
    """One utility for each context; the context of a comparison is the same for both responses.

    As a distribution, a response has probability only at its utilities in the contexts. As in
    `base`, the Bradley–Terry noise belongs to the comparison and not to the utility.

    Comparisons determine the utilities of a context only up to a shift for each prompt. Mean,
    quantiles and worst context mix contexts, so they compare responses only after `centered`.
    """

    contexts: Array
    """Utility in each context, in the order of the outputs, shape `(*batch, num_contexts)`."""
    log_weights: Array
    """Log-probability of each context given this response alone, same shape."""

    @property
    def _weights(self) -> Array:
        return array_namespace(self.log_weights).exp(self.log_weights)

    @property
    def worst_context(self) -> Array:
        """Utility in the context that likes the response least, whatever its probability.

        After `centered`, this is the reward that Wald's maximin rule goes by.
        """
        return array_namespace(self.contexts).min(self.contexts, axis=-1)

    @property
    def mean(self) -> Array:
        return (self._weights * self.contexts).sum(-1)

    @property
    def variance(self) -> Array:
        return (self._weights * (self.contexts - self.mean[..., None]) ** 2).sum(-1)

    @property
    def std(self) -> Array:
        """With gradient 0 where all contexts agree."""
        xp = array_namespace(self.contexts)
        variance = self.variance
        spread = variance > 0
        return xp.where(spread, variance, xp.ones_like(variance)) ** 0.5 * spread

    @property
    def atoms(self) -> tuple[Array, Array]:
        return self.contexts, self._weights

    def cdf(self, utility: float | Array) -> Array:
        utility = as_array(utility, like=self.contexts)[..., None]
        return (self._weights * (self.contexts <= utility)).sum(-1)

    def _sorted(self) -> tuple[Array, Array, Array]:
        """Utilities in ascending order, the weight of each, and the weight up to each."""
        xp = array_namespace(self.contexts)
        order = xp.argsort(self.contexts, axis=-1)
        weight = xp.take_along_axis(self._weights, order, axis=-1)
        utility = xp.take_along_axis(self.contexts, order, axis=-1)
        return utility, weight, xp.cumulative_sum(weight, axis=-1)

    def _quantile(self, level: float | Array) -> Array:
        """A step function of the level, differentiable in the utilities only."""
        xp = array_namespace(self.contexts)
        utility, _, up_to = self._sorted()
        level = as_array(level, like=self.contexts)[..., None]
        passed = xp.astype(up_to[..., :-1] < level, xp.int64).sum(-1)  # the last never is
        rank = xp.arange(utility.shape[-1], device=utility.device)
        return xp.where(rank == passed[..., None], utility, xp.zeros_like(utility)).sum(-1)

    def _cvar(self, level: float) -> Array:
        xp = array_namespace(self.contexts)
        utility, weight, up_to = self._sorted()
        room = xp.clip(level - (up_to - weight), 0.0, None)
        return (xp.minimum(weight, room) * utility).sum(-1) / level

    def _entropic(self, risk_aversion: float) -> Array:
        return certainty_equivalent.of_mixture(self.log_weights, self.contexts, risk_aversion)

    def log_prob_preferred_to(
        self, other: "SharedContextUtility", margin: float | Array = 0.0
    ) -> Array:
        """log Σₖ πₖ σ(uₖ - u'ₖ - margin), the context k being shared (DPL paper, section 2).

        π is `log_context_weights` of the two. The order of responses is Bradley and Terry's (1952)
        within each context, but need not be transitive over all of them.
        """
        margin = as_array(margin, like=self.contexts)[..., None]
        ahead = self.contexts - other.contexts - margin
        return logsumexp(log_context_weights([self, other]) + log_sigmoid(ahead))

    def centered(self, prompt_ids: Sequence[Any] | Array) -> "SharedContextUtility":
        """The same preferences, every context with mean 0 over the responses to each prompt.

        This settles the shift for each prompt and context that comparisons leave free. It needs
        several responses to a prompt; one alone is at 0 in every context.

        Args:
            prompt_ids: The prompt of each response, numbers or texts, as many as the batch has
                responses; in any order.

        Raises:
            UserError: The batch is not one-dimensional, or has another length.
        """
        ids = np.asarray(prompt_ids.cpu() if is_torch_array(prompt_ids) else prompt_ids)
        if ids.shape != tuple(self.contexts.shape[:-1]) or ids.ndim != 1:
            raise UserError(
                f"prompt_ids have shape {ids.shape} for responses of shape "
                f"{tuple(self.contexts.shape[:-1])}; give one id for each of a list of responses."
            )
        groups = np.unique(ids, return_inverse=True)[1]
        centered = self.contexts - _mean_within(self.contexts, groups)
        return dataclasses.replace(self, contexts=centered)


def log_context_weights(utilities: Sequence[SharedContextUtility]) -> Array:
    """Log-probability of each context of a comparison, shape `(*batch, num_contexts)`.

    The softmax of the mean of the responses' logits: the normalised geometric mean of their
    weights, which treats all alike.
    """
    total = sum(utility.log_weights for utility in utilities)
    return log_softmax(total / len(utilities))


@through_torch
def _mean_within(values: Array, groups: np.ndarray) -> Array:
    """Mean of the rows of `values`, `(n, k)`, that share a number in `groups`, at each row."""
    import torch

    index = torch.from_numpy(groups).to(values.device)
    totals = values.new_zeros(int(groups.max(initial=-1)) + 1, values.shape[-1])
    totals = totals.index_add(0, index, values)
    return totals[index] / torch.bincount(index)[index][:, None]


@dataclass(frozen=True)
class SharedContext(Family[SharedContextUtility]):
    """Utilities in the contexts, then logits of the contexts' weights.

    Contexts with equal outputs have equal gradients and stay equal. The rows of a model's head
    start from different random numbers, and so must tables of one row for each response.
    """

    name: ClassVar[str] = "shared_context"
    size_option: ClassVar[str] = "num_contexts"
    outputs_each: ClassVar[int] = 2

    num_contexts: int = 2
    """Number of contexts, at least 1."""

    @property
    def head_scales(self) -> tuple[float, ...]:
        """Utilities at their usual size, or contexts that begin almost equal would part too late.

        Logits at a hundredth: larger ones give one context everything before the other has learned
        (docs/decisions/0012-families-in-the-demo.md).
        """
        return (1.0,) * self.num_contexts + (HEAD_SCALE,) * self.num_contexts

    @property
    def output_names(self) -> tuple[str, ...]:
        kinds = ("utility", "logit")
        return tuple(f"{kind}_{k}" for kind in kinds for k in range(self.num_contexts))

    def encode(self, contexts: Array) -> Array:
        """Raw outputs of utilities in equally likely contexts, shape `(*batch, num_contexts)`."""
        xp = array_namespace(contexts)
        return xp.concat([contexts, xp.zeros_like(contexts)], axis=-1)

    def _decode(self, raw: Array) -> SharedContextUtility:
        return SharedContextUtility(
            raw[..., : self.num_contexts], log_softmax(raw[..., self.num_contexts :])
        )

    def log_prob_of_ranking(self, utilities: Sequence[SharedContextUtility]) -> Array:
        """log Σₖ πₖ Plackett–Luceₖ, exact: one context orders all of the responses.

        Within a context the best is chosen from all, the next from the rest, and so on (Plackett
        1975, Luce 1959); π is `log_context_weights` of them all. See `Family.log_prob_of_ranking`.
        """
        xp = array_namespace(utilities[0].contexts)
        rest = utilities[-1].contexts  # log of the sum of exp over those ranked lower
        log_prob = log_context_weights(utilities)
        for utility in reversed(utilities[:-1]):
            log_prob = log_prob + log_sigmoid(utility.contexts - rest)
            rest = xp.logaddexp(utility.contexts, rest)
        return logsumexp(log_prob)
