"""What the Polis example measures of each family, against the votes of held-out people."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from polis_setting import REAL, STOPPING_RULE, Cells, Fitted, Setting, items
from polis_votes import UTILITIES, VoteComparisons, Votes

from hidden_context.distributions.normal import NormalUtility
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, ItemFit
from hidden_context.likelihood.loss import accuracy, explained_variance
from hidden_context.measures.bootstrap import Interval, bootstrap, bootstrap_mean
from hidden_context.measures.calibration import calibration
from hidden_context.measures.ensembles import ensemble_variance
from hidden_context.measures.explained_variance_report import explained_variance_report
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.measures.parametric_bootstrap import label_null
from hidden_context.measures.preference_entropy import chance_to_differ, preference_entropy
from hidden_context.measures.real_disagreement import auroc, people_split, spearman
from hidden_context.measures.wasserstein import real_quantiles, wasserstein_distances


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
            ).interval
        a, b = (fit.family.decode(fit.raw[index]) for index in (test.first, test.second))
        wins, loses = a.log_prob_preferred_to(b), b.log_prob_preferred_to(a)
        cells["accuracy"][name] = accuracy(wins, loses, test.outcomes)
    return cells


def spread_measures(setting: Setting, fits: Fitted) -> Cells:
    """Learned spread beside that of the votes, of held-out people where the two are compared.

    What the spread of each statement adds: against -|mean|, because a vote of two kinds has the
    deviation √(1 - mean²), and against one normal spread for all.
    """
    train, test = (
        setting.votes.of_people(people) for people in (setting.training, setting.held_out)
    )
    names = np.arange(setting.num_items)
    atoms, weights = [UTILITIES] * setting.num_items, list(test.counts)
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
        "Wasserstein": {REAL: float(np.abs(quantiles_of(train) - quantiles_of(test)).mean())},
        "Wasserstein, equal std": {},
    }
    for name, fit in fits.items():
        found = preference_entropy(fit.family, fit.raw, np.zeros(setting.num_items))
        cells["E[4p(1 − p)]"][name] = found.chance_to_differ
        cells["E[H(p)]/ln 2"][name] = found.entropy
        mean = np.asarray(fit.utility.mean)
        cells["Spearman of mean"][name] = rank_correlation(setting, mean, test.mean)
        cells["Spearman of −abs(mean) with std"][name] = rank_correlation(
            setting, -np.abs(mean - mean.mean()), test.std
        )
        distances = wasserstein_distances(fit.utility, atoms, weights)
        cells["Wasserstein"][name] = distances.mean
        if fit.utility.is_scalar:
            continue
        for scale in ("pooled", "rank"):
            report = explained_variance_report(
                fit.family,
                fit.raw,
                names,
                scale=scale,
                stopping_rule=STOPPING_RULE,
                compared_within=np.zeros(setting.num_items),
                resampling=setting.resampling,
            )
            cells[f"r² {scale}"][name] = report
        cells["Spearman of std"][name] = rank_correlation(setting, fit.utility.std, test.std)
        same = NormalUtility(mean, np.full_like(mean, fit.utility.variance.mean() ** 0.5), "probit")
        cells["Wasserstein, equal std"][name] = wasserstein_distances(same, atoms, weights).mean
    return cells


def quantiles_of(votes: Votes) -> np.ndarray:
    """Of each statement's votes, shape `(statements, levels)`."""
    return real_quantiles([UTILITIES] * len(votes.statements), list(votes.counts))


def rank_correlation(setting: Setting, learned: Any, real: np.ndarray) -> Interval | None:
    """Spearman's, with an interval over resampled statements; None if all learned are equal."""
    values = np.asarray(learned)
    if np.ptp(values) == 0:
        return None
    return bootstrap(
        lambda rows: spearman(values[rows], real[rows]),
        np.arange(setting.num_items),
        resampling=setting.resampling,
    )


def real_explained_variance(setting: Setting) -> Interval:
    """Var[mean] / (Var[mean] + E[variance]) of all people's votes, interval over statements."""
    mean, std = setting.votes.mean, setting.votes.std
    return bootstrap(
        lambda rows: explained_variance(NormalUtility(mean[rows], std[rows], "probit")),
        np.arange(setting.num_items),
        resampling=setting.resampling,
    )


def real_rank_explained_variance(setting: Setting) -> Interval:
    """12 Var[E[rank]] of all people's votes, equal votes sharing their ranks evenly."""
    shares = setting.votes.shares

    def at(rows: np.ndarray) -> float:
        pooled = shares[rows].mean(0)
        return 12 * float((shares[rows] @ (np.cumsum(pooled) - pooled / 2)).var())

    return bootstrap(at, np.arange(setting.num_items), resampling=setting.resampling)


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
    split = people_split(wins[enough], loses[enough], within=setting.config.split_within)
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
            cells[auroc_name][name] = auroc(score, split)
        found = calibration(np.exp(log_prob), wins, loses)
        cells["calibration error"][name] = found.expected_calibration_error
        cells["Brier score"][name] = found.brier_score
    return cells


def null_measures(
    setting: Setting, fits: Fitted, ridges: Mapping[str, float], train: VoteComparisons
) -> Cells:
    """r² after a refit on labels drawn from base's P, for each comparison on its own.

    With ties, labels are wins and losses: of P(a ≻ b), which counts ties half, they have the
    expectation, and more noise.
    """
    base = fits["base"]
    a, b = (base.family.decode(base.raw[index]) for index in (train.first, train.second))
    log_prob = a.log_prob_preferred_to(b)
    cells: Cells = {"r² under the label null": {}, "p of the label null": {}}
    for name, fit in fits.items():
        if fit.utility.is_scalar:
            continue

        def refit(outcomes: np.ndarray, fit: ItemFit = fit, ridge: float = ridges[name]) -> float:
            winner = np.where(outcomes, train.first, train.second)
            loser = np.where(outcomes, train.second, train.first)
            redrawn = ItemComparisons.won(winner, loser)
            return explained_variance(setting.fit(fit.family, redrawn, ridge, seed=0).utility)

        found = label_null(
            log_prob,
            refit,
            observed=explained_variance(fit.utility),
            tail="lower",
            num_draws=setting.config.num_draws,
            seed=setting.config.seed,
        )
        low, middle, high = np.quantile(found.draws, [0, 0.5, 1])
        cells["r² under the label null"][name] = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        cells["p of the label null"][name] = found.p_value
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
        found = ensemble_variance(members)
        cells["epistemic share"][name] = float(found.epistemic.mean() / found.total.mean())
    return cells
