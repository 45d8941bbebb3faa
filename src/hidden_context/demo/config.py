"""What the demo is asked to do, and what it writes where."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from hidden_context.comparisons.objectives import Subset
from hidden_context.report.unfinished import PLAN


@dataclass(frozen=True)
class Config:
    """Train and compare models on generated data with known hidden context (1 to 3 minutes)."""

    out_dir: Path = Path("demo_output")
    """Folder that receives data, models, scores and log; what an earlier demo left is replaced."""
    seed: int = 0
    """Seed of data, weights and order."""
    train_size: int = 12000
    """Training comparisons in each of the three data sets."""
    test_size: int = 1000
    """Test comparisons in each of the three data sets."""
    num_jailbreaks: int = 300
    """Disguised harmful prompts, each with a safe and an unsafe response."""
    pretrain_steps: int = 250
    """Steps of 64 texts in which the language model learns to read, before any preferences."""
    num_train_epochs: float = 1.0
    """Passes over the comparisons, the same for every model: training stops there."""
    learning_rate: float = 1e-3
    """Peak learning rate of the reward models."""
    batch_size: int = 32
    """Comparisons a training step."""

    @property
    def data_dir(self) -> Path:
        """Data, models and scores, in the published layout."""
        return self.out_dir / "data"


LEAST = {
    "seed": 0,
    "train_size": 1,
    "test_size": 1,
    "num_jailbreaks": 1,
    "pretrain_steps": 0,
    "batch_size": 1,
}
"""The smallest of each setting that can be used."""
MODEL_NAME = "tiny_llama"
RECORD = PLAN
"""Configuration, models and versions; also marks a folder as one that a demo may replace."""
MAX_LENGTH = 64
"""Tokens; the longest text has 45."""
SUBSETS: tuple[Subset, ...] = ("helpful", "harmless", "both")
SHARED_CONTEXT = "shared_context"
TRAINED_ON: dict[str, tuple[Subset, ...]] = {
    "base": SUBSETS,
    "mean_and_variance": SUBSETS,
    "categorical": SUBSETS,
    SHARED_CONTEXT: ("both",),
}
"""The paper's families on every training set; the one that may find the judges, where both are."""


def command_of(config: Config) -> str:
    """That makes this demo again: the folder, and what differs from the defaults."""
    given = {field.name: getattr(config, field.name) for field in fields(Config)}
    default = vars(Config())
    flags = [
        f"--{name} {shlex.quote(str(value))}"
        for name, value in given.items()
        if name == "out_dir" or value != default[name]
    ]
    return " ".join(["hidden-context demo", *flags])
