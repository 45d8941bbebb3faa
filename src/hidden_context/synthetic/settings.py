"""The settings of a synthetic experiment, which its command has as flags."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from hidden_context.errors import UserError

EnvironmentName: TypeAlias = Literal["1d", "2d"]
Pairs: TypeAlias = Literal["sampled", "all"]


@dataclass(frozen=True)
class Experiment:
    """What the trained weights depend on, besides the family.

    Raises:
        UserError: A setting is out of range.
    """

    env: EnvironmentName = "1d"
    """Environment, by the number of coordinates of its states."""
    batch_size: int = 128
    """Comparisons per iteration; all pairs: of the fewest states that have so many (2048: 65)."""
    lr: float = 1e-4
    """First learning rate of Adam, which decays exponentially to 1e-5."""
    num_iterations: int = 1000
    """Training iterations, each on fresh states."""
    pairs: Pairs = "all"
    """sampled: noisy comparisons of two fresh states each, as published; all: all pairs of evenly
    spread states, by their exact preference probability (classifier: as many pairs as states)."""
    seed: int = 0
    """Seed of the initial weights and of the comparisons."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_iterations < 1:
            raise UserError(
                f"batch_size {self.batch_size} and num_iterations {self.num_iterations} "
                "must both be at least 1."
            )
        if not 0 < self.lr < math.inf:
            raise UserError(f"--lr {self.lr} must be a positive number, such as 0.001.")

    def folder(self, out_dir: Path) -> Path:
        """Where the results go, as in `results/1d/2048_0.001_1000`."""
        return out_dir / self.env / f"{self.batch_size}_{self.lr}_{self.num_iterations}"
