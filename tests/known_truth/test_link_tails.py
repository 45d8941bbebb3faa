"""Spread that is none: what `mean_and_variance` makes of tails of the link and of ties at random.

Items are Bradley and Terry's, so all have one spread. The figures of docs/decisions/0016-link-tails
are those of 200 items, marked slow; 24 items state the same laws. Fits to the exact shares of votes
have no sampling error.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from simulated_items import (
    draw_comparisons,
    latent_groups,
    normal_items,
    unlimited_comparisons,
)

from hidden_context.distributions import Normal, Point
from hidden_context.items import ItemComparisons, ItemFit, SpreadCheck, fit_items
from hidden_context.items.link_tails import SCALES
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

TIE_SHARE = 0.2
LINKS = ("probit", "logit")
each_link = pytest.mark.parametrize("link", LINKS)
each_number = pytest.mark.parametrize(
    "num_items", [24, pytest.param(200, marks=pytest.mark.slow)], ids=["24 items", "200 items"]
)


def one_spread(num_items: int):
    return latent_groups(num_items, (1.0,), scale=1.0, seed=0)


@dataclass(frozen=True)
class AgainstTruth:
    """How a fit's means and deviations go with the true utilities."""

    correlation: float
    rank_correlation: float
    rank_correlation_of_std: float

    @classmethod
    def of(cls, fit: ItemFit, utility: np.ndarray) -> "AgainstTruth":
        mean, std = fit.utility.mean, fit.utility.std
        of_std = spearmanr(std, utility).statistic if np.ptp(std) > 0 else 0.0
        correlation = np.corrcoef(mean, utility)[0, 1]
        return cls(correlation, spearmanr(mean, utility).statistic, of_std)


@pytest.mark.parametrize("num_items", [4, 12, 30])
def test_logistic_tails_give_the_ends_of_a_list_about_twice_the_spread(num_items: int):
    """Exact shares of items evenly spaced up to P = .9999: 1.83, 2.28 and 2.32 times the least.

    Φ(z) = σ(D) asks for z/D of .627 at D = 0 and of .404 at D = 9.2, P = .9999: a ratio of 1.55 of
    two spreads together. An item in the middle of the list meets half of that distance at most.
    """
    utility = np.linspace(0, np.log(0.9999 / 0.0001), num_items)
    first, second = np.triu_indices(num_items, 1)
    prob = 1 / (1 + np.exp(utility[second] - utility[first]))
    outcomes = Outcomes(np.stack([1 - prob, 0 * prob, prob], 1), np.full(len(prob), 1000.0))
    std = fit_items(ItemComparisons(first, second, outcomes), check_spread=False).utility.std
    assert std.argmax() in (0, num_items - 1)
    assert 1.8 < std.max() / std.min() < 2.8


def without_end(family: Normal | Point, num_items: int, tie_share: float) -> AgainstTruth:
    """The best of several starts: with ties at random they end in two kinds of optimum.

    Until they have converged: the likelihood is so flat along the list that after 100 steps, some
    1e-6 nats a comparison from the optimum, the order of the deviations still depends on the start.
    """
    items = one_spread(num_items)
    votes = unlimited_comparisons(items, tie_share=tie_share)
    starts = 3 if tie_share > 0 and isinstance(family, Normal) else 1
    fit = fit_items(votes, family, num_starts=starts, check_spread=False)
    return AgainstTruth.of(fit, items.utilities[0])


def after_exchanges(number: int, num_items: int) -> float:
    """Rank correlation of a list and itself after so many pairs of neighbours changed places.

    1 - 6 Σd²/(n(n² - 1)), where each exchange adds 2 to Σd² (Spearman 1904).
    """
    return 1 - 12 * number / (num_items * (num_items**2 - 1))


@pytest.mark.parametrize(
    ("link", "num_items"),
    [
        ("probit", 24),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in [("logit", 24), ("probit", 200)]),
        pytest.param("logit", 200, marks=pytest.mark.slow),
    ],
)
def test_ties_at_random_counted_as_halves_become_spread_by_either_link(link: str, num_items: int):
    """P(a ≻ b) then stays between .1 and .9, which no scalar can be and spread can.

    At the best optimum the deviation falls, or rises, with the utility all along the list: of items
    at one end all are uncertain. Where the fit stops, one pair of neighbours in ten, of deviations
    that hardly differ, may have changed places. The order of the means stays right, their distances
    do not.
    """
    learned = without_end(Normal(link), num_items, TIE_SHARE)
    assert 0.93 < learned.correlation < 0.97
    assert learned.rank_correlation > 0.999
    assert abs(learned.rank_correlation_of_std) > after_exchanges(num_items // 10, num_items)
    assert without_end(Point(), num_items, TIE_SHARE).correlation > 0.999


@each_number
@each_link
def test_tails_of_the_logistic_link_alone_hardly_move_the_means(link: str, num_items: int):
    """Utilities of standard deviation 1; `base` is then the truth, and so nearly is the logit."""
    assert without_end(Normal(link), num_items, 0.0).correlation > 0.999
    assert without_end(Point(), num_items, 0.0).correlation > 0.99999


@each_number
def test_with_wide_utilities_the_probit_takes_logistic_tails_for_spread_and_the_logit_does_not(
    num_items: int,
):
    """Up to P = .9999 and more: in the tails log Φ falls like z², so extreme items get spread."""
    items = latent_groups(num_items, (1.0,), scale=4.0, seed=0)
    votes = unlimited_comparisons(items)
    utility = items.utilities[0]
    fits = {link: fit_items(votes, Normal(link), check_spread=False) for link in LINKS}
    std = {link: fit.utility.std for link, fit in fits.items()}
    learned = {link: AgainstTruth.of(fit, utility) for link, fit in fits.items()}
    assert spearmanr(std["probit"], np.abs(utility - utility.mean())).statistic > 0.8
    assert std["probit"].max() > 2 * std["probit"].min()
    plain = fit_items(votes, "base")  # all one σ, which is the truth
    gained = fits["logit"].log_likelihood(votes) - plain.log_likelihood(votes)
    assert abs(gained.sum() / votes.outcomes.weight.sum()) < 1e-9  # nats: no σ is likelier
    assert 0.95 < learned["probit"].correlation < 0.99 < learned["logit"].correlation
    assert min(fit.rank_correlation for fit in learned.values()) > 0.999


@pytest.mark.slow
def test_two_million_comparisons():
    """The figures of the record: means .952 and .966 with the truth, by the scalar family .999."""
    items = one_spread(200)
    votes = draw_comparisons(items, 2_000_000, seed=0, tie_share=TIE_SHARE)
    fits = {
        "base": fit_items(votes, "base"),
        **{link: fit_items(votes, Normal(link), num_starts=8) for link in LINKS},
    }
    learned = {name: AgainstTruth.of(fit, items.utilities[0]) for name, fit in fits.items()}
    assert learned["base"].correlation > 0.999
    for link in LINKS:
        assert 0.94 < learned[link].correlation < 0.97
        assert learned[link].rank_correlation > 0.999
        check = fits[link].spread_check
        assert check is not None
        assert check.explained_by_tails
        # the true model of these votes is one spread, so its extra parameters gain d/2 - d
        assert check.spread_gain < check.tails_gain
        assert "if they are ties at random, leave ties out" in fits[link].warnings[0]
        decided = votes.selected(votes.outcomes.shares[:, 1] == 0)
        left_out = fit_items(decided, Normal(link), check_spread=False)
        correlation = AgainstTruth.of(left_out, items.utilities[0]).correlation
        assert correlation == pytest.approx({"probit": 0.987, "logit": 0.994}[link], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "correlation"),
    [
        ({"ridge": 0.1}, 0.960),
        ({"ridge": 10.0}, 0.994),
        ({"outcome_model": OutcomeModel("threshold", (0.5,)), "learn_outcomes": True}, 0.998),
        ({"outcome_model": OutcomeModel("davidson"), "learn_outcomes": True}, 0.959),
    ],
    ids=["weak ridge", "strong ridge", "threshold", "davidson"],
)
def test_what_a_ridge_and_models_of_ties_make_of_ties_at_random(
    options: dict[str, Any], correlation: float
):
    """The side figures of the record, to the last of its digits."""
    items = one_spread(200)
    votes = draw_comparisons(items, 2_000_000, seed=0, tie_share=TIE_SHARE)
    fit = fit_items(votes, Normal(), check_spread=False, **options)
    learned = AgainstTruth.of(fit, items.utilities[0])
    assert learned.correlation == pytest.approx(correlation, abs=1e-3)


# The check


def check_of(votes: object, family: Normal | None = None) -> SpreadCheck:
    check = fit_items(votes, family or Normal(), max_iterations=150).spread_check
    assert check is not None
    return check


@each_link
@pytest.mark.parametrize("tie_share", [0.0, TIE_SHARE])
def test_spread_that_is_none_is_not_taken_for_evidence(link: str, tie_share: float):
    """Where one spread and some link are right, a spread for each item gains d/2 - d = -d/2.

    Its standard error is √(d/2), so for d = 23 a gain above that of free tails would be 3.4 of
    them; at most 1e-5 nats a comparison are left by the parts of which free tails consist, and 1 to
    2 by their own parameters.
    """
    votes = draw_comparisons(one_spread(24), 50_000, seed=1, tie_share=tie_share)
    check = check_of(votes, Normal(link))
    assert check.spread_gain < check.tails_gain + 1e-5 * len(votes) + len(SCALES)
    assert check.warning


@pytest.mark.parametrize("truth", [0.76, 0.44])
def test_spread_that_differs_is_evidence_and_gains_what_theory_says(truth: float):
    """Normal items: twice the gain in likelihood is noncentral chi-squared (Wald 1943).

    With D the loss of one spread without end, in nats a comparison, and d further parameters, the
    log-likelihood gains nD + d/2, with variance 2nD + d/2; of it d is subtracted.
    """
    items, n = normal_items(24, truth, seed=0), 20_000
    exact = unlimited_comparisons(items)
    exact.outcomes.weight[:] = n / len(exact)
    d = len(items.mean) - 1
    lost = check_of(exact).spread_gain + d
    check = check_of(draw_comparisons(items, n, seed=1))
    assert abs(check.spread_gain - (lost - d / 2)) < 4 * (2 * lost + d / 2) ** 0.5
    assert check.tails_gain < check.spread_gain / 2
    assert check.warning == ""


def test_the_link_says_how_many_ties_are_at_random():
    """Free tails hold the truth: the even part is the share of ties, within what tails may take.

    The logistic part is fitted by normal ones, so the part of no slope is known to some .05.
    """
    votes = unlimited_comparisons(one_spread(24), tie_share=TIE_SHARE)
    votes.outcomes.weight[:] = 1000
    assert check_of(votes).even_share == pytest.approx(TIE_SHARE, abs=0.05)


def test_too_few_votes_say_so():
    votes = draw_comparisons(normal_items(20, 0.5, seed=0), 300, seed=1)
    fit = fit_items(votes, max_iterations=60)
    assert "do not show that items differ in spread" in fit.warnings[-1]
    assert fit.warnings[0] in repr(fit)


def test_a_ridge_changes_the_fit_and_not_the_check():
    """The check is of the likelihood alone, with the fit as a start."""
    votes = draw_comparisons(normal_items(20, 0.5, seed=0), 20_000, seed=1)
    plain, with_ridge = (fit_items(votes, ridge=ridge) for ridge in (0.0, 100.0))
    assert np.abs(plain.raw - with_ridge.raw).max() > 0.1
    checks = [fit.spread_check for fit in (plain, with_ridge)]
    assert checks[0] is not None
    assert checks[1] is not None
    assert checks[1].spread_gain == pytest.approx(checks[0].spread_gain, abs=0.1)
    assert checks[1].tails_gain == pytest.approx(checks[0].tails_gain, abs=1e-3)


def test_other_families_are_not_checked():
    votes = draw_comparisons(normal_items(5, 0.5, seed=0), 300, seed=1)
    for name in ("base", "categorical"):
        fit = fit_items(votes, name, max_iterations=10)
        assert fit.spread_check is None
        assert fit.warnings == ()
