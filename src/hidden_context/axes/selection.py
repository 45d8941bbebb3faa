"""Which features' effects differ between contexts: forward by the largest statistic, then pruned.

At each step the candidate of the largest spread joins, if the largest of as many candidates is as
large in at most a share `level` of permutations; its spread is then part of the model, and the
others are tested beyond it. At the end each that was chosen must hold given all others that were.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hidden_context.axes.effects import Effects, fit_effects, slope_and_curve
from hidden_context.axes.spread_test import Shuffle, p_value, standardized_spread

MOST_AXES = 12
LEAST_LEFT = 0.1
"""Share of a feature's variance that others may leave for it to be told apart from them."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """n comparisons of which somebody decided for one response, ties left out."""

    features: np.ndarray
    """Of the first minus the second, in units of the root mean square, shape `(n, features)`."""
    wins: np.ndarray
    """Share of the decided votes for the first, shape `(n,)`."""
    weight: np.ndarray
    """Decided votes, shape `(n,)`."""
    context: np.ndarray
    """Number of who judged, shape `(n,)`."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen candidates, and how they came to be chosen."""

    chosen: tuple[int, ...]
    """Numbers of columns of `candidates`, in the order in which they joined."""
    p: tuple[float, ...]
    """Of each chosen one: the larger of its p among all candidates when it joined, and given the
    other chosen ones."""
    alone: np.ndarray
    """Statistic of each candidate before anything was chosen, in standard deviations."""
    alone_p: np.ndarray
    """Its p value among the largest of all candidates."""
    stopped_p: float
    """p value at which nothing more joined; NaN if all joined."""
    candidates: np.ndarray
    """The features, and last what is liked on average, shape `(n, features + 1)`."""
    average_size: float
    """Log odds per unit of the last."""
    effects: Effects
    """With the spreads of the chosen ones."""


def select_axes(decisions: Decisions, shuffle: Shuffle, level: float) -> Selection:
    """Select; the last candidate is what is liked on average (β · x), which some follow less."""
    effects = _fit(decisions, np.empty((len(decisions.wins), 0)))
    average = decisions.features @ effects.common
    size = max(float(np.sqrt((average**2).mean())), 1e-12)
    candidates = np.column_stack([decisions.features, average / size])
    chosen: list[int] = []
    joined: dict[int, float] = {}
    alone = alone_p = np.zeros(candidates.shape[1])
    stopped = float("nan")
    while len(chosen) < min(MOST_AXES, candidates.shape[1]):
        tested = _tested(decisions, shuffle, effects, candidates, chosen)
        largest = tested.max(1)
        if not chosen:
            alone = tested[0]
            alone_p = (largest[:, None] >= alone - 1e-9).mean(0)
        if p_value(largest) > level:
            stopped = p_value(largest)
            break
        best = _named(int(tested[0].argmax()), tested[0], candidates)
        chosen.append(best)
        joined[best] = p_value(largest)
        effects = _fit(decisions, candidates[:, chosen])
    given_others = _pruned(decisions, shuffle, candidates, chosen, level)
    kept = [number for number in chosen if number in given_others]
    return Selection(
        tuple(kept),
        tuple(max(joined[number], given_others[number]) for number in kept),
        alone,
        alone_p,
        stopped,
        candidates,
        size,
        _fit(decisions, candidates[:, kept]),
    )


def _named(best: int, statistics: np.ndarray, candidates: np.ndarray) -> int:
    """The best candidate; for the average, where one feature is all but the same, that feature."""
    last = candidates.shape[1] - 1
    alike = (candidates * candidates[:, [last]]).mean(0) ** 2 > 1 - LEAST_LEFT
    if best != last or not alike[:last].any():
        return best
    return int(np.where(alike[:last], statistics[:last], -np.inf).argmax())


def _fit(decisions: Decisions, own: np.ndarray) -> Effects:
    return fit_effects(decisions.features, decisions.wins, decisions.weight, decisions.context, own)


def _tested(
    decisions: Decisions,
    shuffle: Shuffle,
    effects: Effects,
    candidates: np.ndarray,
    chosen: Sequence[int],
) -> np.ndarray:
    """Statistics of all candidates beyond the chosen ones, which have −∞, as those like them do."""
    slope, curve = slope_and_curve(effects.log_odds, decisions.wins, decisions.weight)
    beyond, open_ = candidates, np.ones(candidates.shape[1], bool)
    if chosen:
        own = candidates[:, list(chosen)]
        weighted = own * curve[:, None]
        beyond = candidates - own @ np.linalg.lstsq(weighted.T @ own, weighted.T @ candidates)[0]
        left = (curve[:, None] * beyond**2).sum(0)
        open_ = left > LEAST_LEFT * (curve[:, None] * candidates**2).sum(0)
    tested = np.full((1 + shuffle.num_permutations, len(open_)), -np.inf)
    if open_.any():
        tested[:, open_] = standardized_spread(slope[:, None] * beyond[:, open_], shuffle)
    return tested


def _pruned(
    decisions: Decisions,
    shuffle: Shuffle,
    candidates: np.ndarray,
    chosen: Sequence[int],
    level: float,
) -> dict[int, float]:
    """p of each given the others, once the worst is left out for as long as it is above level."""
    kept = list(chosen)
    while kept:
        given_others = {}
        for number in kept:
            others = [other for other in kept if other != number]
            effects = _fit(decisions, candidates[:, others])
            columns = [*others, number]
            tested = _tested(
                decisions, shuffle, effects, candidates[:, columns], range(len(others))
            )
            given_others[number] = p_value(tested[:, -1]) if np.isfinite(tested).any() else 1.0
        worst = max(kept, key=lambda number: given_others[number])
        if given_others[worst] <= level:
            return given_others
        kept.remove(worst)
    return {}
