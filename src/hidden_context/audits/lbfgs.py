"""Minima of many functions at once, by L-BFGS (Nocedal 1980), and how parameters are laid out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

DECREMENT = 1e-8
"""Nats per vote that a further step would gain, from which on a head has converged."""
MOST_ITERATIONS = 100
ROUNDING = 4e-7
"""Share of a loss by which float32 may miss it."""
HISTORY = 6
MOST_HALVINGS = 20
"""Of a step that is not downhill."""


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
    history: list[_Turn] = []
    at_rest = ~torch.isfinite(loss)
    for _ in range(most_iterations):
        step = _downhill(gradient, inverse, history)
        slope = (gradient * step).sum(0)
        moves = (slope < -2 * DECREMENT) & ~at_rest  # a head at its minimum would follow rounding
        if not bool(moves.any()):
            break
        step = torch.where(moves, step, 0.0)
        new, new_loss, new_gradient, down = _searched(
            loss_and_gradient, at, loss, step, torch.where(moves, slope, 0.0)
        )
        moved = torch.where(down, new - at, 0.0)
        turned = torch.where(down, new_gradient - gradient, 0.0)
        stuck = moves & ~down
        at_rest |= stuck & _is_new(history, stuck)
        history = [each.forgotten(stuck) for each in history]
        history = [*history, _turn(moved, turned)][-HISTORY:]
        at, loss = at + moved, torch.where(down, new_loss, loss)
        gradient = gradient + turned
    return at


@dataclass(frozen=True)
class _Turn:
    """A step of each head, and how its gradient turned along it."""

    moved: Tensor
    turned: Tensor
    per_curvature: Tensor
    """1 over the product of both, shape `(M,)`; 0 where it says nothing."""

    def forgotten(self, heads: Tensor) -> "_Turn":
        """The same, but for some heads."""
        return replace(self, per_curvature=torch.where(heads, 0.0, self.per_curvature))


def _turn(moved: Tensor, turned: Tensor) -> _Turn:
    """What a step teaches: nothing where its curvature is lost in rounding (Li, Fukushima 2001)."""
    curvature = (moved * turned).sum(0)
    least = torch.finfo(moved.dtype).eps * moved.norm(dim=0) * turned.norm(dim=0)
    usable = (curvature > least) & torch.isfinite(1 / curvature)
    return _Turn(moved, turned, torch.where(usable, 1 / curvature, 0.0))


def _is_new(history: list[_Turn], heads: Tensor) -> Tensor:
    """Which heads have learned nothing from the steps before, so went straight downhill."""
    new = torch.ones_like(heads)
    for each in history:
        new &= each.per_curvature == 0
    return new


def _searched(
    loss_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]],
    at: Tensor,
    loss: Tensor,
    step: Tensor,
    slope: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points along the steps, halved until each is down far enough, or lost in rounding.

    Returns:
        The points, their losses and gradients, and which of them are down: so finite.
    """
    share = torch.ones_like(loss)
    for _ in range(MOST_HALVINGS):
        new = at + share * step
        new_loss, new_gradient = loss_and_gradient(new)
        down = new_loss <= loss + 1e-4 * share * slope + ROUNDING * loss
        down &= torch.isfinite(new_loss) & torch.isfinite(new_gradient).all(0)
        if bool((down | (slope == 0)).all()):
            break
        share = torch.where(down, share, share / 2)
    return new, new_loss, new_gradient, down  # pyrefly: ignore


def _downhill(gradient: Tensor, inverse: Tensor, history: list[_Turn]) -> Tensor:
    """Minus the inverse curvature times the gradient, by the two loops of L-BFGS.

    Where rounding makes that no way down, by the curvature from which steps start.
    """
    rest, shares = gradient, []
    for each in reversed(history):
        share = each.per_curvature * (each.moved * rest).sum(0)
        rest = rest - share * each.turned
        shares.append(share)
    step = inverse * rest
    for each, share in zip(history, reversed(shares), strict=True):
        step = step + (share - each.per_curvature * (each.turned * step).sum(0)) * each.moved
    is_down = torch.isfinite(step).all(0) & ((gradient * step).sum(0) >= 0)
    return -torch.where(is_down, step, inverse * gradient)


def flat(values: Tensor | None) -> Tensor:
    """One parameter of each head, shape `(numbers, M)`."""
    assert values is not None
    return values.reshape(len(values), -1).T


def split(flat: Tensor, like: list[torch.nn.Parameter]) -> list[Tensor]:
    """Inverse of `flat` for several parameters."""
    counts = [each[0].numel() for each in like]
    parts = flat.split(counts) if counts else []
    return [part.T.reshape(each.shape).clone() for part, each in zip(parts, like, strict=True)]
