"""r² on the scale of population ranks, which is fixed: the expected rank is the Borda count."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.measures.explained_variance import ByWeights, refuse_points
from hidden_context.measures.prompts import PromptGroups, PromptLabels, group_prompts

NUMBERS_AT_ONCE = 2**20
"""Raw outputs that are compared at once; bounds the memory of an all-pairs comparison."""


def rank_explained_variance(family: Family, raw: ArrayLike) -> float:
    """r² of the population rank of the utility, in [0, 1]: 12 Var[E[rank]].

    Every utility is replaced by its rank among all utilities of all responses, which is uniform on
    [0, 1], with variance 1/12. E[rank] is the response's Borda count (see `borda_counts`). Exact.

    Invariant to every increasing map of all utilities, not to a shift of each prompt. With contexts
    that responses share, ranks are taken within each context: then too their variance is 1/12.

    Args:
        family: Reads the outputs, with the link they were trained with.
        raw: Raw outputs of n responses, shape `(n, num_outputs)`.

    Raises:
        UserError: All utilities are points, or there are none.
    """
    refuse_points(family.decode(_matrix(raw)))
    return float(12 * borda_counts(family, raw).var())


def borda_counts(family: Family, raw: ArrayLike) -> np.ndarray:
    """Borda count of each response: mean_j P(U_i > U_j), itself included at ½, shape `(n,)`.

    DPL paper, section 3, with the n responses as the alternatives. For independent hidden contexts
    E[F(U_i)] is the same number, where F is the mixture of all n distribution functions.

    Args:
        family: Reads the outputs; its P(a ≻ b) is meant, so that of its link.
        raw: Raw outputs, shape `(n, num_outputs)`. Time grows with n².
    """
    everyone = group_prompts(np.zeros(len(_matrix(raw)), dtype=np.int64))
    return _wins_by_prompt(family, raw, everyone)[:, 0] / len(_matrix(raw))


def rank(family: Family, raw: ArrayLike, prompts: PromptLabels) -> tuple[ByWeights, PromptGroups]:
    """`rank_explained_variance`, with a weight for each prompt in ranks and variance alike."""
    refuse_points(family.decode(_matrix(raw)))
    groups = group_prompts(prompts, num_rows=len(_matrix(raw)))
    wins = _wins_by_prompt(family, raw, groups)

    def at(weights: np.ndarray) -> np.ndarray:
        rows = weights @ groups.num_rows
        deviation = weights @ wins.T / rows[:, None] - 0.5  # the mean rank is ½ at any weights
        return 12 * (weights * groups.sums(deviation**2)).sum(-1) / rows

    return at, groups


def _wins_by_prompt(family: Family, raw: ArrayLike, groups: PromptGroups) -> np.ndarray:
    """Sum of P(U_i > U_j) over the responses j of each prompt, shape `(n, m)`."""
    outputs = _matrix(raw)
    others = family.decode(outputs[None])
    at_once = max(1, NUMBERS_AT_ONCE // outputs.size)
    return np.concatenate(
        [
            groups.sums(
                np.asarray(family.decode(outputs[i : i + at_once, None]).prob_preferred_to(others))
            )
            for i in range(0, len(outputs), at_once)
        ]
    )


def _matrix(raw: ArrayLike) -> np.ndarray[Any, Any]:
    outputs: np.ndarray[Any, Any] = np.asarray(raw, dtype=np.float64)
    if outputs.ndim != 2 or len(outputs) == 0:
        raise UserError(
            f"raw outputs have shape {outputs.shape}; expected (n, num_outputs), one row for each "
            "response."
        )
    return outputs
