"""What the Polis example fits: people, pairs and statements of one conversation, tables of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from polis_votes import (
    Pairs,
    VoteComparisons,
    Votes,
    comparisons_within_people,
    split_people,
)

from hidden_context.distributions import Family
from hidden_context.items import ItemComparisons, ItemFit, fit_items
from hidden_context.measures.bootstrap import Resampling


@dataclass(frozen=True)
class Config:
    """Compare what every family learns from Polis votes with the votes of held-out people."""

    data_dir: Path = Path("data/polis")
    """Folder with a folder for each conversation, and participants-votes.csv in it."""
    conversation: tuple[str, ...] = ("brexit-consensus", "canadian-electoral-reform")
    """Folders of conversations."""
    out_dir: Path = Path("results/polis")
    """Folder that receives polis.md and polis.json."""
    pairs: tuple[Pairs, ...] = ("opposed", "with_ties")
    """Comparisons of agree with disagree, of any two different votes, or of all, ties half."""
    num_statements: int = 60
    """Statements to keep, those with most votes; time grows with the square."""
    min_votes: int = 20
    """Votes that a statement needs."""
    min_pair_votes: int = 5
    """Held-out comparisons that a pair needs to count as split or not."""
    split_within: float = 0.1
    """People split on a pair if the share of held-out votes is this near to one half."""
    max_iterations: int = 100
    """Steps of each fit."""
    num_draws: int = 19
    """Refits of each family under the label null."""
    num_members: int = 5
    """Fits of each family on resampled people, for the ensemble."""
    num_worlds: int = 3
    """Refits of each family on redrawn votes of each kind; 0 for none."""
    num_resamples: int = 1000
    """Resamples for each interval."""
    seed: int = 0
    """Seed of splits, starts, draws and resamples."""


Fitted: TypeAlias = dict[str, ItemFit]
"""A table of statements by family."""
Cells: TypeAlias = dict[str, dict[str, Any]]
"""Values by measure, then by column."""
OPTIONS: dict[str, dict[str, Any]] = {
    "categorical": {"entropy_coeff": 0.0},
    "quantile": {"num_levels": 5},
    "mixture": {"num_components": 2},
}
"""The default entropy_coeff rewards spread, which here is what is measured. The other two have
fewer outputs than by default: statements have some 100 votes each."""
PARTS = (0.7, 0.3)
"""Shares of people: training and held out."""
NUM_FOLDS = 3
"""Parts of the training people; the ridge is chosen by the likelihood of each part under a fit to
the others."""
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
STOPPING_RULE = "maximum penalised likelihood, ridge by cross-validation over training people"
REAL = "votes"
"""Column for what the training people's votes themselves say: what a model could reach at most."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One conversation under one kind of pairs."""

    config: Config
    pairs: Pairs
    votes: Votes
    training: np.ndarray
    """People to fit with, and to choose the ridge by."""
    held_out: np.ndarray
    """People to evaluate on."""

    @property
    def num_items(self) -> int:
        """Number of statements."""
        return len(self.votes.statements)

    @property
    def resampling(self) -> Resampling:
        """For all intervals."""
        return Resampling(self.config.num_resamples, self.config.seed)

    def comparisons(self, people: np.ndarray, votes: Votes | None = None) -> VoteComparisons:
        """Of some people; a person named twice counts twice."""
        return comparisons_within_people((votes or self.votes).of_people(people), self.pairs)

    def fit(
        self, family: Family, data: ItemComparisons, ridge: float, *, seed: int, starts: int = 1
    ) -> ItemFit:
        """One table of statements."""
        return fit_items(
            data,
            family,
            num_items=self.num_items,
            ridge=ridge,
            max_iterations=self.config.max_iterations,
            num_starts=starts,
            seed=self.config.seed + seed,
            check_spread=False,
        )


def items(comparisons: VoteComparisons) -> ItemComparisons:
    """Without the persons."""
    return ItemComparisons(comparisons.first, comparisons.second, comparisons.outcomes)


def folds(setting: Setting) -> list[tuple[ItemComparisons, ItemComparisons]]:
    """Comparisons to fit and to validate with, of `NUM_FOLDS` parts of the training people."""
    rng = np.random.default_rng(setting.config.seed + 2)
    size = len(setting.training)
    parts = split_people(size, [1 / NUM_FOLDS] * NUM_FOLDS, rng=rng)
    return [
        (
            items(setting.comparisons(np.delete(setting.training, part))),
            items(setting.comparisons(setting.training[part])),
        )
        for part in parts
    ]


def choose_ridge(
    setting: Setting, family: Family, parts: Sequence[tuple[ItemComparisons, ItemComparisons]]
) -> float:
    """The ridge with the best likelihood of people that were not fitted."""

    def log_likelihood(ridge: float) -> float:
        return sum(
            float(setting.fit(family, fitted, ridge, seed=0).log_likelihood(other).sum())
            for fitted, other in parts
        )

    return max(RIDGES, key=log_likelihood)
