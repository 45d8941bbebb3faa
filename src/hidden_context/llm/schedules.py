"""Learning-rate schedules: the published ones, and the Trainer's, tried out before a run."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from hidden_context.errors import UserError


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

NEEDED = {
    "cosine_with_min_lr": 'min_lr or min_lr_rate, such as {"min_lr_rate": 0.1}',
    "cosine_warmup_with_min_lr": 'min_lr or min_lr_rate, such as {"min_lr_rate": 0.1}',
    "warmup_stable_decay": 'num_decay_steps, such as {"num_decay_steps": 100}',
}
"""What some of the Trainer's schedules cannot do without."""
ON_METRICS = ("reduce_lr_on_plateau", "greedy")
"""Those whose steps need a measured loss."""


def check_schedule(name: str, options: Mapping[str, Any], *, learning_rate: float) -> None:
    """Take steps of a schedule, so that what it lacks is known before a model is loaded.

    Args:
        name: In `SCHEDULES`, or one of the Trainer's.
        options: Its `lr_scheduler_kwargs`.
        learning_rate: The peak.

    Raises:
        UserError: There is no such schedule, or it cannot be made with these options.
    """
    import torch
    from transformers import get_scheduler
    from transformers.trainer_utils import SchedulerType

    known = sorted({*SCHEDULES, *(kind.value for kind in SchedulerType)})
    if name not in known:
        raise UserError(f"lr_scheduler_type {name!r} is none of {', '.join(known)}.")
    if name in (*SCHEDULES, "constant", "constant_with_warmup"):
        if options:
            raise UserError(f"lr_scheduler_type {name} takes no lr_scheduler_kwargs; leave it out.")
        return
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)
    try:
        schedule = get_scheduler(
            name,
            optimizer,
            num_warmup_steps=0,
            num_training_steps=100,
            scheduler_specific_kwargs=dict(options),
        )
        for _ in range(0 if name in ON_METRICS else 2):
            optimizer.step()
            schedule.step()
    except (TypeError, ValueError, ArithmeticError) as error:
        needed = f"; it needs {NEEDED[name]}" if name in NEEDED else ""
        raise UserError(
            f"lr_scheduler_type {name} cannot be made with lr_scheduler_kwargs {dict(options)} "
            f"({error}){needed}."
        ) from error


def multiple_at(
    schedule: Callable[[float], float], warm_up: int, num_steps: int, step: int
) -> float:
    """Multiple of the peak learning rate: linear from 0 in `warm_up` steps, then the schedule's."""
    if step < warm_up:
        return step / warm_up
    return schedule((step - warm_up) / max(1, num_steps - warm_up))
