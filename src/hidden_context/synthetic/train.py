"""The one training loop of the synthetic experiments, and the trained models as files."""

import math
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_as_bytes
from torch import Tensor

from hidden_context import records
from hidden_context.distributions import family_from_dict
from hidden_context.errors import UserError
from hidden_context.progress import progress_bar
from hidden_context.synthetic.environments import ENVIRONMENTS, compare
from hidden_context.synthetic.models import Model, UtilityModel
from hidden_context.synthetic.settings import Experiment

FINAL_LR = 1e-5
"""Learning rate that the exponential decay ends with."""


def loss_of(model: Model, experiment: Experiment, generator: torch.Generator) -> Tensor:
    """Loss of one iteration on fresh states drawn with the generator, nats per comparison.

    Of noisy comparisons, each of two states, as published; or the expected loss of all pairs of
    `num_states(batch_size)` states.
    """
    environment = ENVIRONMENTS[experiment.env]
    if experiment.pairs == "sampled":
        return model.loss(compare(environment, experiment.batch_size, generator))
    return model.exact_loss(environment, num_states(experiment.batch_size), generator)


def num_states(batch_size: int) -> int:
    """The smallest number of states that have at least `batch_size` pairs."""
    return math.ceil((1 + math.sqrt(1 + 8 * batch_size)) / 2)


def train(
    model: Model,
    experiment: Experiment,
    *,
    device: torch.device,
    label: str = "",
    progress: bool = False,
) -> float:
    """Train `model` in place on fresh comparisons; it ends on the CPU, ready for evaluation.

    Args:
        model: With fresh weights.
        experiment: What it is trained on, and how long. Comparisons are drawn on the CPU: for a
            seed they are the same on every device.
        device: Where the network is trained.
        label: Names the model in messages.
        progress: Show a bar.

    Returns:
        Mean loss of the last tenth of the iterations, in nats per comparison.

    Raises:
        UserError: The loss is no longer finite.
    """
    lr, num_iterations = experiment.lr, experiment.num_iterations
    generator = torch.Generator().manual_seed(experiment.seed)
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    decay = (min(FINAL_LR, lr) / lr) ** (1 / num_iterations)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=decay)
    losses = []
    bar = progress_bar(num_iterations, f"training {label}", unit="iteration", shown=progress)
    for iteration in range(num_iterations):
        loss = loss_of(model, experiment, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise UserError(
                f"{label}: loss {losses[-1]} at iteration {iteration}; lower --lr {lr}."
            )
        bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
        bar.update()
    bar.close()
    model.cpu().eval()
    return fmean(losses[-math.ceil(num_iterations / 10) :])


def save_model(folder: Path, name: str, model: Model, settings: dict[str, Any]) -> None:
    """Write `<name>.safetensors` and, last, the record `<name>.json` that vouches for it.

    By `settings`, with which it was trained, `load_model` takes it for the same or does not.
    """
    record_path = folder / f"{name}.json"
    record_path.unlink(missing_ok=True)
    with records.atomic_write(folder / f"{name}.safetensors") as file:
        file.write(tensors_as_bytes({k: v.contiguous() for k, v in model.state_dict().items()}))
    family = model.family.to_dict() if isinstance(model, UtilityModel) else None
    record = {"model": name, "family": family, "config": settings, **records.provenance()}
    records.write_json(record_path, record)


def load_model(folder: Path, name: str, model: Model, settings: dict[str, Any]) -> bool:
    """Fill `model` with saved weights if they were trained with the same settings and family.

    Returns whether they were there; if not, `model` is as it was.
    """
    record_path, weights_path = folder / f"{name}.json", folder / f"{name}.safetensors"
    if not (record_path.is_file() and weights_path.is_file()):
        return False
    record = records.read_json(record_path)
    saved = record.get("family")
    family = model.family if isinstance(model, UtilityModel) else None
    if record.get("config") != settings or (saved and family_from_dict(saved)) != family:
        return False
    model.load_state_dict(load_tensors(weights_path.read_bytes()))
    model.eval()
    return True
