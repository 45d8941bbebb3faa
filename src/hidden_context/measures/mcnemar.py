"""Do two models decide equally well? The exact McNemar test on paired decisions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from hidden_context.measures.checks import finite_vector


@dataclass(frozen=True)
class McNemar:
    """Comparisons on which two models differ, and how surprising their division is."""

    first_better: int
    """Comparisons that the first model decides better."""
    second_better: int
    """Comparisons that the second model decides better."""
    p_value: float
    """Two-sided: probability of a division at least as uneven if both are equally good."""


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """Exact test that two models are right equally often (McNemar 1947; the sign test).

    Only comparisons on which the models differ count: of d such, the number that favour the first
    is Binomial(d, ½) if neither is better. p = min(1, 2 P(X ≤ min(b, c))). Of each comparison 1
    says that a model is right, 0 wrong, ½ a tie, or a mean of these, shape `(n,)`.

    A mean over several trainings is a decision too: then d counts comparisons whose mean decisions
    differ, by however little, and the test is exact of which model has the larger one more often.
    It is no test of the mean rates: one training that differs counts as much as all.

    Comparisons are taken to be independent. Where prompts have several, the paired
    `likelihood_ratio` over prompts is the honest interval.

    Raises:
        UserError: See `finite_vector`; or the lengths differ.
    """
    first = finite_vector("first_right", first_right)
    second = finite_vector("second_right", second_right, len(first))
    b, c = int(np.sum(first > second)), int(np.sum(first < second))
    p_value = min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5)))
    return McNemar(b, c, p_value)
