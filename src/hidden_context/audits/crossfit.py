"""Linear heads for out-of-fold predictions: nested cross-validation by prompt, several seeds."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from hidden_context.audits.heads import (
    BATCH_SIZE,
    NOT_HELD_OUT,
    PAIRS_AT_ONCE,
    Heads,
    HeadSet,
    Pairs,
    fit,
    outcomes_for,
)
from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import OutcomeModel

RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Prior variances of a raw output from 3.3, at which much is learned by heart, to 0.003."""
SETTLED = 160
"""Steps after which heads on principal axes hardly change (docs/decisions/0014-audit.md)."""
MOST_STEPS = 640
FEWEST_PROMPTS_A_FOLD = 4
MOST_TO_CHOOSE_BY = 2**15
"""Held-out comparisons by which a ridge and a number of steps are chosen."""


@dataclass(frozen=True, eq=False)
class Partitions:
    """Prompts in folds, anew for each seed."""

    fold: np.ndarray
    """Fold of each comparison, shape `(n, seeds)`, int8."""
    seeds: tuple[int, ...]
    num_folds: int

    @property
    def of_first_seed(self) -> "Partitions":
        """Its folds alone."""
        return Partitions(self.fold[:, :1], self.seeds[:1], self.num_folds)

    def selected(self, keep: np.ndarray) -> "Partitions":
        """Of some comparisons."""
        return Partitions(self.fold[keep], self.seeds, self.num_folds)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Heads of one family for every seed and fold, and what was chosen for each."""

    family: Family
    heads: Heads
    """After the chosen steps; seed by seed, fold by fold."""
    path: tuple[Heads, ...]
    """The same heads at every checkpoint."""
    checkpoints: tuple[int, ...]
    ridge: np.ndarray
    """Shape `(seeds, folds)`."""
    steps: np.ndarray
    """Same shape."""
    steps_a_pass: int
    """Steps in which every comparison is seen once."""


def make_partitions(prompt: np.ndarray, *, num_folds: int, num_seeds: int, seed: int) -> Partitions:
    """Deal whole prompts into folds at random, as evenly in comparisons as prompts allow.

    Raises:
        UserError: There are too few prompts.
    """
    numbers, counts = np.unique(prompt, return_counts=True)
    fewest = FEWEST_PROMPTS_A_FOLD * num_folds
    if num_folds < 3:
        raise UserError(f"num_folds is {num_folds}; give at least 3 (fit, choose, measure).")
    if len(numbers) < fewest:
        raise UserError(
            f"the data have {len(numbers)} prompts, but {num_folds} folds need at least {fewest} "
            "(no prompt may be on both sides of a fold); give more data, or say in a column "
            "prompt_id which comparisons belong together, such as those of one person."
        )
    seeds = tuple(range(seed, seed + num_seeds))
    folds = np.empty((len(prompt), num_seeds), np.int8)
    number_of = np.searchsorted(numbers, prompt)
    for column, each in enumerate(seeds):
        order = np.random.default_rng(each).permutation(len(numbers))
        order = order[np.argsort(-counts[order], kind="stable")]  # ties stay at random
        of_prompt = np.empty(len(numbers), np.int8)
        of_prompt[order] = np.arange(len(numbers)) % num_folds
        folds[:, column] = of_prompt[number_of]
    return Partitions(folds, seeds, num_folds)


def checkpoints_for(num_pairs: int) -> list[int]:
    """Numbers of steps, doubling, until heads have settled and two passes are done."""
    steps = [5, 10, 20, 40, 80, SETTLED]
    while steps[-1] < MOST_STEPS and steps[-1] * BATCH_SIZE < 2 * num_pairs:
        steps.append(2 * steps[-1])
    return steps


def cross_fit(
    family: Family,
    pairs: Pairs,
    partitions: Partitions,
    *,
    outcome_model: OutcomeModel,
    ridges: Sequence[float] = RIDGES,
    progress: bool = False,
) -> CrossFit:
    """Fit heads so that no prompt is on two sides of anything.

    For each seed and fold: heads of every ridge are fitted without this fold and the next one; the
    ridge and number of steps that give the next one the highest likelihood are chosen; a head is
    fitted so to all but this fold, and may speak of this fold.
    """
    checkpoints = checkpoints_for(len(pairs))
    candidates = _head_set(partitions, ridges)
    with tqdm(
        total=2 * checkpoints[-1], desc=family.name, unit="step", disable=not progress
    ) as bar:

        def fit_set(head_set: HeadSet) -> list[Heads]:
            return fit(
                family,
                pairs,
                head_set,
                outcome_model=outcome_model,
                checkpoints=checkpoints,
                seeds=partitions.seeds,
                progress=bar.update,
            )

        ridge, step = _best(fit_set(candidates), pairs, candidates, len(ridges))
        head_set = replace(_head_set(partitions), ridge=np.asarray(ridges, float)[ridge])
        path = fit_set(head_set)
    shape = (len(partitions.seeds), partitions.num_folds)
    return CrossFit(
        family=family,
        heads=_at_steps(path, step),
        path=tuple(path),
        checkpoints=tuple(checkpoints),
        ridge=head_set.ridge.reshape(shape),
        steps=np.asarray(checkpoints)[step].reshape(shape),
        steps_a_pass=math.ceil(len(pairs) / BATCH_SIZE),
    )


def refit_to_labels(
    fitted: CrossFit,
    pairs: Pairs,
    partitions: Partitions,
    labels: np.ndarray,
    *,
    outcome_model: OutcomeModel,
    progress: bool = False,
) -> Heads:
    """Heads for other labels, in the first seed's folds, with the ridges and steps chosen there.

    Args:
        fitted: To the real labels.
        pairs: The comparisons.
        partitions: Their folds.
        labels: Share of votes for the first, shape `(label sets, n)`.
        outcome_model: Where thresholds start.
        progress: Show a bar.

    Returns:
        A head for each set of labels and fold, in this order.
    """
    label_set, fold = (index.ravel() for index in np.indices((len(labels), partitions.num_folds)))
    held_out = np.stack([fold, np.full_like(fold, NOT_HELD_OUT)], axis=1)
    head_set = HeadSet(
        fold=partitions.fold,
        partition=np.zeros_like(fold),
        held_out=held_out,
        ridge=fitted.ridge[0][fold],
        labels=labels,
        label_set=label_set,
    )
    checkpoints = [step for step in fitted.checkpoints if step <= fitted.steps[0].max()]
    with tqdm(
        total=checkpoints[-1], desc=f"{fitted.family.name}, null", unit="step", disable=not progress
    ) as bar:
        path = fit(
            fitted.family,
            pairs,
            head_set,
            outcome_model=outcome_model,
            checkpoints=checkpoints,
            seeds=partitions.seeds,
            progress=bar.update,
        )
    return _at_steps(path, np.searchsorted(checkpoints, fitted.steps[0][fold]))


def fit_whole(
    fitted: CrossFit, pairs: Pairs, partitions: Partitions, *, outcome_model: OutcomeModel
) -> Heads:
    """A head for each seed on all comparisons, by the median ridge and steps, for other texts."""
    seeds = np.arange(len(partitions.seeds))
    head_set = HeadSet(
        fold=partitions.fold,
        partition=seeds,
        held_out=np.full((len(seeds), 2), NOT_HELD_OUT),
        ridge=np.full(len(seeds), np.median(fitted.ridge)),
    )
    (heads,) = fit(
        fitted.family,
        pairs,
        head_set,
        outcome_model=outcome_model,
        checkpoints=[int(np.median(fitted.steps))],
        seeds=partitions.seeds,
    )
    return heads


def _head_set(partitions: Partitions, ridges: Sequence[float] | None = None) -> HeadSet:
    """A head for each seed and fold; with ridges for each of these too, without the next fold."""
    shape = (len(partitions.seeds), partitions.num_folds, len(ridges or (0,)))
    seed, fold, ridge = (index.ravel() for index in np.indices(shape))
    next_fold = (fold + 1) % partitions.num_folds
    return HeadSet(
        fold=partitions.fold,
        partition=seed,
        held_out=np.stack(
            [fold, next_fold if ridges else np.full_like(fold, NOT_HELD_OUT)], axis=1
        ),
        ridge=np.asarray(ridges or (0.0,), float)[ridge],
    )


def _best(
    path: Sequence[Heads], pairs: Pairs, head_set: HeadSet, num_ridges: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the best ridge and checkpoint for each seed and fold.

    Best is the highest likelihood of the second fold that a head does not see.
    """
    n = len(pairs)
    chosen = np.arange(n)
    if n > MOST_TO_CHOOSE_BY:
        chosen = np.sort(np.random.default_rng(0).choice(n, MOST_TO_CHOOSE_BY, replace=False))
    nats = np.zeros((len(path), len(head_set)))
    for block in blocks_of(chosen):
        fold = head_set.fold[block][:, head_set.partition]
        counts = torch.from_numpy(fold == head_set.held_out[:, 1])
        outcomes = outcomes_for(pairs, block)
        for number, heads in enumerate(path):
            of_head = heads.log_likelihood(pairs, block, outcomes)
            nats[number] += torch.where(counts, of_head, 0.0).sum(0).numpy()
    by_choice = (
        nats.reshape(len(path), -1, num_ridges)
        .transpose(1, 0, 2)
        .reshape(-1, len(path) * num_ridges)
    )
    step, ridge = np.unravel_index(by_choice.argmax(1), (len(path), num_ridges))
    return ridge, step


def _at_steps(path: Sequence[Heads], step: np.ndarray) -> Heads:
    """Each head as it was at its own checkpoint, given by its index, shape `(M,)`."""
    member = torch.arange(len(step))
    which = torch.from_numpy(step)

    def picked(of_path: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(of_path))[which, member]

    thresholds = zip(*(heads.outcome_model.thresholds for heads in path), strict=True)
    model: Any = path[0].outcome_model
    if isinstance(model.davidson, Tensor):
        model = replace(model, davidson=picked([heads.outcome_model.davidson for heads in path]))  # pyrefly: ignore
    return Heads(
        path[0].family,
        replace(model, thresholds=tuple(map(picked, thresholds))),
        picked([heads.weight.movedim(1, 0) for heads in path]).movedim(0, 1),
        picked([heads.bias for heads in path]),
    )


def blocks_of(chosen: np.ndarray) -> Iterator[np.ndarray]:
    """A few thousand at once."""
    for start in range(0, len(chosen), PAIRS_AT_ONCE):
        yield chosen[start : start + PAIRS_AT_ONCE]
