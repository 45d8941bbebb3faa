"""The Polis example where the truth is known: votes drawn anew on the same statements."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from polis_setting import Setting, items
from polis_votes import VoteComparisons
from scipy.stats import spearmanr

from hidden_context.distributions import Family
from hidden_context.items import ItemFit
from hidden_context.measures.explained_variance import explained_variance

WORLDS = ("independent votes", "votes of groups", "independent utilities")


def known_worlds(
    setting: Setting, families: Mapping[str, Family], ridges: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Refits where the truth is known, on the statements that the same people voted on.

    Votes are redrawn, all alike or within each opinion group; last, the same pairs are compared by
    normal utilities with the real means and deviations, independent in each comparison, as
    `mean_and_variance` assumes. In all three the true deviations are those of all the votes.
    """
    votes, rows = setting.votes, []
    for number, world in enumerate(WORLDS):
        of_family: dict[str, list[ItemFit]] = {name: [] for name in families}
        for draw in range(setting.config.num_worlds):
            rng = np.random.default_rng([setting.config.seed, number, draw])
            data = items(redrawn_comparisons(setting, world, rng))
            for name, family in families.items():
                of_family[name].append(setting.fit(family, data, ridges[name], seed=draw))
        for name, fits in of_family.items():
            learned = [fit.utility for fit in fits if not fit.utility.is_scalar]
            if learned:
                stds = [np.asarray(utility.std) for utility in learned]
                correlations = [
                    spearmanr(std, votes.std).statistic for std in stds if np.ptp(std) > 0
                ]
                r2 = float(np.mean([explained_variance(utility) for utility in learned]))
                rows.append({"world": world, "family": name, "Spearman": correlations, "r²": r2})
    return rows


def redrawn_comparisons(setting: Setting, world: str, rng: np.random.Generator) -> VoteComparisons:
    """Of the training people, in one of the `WORLDS`."""
    votes = setting.votes
    if world == "independent utilities":
        compared = setting.comparisons(setting.training)
        ahead = votes.mean[compared.first] - votes.mean[compared.second]
        noise = np.hypot(votes.std[compared.first], votes.std[compared.second])
        won = ahead + noise * rng.standard_normal(len(ahead)) > 0
        shares = np.stack([~won, np.zeros_like(won), won], axis=-1).astype(float)
        return replace(compared, outcomes=replace(compared.outcomes, shares=shares))
    classes = votes.groups if world == "votes of groups" else np.zeros(len(votes.values))
    return setting.comparisons(setting.training, votes.redrawn(rng, within=classes))
