"""Training a reward model of any family with `transformers.Trainer`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction, Trainer

from hidden_context.data.packing import Batching
from hidden_context.device import for_loss
from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.llm.backbone import unwrapped
from hidden_context.llm.batching import choose_batching, model_inputs
from hidden_context.preferences import comparison_metrics, preference_loss

Pair = dict[str, np.ndarray]
"""Token ids of `chosen` and `rejected`."""
SIDES = ("chosen", "rejected")
NUM_TRIED = 256
"""Comparisons from which those are taken that a batching is tried on."""


class PreferenceTrainer(Trainer):
    """A Trainer whose batches are comparisons and whose loss is `preference_loss`."""

    loss_is_scaled_for_ga = False
    """The loss is a mean over its own batch, so accumulation must divide it."""

    def __init__(
        self,
        *,
        family: Family,
        pad_token_id: int | None,
        batching: Batching | None = None,
        schedule: Callable[[float], float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make a trainer.

        Args:
            family: How raw outputs are read.
            pad_token_id: What to pad with; it is masked.
            batching: See `choose_batching`; the loss is the same, but for dropout.
            schedule: Multiple of the learning rate by the share of steps done; if not given, the
                Trainer's own schedule.
            kwargs: See `transformers.Trainer`.
        """
        kwargs["args"]._n_gpu = min(1, kwargs["args"].n_gpu)  # DataParallel cannot split rows
        super().__init__(
            data_collator=lambda pairs: collate(pairs, self.batching, pad_token_id),
            compute_metrics=lambda prediction: evaluation_metrics(family, prediction),
            **kwargs,
        )
        self.model_accepts_loss_kwargs = False
        self.family = family
        self._num_weights = unwrapped(self.model).num_parameters(exclude_embeddings=True)
        pairs = [*kwargs["train_dataset"], *(kwargs.get("eval_dataset") or ())]
        tried = [pair[side] for pair in pairs[:NUM_TRIED] for side in SIDES]
        longest = max(len(pair[side]) for pair in pairs for side in SIDES)
        with self.accelerator.autocast():
            self.batching = choose_batching(
                self.model, batching, tried, pad_token_id, longest=longest
            )
        self._schedule = schedule
        self._since_log: list[tuple[torch.Tensor, torch.Tensor]] = []

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Loss in float32, and raw outputs of shape `(batch, 2, num_outputs)`: chosen, rejected.

        Raises:
            UserError: The loss is not finite.
        """
        outputs = model(**inputs).logits
        raw = for_loss(outputs).unflatten(0, (-1, 2))
        chosen, rejected = raw[:, 0], raw[:, 1]
        loss = preference_loss(self.family, chosen, rejected, regularize=model.training)
        loss = loss.to(outputs.device)
        if not torch.isfinite(loss):
            step = self.state.global_step + 1
            raise UserError(
                f"the loss is {loss.item()} at step {step}; lower --learning_rate or give "
                "--bf16=false. The last saved checkpoint is intact."
            )
        if model.training:
            self._remember(chosen.detach(), rejected.detach())
        return (loss, raw) if return_outputs else loss

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Loss without penalty, raw outputs, and labels that only say that there are some."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, raw = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss, None, None
        return loss, raw, torch.zeros(len(raw), device=raw.device)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Six operations for each weight and token (Kaplan et al. 2020, table 1)."""
        tokens = sum(batch["input_ids"].numel() for batch in inputs["batches"])
        return 6 * tokens * self._num_weights

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule given, or the Trainer's."""
        schedule = self._schedule
        if self.lr_scheduler is None and schedule is not None:
            to_schedule: Any = optimizer or self.optimizer
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                to_schedule, lambda step: schedule(step / max(1, num_training_steps))
            )
            self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add TRL's `accuracy` and `margin` over the steps since the last log."""
        if "loss" in logs and self._since_log:
            right, margin = (
                torch.stack(values).mean() for values in zip(*self._since_log, strict=True)
            )
            logs = {**logs, "accuracy": round(right.item(), 4), "margin": round(margin.item(), 4)}
            self._since_log.clear()
        super().log(logs, start_time)

    def _remember(self, chosen: torch.Tensor, rejected: torch.Tensor) -> None:
        margin = self.family.decode(chosen).mean - self.family.decode(rejected).mean
        self._since_log.append(((0.5 + 0.5 * margin.sign()).mean(), margin.mean()))


def collate(pairs: Sequence[Pair], batching: Batching, pad_token_id: int | None) -> dict[str, Any]:
    """Comparisons as `model_inputs`, chosen and rejected in turn."""
    texts = [pair[side] for pair in pairs for side in SIDES]
    return model_inputs(texts, batching, pad_token_id)


def evaluation_metrics(family: Family, prediction: EvalPrediction) -> dict[str, float]:
    """Metrics over all comparisons, from raw outputs of shape `(n, 2, num_outputs)`."""
    raw = np.asarray(prediction.predictions)
    return comparison_metrics(family, raw[:, 0], raw[:, 1])


def final_metrics(trainer: Trainer) -> dict[str, float]:
    """Evaluation after the last step, where it was logged already or else now."""
    for entry in reversed(trainer.state.log_history):
        if "eval_loss" in entry and entry["step"] == trainer.state.global_step:
            return {name: value for name, value in entry.items() if name.startswith("eval_")}
    return trainer.evaluate()
