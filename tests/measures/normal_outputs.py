"""Raw outputs of the family mean_and_variance for wanted means and standard deviations."""

from collections.abc import Callable

import numpy as np

from hidden_context.distributions import Normal

NORMAL = Normal()
Move = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Means and standard deviations to others."""


def outputs(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Shape `(n, 2)`: the inverse of softplus, stable for a large std."""
    return np.stack([mean, std + np.log(-np.expm1(-std))], axis=-1)


def example(num_prompts: int = 40, rows: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw outputs, shape `(num_prompts * rows, 2)`, and their prompts."""
    rng = np.random.default_rng(seed)
    n = num_prompts * rows
    prompts = np.repeat(np.arange(num_prompts), rows)
    mean = rng.normal(size=n) + rng.normal(size=num_prompts)[prompts]
    return outputs(mean, rng.uniform(0.3, 1.5, size=n)), prompts


def moved(raw: np.ndarray, move: Move) -> np.ndarray:
    """The outputs after a change of means and standard deviations."""
    utility = NORMAL.decode(raw)
    return outputs(*move(utility.mean, utility.std))


def shift_of_prompts(prompts: np.ndarray) -> Move:
    """Another origin for each prompt."""
    shift = 3 * np.random.default_rng(1).normal(size=prompts.max() + 1)[prompts]
    return lambda mean, std: (mean + shift, std)


def scale_of_prompts(prompts: np.ndarray) -> Move:
    """Another scale for each prompt, about its mean."""
    scale = np.exp(np.random.default_rng(2).normal(size=prompts.max() + 1))[prompts]
    return lambda mean, std: (scale * mean, scale * std)


def common_map(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One scale and origin for all."""
    return 2.5 * mean - 7, 2.5 * std
