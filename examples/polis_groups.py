"""Whether the Polis example finds the opinion groups of a conversation in learned contexts."""

from itertools import permutations
from typing import Any

import numpy as np
from polis_setting import Setting, items
from polis_votes import VoteComparisons

from hidden_context.distributions import Family
from hidden_context.items import ItemComparisons, ItemFit


def group_recovery(
    setting: Setting, family: Family, ridge: float, train: VoteComparisons
) -> dict[str, Any]:
    """Do the two contexts of `shared_context` order statements as the two opinion groups do?

    Both groups like some statements, so each context correlates with both groups; what tells the
    groups apart is the difference of their means. The control has comparisons of the same
    statements that do follow two equally likely contexts, of utilities twice the groups' means.
    """
    votes = setting.votes
    groups = sorted({str(group) for group in votes.groups if group})[:2]
    means = np.stack([votes.of_people(votes.groups == group).mean for group in groups], axis=1)
    if means.shape[1] < 2 or not np.isfinite(means).all():
        return {"groups": "fewer than two that voted on all statements"}
    rng = np.random.default_rng(setting.config.seed + 3)
    ahead = 2 * (means[train.first] - means[train.second])
    ahead = ahead[np.arange(len(ahead)), rng.integers(0, 2, len(ahead))]
    won = rng.logistic(size=len(ahead)) < ahead
    winner, loser = np.where(won, [train.first, train.second], [train.second, train.first])
    of_contexts = ItemComparisons.won(winner, loser)
    return {
        "people of each group": {group: int((votes.groups == group).sum()) for group in groups},
        "correlation of the groups' means": np.corrcoef(means.T)[0, 1],
        "as voted": match(setting.fit(family, items(train), ridge, seed=0, starts=10), means),
        "control": match(setting.fit(family, of_contexts, ridge, seed=0, starts=10), means),
    }


def match(fit: ItemFit, means: np.ndarray) -> dict[str, float]:
    """Correlations over statements, contexts in the order that suits the groups best."""
    everyone: Any = fit.utility
    contexts = everyone.contexts
    number = contexts.shape[1]
    between = np.corrcoef(contexts.T, means.T)[:number, number:]
    first, second = max(
        permutations(range(number), 2),
        key=lambda order: between[order[0], 0] + between[order[1], 1],
    )
    ahead = contexts[:, first] - contexts[:, second]
    return {
        "first group with its context": between[first, 0],
        "second": between[second, 1],
        "difference of groups with that of contexts": np.corrcoef(ahead, means @ [1, -1])[0, 1],
    }
