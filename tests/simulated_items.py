"""Items whose preferences are known exactly, and comparisons of them: what learning should find."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hidden_context.distributions import Family
from hidden_context.distributions.special import log_sigmoid, normal_cdf
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons
from hidden_context.items.objective import AnyFamily
from hidden_context.items.summed_votes import summed_votes
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import Outcomes


class SimulatedItems(Protocol):
    """Items of which it is known how likely each is preferred to each."""

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column), shape `(items, items)`; ½ on the diagonal."""
        ...


@dataclass(frozen=True, eq=False)
class NormalItems:
    """Normal utilities, of which each comparison draws two independent ones."""

    mean: np.ndarray
    """Shape `(items,)`."""
    std: np.ndarray
    """Positive, shape `(items,)`."""

    def prob_matrix(self) -> np.ndarray:
        """Φ((μᵢ - μⱼ) / √(σᵢ² + σⱼ²)). See `SimulatedItems`."""
        ahead = self.mean[:, None] - self.mean
        return normal_cdf(ahead / np.hypot(self.std[:, None], self.std))

    @property
    def explained_variance(self) -> float:
        """Exact r² = Var[mean] / (Var[mean] + E[variance]) of these items."""
        explained = self.mean.var()
        return float(explained / (explained + (self.std**2).mean()))


@dataclass(frozen=True, eq=False)
class LatentGroups:
    """Groups of judges with utilities of their own; each comparison has one judge for both items.

    The judge's group is drawn, and within it the order is Bradley and Terry's (1952). One group is
    an ordinary Bradley–Terry model, without hidden context.
    """

    utilities: np.ndarray
    """Shape `(groups, items)`."""
    shares: np.ndarray
    """Share of comparisons that each group judges, sum 1, shape `(groups,)`."""

    def prob_matrix(self) -> np.ndarray:
        """Σₖ shareₖ σ(uₖᵢ - uₖⱼ). See `SimulatedItems`."""
        ahead = self.utilities[:, :, None] - self.utilities[:, None, :]
        return np.einsum("k,kij->ij", self.shares, np.exp(log_sigmoid(ahead)))


def normal_items(num_items: int, explained_variance: float, seed: int) -> NormalItems:
    """Normal means and log-normal deviations, scaled to an exact r² on the utility scale.

    The log-deviations have standard deviation 0.3: of 95 % of the items the deviations lie within
    a factor of 1.8 of the median.
    """
    if not 0 < explained_variance < 1:
        raise UserError(f"explained_variance is {explained_variance}; give a share in (0, 1).")
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=num_items), np.exp(0.3 * rng.normal(size=num_items))
    unexplained = mean.var() * (1 / explained_variance - 1)
    return NormalItems(mean, std * (unexplained / (std**2).mean()) ** 0.5)


def latent_groups(
    num_items: int, shares: tuple[float, ...], scale: float, seed: int
) -> LatentGroups:
    """Independent normal utilities of standard deviation `scale` in each group."""
    rng = np.random.default_rng(seed)
    return LatentGroups(scale * rng.normal(size=(len(shares), num_items)), np.array(shares))


def draw_pairs(
    num_items: int, num_comparisons: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two different items for each comparison, all ordered pairs equally likely, `(n,)` each."""
    first = rng.integers(num_items, size=num_comparisons)
    second = (first + rng.integers(1, num_items, size=num_comparisons)) % num_items
    return first, second


def draw_comparisons(
    items: SimulatedItems, num_comparisons: int, seed: int, *, tie_share: float = 0.0
) -> ItemComparisons:
    """Independent comparisons of uniformly drawn pairs, of which a share are ties at random."""
    rng = np.random.default_rng(seed)
    prob = items.prob_matrix()
    first, second = draw_pairs(len(prob), num_comparisons, rng)
    wins = rng.random(num_comparisons) < prob[first, second]
    won = ItemComparisons.won(np.where(wins, first, second), np.where(wins, second, first))
    if tie_share > 0:
        won.outcomes.shares[rng.random(num_comparisons) < tie_share] = (0.0, 1.0, 0.0)
    return won


def unlimited_comparisons(items: SimulatedItems, *, tie_share: float = 0.0) -> ItemComparisons:
    """All pairs with the exact shares of votes: what a fit would find in data without end."""
    prob = items.prob_matrix()
    first, second = np.triu_indices(len(prob), 1)
    wins = prob[first, second]
    shares = np.stack([1 - wins, np.zeros(len(wins)), wins], axis=1)
    shares = (1 - tie_share) * shares + tie_share * np.array([0.0, 1.0, 0.0])
    return ItemComparisons(first, second, Outcomes(shares, np.ones(len(wins))))


def excess_loss(items: SimulatedItems, family: Family, raw: np.ndarray) -> float:
    """Expected loss of a fit above that of the truth, in nats per comparison, at least 0.

    The Kullback–Leibler divergence of the fit's preferences from the true ones, exactly, over all
    pairs of different items: held-out comparisons without end.

    Args:
        items: The truth.
        family: Reads the raw outputs.
        raw: Shape `(items, num_outputs)`.
    """
    truth = items.prob_matrix()
    log_prob = family.decode(raw[:, None]).log_prob_preferred_to(family.decode(raw[None]))
    different = ~np.eye(len(truth), dtype=bool)
    return float(2 * (truth * (np.log(truth) - log_prob))[different].mean())


def num_identified(family: Family, num_items: int) -> int:
    """Parameters that comparisons can tell: the rank of the derivatives of all P by all outputs.

    At random outputs, of all pairs of items. A family may have more outputs than these: a level, a
    scale, sums of logits change no P. Where a truth is singular, as that of equal contexts, fewer
    are told there, and what they cost is not d/(2n).
    """
    first, second = np.triu_indices(num_items, 1)
    votes = summed_votes(ItemComparisons.won(first, second), num_items)
    objective = AnyFamily(LearnedLikelihood(family), votes, 0.0)
    d = objective.num_outputs
    x = np.random.default_rng(0).normal(size=num_items * d)
    scores, rows = objective.scores_by_pair(x)[:, -1], np.arange(len(first))[:, None]
    by_output = np.zeros((len(first), num_items * d))
    by_output[rows, objective.first[:, None] * d + np.arange(d)] = scores[:, :d]
    by_output[rows, objective.second[:, None] * d + np.arange(d)] = scores[:, d : 2 * d]
    return int(np.linalg.matrix_rank(by_output, tol=1e-9 * np.linalg.norm(by_output, 2)))
