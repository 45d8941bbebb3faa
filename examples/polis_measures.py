"""What the Polis example measures of each family, against the votes of held-out people."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from polis_setting import REAL, Cells, Fitted, Setting, items
from polis_votes import UTILITIES, VoteComparisons, Votes
from scipy.stats import linregress, spearmanr
from sklearn.metrics import roc_auc_score

from hidden_context.distributions import UtilityDistribution
from hidden_context.distributions.normal import NormalUtility
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, ItemFit, fit_items
from hidden_context.measures.bootstrap import bootstrap_mean, bootstrap_weighted
from hidden_context.measures.calibration import calibration
from hidden_context.measures.ensembles import ensemble_variance
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.explained_variance import (
    Training,
    explained_variance,
    explained_variance_estimate,
)
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.measures.parametric_bootstrap import parametric_bootstrap, simulated_labels
from hidden_context.measures.preference_entropy import chance_to_differ, preference_entropy
from hidden_context.measures.rates import agreement_of

LEVELS = (np.arange(1000) + 0.5) / 1000
"""Midpoints that stand for ∫₀¹ dq. The error is at most the range of the quantiles over 1000."""


def held_out_measures(setting: Setting, fits: Fitted, test: VoteComparisons) -> Cells:
    """Likelihood and accuracy of held-out comparisons; clusters are people."""
    cells: Cells = {"log-likelihood": {}, "gain over base": {}, "accuracy": {}}
    log_prob = {name: fit.log_likelihood(items(test)) for name, fit in fits.items()}
    for name, fit in fits.items():
        cells["log-likelihood"][name] = bootstrap_mean(
            log_prob[name], test.person, resampling=setting.resampling
        )
        if name != "base":
            cells["gain over base"][name] = likelihood_ratio(
                log_prob[name], log_prob["base"], test.person, resampling=setting.resampling
            )
        a, b = (fit.family.decode(fit.raw[index]) for index in (test.first, test.second))
        wins, loses = a.log_prob_preferred_to(b), b.log_prob_preferred_to(a)
        cells["accuracy"][name] = agreement_of(wins, loses, test.outcomes.win_share).mean()
    return cells


def spread_measures(setting: Setting, fits: Fitted) -> Cells:
    """Learned spread beside that of the votes, of held-out people where the two are compared.

    What the spread of each statement adds: against -|mean|, because a vote of two kinds has the
    deviation √(1 - mean²), and against one normal spread for all.
    """
    train, test = (
        setting.votes.of_people(people) for people in (setting.training, setting.held_out)
    )
    names, one_list = np.arange(setting.num_items), np.zeros(setting.num_items)
    real = quantiles_of(test)
    cells: Cells = {
        "r² pooled": {REAL: real_explained_variance(setting)},
        "r² rank": {REAL: real_rank_explained_variance(setting)},
        "E[4p(1 − p)]": {},
        "E[H(p)]/ln 2": {},
        "Spearman of std": {REAL: rank_correlation(setting, train.std, test.std)},
        "Spearman of mean": {REAL: rank_correlation(setting, train.mean, test.mean)},
        "Spearman of −abs(mean) with std": {
            REAL: rank_correlation(setting, -np.abs(train.mean), test.std)
        },
        "Wasserstein": {REAL: float(np.abs(quantiles_of(train) - real).mean())},
        "Wasserstein, equal std": {},
    }
    for name, fit in fits.items():
        indecision = preference_entropy(fit.family, fit.raw, one_list)
        cells["E[4p(1 − p)]"][name] = indecision.chance_to_differ
        cells["E[H(p)]/ln 2"][name] = indecision.entropy
        mean = np.asarray(fit.utility.mean)
        cells["Spearman of mean"][name] = rank_correlation(setting, mean, test.mean)
        cells["Spearman of −abs(mean) with std"][name] = rank_correlation(
            setting, -np.abs(mean - mean.mean()), test.std
        )
        cells["Wasserstein"][name] = wasserstein_distance(fit.utility, real)
        if fit.utility.is_scalar:
            continue
        for scale in ("pooled", "rank"):
            cells[f"r² {scale}"][name] = explained_variance_estimate(
                fit.family,
                [Training(fit.raw, names, one_list)],
                scale=scale,
                resampling=setting.resampling,
            )
        cells["Spearman of std"][name] = rank_correlation(setting, fit.utility.std, test.std)
        same = NormalUtility(mean, np.full_like(mean, fit.utility.variance.mean() ** 0.5), "probit")
        cells["Wasserstein, equal std"][name] = wasserstein_distance(same, real)
    return cells


def quantiles_of(votes: Votes) -> np.ndarray:
    """F⁻¹ of each statement's votes, shape `(statements, levels)`."""
    return np.stack(
        [
            np.quantile(UTILITIES, LEVELS, weights=counts, method="inverted_cdf")
            for counts in votes.counts
        ]
    )


def wasserstein_distance(utility: UtilityDistribution, real: np.ndarray) -> float:
    """Mean over statements of ∫₀¹ |s·F⁻¹_learned(q) + t - F⁻¹_real(q)| dq, in votes.

    The learned scale and origin are open, so s ≥ 0 and t are those that make the mean square of the
    same difference least, over all statements and levels.

    Args:
        utility: Learned, of all statements.
        real: See `quantiles_of`.
    """
    learned = np.stack([utility.quantile(level) for level in LEVELS], axis=-1)
    slope = max(0.0, linregress(learned.ravel(), real.ravel()).slope)
    mapped = slope * (learned - learned.mean()) + real.mean()
    return float(np.abs(mapped - real).mean())


def over_statements(setting: Setting, statistic: Callable[[np.ndarray], float]) -> Estimate:
    """A statistic of rows, with an interval over resampled statements."""
    names = np.arange(setting.num_items)

    def at(weights: np.ndarray) -> np.ndarray:
        return np.array([statistic(np.repeat(names, drawn.astype(int))) for drawn in weights])

    return bootstrap_weighted(at, setting.num_items, resampling=setting.resampling)


def rank_correlation(setting: Setting, learned: Any, real: np.ndarray) -> Estimate | None:
    """Spearman's, with an interval over resampled statements; None if all learned are equal."""
    values = np.asarray(learned)
    if np.ptp(values) == 0:
        return None
    return over_statements(setting, lambda rows: spearmanr(values[rows], real[rows]).statistic)


def real_explained_variance(setting: Setting) -> Estimate:
    """Var[mean] / (Var[mean] + E[variance]) of all people's votes, interval over statements."""
    mean, std = setting.votes.mean, setting.votes.std
    return over_statements(
        setting,
        lambda rows: explained_variance(NormalUtility(mean[rows], std[rows], "probit")),
    )


def real_rank_explained_variance(setting: Setting) -> Estimate:
    """12 Var[E[rank]] of all people's votes, equal votes sharing their ranks evenly."""
    shares = setting.votes.shares

    def at(rows: np.ndarray) -> float:
        pooled = shares[rows].mean(0)
        return 12 * float((shares[rows] @ (np.cumsum(pooled) - pooled / 2)).var())

    return over_statements(setting, at)


def pair_measures(setting: Setting, fits: Fitted, test: VoteComparisons) -> Cells:
    """P(a ≻ b) against the shares of held-out people, pair by pair."""
    index = test.first * setting.num_items + test.second
    size = setting.num_items**2
    total = np.bincount(index, minlength=size)
    wins = np.bincount(index, weights=test.outcomes.win_share, minlength=size)
    pairs = np.flatnonzero(total > 0)
    first, second = np.divmod(pairs, setting.num_items)
    wins, loses = wins[pairs], (total - np.bincount(index, test.outcomes.win_share, size))[pairs]
    enough = total[pairs] >= setting.config.min_pair_votes
    if not enough.any():
        raise UserError(
            f"no pair has {setting.config.min_pair_votes} held-out comparisons; "
            "give a smaller --min_pair_votes."
        )
    share = (wins / (wins + loses))[enough]
    rounding = 1e-12  # 0.6 - 0.5 is more than 0.1
    split = np.abs(share - 0.5) <= setting.config.split_within + rounding
    cells: Cells = {
        f"AUROC of split ({split.mean():.0%} of {len(split)} pairs)": {},
        "calibration error": {},
        "Brier score": {},
    }
    auroc_name = next(iter(cells))
    for name, fit in fits.items():
        a, b = fit.family.decode(fit.raw[first]), fit.family.decode(fit.raw[second])
        log_prob, log_reverse = a.log_prob_preferred_to(b), b.log_prob_preferred_to(a)
        if 0 < split.sum() < len(split):
            score = chance_to_differ(log_prob, log_reverse)[enough]
            cells[auroc_name][name] = roc_auc_score(split, score)
        calibrated = calibration(np.exp(log_prob), wins, loses)
        cells["calibration error"][name] = calibrated.expected_calibration_error
        cells["Brier score"][name] = calibrated.brier_score
    return cells


def tails_measures(setting: Setting, train: VoteComparisons) -> Cells:
    """What spread gains over one spread for all statements, and what tails of the link do."""
    name = "mean_and_variance"
    check = fit_items(
        items(train),
        name,
        num_items=setting.num_items,
        max_iterations=setting.config.max_iterations,
    ).spread_check
    assert check is not None
    return {
        "gain of spread, nats": {name: check.spread_gain},
        "gain of tails, nats": {name: check.tails_gain},
    }


def null_measures(
    setting: Setting, fits: Fitted, ridges: Mapping[str, float], train: VoteComparisons
) -> Cells:
    """r² after a refit on labels drawn from base's P, for each comparison on its own.

    With ties, labels are wins and losses: of P(a ≻ b), which counts ties half, they have the
    expectation, and more noise.
    """
    base = fits["base"]
    a, b = (base.family.decode(base.raw[index]) for index in (train.first, train.second))
    labels = simulated_labels(
        a.log_prob_preferred_to(b), num_draws=setting.config.num_draws, seed=setting.config.seed
    )
    cells: Cells = {"r² under the label null": {}, "p of the label null": {}}
    for name, fit in fits.items():
        if fit.utility.is_scalar:
            continue

        def refit(outcomes: np.ndarray, fit: ItemFit = fit, ridge: float = ridges[name]) -> float:
            winner = np.where(outcomes, train.first, train.second)
            loser = np.where(outcomes, train.second, train.first)
            redrawn = ItemComparisons.won(winner, loser)
            return explained_variance(setting.fit(fit.family, redrawn, ridge, seed=0).utility)

        null = parametric_bootstrap(
            "r2_pooled",
            explained_variance(fit.utility),
            [refit(label == 1) for label in labels],
            tail="lower",
        )
        low, middle, high = np.quantile(null.draws, [0, 0.5, 1])
        cells["r² under the label null"][name] = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        cells["p of the label null"][name] = null.p_value
    return cells


def ensemble_measures(setting: Setting, fits: Fitted, ridges: Mapping[str, float]) -> Cells:
    """Share of the variance of utility that is about the people who happened to be asked."""
    rng = np.random.default_rng(setting.config.seed + 1)
    drawn = [
        items(setting.comparisons(rng.choice(setting.training, len(setting.training))))
        for _ in range(setting.config.num_members)
    ]
    cells: Cells = {"epistemic share": {}}
    for name, fit in fits.items():
        members = [
            setting.fit(fit.family, data, ridges[name], seed=seed).utility
            for seed, data in enumerate(drawn)
        ]
        variance = ensemble_variance(members)
        cells["epistemic share"][name] = float(variance.epistemic.mean() / variance.total.mean())
    return cells
