"""What is said of distributions of utility in an answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hidden_context.distributions import UtilityDistribution
from hidden_context.risk import Risk


def described(utility: UtilityDistribution) -> dict[str, list[float | None]]:
    """Mean and standard deviation of each, n of them; None where not finite."""
    return {"mean": _finite(utility.mean), "std": _finite(utility.std)}


def distributions_of(
    utility: UtilityDistribution, levels: Sequence[float], risks: Sequence[Risk]
) -> dict[str, Any]:
    """All that is said of K responses to one prompt; numbers that are not finite are None.

    Contexts that responses share are centred over the K, as in score files; see
    `UtilityDistribution.centered`.
    """
    size = len(utility)
    if size > 1:
        utility = utility.centered(np.zeros(size, dtype=np.int64))
    quantiles = [_finite(utility.quantile(level)) for level in levels]
    preferred = utility.reshape(size, 1).prob_preferred_to(utility.reshape(1, size))
    return {
        **described(utility),
        "levels": list(levels),
        "quantiles": [list(each) for each in zip(*quantiles, strict=True)] or [[]] * size,
        "rewards": {str(risk): _finite(risk(utility)) for risk in risks},
        "prob_preferred": np.asarray(preferred, dtype=np.float64).tolist(),
    }


def _finite(values: Any) -> list[float | None]:
    array = np.asarray(values, dtype=np.float64)
    return [value if np.isfinite(value) else None for value in array.tolist()]
