"""Comparisons of random vectors whose utilities are known."""

import numpy as np
import torch
from scipy.special import ndtr

from hidden_context.audits.heads import Pairs
from hidden_context.likelihood.outcomes import Outcomes

WIDTH = 6
MEAN = np.array([1.0, -0.7, 0.5, 0.0, 0.0, 0.0])
LOG_STD = np.array([0.0, 0.0, 0.0, 1.2, 0.0, 0.0])


def simulated_pairs(num_pairs: int, *, spread: bool, seed: int = 0, per_prompt: int = 2) -> Pairs:
    """Normal utilities of mean MEAN·x; deviation 1, or exp(LOG_STD·x) with `spread`."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2 * num_pairs, WIDTH)).astype(np.float32)
    first, second = np.arange(num_pairs), np.arange(num_pairs) + num_pairs
    mean = vectors @ MEAN
    std = np.exp(vectors @ LOG_STD * spread)
    z = (mean[first] - mean[second]) / np.hypot(std[first], std[second])
    won = rng.random(num_pairs) < ndtr(z)
    shares = np.stack([~won, np.zeros(num_pairs), won], axis=1).astype(np.float32)
    outcomes = Outcomes(shares, np.ones(num_pairs, np.float32))
    scaled = torch.from_numpy(vectors / np.float32(WIDTH**0.5))
    return Pairs(scaled, first, second, outcomes, first // per_prompt)
