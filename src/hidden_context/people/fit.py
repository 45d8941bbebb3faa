"""`fit_people`: a normal distribution over people, from comparisons of which it is known whose.

Person v's utility of item x is m_x + L_x · f_v with f_v ~ N(0, I_r), plus logistic noise at each
comparison; ties end at a threshold of her own, from a few values whose shares among people are
learned. Fitted by expectation–maximisation: what is not known of a person by expectation
propagation (`inference`), then the largest expected log-likelihood over m and L by L-BFGS. Between
the two, L is rescaled so that f has the covariance that it was assumed to have (parameter
expansion: Liu, Rubin and Wu 1998), without which variances of people rise slowly.
"""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hidden_context.errors import UserError
from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.people import People, Person

logger = logging.getLogger(__name__)

THRESHOLDS = (0.02, 0.1, 0.25, 0.5, 0.9, 1.5, 2.5, 4.0)
"""Of ties, in units of the noise, each for a share of people. At .02 a person splits an even pair
in 1 % of the cases, at 4 she calls it a tie in 96 %."""
DIRECTIONS = (1, 2, 4, 8, 16)
"""Numbers of directions that are tried."""
RIDGE = 1.0
"""Half of it times the sum of squares of L is taken from the log-likelihood."""
TOLERANCE = 1e-6
"""Gain of a round, in nats per vote, at which the rounds end."""
MOST_ROUNDS = 100
HELD_OUT = 0.2
"""Share of people by whom the number of directions is chosen."""


def fit_people(
    votes: Any,
    *,
    num_directions: int | None = None,
    items: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> People:
    """Fit a distribution over people.

    Args:
        votes: `Ballots`, or what `read_ballots` reads: comparisons with annotators.
        num_directions: r, in how many directions people may differ. If not given, the fewest (0,
            or one of `DIRECTIONS`) that predict half of the comparisons of held-out people, given
            their other half, as well as the best do: the 95 % interval of the difference, over
            people, holds 0. The table is `People.held_out`.
        items: What items are called, if not only those that are compared.
        seed: Of the start, and of who and what is held out.

    Raises:
        UserError: The votes cannot be read, or there are too few people or items.
    """
    ballots = votes if isinstance(votes, Ballots) else read_ballots(votes, items=items)
    if len(ballots) < 2 or len(ballots.items) < 2:
        raise UserError(
            f"{len(ballots)} people compared {len(ballots.items)} items; a distribution over "
            "people takes two or more of both."
        )
    most = len(ballots.items) - 1
    if num_directions is not None:
        if not 0 <= num_directions <= most:
            raise UserError(
                f"num_directions is {num_directions}; {most + 1} items have 0 to {most}."
            )
        return _fit(ballots, num_directions, seed)
    numbers = sorted({0, *(min(number, most) for number in DIRECTIONS)})
    losses, sizes = _held_out_losses(ballots, numbers, seed)
    held_out = {number: float(of.sum() / sizes.sum()) for number, of in losses.items()}
    best = min(held_out, key=lambda number: held_out[number])
    fewest = min(number for number in numbers if _as_good(losses[number] - losses[best]))
    return replace(_fit(ballots, fewest, seed), held_out=held_out)


def _as_good(excess: np.ndarray) -> bool:
    """Whether the 95 % interval of the mean of people's excess losses holds 0."""
    error = excess.std(ddof=min(1, len(excess) - 1)) / len(excess) ** 0.5
    return bool(excess.mean() <= 1.96 * error)


def _held_out_losses(
    ballots: Ballots, numbers: Sequence[int], seed: int
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Nats of half of what each held-out person said, given the other half, and votes in it."""
    rng = np.random.default_rng(seed)
    is_held = np.zeros(len(ballots), bool)
    count = max(1, round(HELD_OUT * len(ballots)))
    is_held[rng.permutation(len(ballots))[:count]] = True
    rest, held = ballots.selected(~is_held), ballots.selected(is_held)
    half = rng.random(held.weight.shape) < 0.5
    given, asked = held.weight * half, held.weight * ~half
    if len(rest) < 2 or not asked.any():
        raise UserError("there are too few people to hold some out; give num_directions.")
    losses = {}
    for number in numbers:
        model = _fit(rest, number, seed)
        all_of_it = model.log_evidence(held)
        of_given = model.log_evidence(replace(held, weight=given))
        losses[number] = of_given - all_of_it
        loss = losses[number].sum() / asked.sum()
        logger.info("people differ in %d directions: held-out loss %.4f", number, loss)
    return losses, asked.sum(1)


def _fit(ballots: Ballots, num_directions: int, seed: int) -> People:
    rng = np.random.default_rng(seed)
    num_items = len(ballots.items)
    thresholds = THRESHOLDS if ballots.has_ties else (0.0,)
    start = 0.5 * rng.normal(size=(num_items, num_directions)) / max(num_directions, 1) ** 0.5
    model = People(
        items=ballots.items,
        mean=np.zeros(num_items),
        directions=start - start.mean(0),
        thresholds=np.array(thresholds),
        threshold_shares=np.full(len(thresholds), 1 / len(thresholds)),
        num_people=len(ballots),
    )
    total = ballots.weight.sum()
    chunks = [ballots.selected(numbers) for numbers in ballots.chunks()]
    starts: list[Person | None] = [None] * len(chunks)
    before = -np.inf
    for _ in range(MOST_ROUNDS):
        people = [model.infer(chunk, start) for chunk, start in zip(chunks, starts, strict=True)]
        reached = sum(float(one.log_evidence.sum()) for one in people) / total
        model = replace(model, log_likelihood=reached)
        if reached - before < TOLERANCE:
            return replace(model, converged=True)
        before = reached
        model = _maximized(model, chunks, people)
        starts = list(people)
    return model


def _maximized(model: People, chunks: Sequence[Ballots], people: Sequence[Person]) -> People:
    """Parameters that explain what was found of all people best."""
    share = np.concatenate([one.threshold_probs for one in people])
    parts = [(one.threshold_probs, one.posteriors) for one in people]
    middle: Any = sum(
        (probs[:, at, None] * posterior.mean).sum(0)
        for probs, posteriors in parts
        for at, posterior in enumerate(posteriors)
    ) / len(share)
    spread: Any = sum(
        np.einsum("v,vrs->rs", probs[:, at], posterior.covariance)
        + np.einsum("v,vr,vs->rs", probs[:, at], posterior.mean - middle, posterior.mean - middle)
        for probs, posteriors in parts
        for at, posterior in enumerate(posteriors)
    ) / len(share)
    mean, directions = model.mean, model.directions
    root = np.linalg.cholesky(spread)
    mean, directions = mean + directions @ middle, directions @ root
    mean, directions = _explained(
        mean, directions, np.linalg.inv(root), middle, chunks, people, model.thresholds
    )
    return replace(
        model,
        mean=mean - mean.mean(),
        directions=directions - directions.mean(0),
        threshold_shares=share.mean(0),
    )


NODES, WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.hermite.hermgauss(12))
STEPS = 10
"""Of L-BFGS in a round."""


def _explained(
    mean: np.ndarray,
    directions: np.ndarray,
    unscaled: np.ndarray,
    middle: np.ndarray,
    chunks: Sequence[Ballots],
    people: Sequence[Person],
    thresholds: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """m and L of the largest expected log-likelihood, from where they are."""
    m = torch.from_numpy(mean).clone().requires_grad_()
    slopes = torch.from_numpy(directions).clone().requires_grad_()
    total = sum(float(chunk.weight.sum()) for chunk in chunks)
    parts = [
        _Expected.of(chunk, one, unscaled, middle, thresholds)
        for chunk, one in zip(chunks, people, strict=True)
    ]
    optimizer = torch.optim.LBFGS([m, slopes], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (RIDGE / 2) * (slopes**2).sum() / total
        loss.backward()
        for part in parts:  # one after the other: graphs of all at once would fill the memory
            of_part = -part.log_likelihood(m, slopes) / total
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
    thresholds: np.ndarray
    probs: Tensor
    """Of each threshold, shape `(V, G)`."""
    means: Sequence[Tensor]
    covariances: Sequence[Tensor]

    @classmethod
    def of(
        cls,
        ballots: Ballots,
        people: Person,
        unscaled: np.ndarray,
        middle: np.ndarray,
        thresholds: np.ndarray,
    ) -> "_Expected":
        """Of coordinates less their middle, divided by the root of their covariance."""
        return cls(
            torch.from_numpy(ballots.first),
            torch.from_numpy(ballots.second),
            torch.from_numpy(ballots.shares * ballots.weight[..., None]),
            thresholds,
            torch.from_numpy(people.threshold_probs),
            [torch.from_numpy((one.mean - middle) @ unscaled.T) for one in people.posteriors],
            [torch.from_numpy(unscaled @ one.covariance @ unscaled.T) for one in people.posteriors],
        )

    def log_likelihood(self, mean: Tensor, directions: Tensor) -> Tensor:
        """In nats, a scalar."""
        offset = mean[self.first] - mean[self.second]
        slopes = directions[self.first] - directions[self.second]
        value = offset.new_zeros(())
        for at, threshold in enumerate(self.thresholds.tolist()):
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
