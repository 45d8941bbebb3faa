"""The largest expected log-likelihood over what all people share, given what is known of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hidden_context.people.ballots import Ballots
from hidden_context.people.people import Person

NODES, WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.hermite.hermgauss(12))
STEPS = 10
"""Of L-BFGS in a round."""


@dataclass(frozen=True, eq=False)
class Design:
    """How mean and directions of items follow from weights, and what is taken for large weights."""

    vectors: Tensor | None = None
    """φ, shape `(items, d)`; None where each item has a weight of its own."""
    mean_ridge: float = 0.0
    """Half of it times the sum of squares of the mean's weights is taken off the log-likelihood."""
    ridge: float = 1.0
    """The same of the directions' weights."""

    def __call__(self, weights: Tensor) -> Tensor:
        """Weights, of shape `(d,)` or `(d, r)`, to `(items,)` or `(items, r)`."""
        return weights if self.vectors is None else self.vectors @ weights

    def place(self, weights: np.ndarray) -> np.ndarray:
        """The same of arrays; utilities of items without vectors are centred."""
        if self.vectors is None:
            return weights - weights.mean(0)
        return self.vectors.numpy() @ weights


def most_likely(
    mean: np.ndarray,
    directions: np.ndarray,
    design: Design,
    unscaled: np.ndarray,
    middle: np.ndarray,
    chunks: Sequence[Ballots],
    people: Sequence[Person],
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of m and L of the largest expected log-likelihood, from where they are.

    Coordinates of people are taken less their `middle`, times `unscaled`.
    """
    m = torch.from_numpy(mean).clone().requires_grad_()
    slopes = torch.from_numpy(directions).clone().requires_grad_()
    total = sum(float(chunk.weight.sum()) for chunk in chunks)
    parts = [
        _Expected.of(chunk, one, unscaled, middle)
        for chunk, one in zip(chunks, people, strict=True)
    ]
    optimizer = torch.optim.LBFGS([m, slopes], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (design.mean_ridge * (m**2).sum() + design.ridge * (slopes**2).sum()) / (2 * total)
        loss.backward()
        for part in parts:  # one after the other: graphs of all at once would fill the memory
            of_part = -part.log_likelihood(design(m), design(slopes)) / total
            of_part.backward()
            loss = loss.detach() + of_part.detach()
        return loss

    optimizer.step(closure)
    return m.detach().numpy(), slopes.detach().numpy()


@dataclass(frozen=True, eq=False)
class _Expected:
    """The expected log-likelihood of some people as a function of m and L."""

    first: Tensor
    second: Tensor
    votes: Tensor
    """Shape `(V, N, 3)`."""
    thresholds: Sequence[float]
    """Of each kind of people."""
    probs: Tensor
    """Of each kind, shape `(V, kinds)`."""
    means: Sequence[Tensor]
    covariances: Sequence[Tensor]

    @classmethod
    def of(
        cls,
        ballots: Ballots,
        people: Person,
        unscaled: np.ndarray,
        middle: np.ndarray,
    ) -> "_Expected":
        """Of coordinates less their middle, divided by the root of their covariance."""
        return cls(
            torch.from_numpy(ballots.first),
            torch.from_numpy(ballots.second),
            torch.from_numpy(ballots.shares * ballots.weight[..., None]),
            [threshold for threshold, _ in people.model.kinds()],
            torch.from_numpy(people.kind_probs),
            [torch.from_numpy((one.mean - middle) @ unscaled.T) for one in people.posteriors],
            [torch.from_numpy(unscaled @ one.covariance @ unscaled.T) for one in people.posteriors],
        )

    def log_likelihood(self, mean: Tensor, directions: Tensor) -> Tensor:
        """In nats, a scalar."""
        offset = mean[self.first] - mean[self.second]
        slopes = directions[self.first] - directions[self.second]
        value = offset.new_zeros(())
        for at, threshold in enumerate(self.thresholds):
            centre = offset + (slopes @ self.means[at][:, :, None])[..., 0]
            variance = ((slopes @ self.covariances[at]) * slopes).sum(-1)
            ahead = centre[..., None] + torch.sqrt(2 * variance + 1e-12)[..., None] * NODES
            first = torch.nn.functional.logsigmoid(ahead - threshold)
            second = torch.nn.functional.logsigmoid(-ahead - threshold)
            shift = float(np.log(np.expm1(2 * threshold))) if threshold else 0.0
            tie = first + second + shift if threshold else (first + second) / 2
            votes = self.votes[..., None, :]
            nats = votes[..., 0] * second + votes[..., 1] * tie + votes[..., 2] * first
            expected = (nats * (WEIGHTS / torch.pi**0.5)).sum(-1)
            value = value + (self.probs[:, at, None] * expected).sum()
        return value
