"""Heads of the scalar family, all at once, by second-order steps on all comparisons.

Comparisons see a scalar head only through the differences of the vectors, so there is half as much
to multiply as for other families, and its likelihood is convex, so no step is left to chance.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.heads import Heads, HeadsToFit, Pairs, outcomes_for
from hidden_context.audits.vectors import blocks
from hidden_context.distributions import Family
from hidden_context.distributions.point import Point
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

MOST_AT_ONCE = 2**15
"""Comparisons up to which all of them, again and again, take less time than batches by Adam."""
DECREMENT = 1e-8
"""Nats per vote that a further step would gain, from which on a head has converged."""
MOST_ITERATIONS = 100
ROUNDING = 4e-7
"""Share of a loss by which float32 may miss it."""
HISTORY = 6
LARGEST_CURVATURE = 0.25
"""Of -log σ: what the first steps are scaled by (Böhning and Lindsay 1988)."""


def suits(family: Family, pairs: Pairs) -> bool:
    """Whether heads are fitted so."""
    return isinstance(family, Point) and len(pairs) <= MOST_AT_ONCE


def fit_scalar(
    family: Family, pairs: Pairs, to_fit: HeadsToFit, *, outcome_model: OutcomeModel
) -> Heads:
    """What `heads.fit` minimises, at its minimum. Biases, which comparisons do not see, are 0."""
    pairs = pairs.favoured_first if to_fit.shares is None else pairs
    chosen = np.arange(len(pairs))
    differences, turn, size = _principal_differences(pairs)
    likelihood = LearnedLikelihood(
        family, outcome_model, learn_outcomes=True, num_copies=len(to_fit)
    )
    learned = list(likelihood.parameters())
    outcomes = outcomes_for(pairs, chosen, to_fit)
    weight = to_fit.weights(pairs.outcomes.weight, chosen)
    outcomes = replace(outcomes, weight=weight / weight.sum(0))
    shrink = torch.from_numpy(to_fit.ridge).float() / torch.from_numpy(to_fit.num_fitted_to)
    width = differences.shape[1]

    def loss_and_gradient(at: Tensor) -> tuple[Tensor, Tensor]:
        head = at[:width]
        for parameter, values in zip(learned, _split(at[width:], learned), strict=True):
            parameter.data = values
            parameter.grad = None
        utility = (differences @ head).requires_grad_()
        sides = [utility[..., None], torch.zeros(())[..., None].expand_as(utility[..., None])]
        nats = log_likelihood(family, sides, outcomes, likelihood()[1])
        loss = -nats.sum(0)
        loss.sum().backward()
        assert utility.grad is not None
        gradient = [differences.T @ utility.grad + shrink * head]
        gradient += [_flat(parameter.grad) for parameter in learned]
        return loss.detach() + shrink * (head**2).sum(0) / 2, torch.cat(gradient)

    start = [torch.zeros(width, len(to_fit)), *(_flat(each.data) for each in learned)]
    inverse = [1 / (LARGEST_CURVATURE * size[:, None] + shrink)]
    inverse += [torch.ones_like(_flat(each.data)) for each in learned]
    found = minimize(loss_and_gradient, torch.cat(start), torch.cat(inverse))
    with torch.no_grad():
        for parameter, values in zip(learned, _split(found[width:], learned), strict=True):
            parameter.data = values
        weight = (turn @ found[:width])[..., None]
        return Heads(family, likelihood()[1], weight, torch.zeros(weight.shape[1:]))


def laplace_draws(
    head: Heads, pairs: Pairs, ridge: float, *, num_votes: float, num_draws: int, seed: int
) -> np.ndarray:
    """Differences in utility under weights that the data leave possible, shape `(draws, n)`.

    Weights are normal around those of a head that was fitted to all comparisons, with the inverse
    of the loss's curvature, ridge included, as covariance (MacKay 1992). Fitted utilities are drawn
    together by their ridge; these are as spread as the true ones.

    Args:
        head: One, with outcome parameters that are plain numbers.
        pairs: What it was fitted to.
        ridge: By which.
        num_votes: Mean number of votes of a comparison.
        num_draws: How many.
        seed: Of the draws.
    """
    weight = head.weight[:, 0, 0].double()
    curvature = ridge * torch.eye(len(weight), dtype=torch.float64)
    for block in blocks(np.arange(len(pairs))):
        differences = _differences(pairs, block).double()
        ahead = (differences @ weight).requires_grad_()
        sides = [ahead[:, None], torch.zeros_like(ahead)[:, None]]
        outcomes = pairs.outcomes[block]
        shares, votes = torch.as_tensor(outcomes.shares), torch.as_tensor(outcomes.weight)
        observed = Outcomes(shares.double(), votes.double())
        nats = log_likelihood(head.family, sides, observed, head.outcome_model).sum()
        (slope,) = torch.autograd.grad(nats, ahead, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), ahead)
        curvature += differences.T @ (-bend.clamp(max=0)[:, None] * differences)
    factor = torch.linalg.cholesky(curvature * num_votes)
    normal = torch.randn(
        (len(weight), num_draws), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    drawn = weight[:, None] + torch.linalg.solve_triangular(factor.T, normal, upper=True)
    found = np.empty((num_draws, len(pairs)))
    for block in blocks(np.arange(len(pairs))):
        found[:, block] = (_differences(pairs, block).double() @ drawn).T.numpy()
    return found


def _differences(pairs: Pairs, chosen: np.ndarray) -> Tensor:
    """First less second vector of some comparisons, shape `(k, width)`."""
    return pairs.vectors[pairs.first[chosen]] - pairs.vectors[pairs.second[chosen]]


def _principal_differences(pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """First less second vector, along their principal axes; these axes; mean squares along them.

    With them the curvature of all heads is nearly diagonal.
    """
    width = pairs.vectors.shape[1]
    differences = torch.empty(len(pairs), width)
    for block in blocks(np.arange(len(pairs))):
        differences[block] = pairs.vectors[pairs.first[block]] - pairs.vectors[pairs.second[block]]
    weight = torch.as_tensor(pairs.outcomes.weight, dtype=torch.float32)[:, None]
    moments = (differences.T @ (weight * differences) / weight.sum()).double()
    size, turn = map(Tensor.float, torch.linalg.eigh(moments))  # float32 may not converge
    return differences @ turn, turn, size.clamp_min(0)


def minimize(
    loss_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]], start: Tensor, inverse: Tensor
) -> Tensor:
    """The minima of M functions of P numbers at once, by L-BFGS (Nocedal 1980).

    Args:
        loss_and_gradient: Takes points, shape `(P, M)`, to losses, `(M,)`, and gradients, `(P, M)`.
        start: Shape `(P, M)`.
        inverse: What steps start from, about the inverse of each second derivative, `(P, M)`.
    """
    at = start
    loss, gradient = loss_and_gradient(at)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(MOST_ITERATIONS):
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


def _flat(values: Tensor | None) -> Tensor:
    """One parameter of each head, shape `(numbers, M)`."""
    assert values is not None
    return values.reshape(len(values), -1).T


def _split(flat: Tensor, like: list[torch.nn.Parameter]) -> list[Tensor]:
    """Inverse of `_flat` for several parameters."""
    counts = [each[0].numel() for each in like]
    parts = flat.split(counts) if counts else []
    return [part.T.reshape(each.shape).clone() for part, each in zip(parts, like, strict=True)]
