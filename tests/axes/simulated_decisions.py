"""Decisions of simulated people whose axes are known."""

from dataclasses import dataclass, replace

import numpy as np

from hidden_context.axes.selection import Decisions, Selection, select_axes
from hidden_context.axes.spread_test import Shuffle


@dataclass(frozen=True)
class World:
    """People who compare responses of correlated features; see `draw`."""

    people: int = 100
    each: int = 40
    """Comparisons of each person."""
    features: int = 30
    correlation: float = 0.5
    """Of neighbouring features; of those k apart its kth power."""
    num_axes: int = 3
    spread: float = 0.6
    """Of an axis over people, in log odds per standard deviation of a feature."""
    liked: float = 0.4
    """Standard deviation of the effects of ten features, which all share."""
    careless: float = 0.0
    """How much weaker all effects are in half of the people: 1 is a coin."""
    pairs: int = 0
    """Pairs that are shared; of 0, each comparison has a pair of its own."""
    quality: float = 0.0
    """Standard deviation of what all like of a pair's responses and no feature says."""
    prompts: int = 1
    """Each person sees the pairs of one in `prompts` parts alone."""


def draw(world: World, seed: int) -> tuple[Decisions, set[int], np.ndarray]:
    """Decisions, the numbers of the true axes, and the number of each decision's pair."""
    rng = np.random.default_rng(seed)
    n, size = world.people * world.each, world.features
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    root = np.linalg.cholesky(world.correlation**apart)
    who = np.repeat(np.arange(world.people), world.each)
    pair = np.arange(n)
    if world.pairs:
        part = world.pairs // world.prompts
        pair = rng.integers(part, size=n) + part * (who % world.prompts)
    features = (rng.normal(size=(pair.max() + 1, size)) @ root.T)[pair]
    features /= np.sqrt((features**2).mean(0))
    common = np.zeros(size)
    common[rng.permutation(size)[:10]] = world.liked * rng.normal(size=min(10, size))
    axes = rng.permutation(size)[: world.num_axes]
    own = own_effects(world, seed)
    follows = np.where(rng.random(world.people) < 0.5, 1 - world.careless, 1)[who]
    unsaid = world.quality * rng.normal(size=pair.max() + 1)
    log_odds = follows * (features @ common + unsaid[pair]) + (features[:, axes] * own[who]).sum(1)
    wins = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return Decisions(features, wins, np.ones(n), who), set(axes.tolist()), pair


def own_effects(world: World, seed: int) -> np.ndarray:
    """What each person adds to the effect of each axis, shape `(people, axes)`."""
    rng = np.random.default_rng([seed, 1])
    return world.spread * rng.normal(size=(world.people, world.num_axes))


def search(
    decisions: Decisions,
    stratum: np.ndarray | None = None,
    *,
    seed: int = 0,
    permutations: int = 199,
) -> Selection:
    """Axes at the default level, each decision a unit that changes places."""
    n = len(decisions.wins)
    stratum = np.zeros(n, int) if stratum is None else stratum
    shuffle = Shuffle(np.arange(n), decisions.context, stratum, permutations, seed)
    return select_axes(decisions, shuffle, 0.02)


def counted(world: World, runs: int, *, within_pairs: bool = False) -> np.ndarray:
    """Of each run: true axes found, and false ones, shape `(runs, 2)`.

    That people differ in how closely they follow the average is true where they are careless.
    """
    found = np.zeros((runs, 2), int)
    for run in range(runs):
        decisions, axes, pair = draw(world, run)
        selection = search(decisions, pair if within_pairs else None, seed=run)
        if world.careless:
            axes = axes | {world.features}
        found[run] = len(axes & {*selection.chosen}), len({*selection.chosen} - axes)
    return found


def found_of_random_groups(world: World, runs: int, *, whole: bool) -> np.ndarray:
    """Axes between two groups drawn at random of people who differ, shape `(runs,)`; all are false.

    Either people change groups with all of their comparisons, or each comparison by itself does.
    """
    found = np.zeros(runs, int)
    for run in range(runs):
        decisions, _, _ = draw(world, run)
        group = np.random.default_rng(run).permutation(np.arange(world.people) % 2)
        decisions = replace(decisions, context=group[decisions.context])
        n = len(decisions.wins)
        unit = np.repeat(np.arange(world.people), world.each) if whole else np.arange(n)
        of_unit = group if whole else decisions.context
        shuffle = Shuffle(unit, of_unit, np.zeros(len(of_unit), int), 199, run)
        found[run] = len(select_axes(decisions, shuffle, 0.02).chosen)
    return found
