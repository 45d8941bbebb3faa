"""Borda counts: expected ranks in the population of all responses, the scale that is fixed."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.measures.prompts import PromptGroups, group_prompts

NUMBERS_AT_ONCE = 2**20
"""Raw outputs that are compared at once; bounds the memory of an all-pairs comparison."""


def borda_counts(family: Family, raw: ArrayLike) -> np.ndarray:
    """Borda count of each response: mean_j P(U_i > U_j), itself included at ½, shape `(n,)`.

    DPL paper, section 3, with the n responses as the alternatives; P is that of the family's link.
    For independent hidden contexts E[F(U_i)] is the same number, where F is the mixture of all n
    distribution functions. Time grows with n².
    """
    outputs: np.ndarray[Any, Any] = np.asarray(raw, np.float64)
    everyone = group_prompts(np.zeros(len(outputs), dtype=np.int64))
    return wins_by_prompt(family, outputs, everyone)[:, 0] / len(outputs)


def wins_by_prompt(family: Family, raw: np.ndarray, groups: PromptGroups) -> np.ndarray:
    """Sum of P(U_i > U_j) over the responses j of each prompt, shape `(n, m)`.

    Raises:
        UserError: The outputs are no matrix, or empty.
    """
    if raw.ndim != 2 or len(raw) == 0:
        raise UserError(
            f"raw outputs have shape {raw.shape}; expected (n, num_outputs), one row for each "
            "response."
        )
    others = family.decode(raw[None])
    at_once = max(1, NUMBERS_AT_ONCE // raw.size)
    wins = (
        family.decode(raw[start : start + at_once, None]).prob_preferred_to(others)
        for start in range(0, len(raw), at_once)
    )
    return np.concatenate([groups.sums(np.asarray(of_block)) for of_block in wins])
