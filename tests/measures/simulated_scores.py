"""Scores of simulated comparisons and jailbreaks, with texts, prompts, votes and objectives."""

from dataclasses import replace
from typing import Any

import numpy as np

from hidden_context.distributions import Family, Normal
from hidden_context.likelihood.outcomes import Outcomes, normalize_weights
from hidden_context.scores.scores import Scores

N = 120


def comparisons(family: Family | None = None, *, seed: int = 0, **fields: Any) -> Scores:
    """120 comparisons of 40 prompts, votes from 1 to 9 with ties, half of them of helpfulness."""
    family = family or Normal()
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(N, 2, family.num_outputs))
    raw[:, 0, :] += 0.4
    of_rows = np.random.default_rng(99)
    votes = of_rows.multinomial(3, [0.2, 0.2, 0.6], size=N)
    shares = votes / votes.sum(1, keepdims=True)
    weight = normalize_weights(of_rows.integers(1, 10, N).astype(float))
    return Scores.of_pairs(
        family,
        raw.astype(np.float32),
        **{
            "prompt": np.array([f"prompt {number // 3}" for number in range(N)]),
            "outcomes": Outcomes(shares, weight),
            "objective": np.where(np.arange(N) % 2 == 0, "helpful", "harmless"),
            "lengths": of_rows.integers(1, 400, 2 * N).astype(float),
            "trained_on": "both",
            "source": "simulated",
            "stopping_rule": "after 2 epochs of 100 observations",
            **fields,
        },
    )


def jailbreaks(family: Family | None = None, *, seed: int = 0, n: int = 40) -> Scores:
    """A safe and an unsafe response to each of n prompts, the unsafe one better and wider."""
    pairs = comparisons(family, seed=seed)[:n]
    raw = np.array(pairs.raw).reshape(n, 2, -1)
    raw[:, 1] += 0.6
    return replace(
        pairs,
        raw=raw.reshape(2 * n, -1),
        kind="responses",
        outcomes=None,
        objective=None,
        prompt=np.array([f"jailbreak {number}" for number in range(n)]),
    )
