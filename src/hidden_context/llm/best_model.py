"""Which evaluation was best, and when to stop: as the Trainer decides, from the logged history."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback
from transformers.integrations import TensorBoardCallback

from hidden_context.errors import UserError

EVENTS = "_tensorboard"
"""What the folder of TensorBoard's files is called, after the run's."""


def full_name(metric: str) -> str:
    """A measure as it is logged: `loss` is `eval_loss`."""
    return metric if metric.startswith("eval_") else f"eval_{metric}"


def has_stalled(
    history: Sequence[Mapping[str, float]],
    metric: str,
    *,
    greater_is_better: bool,
    patience: int,
    threshold: float,
) -> bool:
    """Whether the last `patience` evaluations were not better by `threshold` than the best before.

    Args:
        history: What was logged; an evaluation before the first step does not count.
        metric: Full name of a measure.
        greater_is_better: Else smaller is.
        patience: At least 1.
        threshold: In units of the measure.
    """
    sign = 1 if greater_is_better else -1
    values = [sign * entry[metric] for entry in history if metric in entry and entry["step"] > 0]
    best, waited = float("-inf"), 0
    for value in values:
        waited = 0 if value - best > threshold else waited + 1
        best = max(best, value)
    return waited >= patience


class StopEarly(TrainerCallback):
    """Stops where evaluations have stalled; what is logged decides, so a resumed run agrees."""

    def __init__(self, patience: int, threshold: float) -> None:
        self._patience, self._threshold = patience, threshold

    def stalled(self, args: Any, history: Sequence[Mapping[str, float]]) -> bool:
        """See `has_stalled`."""
        return has_stalled(
            history,
            full_name(args.metric_for_best_model),
            greater_is_better=args.greater_is_better,
            patience=self._patience,
            threshold=self._threshold,
        )

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stalled(args, state.log_history):
            control.should_training_stop = True


def check_judged(args: Any, metrics: Sequence[str], max_steps: int) -> None:
    """Refuse a run whose best model could not be told.

    Args:
        args: The Trainer's.
        metrics: Full names of what evaluations measure.
        max_steps: Of the run.

    Raises:
        UserError: The measure that decides is not measured, or the run ends before it is.
    """
    wanted = args.metric_for_best_model
    if wanted is None:
        return
    if full_name(wanted) not in metrics:
        known = ", ".join(name.removeprefix("eval_") for name in metrics)
        raise UserError(f"metric_for_best_model {wanted} is not measured; known are {known}.")
    steps = args.eval_steps or 0
    every = steps if steps >= 1 else steps * max_steps
    if args.eval_strategy == "steps" and every > max_steps:
        raise UserError(
            f"metric_for_best_model {wanted} is measured every {every:g} steps, but the run has "
            f"{max_steps}; give a smaller eval_steps (and save_steps)."
        )


def write_events_to(trainer: Trainer, folder: Path) -> None:
    """Let TensorBoard's files outlive the saved steps, unless the environment says where."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(folder)
