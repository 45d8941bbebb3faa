"""The published learning-rate schedules, as multiples of the peak rate."""

import math
from collections.abc import Callable


def cosine_to_a_tenth(progress: float) -> float:
    """Half a cosine from 1 to 0.1, without warm-up; `progress` is the share of steps done."""
    return 0.1 + 0.9 * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def step_by_thirds(progress: float) -> float:
    """1, then 0.1, then 0.01, for a third of the steps each."""
    return (1.0, 0.1, 0.01)[min(2, int(3 * progress + 1e-9))]


SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": cosine_to_a_tenth,
    "step": step_by_thirds,
}
"""By the published names; any other name is one of the Trainer's own."""
