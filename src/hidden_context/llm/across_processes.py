"""Several processes compute the loss of one: the last batch, and terms of the whole batch.

Each process has a part of a batch, and gradients are averaged over processes. Accelerate fills a
last batch that is smaller with observations from the beginning, which count for nothing here.
"""

from typing import Any

import torch
from accelerate.utils import gather, pad_across_processes

from hidden_context.distributions import Family


def own_share(
    number: int, batch_size: int, gradient_state: Any, *, rank: int, num_processes: int
) -> tuple[int, int]:
    """How many observations of a batch are this process's own, and how many there are in all.

    The others, at the end of the batch, are repeated from the beginning of the data.

    Args:
        number: Observations that this process was given.
        batch_size: Of a whole batch of a process.
        gradient_state: Accelerate's, as it was when the batch came.
        rank: Of this process.
        num_processes: Of the run.
    """
    total = number * num_processes
    if gradient_state.end_of_dataloader and gradient_state.remainder > 0:
        total = gradient_state.remainder
    return max(0, min(number, total - rank * batch_size)), total


def regularizer_of_all(family: Family, raw: torch.Tensor, *, rank: int) -> torch.Tensor:
    """The family's penalty of the texts of all processes, whose averaged gradient is its own.

    Args:
        family: How raw outputs are read.
        raw: Those of this process, shape `(texts, num_outputs)`; perhaps none.
        rank: Of this process.

    Returns:
        A scalar, the same in all processes. The gradient that reaches `raw` is multiplied by the
        number of processes, since averaging divides by it.
    """
    counts = gather(torch.tensor([len(raw)], device=raw.device)).tolist()  # pyrefly: ignore
    most = max(counts)
    filled = pad_across_processes(raw.detach(), dim=0)
    if len(counts) == 1:
        parts = [raw]
    else:
        every: Any = gather(filled)
        parts = [part[:count] for part, count in zip(every.split(most), counts, strict=True)]
        parts[rank] = raw
    penalty = family.regularizer(family.decode(torch.cat(parts)))
    return penalty.detach() + len(counts) * (penalty - penalty.detach())
