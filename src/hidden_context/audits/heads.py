"""Linear heads on fixed vectors, all at once: one for each seed, fold, ridge and set of labels."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.folds import Partitions
from hidden_context.audits.vectors import TextVectors
from hidden_context.distributions import Family
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

BATCH_SIZE = 1024
"""Comparisons a step."""
LEARNING_RATE = 0.1
ROUNDING = 1e-5
"""Adam would follow gradients that are rounding alone, as of a bias that cancels."""
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
        lengths = None if self.lengths is None else self.lengths[keep]
        first, second, prompt = self.first[keep], self.second[keep], self.prompt[keep]
        return Pairs(self.vectors, first, second, self.outcomes[keep], prompt, lengths)

    @property
    def favoured_first(self) -> "Pairs":
        """The same comparisons, the response with more votes first: one grade less to compute."""
        shares = self.outcomes.shares
        grades = self.outcomes.num_grades
        swap = shares[:, :grades].sum(1) > shares[:, grades + 1 :].sum(1)
        shares = np.where(swap[:, None], shares[:, ::-1], shares)
        return replace(
            self,
            first=np.where(swap, self.second, self.first),
            second=np.where(swap, self.first, self.second),
            outcomes=replace(self.outcomes, shares=shares),
            lengths=None,
        )


@dataclass(frozen=True, eq=False)
class HeadsToFit:
    """What tells M heads apart that are fitted together."""

    partitions: Partitions
    """Of all comparisons."""
    seed: np.ndarray
    """Index of the seed whose partition a head goes by, shape `(M,)`."""
    held_out: np.ndarray
    """Folds that it does not see, shape `(M, any)`."""
    ridge: np.ndarray
    """Shape `(M,)`; see `fit`."""
    shares: np.ndarray | None = None
    """Shares of votes in place of the observed ones, for each seed, shape `(seeds, n, grades)`."""
    multiples: np.ndarray | None = None
    """How often each comparison was drawn, for each seed, shape `(seeds, n)`; once if None."""

    def __len__(self) -> int:
        return len(self.seed)

    def folds(self, chosen: np.ndarray) -> np.ndarray:
        """Fold of each chosen comparison in the partition of each head, shape `(k, M)`."""
        return self.partitions.fold[chosen][:, self.seed]

    def fitted_to(self, chosen: np.ndarray) -> np.ndarray:
        """Which of the chosen comparisons each head is fitted to, shape `(k, M)`, bool."""
        return (self.folds(chosen)[..., None] != self.held_out).all(-1)

    @property
    def num_fitted_to(self) -> np.ndarray:
        """How many comparisons each head is fitted to, shape `(M,)`."""
        num_folds = self.partitions.num_folds
        sizes = [np.bincount(fold, minlength=num_folds) for fold in self.partitions.fold.T]
        unseen = np.stack(sizes)[self.seed[:, None], self.held_out]
        return len(self.partitions.fold) - unseen.sum(1)

    def weights(self, weight: np.ndarray, chosen: np.ndarray) -> Tensor:
        """How much each of the chosen comparisons counts for each head, shape `(k, M)`."""
        weights = weight[chosen, None] * self.fitted_to(chosen)
        if self.multiples is not None:
            weights = weights * self.multiples[:, chosen][self.seed].T
        return torch.from_numpy(weights.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Heads:
    """M linear heads of one family, as they are after some steps."""

    family: Family
    outcome_model: OutcomeModel
    """Thresholds, ν and lapse, where learned, are tensors of shape `(M,)`."""
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

        Shapes of their outcomes broadcast: `(k, 1 or M, grades)` and `(k, 1 or M)`.
        """
        responses = self.raw_outputs(pairs, chosen)
        return log_likelihood(self.family, responses, outcomes, self.outcome_model)


def fit(
    family: Family,
    pairs: Pairs,
    to_fit: HeadsToFit,
    *,
    outcome_model: OutcomeModel,
    checkpoints: Sequence[int],
    progress: Callable[[int], object] = lambda steps: None,
) -> list[Heads]:
    """Fit heads by Adam, at each of the rising numbers of steps in `checkpoints`.

    There weights and biases are the mean over the second half of the steps since the last of them
    (Polyak and Juditsky 1992): what single batches move them by costs .001 nats a vote, for which
    families that are fitted to their optimum would seem better.

    Each head minimises the mean negative log-likelihood of its comparisons plus ridge/(2k) times
    the sum of squares of its weights and biases, for k comparisons: a normal prior of variance
    1/ridge, under which so is the variance of a raw output. It is the only penalty: what a family
    adds of its own, such as the entropy that `categorical` rewards, would add to what is measured.
    With the bias penalised too, the scale that the likelihood of `mean_and_variance` leaves free is
    fixed, and with it the strength of the ridge.

    A head's seed is that of its initial weights, the first seed that of the order too. Each has
    thresholds, ν and lapse of its own, which start from those of `outcome_model`. `progress` is
    called with a number of steps whenever so many are done.
    """
    pairs = pairs.favoured_first if to_fit.shares is None else pairs
    weight = initial_weight(family, pairs.vectors.shape[1], to_fit).requires_grad_()
    bias = torch.zeros(weight.shape[1:], requires_grad=True)
    likelihood = LearnedLikelihood(
        family, outcome_model, learn_outcomes=True, num_copies=len(to_fit)
    )
    optimizer = torch.optim.Adam(
        [weight, bias, *likelihood.parameters()], lr=LEARNING_RATE, eps=ROUNDING, fused=True
    )
    shrink = torch.from_numpy(to_fit.ridge).float() / torch.from_numpy(to_fit.num_fitted_to)
    batches = _batches(len(pairs), seed=to_fit.partitions.seeds[0])
    path: list[Heads] = []
    for num_steps in map(int, np.diff(checkpoints, prepend=0)):
        averaged = range(num_steps // 2, num_steps)
        mean_weight, mean_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        for step, batch in enumerate(islice(batches, num_steps)):
            heads = Heads(family, likelihood()[1], weight, bias)
            squares = (weight**2).sum((0, 2)) + (bias**2).sum(1)
            loss = (_mean_nll(heads, pairs, batch, to_fit) + shrink * squares / 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                if step in averaged:
                    mean_weight += weight / len(averaged)
                    mean_bias += bias / len(averaged)
            progress(1)
        with torch.no_grad():
            if not num_steps:
                mean_weight, mean_bias = weight.clone(), bias.clone()
            path.append(Heads(family, likelihood()[1], mean_weight.detach(), mean_bias.detach()))
    return path


def initial_weight(family: Family, width: int, to_fit: HeadsToFit) -> Tensor:
    """Normal weights, the same in all heads of a seed, shape `(width, M, num_outputs)`."""
    of_seed = [
        torch.randn((width, family.num_outputs), generator=torch.Generator().manual_seed(seed))
        for seed in to_fit.partitions.seeds
    ]
    of_head = torch.stack(of_seed, 1)[:, torch.from_numpy(to_fit.seed)]
    return of_head * torch.tensor(family.head_scales)


def _mean_nll(heads: Heads, pairs: Pairs, chosen: np.ndarray, to_fit: HeadsToFit) -> Tensor:
    """Of the chosen comparisons that each head is fitted to, nats per vote, shape `(M,)`."""
    outcomes = outcomes_for(pairs, chosen, to_fit)
    weight = to_fit.weights(pairs.outcomes.weight, chosen)
    nats = heads.log_likelihood(pairs, chosen, replace(outcomes, weight=weight)).sum(0)
    return -nats / weight.sum(0).clamp_min(SMALLEST_WEIGHT)


def outcomes_for(pairs: Pairs, chosen: np.ndarray, to_fit: HeadsToFit | None = None) -> Outcomes:
    """What some comparisons are to heads, shapes `(k, 1 or M, grades)` and `(k, 1)`."""
    outcomes = pairs.outcomes[chosen, None]
    shares = outcomes.shares
    if to_fit is not None and to_fit.shares is not None:
        shares = to_fit.shares[:, chosen][to_fit.seed].swapaxes(0, 1)
    shares, weight = (part.astype(np.float32) for part in (shares, outcomes.weight))
    return Outcomes(torch.from_numpy(shares), torch.from_numpy(weight))


def with_learned(
    pick: Callable[..., Any], model: OutcomeModel, *others: OutcomeModel
) -> OutcomeModel:
    """A model whose thresholds, ν and lapse are `pick` of those of the models, where learned."""
    models = (model, *others)
    thresholds = zip(*(model.thresholds for model in models), strict=True)
    model = replace(model, thresholds=tuple(pick(*edges) for edges in thresholds))
    for name in ("davidson", "lapse"):
        if isinstance(getattr(model, name), Tensor):
            learned = pick(*(getattr(each, name) for each in models))
            model = replace(model, **{name: learned})
    return model


def _batches(num_pairs: int, *, seed: int) -> Iterator[np.ndarray]:
    """Indices of comparisons, pass after pass, each in a new order."""
    rng = np.random.default_rng(seed)
    num_batches = math.ceil(num_pairs / BATCH_SIZE)
    while True:
        yield from np.array_split(rng.permutation(num_pairs), num_batches)
