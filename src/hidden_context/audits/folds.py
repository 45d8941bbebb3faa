"""Folds of prompts for cross-validation, and samples of whole prompts."""

from dataclasses import dataclass

import numpy as np

from hidden_context.errors import UserError

FEWEST_PROMPTS_A_FOLD = 4
FEWEST_FOLDS = 3
"""One to fit, one to choose, one to measure."""


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
        return self.repeated(1)

    def repeated(self, times: int) -> "Partitions":
        """Those of the first seed, so many times."""
        return Partitions(self.fold[:, :1].repeat(times, 1), self.seeds[:1] * times, self.num_folds)


def require_prompts(num_prompts: int, *, num_folds: int, name: str = "the data") -> None:
    """Refuse fewer prompts than `FEWEST_PROMPTS_A_FOLD` a fold.

    Raises:
        UserError: There are too few; the message says how many are needed.
    """
    fewest = FEWEST_PROMPTS_A_FOLD * num_folds
    if num_prompts < fewest:
        most = num_prompts // FEWEST_PROMPTS_A_FOLD
        fewer = f", or fewer num_folds (at most {most})" if most >= FEWEST_FOLDS else ""
        raise UserError(
            f"{name}: {num_prompts} prompts, but {num_folds} folds need at least {fewest} (no "
            f"prompt may be on both sides of a fold); give more data{fewer}, or say in a column "
            "prompt_id which comparisons belong together, such as those of one person. If it is "
            "known who judged, axes needs no folds to tell what they differ in."
        )


def make_partitions(prompt: np.ndarray, *, num_folds: int, num_seeds: int, seed: int) -> Partitions:
    """Deal whole prompts into folds at random, as evenly in comparisons as prompts allow.

    Raises:
        UserError: There are too few prompts.
    """
    numbers, of_comparison, counts = np.unique(prompt, return_inverse=True, return_counts=True)
    if num_folds < FEWEST_FOLDS:
        raise UserError(
            f"num_folds is {num_folds}; give at least {FEWEST_FOLDS} (fit, choose, measure)."
        )
    require_prompts(len(numbers), num_folds=num_folds)
    seeds = tuple(range(seed, seed + num_seeds))
    folds = np.empty((len(prompt), num_seeds), np.int8)
    for column, of_column in enumerate(seeds):
        order = np.random.default_rng(of_column).permutation(len(numbers))
        order = order[np.argsort(-counts[order], kind="stable")]  # ties stay at random
        of_prompt = np.empty(len(numbers), np.int8)
        of_prompt[order] = np.arange(len(numbers)) % num_folds
        folds[:, column] = of_prompt[of_comparison]
    return Partitions(folds, seeds, num_folds)


def sample_of_prompts(prompt: np.ndarray, most: int) -> np.ndarray:
    """Comparisons of whole prompts drawn at random, at most about `most`, in order."""
    if len(prompt) <= most:
        return np.arange(len(prompt))
    numbers, counts = np.unique(prompt, return_counts=True)
    order = np.random.default_rng(0).permutation(len(numbers))
    taken = np.cumsum(counts[order]) <= most
    taken[0] = True
    return np.flatnonzero(np.isin(prompt, numbers[order[taken]]))
