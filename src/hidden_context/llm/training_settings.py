"""What training can be told, in a program and on the command line alike."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Ties
from hidden_context.llm.packing import Batching
from hidden_context.llm.rendering import Render
from hidden_context.records import parse_value

ABOVE_ZERO = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "eval_steps",
    "save_steps",
    "logging_steps",
    "num_train_epochs",
    "learning_rate",
    "likelihood_learning_rate",
)
FREE_TO_CHANGE = {
    "resume_from_checkpoint",
    "per_device_eval_batch_size",
    "logging_steps",
    "streaming",
}
"""Settings that may differ when a run is resumed; the losses do not depend on them."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training run; the defaults are those of the published code."""

    tokenizer_name: str | None = None
    """Folder or hub name of the tokenizer, if not the backbone's."""
    learn: tuple[str, ...] = ()
    """Options of the family that are learned with the weights: correlation (mean_and_variance)."""
    ties: Ties | None = None
    """What a tie says: half a win and half a loss (half), no utility ahead by more than a threshold
    (threshold), or Davidson's model (davidson); if not given, threshold if the data have ties."""
    thresholds: tuple[float, ...] = ()
    """Where ties end, then where each further strength of preference begins, in units of utility;
    learned if not given."""
    davidson: float | None = None
    """ν of Davidson's model; learned if not given."""
    likelihood_learning_rate: float = 0.01
    """Peak learning rate of thresholds, ν and correlation."""
    learning_rate: float = 3e-6
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.001
    """Weight decay of AdamW."""
    lr_scheduler_type: str = "cosine"
    """Schedule: cosine (to a tenth), step (1, 0.1, 0.01 by thirds) or any of the Trainer's."""
    lr_scheduler_kwargs: str | Mapping[str, Any] | None = None
    """What one of the Trainer's schedules takes, as JSON, such as {"min_lr_rate": 0.1}."""
    num_train_epochs: float = 1.0
    """Passes over the training data."""
    per_device_train_batch_size: int = 2
    """Comparisons a device and step."""
    per_device_eval_batch_size: int = 1
    """Comparisons a device and evaluation step."""
    gradient_accumulation_steps: int = 1
    """Steps whose gradients are averaged before an update."""
    batching: Batching | None = None
    """shared_prefix, grouped (by length) or padded; if not given, the fastest that is exact."""
    gradient_checkpointing: bool = False
    """Trade computation for memory."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["drop", "truncate_left", "error"] = "drop"
    """Comparisons with a longer text: left out, cut at the beginning, or refused; all counted."""
    render: Render | None = None
    """A plain prompt and a plain response: two turns (chat), or one text (plain); if not given, two
    turns where the tokenizer has a chat template."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it (the loss is in float32 in any case)."""
    keep_head: bool = False
    """Where the backbone has a trained head of one output and the family has more: start the mean's
    output from it."""
    use_peft: bool = True
    """Train LoRA adapters (r 8, alpha 32, dropout 0.1) and the head, or all weights."""
    optim: str = "adamw_torch"
    """Optimiser, by the Trainer's names."""
    deepspeed: str | None = None
    """DeepSpeed configuration file."""
    resume_from_checkpoint: bool = False
    """Continue an interrupted run from its last saved step."""
    eval_first_step: bool = False
    """Evaluate before the first step too."""
    eval_steps: int = 1000
    """Steps between evaluations."""
    save_steps: int = 1000
    """Steps between saved checkpoints."""
    logging_steps: int = 10
    """Steps between logged losses."""
    seed: int = 0
    """Seed of the head's weights, the order of the data and dropout."""

    def __post_init__(self) -> None:
        for name in ABOVE_ZERO:
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; give a number above 0.")
        if self.davidson is not None and self.ties != "davidson":
            raise UserError("davidson is the number of ties=davidson; give that too.")
        if isinstance(self.lr_scheduler_kwargs, str):
            given = parse_value(self.lr_scheduler_kwargs, "lr_scheduler_kwargs")
            object.__setattr__(self, "lr_scheduler_kwargs", given)
        if not isinstance(self.lr_scheduler_kwargs, Mapping | None):
            raise UserError(
                f"lr_scheduler_kwargs is {self.lr_scheduler_kwargs!r}; give names with their "
                'values, such as {"min_lr_rate": 0.1}.'
            )
