"""Every measure of explained variance and preference_entropy, as one function of raw outputs."""

from collections.abc import Callable

import numpy as np

from hidden_context.distributions import Family
from hidden_context.measures.explained_variance import (
    each_prompt_explained_variance,
    explained_variance,
    rank_explained_variance,
    within_prompt_explained_variance,
)
from hidden_context.measures.preference_entropy import preference_entropy

MEASURES: dict[str, Callable[[Family, np.ndarray, np.ndarray], float]] = {
    "pooled": lambda family, raw, _: explained_variance(family.decode(raw)),
    "rank": lambda family, raw, _: rank_explained_variance(family, raw),
    "within_prompt": lambda family, raw, prompts: within_prompt_explained_variance(
        family.decode(raw), prompts
    ),
    "each_prompt": lambda family, raw, prompts: each_prompt_explained_variance(
        family.decode(raw), prompts
    ),
    "chance_to_differ": lambda family, raw, prompts: (
        preference_entropy(family, raw, prompts).chance_to_differ
    ),
    "entropy": lambda family, raw, prompts: preference_entropy(family, raw, prompts).entropy,
}
