"""Linear heads on fixed vectors, all at once: one for each seed, fold, ridge and set of labels."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.folds import Partitions
from hidden_context.audits.vectors import TextVectors, blocks
from hidden_context.distributions import Family
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

BATCH_SIZE = 1024
"""Comparisons a step."""
LEARNING_RATE = 0.1
ROUNDING = 1e-5
"""Adam would follow gradients that are rounding alone, as of a bias that cancels."""
NOT_HELD_OUT = -1
PAIRS_AT_ONCE = 2**13
SMALLEST_WEIGHT = 1e-12
"""A batch may hold nothing that a head sees; its loss is then 0."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Comparisons of texts that are known by their vectors."""

    vectors: TextVectors
    first: np.ndarray
    """Row of `vectors` of each first text, shape `(n,)`."""
    second: np.ndarray
    outcomes: Outcomes
    """NumPy arrays, for the first."""
    prompt: np.ndarray
    """Number of each comparison's prompt, shape `(n,)`."""
    lengths: np.ndarray | None = None
    """Characters of both responses, shape `(n, 2)`."""

    def __len__(self) -> int:
        return len(self.first)

    def selected(self, keep: np.ndarray) -> "Pairs":
        """Those of some indices."""
        return Pairs(
            self.vectors,
            self.first[keep],
            self.second[keep],
            Outcomes(self.outcomes.shares[keep], self.outcomes.weight[keep]),
            self.prompt[keep],
            None if self.lengths is None else self.lengths[keep],
        )


@dataclass(frozen=True, eq=False)
class HeadSet:
    """What tells M heads apart that are fitted together."""

    partitions: Partitions
    """Of all comparisons."""
    seed: np.ndarray
    """Index of the seed whose partition a head goes by, shape `(M,)`."""
    held_out: np.ndarray
    """Folds that it does not see, shape `(M, 2)`; `NOT_HELD_OUT` for none."""
    ridge: np.ndarray
    """Shape `(M,)`; see `fit`."""
    labels: np.ndarray | None = None
    """Share for the first of the votes that are no ties, shape `(label sets, n)`; ties stay."""
    label_set: np.ndarray | None = None
    """Which set of labels a head learns, shape `(M,)`."""

    def __len__(self) -> int:
        return len(self.seed)

    def folds(self, chosen: np.ndarray) -> np.ndarray:
        """Fold of each chosen comparison in the partition of each head, shape `(k, M)`."""
        return self.partitions.fold[chosen][:, self.seed]

    def fitted_to(self, chosen: np.ndarray) -> np.ndarray:
        """Which of the chosen comparisons each head is fitted to, shape `(k, M)`, bool."""
        return (self.folds(chosen)[..., None] != self.held_out).all(-1)


@dataclass(frozen=True, eq=False)
class Heads:
    """M linear heads of one family, as they are after some steps."""

    family: Family
    outcome_model: OutcomeModel
    """Thresholds and ν, where learned, are tensors of shape `(M,)`."""
    weight: Tensor
    """Shape `(width, M, num_outputs)`."""
    bias: Tensor
    """Shape `(M, num_outputs)`."""

    def raw_outputs(self, pairs: Pairs, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Of both texts of some comparisons under every head, shape `(k, M, num_outputs)` each."""
        rows = np.concatenate([pairs.first[chosen], pairs.second[chosen]])
        flat = torch.addmm(self.bias.flatten(), pairs.vectors[rows], self.weight.flatten(1))
        raw = flat.unflatten(1, self.bias.shape)
        return raw[: len(chosen)], raw[len(chosen) :]

    def log_likelihood(self, pairs: Pairs, chosen: np.ndarray, outcomes: Outcomes) -> Tensor:
        """Of some comparisons under every head, nats times weight, shape `(k, M)`.

        Args:
            pairs: All comparisons.
            chosen: Which, shape `(k,)`.
            outcomes: Theirs, of shapes that broadcast: `(k, 1 or M, grades)` and `(k, 1 or M)`.
        """
        responses = self.raw_outputs(pairs, chosen)
        return log_likelihood(self.family, responses, outcomes, self.outcome_model)


def fit(
    family: Family,
    pairs: Pairs,
    head_set: HeadSet,
    *,
    outcome_model: OutcomeModel,
    checkpoints: Sequence[int],
    progress: Callable[[int], object] = lambda steps: None,
) -> list[Heads]:
    """Fit all heads by Adam; as they are at each checkpoint.

    Each head minimises the mean negative log-likelihood of its comparisons plus ridge/(2k) times
    the sum of squares of its weights and biases, for k comparisons: a normal prior of variance
    1/ridge, under which so is the variance of a raw output. It is the only penalty: what a family
    adds of its own, such as the entropy that `categorical` rewards, would add to what is measured.
    With the bias penalised too, the scale that the likelihood of `mean_and_variance` leaves free is
    fixed, and with it the strength of the ridge.

    Args:
        family: How raw outputs are read.
        pairs: The comparisons.
        head_set: Which heads; a head's seed is that of its initial weights, the first seed that of
            the order too.
        outcome_model: Its thresholds, or ν, are where the heads' own start.
        checkpoints: Rising numbers of steps.
        progress: Called with a number of steps whenever so many are done.
    """
    weight = _initial_weight(family, pairs.vectors.width, head_set).requires_grad_()
    bias = torch.zeros(weight.shape[1:], requires_grad=True)
    likelihood = LearnedLikelihood(
        family, outcome_model, learn_outcomes=True, num_copies=len(head_set)
    )
    optimizer = torch.optim.Adam(
        [weight, bias, *likelihood.parameters()], lr=LEARNING_RATE, eps=ROUNDING, fused=True
    )
    shrink = torch.from_numpy(head_set.ridge).float() / _num_fitted_to(head_set)
    batches = _batches(len(pairs), seed=head_set.partitions.seeds[0])
    path: list[Heads] = []
    done = 0
    for checkpoint in checkpoints:
        for _ in range(done, checkpoint):
            heads = Heads(family, likelihood()[1], weight, bias)
            squares = (weight**2).sum((0, 2)) + (bias**2).sum(1)
            loss = (_mean_nll(heads, pairs, next(batches), head_set) + shrink * squares / 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress(1)
        done = checkpoint
        with torch.no_grad():
            model = likelihood()[1]
        path.append(Heads(family, model, weight.detach().clone(), bias.detach().clone()))
    return path


def _initial_weight(family: Family, width: int, head_set: HeadSet) -> Tensor:
    """Normal weights, the same in all heads of a seed, shape `(width, M, num_outputs)`."""
    of_seed = [
        torch.randn((width, family.num_outputs), generator=torch.Generator().manual_seed(seed))
        for seed in head_set.partitions.seeds
    ]
    return torch.stack(of_seed, 1)[:, torch.from_numpy(head_set.seed)] * torch.tensor(
        family.head_scales
    )


def _mean_nll(heads: Heads, pairs: Pairs, chosen: np.ndarray, head_set: HeadSet) -> Tensor:
    """Of the chosen comparisons that each head is fitted to, nats per vote, shape `(M,)`."""
    outcomes = outcomes_for(pairs, chosen, head_set)
    weight = outcomes.weight * torch.from_numpy(head_set.fitted_to(chosen))
    nats = heads.log_likelihood(pairs, chosen, replace(outcomes, weight=weight)).sum(0)
    return -nats / weight.sum(0).clamp_min(SMALLEST_WEIGHT)


def outcomes_for(pairs: Pairs, chosen: np.ndarray, head_set: HeadSet | None = None) -> Outcomes:
    """What some comparisons are to heads, shapes `(k, 1 or M, grades)` and `(k, 1)`.

    Args:
        pairs: All comparisons.
        chosen: Which, shape `(k,)`.
        head_set: Whose labels take the place of the outcomes, if they have any.
    """
    shares, weight = pairs.outcomes.shares[chosen, None], pairs.outcomes.weight[chosen, None]
    if head_set is not None and head_set.labels is not None:
        won = head_set.labels[:, chosen][head_set.label_set].T
        shares = relabelled(Outcomes(shares, weight), won).shares
    return Outcomes(
        torch.from_numpy(shares.astype(np.float32)), torch.from_numpy(weight.astype(np.float32))
    )


def relabelled(outcomes: Outcomes, won: np.ndarray) -> Outcomes:
    """Other labels for the votes that are no ties; these stay.

    Args:
        outcomes: Of shapes that broadcast with `won`.
        won: Share of these votes for the first.
    """
    tied = np.asarray(outcomes.shares[..., outcomes.num_grades])
    shares = [(1 - tied) * (1 - won), np.broadcast_to(tied, won.shape), (1 - tied) * won]
    return Outcomes(np.stack(shares, axis=-1), outcomes.weight)


def _num_fitted_to(head_set: HeadSet) -> Tensor:
    """Comparisons that each head is fitted to, shape `(M,)`."""
    every = np.arange(len(head_set.partitions.fold))
    counts = sum(head_set.fitted_to(block).sum(0) for block in blocks(every, PAIRS_AT_ONCE))
    return torch.from_numpy(np.asarray(counts, np.float32))


def _batches(num_pairs: int, *, seed: int) -> Iterator[np.ndarray]:
    """Indices of comparisons, pass after pass, each in a new order."""
    rng = np.random.default_rng(seed)
    num_batches = math.ceil(num_pairs / BATCH_SIZE)
    while True:
        yield from np.array_split(rng.permutation(num_pairs), num_batches)
