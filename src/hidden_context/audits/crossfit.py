"""Linear heads for out-of-fold predictions: nested cross-validation by prompt, several seeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.folds import Partitions
from hidden_context.audits.heads import (
    BATCH_SIZE,
    PAIRS_AT_ONCE,
    Heads,
    HeadsToFit,
    Pairs,
    fit,
    outcomes_for,
    with_learned,
)
from hidden_context.audits.scalar_heads import fit_scalar, suits
from hidden_context.audits.vectors import blocks
from hidden_context.audits.work import UNSEEN, Fit, Work
from hidden_context.distributions import Family
from hidden_context.errors import DivergedError
from hidden_context.likelihood.outcomes import OutcomeModel

RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Prior variances of a raw output from 3.3, at which much is learned by heart, to 0.003."""
SETTLED = 160
"""Steps after which heads on principal axes hardly change (docs/decisions/0014-audit.md)."""
MOST_STEPS = 640
TO_CONVERGENCE = 0
"""In place of a number of steps, of scalar heads."""
MOST_TO_CHOOSE_BY = 2**15
"""Held-out comparisons by which a ridge and a number of steps are chosen."""


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Heads of one family for every seed and fold of comparisons, and what was chosen for each."""

    family: Family
    pairs: Pairs
    """The comparisons."""
    partitions: Partitions
    """Of these."""
    start: OutcomeModel
    """Where thresholds, ν and lapse started."""
    heads: Heads
    """After the chosen steps; seed by seed, fold by fold."""
    path: tuple[Heads, ...]
    """The same heads at every checkpoint."""
    checkpoints: tuple[int, ...]
    ridge: np.ndarray
    """Shape `(seeds, folds)`."""
    steps: np.ndarray
    """Same shape; see `TO_CONVERGENCE`."""

    @property
    def steps_a_pass(self) -> int:
        """Steps in which every comparison is seen once."""
        return math.ceil(len(self.pairs) / BATCH_SIZE)

    @property
    def stopping_rule(self) -> str:
        """In words, with the medians of what was chosen."""
        ridge, steps = np.median(self.ridge), np.median(self.steps)
        if steps == TO_CONVERGENCE:
            return (
                f"ridge by the likelihood of another fold (median ridge {ridge:g}), fitted until "
                "it converged"
            )
        return (
            f"ridge and steps by the likelihood of another fold (median ridge {ridge:g}, "
            f"{steps:g} steps, {steps / self.steps_a_pass:.3g} passes)"
        )


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
    work: Work = UNSEEN,
) -> CrossFit:
    """Fit heads so that no prompt is on two sides of anything.

    For each seed and fold: heads of every ridge are fitted without this fold and the next one; the
    ridge and number of steps that give the next one the highest likelihood are chosen; a head is
    fitted so to all but this fold, and may speak of this fold.
    """
    checkpoints = [TO_CONVERGENCE] if suits(family, pairs) else checkpoints_for(len(pairs))
    seed, fold = every(len(partitions.seeds), partitions.num_folds)
    of_candidate = np.repeat(np.arange(len(seed)), len(RIDGES))
    held_out = np.stack([fold, (fold + 1) % partitions.num_folds], axis=1)[of_candidate]
    candidates = HeadsToFit(partitions, seed[of_candidate], held_out, np.tile(RIDGES, len(seed)))
    cost = cross_fit_cost(family, pairs, len(partitions.seeds), partitions.num_folds).cost
    heads = len(RIDGES) + 1
    with work.fit(family.name, cost, heads * checkpoints[-1]) as done:
        fitted = partial(_fit, family, pairs, outcome_model=outcome_model, checkpoints=checkpoints)
        all_ridges = fitted(candidates, progress=lambda steps: done(len(RIDGES) * steps))
        ridge, step = _best(all_ridges, pairs, candidates)
        chosen = np.asarray(RIDGES)[ridge]
        path = fitted(HeadsToFit(partitions, seed, fold[:, None], chosen), progress=done)
        steps = np.asarray(checkpoints)[step]
        work.chose(family.name, float(steps.max()) / max(checkpoints[-1], 1))
    shape = (len(partitions.seeds), partitions.num_folds)
    return CrossFit(
        family=family,
        pairs=pairs,
        partitions=partitions,
        start=outcome_model,
        heads=_at_steps(path, step),
        path=tuple(path),
        checkpoints=tuple(checkpoints),
        ridge=chosen.reshape(shape),
        steps=steps.reshape(shape),
    )


def cross_fit_cost(family: Family, pairs: Pairs, num_seeds: int, num_folds: int) -> Fit:
    """What `cross_fit` will cost."""
    return _cost(family, pairs, num_seeds * num_folds * (len(RIDGES) + 1))


def refit_cost(family: Family, pairs: Pairs, num_versions: int, num_folds: int) -> Fit:
    """What `refit` will cost, at most."""
    return replace(_cost(family, pairs, num_versions * num_folds), by_chosen_steps=True)


def _cost(family: Family, pairs: Pairs, num_heads: int) -> Fit:
    """Numbers of vectors multiplied: of all comparisons, or of a batch at every step."""
    n, width = len(pairs), pairs.vectors.shape[1]
    seen = n if suits(family, pairs) else min(n, BATCH_SIZE) * checkpoints_for(n)[-1]
    return Fit(family.name, float(num_heads * seen * width))


def refit(
    fitted: CrossFit,
    *,
    shares: np.ndarray | None = None,
    multiples: np.ndarray | None = None,
    work: Work = UNSEEN,
) -> CrossFit:
    """Heads for other versions of the data, in the first seed's folds, ridges and steps as there.

    Either `shares` of votes, shape `(versions, n, grades)`, or `multiples`, how often each
    comparison was drawn, shape `(versions, n)`. In what is returned a version takes a seed's place.
    """
    versions = shares if shares is not None else multiples
    assert versions is not None
    partitions = fitted.partitions.repeated(len(versions))
    version, fold = every(len(versions), partitions.num_folds)
    to_fit = HeadsToFit(
        partitions,
        version,
        fold[:, None],
        fitted.ridge[0][fold],
        shares=shares,
        multiples=multiples,
    )
    checkpoints = [step for step in fitted.checkpoints if step <= fitted.steps[0].max()]
    most = refit_cost(fitted.family, fitted.pairs, len(versions), partitions.num_folds).cost
    cost = most * max(checkpoints[-1], 1) / max(fitted.checkpoints[-1], 1)
    with work.fit(fitted.family.name, cost, max(checkpoints[-1], 1)) as done:
        path = _fit(
            fitted.family,
            fitted.pairs,
            to_fit,
            outcome_model=fitted.start,
            checkpoints=checkpoints,
            progress=done,
        )
    heads = _at_steps(path, np.searchsorted(checkpoints, fitted.steps[0][fold]))
    return replace(
        fitted,
        partitions=partitions,
        heads=heads,
        path=tuple(path),
        checkpoints=tuple(checkpoints),
        ridge=np.tile(fitted.ridge[:1], (len(versions), 1)),
        steps=np.tile(fitted.steps[:1], (len(versions), 1)),
    )


def fit_whole(fitted: CrossFit) -> Heads:
    """A head for each seed on all comparisons, by the median ridge and steps, for other texts."""
    seeds = np.arange(len(fitted.partitions.seeds))
    ridge = np.full(len(seeds), np.median(fitted.ridge))
    nothing = np.empty((len(seeds), 0), int)
    (heads,) = _fit(
        fitted.family,
        fitted.pairs,
        HeadsToFit(fitted.partitions, seeds, nothing, ridge),
        outcome_model=fitted.start,
        checkpoints=[int(np.median(fitted.steps))],
    )
    return heads


def _fit(
    family: Family,
    pairs: Pairs,
    to_fit: HeadsToFit,
    *,
    outcome_model: OutcomeModel,
    checkpoints: Sequence[int],
    progress: Callable[[int], object] = lambda steps: None,
) -> list[Heads]:
    """Heads at every checkpoint, or where they have converged.

    Raises:
        DivergedError: Some weight is not finite.
    """
    if suits(family, pairs):
        path = [fit_scalar(family, pairs, to_fit, outcome_model=outcome_model)]
    else:
        path = fit(
            family,
            pairs,
            to_fit,
            outcome_model=outcome_model,
            checkpoints=checkpoints,
            progress=progress,
        )
    if not bool(torch.isfinite(path[-1].weight).all()):
        raise DivergedError(f"the fit of {family.name} has diverged: its weights are not finite.")
    return path


def every(num_sets: int, num_folds: int) -> tuple[np.ndarray, np.ndarray]:
    """Set and fold of the heads for every set and fold."""
    sets, folds = np.indices((num_sets, num_folds))
    return sets.ravel(), folds.ravel()


def _best(
    path: Sequence[Heads], pairs: Pairs, candidates: HeadsToFit
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the best ridge and checkpoint for each seed and fold.

    Best is the highest likelihood of the second fold that a head does not see.
    """
    n = len(pairs)
    chosen = np.arange(n)
    if n > MOST_TO_CHOOSE_BY:
        chosen = np.sort(np.random.default_rng(0).choice(n, MOST_TO_CHOOSE_BY, replace=False))
    pairs = pairs.favoured_first
    nats = np.zeros((len(path), len(candidates)))
    for block in blocks(chosen, PAIRS_AT_ONCE):
        counts = torch.from_numpy(candidates.folds(block) == candidates.held_out[:, 1])
        outcomes = outcomes_for(pairs, block)
        for number, heads in enumerate(path):
            of_head = heads.log_likelihood(pairs, block, outcomes)
            nats[number] += torch.where(counts, of_head, 0.0).sum(0).numpy()
    by_choice = nats.reshape(len(path), -1, len(RIDGES)).swapaxes(0, 1)
    best = by_choice.reshape(-1, len(path) * len(RIDGES)).argmax(1)
    step, ridge = np.unravel_index(best, (len(path), len(RIDGES)))
    return ridge, step


def _at_steps(path: Sequence[Heads], step: np.ndarray) -> Heads:
    """Each head as it was at its own checkpoint, given by its index, shape `(M,)`."""

    def at_steps(*along_path: Tensor) -> Tensor:
        return torch.stack(along_path)[torch.from_numpy(step), torch.arange(len(step))]

    return Heads(
        path[0].family,
        with_learned(at_steps, *(heads.outcome_model for heads in path)),
        at_steps(*(heads.weight.movedim(1, 0) for heads in path)).movedim(0, 1),
        at_steps(*(heads.bias for heads in path)),
    )
