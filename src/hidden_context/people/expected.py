"""The largest expected log-likelihood over what all people share, given what is known of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hidden_context.people.ballots import Ballots
from hidden_context.people.people import Person, second_moments

NODES, WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.hermite.hermgauss(8))
STEPS = 6
"""Of L-BFGS in a round."""
PRIOR_OF_MEAN = 0.01
"""Information on the mean of an item of which there is none else: a deviation of 10."""
LEAST_PROBABLE = 1e-4
"""Threshold and cluster of a person that counts."""


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
        part
        for chunk, one in zip(chunks, people, strict=True)
        for part in _Expected.of(chunk, one, unscaled, middle)
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


def item_covariance(
    chunks: Sequence[Ballots], people: Sequence[Person], ridge: float
) -> np.ndarray:
    """Covariance of the mean and directions of each item, given those of the others.

    The inverse of the information of the expected log-likelihood, with the ridge: an approximation
    from below, since neither the others nor the people are known.

    Args:
        chunks: What people said.
        people: What is known of them.
        ridge: On the directions.

    Returns:
        Shape `(items, 1 + r, 1 + r)`.
    """
    model = people[0].model
    size = 1 + model.directions.shape[1]
    information = np.zeros((len(model.items), size, size))
    for chunk, one in zip(chunks, people, strict=True):
        mean, covariance = one.coordinates
        utility = model.mean + mean @ model.directions.T
        rows = np.arange(len(chunk))[:, None]
        ahead = utility[rows, chunk.first] - utility[rows, chunk.second]
        curvature = np.zeros(ahead.shape)
        votes = chunk.shares * chunk.weight[..., None]
        for at, (threshold, _) in enumerate(model.kinds()):
            above, below = (
                np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2
                for x in (ahead - threshold, ahead + threshold)
            )
            both = votes[..., 1] * (above + below) / (1 if threshold else 2)
            of_kind = votes[..., 2] * above + votes[..., 0] * below + both
            curvature += one.kind_probs[:, at, None] * of_kind
        of_items = np.zeros((len(chunk), len(model.items)))
        for numbers in (chunk.first, chunk.second):
            np.add.at(of_items, (rows, numbers), curvature)
        information += np.einsum("vi,vab->iab", of_items, second_moments(mean, covariance))
    prior = np.diag([PRIOR_OF_MEAN, *[ridge] * (size - 1)])
    return np.linalg.inv(information + prior)


@dataclass(frozen=True, eq=False)
class _Expected:
    """The expected log-likelihood, as a function of m and L, of people of one threshold."""

    first: Tensor
    second: Tensor
    votes: Tensor
    """Times the probability of the threshold and cluster, shape `(V, N, 3)`."""
    threshold: float
    mean: Tensor
    """Of the coordinates, shape `(V, r)`."""
    covariance: Tensor

    @classmethod
    def of(
        cls, ballots: Ballots, people: Person, unscaled: np.ndarray, middle: np.ndarray
    ) -> "list[_Expected]":
        """Of each kind, coordinates less their middle, divided by the root of their covariance."""
        parts = []
        for at, (threshold, _) in enumerate(people.model.kinds()):
            who = np.flatnonzero(people.kind_probs[:, at] > LEAST_PROBABLE)
            if not len(who):
                continue
            of_kind, probs = people.posteriors[at], people.kind_probs[who, at]
            votes = ballots.shares[who] * (ballots.weight[who] * probs[:, None])[..., None]
            arrays = (ballots.first[who], ballots.second[who], votes)
            mean = (of_kind.mean[who] - middle) @ unscaled.T
            covariance = unscaled @ of_kind.covariance[who] @ unscaled.T
            first, second, votes, mean, covariance = map(
                torch.from_numpy, (*arrays, mean, covariance)
            )
            parts.append(cls(first, second, votes, threshold, mean, covariance))
        return parts

    def log_likelihood(self, mean: Tensor, directions: Tensor) -> Tensor:
        """In nats, a scalar."""
        offset = mean[self.first] - mean[self.second]
        slopes = directions[self.first] - directions[self.second]
        centre = offset + (slopes @ self.mean[:, :, None])[..., 0]
        variance = ((slopes @ self.covariance) * slopes).sum(-1)
        ahead = centre[..., None] + torch.sqrt(2 * variance + 1e-12)[..., None] * NODES
        first = torch.nn.functional.logsigmoid(ahead - self.threshold)
        second = torch.nn.functional.logsigmoid(-ahead - self.threshold)
        has_ties = self.threshold > 0
        shift = float(np.log(np.expm1(2 * self.threshold))) if has_ties else 0.0
        tie = first + second + shift if has_ties else (first + second) / 2
        votes = self.votes[..., None, :]
        nats = votes[..., 0] * second + votes[..., 1] * tie + votes[..., 2] * first
        return (nats * (WEIGHTS / torch.pi**0.5)).sum()
