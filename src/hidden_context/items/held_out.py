"""A ridge for each family, and what each predicts of people, ballots or pairs that it did not see.

Nested cross-validation, as in the audit: for each of `NUM_FOLDS` folds, fits of every ridge without
it and the next one; the ridge is that by which the next one is likeliest; a fit by this ridge
without the fold speaks of the fold. So no vote chooses what it is measured by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from hidden_context.distributions import Family, make_family
from hidden_context.errors import UserError
from hidden_context.items.optimizer import Optimum, best_of_starts
from hidden_context.items.summed_votes import summed_votes
from hidden_context.items.votes import ItemComparisons
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, default_outcome_model
from hidden_context.measures.estimate import Estimate
from hidden_context.progress import progress_bar

RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Prior variances of a raw output from 33 to .003."""
NUM_FOLDS = 5
MOST_STEPS = 60
"""Of each fit: with a ridge held-out votes hardly tell later ones from these."""
FEWEST_FOLDS = 3
"""Where there are fewer than two people for each of `NUM_FOLDS`: one that is held out, one that
chooses a ridge, and one that is fitted."""
FEWEST_PEOPLE = 2 * FEWEST_FOLDS
"""Or ballots, or pairs, that can be held out."""
ONE_RIDGE = (
    "The families were compared at one ridge, {ridge:g}. A ridge is a prior on raw outputs, which "
    "mean something else in each family, so one ridge can make either win; let it be chosen for "
    "each (ridge='chosen')."
)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What fits of one family say of votes that they did not see."""

    family: Family
    ridge: float
    """By which held-out votes are likeliest over all folds."""
    ridges: tuple[float, ...]
    """That were used, fold by fold."""
    log_prob: np.ndarray
    """Of each comparison, in nats, shape `(n,)`."""
    weight: np.ndarray
    """Votes of each, shape `(n,)`."""
    unit: np.ndarray
    """Who or what was held out together, shape `(n,)`."""
    held_out: str
    """In words: people, ballots or pairs of items."""

    @property
    def log_likelihood(self) -> Estimate:
        """In nats a vote."""
        return self._mean(self.log_prob)

    def against(self, other: "HeldOut") -> Estimate:
        """How much more it is than that of another family, in nats a vote, interval by unit."""
        return self._mean(self.log_prob - other.log_prob)

    def _mean(self, values: np.ndarray) -> Estimate:
        """The mean over votes; units vary, as a whole."""
        total = np.bincount(self.unit, self.weight * values)
        votes = np.bincount(self.unit, self.weight)
        mean = total.sum() / votes.sum()
        count = np.count_nonzero(votes)
        squares = ((total - mean * votes) ** 2).sum() * count / (count - 1)
        half = float(stdtrit(count - 1, 0.975)) * squares**0.5 / votes.sum()
        return Estimate(mean, mean - half, mean + half, f"clustered by {self.held_out}")


@dataclass(frozen=True, eq=False)
class FamilyComparison:
    """Families on the same held-out votes; the first is what others are compared with."""

    fits: tuple[HeldOut, ...]
    num_folds: int = NUM_FOLDS
    warnings: tuple[str, ...] = ()

    def gains(self) -> dict[str, Estimate]:
        """Of each family but the first, over the first, in nats a vote."""
        return {fit.family.name: fit.against(self.fits[0]) for fit in self.fits[1:]}

    def __str__(self) -> str:
        first = self.fits[0]
        lines = [
            f"held-out log-likelihood, nats a vote ({first.held_out} held out, {self.num_folds} "
            "folds):"
        ]
        for fit in self.fits:
            said = f"  {fit.family.name}: {fit.log_likelihood.value:.4f}, ridge {fit.ridge:g}"
            if fit is not first:
                said += f"; over {first.family.name} {fit.against(first).signed(4)}"
            lines.append(said)
        return "\n".join([*lines, *self.warnings])


def compare_families(
    comparisons: ItemComparisons,
    families: Sequence[str | Family] = ("base", "mean_and_variance"),
    *,
    ridge: float | None = None,
    outcome_model: OutcomeModel | None = None,
    seed: int = 0,
    progress: bool = False,
) -> FamilyComparison:
    """Cross-validate families on the same folds.

    Args:
        comparisons: Votes; those of one person, else of one ballot, else on one pair of items are
            held out together.
        families: What to compare, the first with the others.
        ridge: One for all; then the comparison warns. Without, each family has its own.
        outcome_model: See `fit_items`.
        seed: Of the folds and starts.
        progress: Show how far it is.

    Raises:
        UserError: There is too little to hold out.
    """
    unit, what = units(comparisons)
    number = int(unit.max()) + 1
    if number < FEWEST_PEOPLE:
        raise UserError(
            f"{number} {what} cannot be held out in {FEWEST_FOLDS} folds; give votes of "
            f"{FEWEST_PEOPLE} or more, or a `ridge`, such as ridge=1."
        )
    num_folds = min(NUM_FOLDS, number // 2)
    fold = np.random.default_rng(seed).permutation(number)[unit] % num_folds
    given = [make_family(each) if isinstance(each, str) else each for each in families]
    ridges = RIDGES if ridge is None else (ridge,)
    fits = []
    total = len(given) * num_folds * (len(ridges) + 1 if len(ridges) > 1 else 1)
    what_is_done = f"predicting votes of held-out {what}"
    with progress_bar(total, what_is_done, unit="fit", shown=progress, leave=False) as bar:
        for family in given:
            search = _Search(family, comparisons, fold, outcome_model, seed, bar.update)
            log_prob, chosen, best = search.run(ridges)
            weight = comparisons.outcomes.weight
            fits.append(HeldOut(family, best, chosen, log_prob, weight, unit, what))
    warned = (ONE_RIDGE.format(ridge=ridge),) if ridge is not None and len(given) > 1 else ()
    return FamilyComparison(tuple(fits), num_folds, warned)


def units(comparisons: ItemComparisons) -> tuple[np.ndarray, str]:
    """Number of what each comparison is held out with, and what that is, in words."""
    clusters = comparisons.clusters
    if clusters is not None:
        return clusters, "people" if comparisons.annotators is not None else "ballots"
    low = np.minimum(comparisons.first, comparisons.second)
    high = np.maximum(comparisons.first, comparisons.second)
    codes = low * np.int64(comparisons.num_items) + high
    return np.unique(codes, return_inverse=True)[1], "pairs of items"


@dataclass(frozen=True, eq=False)
class _Search:
    family: Family
    comparisons: ItemComparisons
    fold: np.ndarray
    outcome_model: OutcomeModel | None
    seed: int
    done: Callable[[], object]
    """Called after each fit."""

    def run(self, ridges: Sequence[float]) -> tuple[np.ndarray, tuple[float, ...], float]:
        """log P of all comparisons out of fold, the ridge of each fold, and the best over all."""
        log_prob = np.empty(len(self.comparisons))
        chosen, nats = [], np.zeros(len(ridges))
        num_folds = int(self.fold.max()) + 1
        for fold in range(num_folds):
            after = self.fold == (fold + 1) % num_folds
            without = ~after & (self.fold != fold)
            best = 0
            if len(ridges) > 1:
                found = np.zeros(len(ridges))
                start: Optimum | None = None
                for number in reversed(range(len(ridges))):  # strong ridges first: few steps
                    start = self._fit(without, ridges[number], start)
                    values = self._log_prob(start, after)
                    found[number] = values @ self.comparisons.outcomes.weight[after]
                best, nats = int(found.argmax()), nats + found
            chosen.append(ridges[best])
            fitted = self._fit(self.fold != fold, ridges[best], None)
            log_prob[self.fold == fold] = self._log_prob(fitted, self.fold == fold)
        return log_prob, tuple(chosen), ridges[int(nats.argmax())]

    def _of(self, keep: np.ndarray) -> ItemComparisons:
        from_all = self.comparisons
        outcomes = from_all.outcomes[keep]
        names = from_all.names or tuple(range(from_all.num_items))
        return ItemComparisons(from_all.first[keep], from_all.second[keep], outcomes, names)

    def _fit(self, keep: np.ndarray, ridge: float, start: Optimum | None) -> Optimum:
        grades = self.comparisons.outcomes.num_grades
        model, learn = self.outcome_model, False
        if model is None:
            model, learn = default_outcome_model(self.family, grades, ties="half"), grades > 1
        fitted = best_of_starts(
            self.family,
            model,
            summed_votes(self._of(keep), self.comparisons.num_items),
            learn_outcomes=learn,
            learn_options=(),
            num_starts=1,
            seed=self.seed,
            ridge=ridge,
            max_iterations=MOST_STEPS,
            start=None if start is None else start.raw,
        )
        self.done()
        return fitted

    def _log_prob(self, fitted: Optimum, keep: np.ndarray) -> np.ndarray:
        """In nats, not weighted."""
        family, model = fitted.read_as
        votes = self._of(keep)
        outcomes = replace(votes.outcomes, weight=np.ones(len(votes)))
        responses: list[Any] = [fitted.raw[votes.first], fitted.raw[votes.second]]
        return np.asarray(log_likelihood(family, responses, outcomes, model))
