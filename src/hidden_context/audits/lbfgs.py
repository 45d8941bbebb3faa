"""Minima of many functions at once, by L-BFGS (Nocedal 1980), and how parameters are laid out."""

from collections.abc import Callable

import torch
from torch import Tensor

DECREMENT = 1e-8
"""Nats per vote that a further step would gain, from which on a head has converged."""
MOST_ITERATIONS = 100
ROUNDING = 4e-7
"""Share of a loss by which float32 may miss it."""
HISTORY = 6


def minimize(
    loss_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    inverse: Tensor,
    *,
    most_iterations: int = MOST_ITERATIONS,
) -> Tensor:
    """The minima of M functions of P numbers at once, by L-BFGS (Nocedal 1980).

    Args:
        loss_and_gradient: Takes points, shape `(P, M)`, to losses, `(M,)`, and gradients, `(P, M)`.
        start: Shape `(P, M)`.
        inverse: What steps start from, about the inverse of each second derivative, `(P, M)`.
        most_iterations: Steps after which to stop in any case.
    """
    at = start
    loss, gradient = loss_and_gradient(at)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(most_iterations):
        step = _direction(gradient, inverse, history)
        slope = (gradient * step).sum(0)
        if bool((slope >= -2 * DECREMENT).all()):
            break
        share = torch.ones_like(loss)
        for _ in range(20):  # halved until it is down far enough, or lost in rounding
            new = at + share * step
            new_loss, new_gradient = loss_and_gradient(new)
            down = new_loss <= loss + 1e-4 * share * slope + ROUNDING * loss
            if bool((down | (slope >= -2 * DECREMENT)).all()):
                break
            share = torch.where(down, share, share / 2)
        moved = torch.where(down, new - at, 0.0)
        turned = torch.where(down, new_gradient - gradient, 0.0)
        if not bool(down.any()):
            break
        curvature = (moved * turned).sum(0)
        usable = curvature > 0
        history.append((moved, turned, torch.where(usable, 1 / curvature, 0.0)))
        history = history[-HISTORY:]
        at, loss = at + moved, torch.where(down, new_loss, loss)
        gradient = gradient + turned
    return at


def _direction(
    gradient: Tensor, inverse: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]
) -> Tensor:
    """Minus the inverse curvature times the gradient, by the two loops of L-BFGS."""
    rest, shares = gradient, []
    for moved, turned, per_curvature in reversed(history):
        share = per_curvature * (moved * rest).sum(0)
        rest = rest - share * turned
        shares.append(share)
    step = inverse * rest
    for (moved, turned, per_curvature), share in zip(history, reversed(shares), strict=True):
        step = step + (share - per_curvature * (turned * step).sum(0)) * moved
    return -step


def flat(values: Tensor | None) -> Tensor:
    """One parameter of each head, shape `(numbers, M)`."""
    assert values is not None
    return values.reshape(len(values), -1).T


def split(flat: Tensor, like: list[torch.nn.Parameter]) -> list[Tensor]:
    """Inverse of `flat` for several parameters."""
    counts = [each[0].numel() for each in like]
    parts = flat.split(counts) if counts else []
    return [part.T.reshape(each.shape).clone() for part, each in zip(parts, like, strict=True)]
