"""Sandwich intervals, against matrices written out and by coverage; how near a fit is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from scipy import stats
from simulated_items import draw_comparisons, latent_groups, normal_items

from hidden_context.distributions import Normal, Point
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, fit_items
from hidden_context.items.normal_objective import NormalPairs
from hidden_context.items.objective import AnyFamily, BradleyTerry
from hidden_context.items.summed_votes import summed_votes
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import OutcomeModel


def votes(num_items: int, number: int, *, people: int | None = None) -> ItemComparisons:
    rng = np.random.default_rng(0)
    utility = rng.normal(size=num_items)
    first = rng.integers(num_items, size=number)
    second = (first + rng.integers(1, num_items, size=number)) % num_items
    win = (rng.random(number) < 1 / (1 + np.exp(utility[second] - utility[first]))).astype(float)
    win[rng.random(number) < 0.2] = 0.5
    who = None if people is None else [str(v) for v in rng.integers(people, size=number)]
    return ItemComparisons.decided(first, second, win, annotators=who)


@pytest.mark.parametrize("people", [None, 30])
def test_of_base_it_is_the_sandwich_of_a_logistic_regression(people: int | None):
    """H⁻¹ M H⁻¹ with a row a comparison, H and M written out; halves are outcomes of ½."""
    number, size = 1500, 6
    made = votes(size, number, people=people)
    fit = fit_items(made, "base")
    rows = np.zeros((number, size))
    rows[np.arange(number), made.first], rows[np.arange(number), made.second] = 1, -1
    prob = 1 / (1 + np.exp(-rows @ fit.raw[:, 0]))
    scores = rows * (made.outcomes.win_share - prob)[:, None]
    bread = np.linalg.pinv(rows.T @ (rows * (prob * (1 - prob))[:, None]), rcond=1e-9)
    if people is not None:
        assert made.annotators is not None
        by_person = np.zeros((people, size))
        np.add.at(by_person, np.array(made.annotators, int), scores)
        scores = by_person * (people / (people - 1)) ** 0.5
    expected = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
    mean = fit.moments()[0]
    np.testing.assert_allclose(mean.high - mean.value, expected * fit.uncertainty.critical, 1e-6)


def rows_of(made: ItemComparisons, weight: np.ndarray) -> list[dict[str, Any]]:
    """As a table has them, with a column of weights."""
    columns = made.first.tolist(), made.second.tolist(), made.outcomes.win_share, weight
    sides = {1.0: "first", 0.5: "tie", 0.0: "second"}
    return [
        {"first": f"i{a}", "second": f"i{b}", "winner": sides[float(win)], "weight": float(own)}
        for a, b, win, own in zip(*columns, strict=True)
    ]


def half_widths(votes: Any, family: str = "base", **options: Any) -> np.ndarray:
    table = fit_items(votes, family, check_spread=False, **options).to_frame().sort_values("item")
    return (table["mean_high"] - table["mean_low"]).to_numpy() / 2


def test_with_weights_it_is_the_sandwich_of_a_weighted_logistic_regression():
    """H has w s s', M w² s s', of a vote a row; a row of n votes of weight w has n w² s s'."""
    number, size = 1500, 6
    made, rng = votes(size, number), np.random.default_rng(2)
    weight = rng.lognormal(size=number)
    rows = rows_of(made, weight)
    fit = fit_items(rows, "base")
    assert fit.comparisons is not None
    design, each = np.zeros((number, size)), np.arange(number)
    design[each, fit.comparisons.first], design[each, fit.comparisons.second] = 1, -1
    prob = 1 / (1 + np.exp(-design @ fit.raw[:, 0]))
    scores = design * (weight * (fit.comparisons.outcomes.win_share - prob))[:, None]
    bread = np.linalg.pinv(design.T @ (design * (weight * prob * (1 - prob))[:, None]), rcond=1e-9)
    expected = stats.norm.ppf(0.975) * np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
    mean = fit.moments()[0]
    np.testing.assert_allclose(mean.high - mean.value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["base", "mean_and_variance"])
def test_a_common_factor_of_weights_changes_nothing(name: str):
    made, rng = votes(4, 200), np.random.default_rng(3)
    for weight in (np.ones(200), rng.uniform(0.1, 3, 200)):
        once = half_widths(rows_of(made, weight), name, ridge=1.0)
        for factor in (0.01, 4.0, 1e6):
            often = half_widths(rows_of(made, factor * weight), name, ridge=1.0)
            np.testing.assert_allclose(often, once, rtol=1e-4)


def test_counts_of_votes_are_as_many_independent_votes():
    """A row of 7 votes against 3 is ten rows; each row's weight is that of each of its votes."""
    rng, single, counted = np.random.default_rng(4), [], []
    for a, b in [("x", "y"), ("y", "z"), ("z", "x"), ("y", "x")]:
        wins, losses, weight = int(rng.integers(4, 9)), int(rng.integers(2, 6)), rng.uniform(0.2, 3)
        pair = {"first": a, "second": b, "weight": weight}
        counted.append(pair | {"wins": wins, "losses": losses})
        single += [pair | {"winner": "first"}] * wins + [pair | {"winner": "second"}] * losses
    for without in (set(), {"weight"}):
        of_counts, of_votes = (
            [{name: row[name] for name in row if name not in without} for row in rows]
            for rows in (counted, single)
        )
        np.testing.assert_allclose(half_widths(of_counts), half_widths(of_votes), rtol=1e-5)


def test_weighted_intervals_hold_the_truth_as_often_as_they_say():
    """100 sets of 600 votes on 5 items, weights of .2 and 3 at random; taken for counts: .76.

    Within four standard errors of .95, were pairs of a set one (4 · √(.95 · .05/100) = .087).
    """
    rng, held = np.random.default_rng(5), []
    utility = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    truth = 1 / (1 + np.exp(utility - utility[:, None]))
    for _ in range(100):
        first = rng.integers(5, size=600)
        second = (first + rng.integers(1, 5, size=600)) % 5
        win = (rng.random(600) < truth[first, second]).astype(float)
        weight = rng.choice([0.2, 3.0], 600)
        made = ItemComparisons.decided(first, second, win)
        outcomes = replace(made.outcomes, weight=weight)
        pairs = fit_items(replace(made, outcomes=outcomes, importance=weight), "base").preferences[
            0
        ]
        held.append(((pairs.low <= truth) & (truth <= pairs.high))[np.triu_indices(5, 1)].mean())
    assert np.mean(held) == pytest.approx(0.95, abs=0.087)


@pytest.mark.parametrize("family", [Normal(), Normal("logit"), Normal("paper"), Point()])
def test_closed_forms_are_those_of_automatic_differentiation(family: Normal | Point):
    summed = summed_votes(votes(5, 400), 5)
    slow = AnyFamily(LearnedLikelihood(family), summed, 0.5)
    if isinstance(family, Normal):
        quick = NormalPairs(family, OutcomeModel(), summed, 0.5)
    else:
        quick = BradleyTerry(summed, 0.5)
    x = np.random.default_rng(1).normal(size=slow.num_parameters)
    assert quick.value(x) == pytest.approx(slow.value(x), rel=1e-12)
    np.testing.assert_allclose(quick.gradient(x), slow.gradient(x), atol=1e-9)
    np.testing.assert_allclose(quick.derivatives(x)[1], slow.derivatives(x)[1], atol=1e-5)
    seen = slow.votes[:, :, None] > 0
    np.testing.assert_allclose(
        quick.scores_by_pair(x) * seen, slow.scores_by_pair(x) * seen, atol=1e-9
    )


def test_intervals_hold_the_truth_where_people_answer_alike():
    """Two groups of people and their own noise: clustered intervals of P hold it as they say.

    60 sets of votes of 6 items, 15 pairs each: within four standard errors of .95 at the 60 sets,
    were pairs of a set one (4 · √(.95 · .05/60) = .113).
    """
    truth = latent_groups(6, (0.5, 0.5), 1.0, seed=0)
    limit = fit_items(_exact(truth.prob_matrix()), "base").prob_matrix()
    rng, held = np.random.default_rng(1), []
    for _ in range(60):
        group = np.repeat(rng.integers(2, size=80), 20)
        first = rng.integers(6, size=len(group))
        second = (first + rng.integers(1, 6, size=len(group))) % 6
        ahead = truth.utilities[group, first] - truth.utilities[group, second]
        win = (rng.random(len(group)) < 1 / (1 + np.exp(-ahead))).astype(float)
        who = [str(number // 20) for number in range(len(group))]
        pairs = fit_items(
            ItemComparisons.decided(first, second, win, annotators=who), "base"
        ).preferences[0]
        held.append(((pairs.low <= limit) & (limit <= pairs.high))[np.triu_indices(6, 1)].mean())
    assert np.mean(held) == pytest.approx(0.95, abs=0.113)


def _exact(prob: np.ndarray) -> ItemComparisons:
    """All pairs with exact shares of wins."""
    from hidden_context.likelihood.outcomes import Outcomes

    first, second = np.triu_indices(len(prob), 1)
    wins = prob[first, second]
    shares = np.stack([1 - wins, 0 * wins, wins], 1)
    return ItemComparisons(first, second, Outcomes(shares, np.ones(len(wins))))


@pytest.mark.parametrize(
    "name",
    [
        "mean_and_variance",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("categorical", "shared_context")),
    ],
)
def test_intervals_of_other_families_are_as_wide_as_estimates_vary(name: str):
    """Over 40 sets of votes, the deviation of log-odds against the mean standard error.

    A deviation from 40 draws is known to 1/√80 = 11 %; four of these.
    """
    truth = normal_items(4, 0.6, seed=1)
    odds, errors = [], []
    for seed in range(40):
        fit = fit_items(
            draw_comparisons(truth, 600, seed=seed), name, ridge=1.0, check_spread=False
        )
        pairs = fit.preferences[0]
        low, value, high = (
            np.log(p / (1 - p))[0, 1:] for p in (pairs.low, pairs.value, pairs.high)
        )
        odds.append(value)
        errors.append((high - low) / 2 / fit.uncertainty.critical)
    ratio = np.std(odds, axis=0, ddof=1).mean() / np.mean(errors)
    assert ratio == pytest.approx(1.0, abs=0.44)


def test_converged_means_near_the_exact_maximum_with_5000_items():
    """Against another optimiser, to tolerances far below what is claimed."""
    made = votes(5000, 100_000)
    fit = fit_items(made, "base", ridge=0.1)
    assert fit.converged
    wins = made.outcomes.win_share

    def loss(utility: np.ndarray) -> tuple[float, np.ndarray]:
        ahead = utility[made.first] - utility[made.second]
        value = np.logaddexp(0, -ahead) @ wins + np.logaddexp(0, ahead) @ (1 - wins)
        slope = 1 / (1 + np.exp(-ahead)) - wins
        gradient = np.bincount(made.first, slope, 5000) - np.bincount(made.second, slope, 5000)
        return value + 0.05 * utility @ utility, gradient + 0.1 * utility

    options = {"gtol": 1e-7, "ftol": 0.0, "maxiter": 2000, "maxcor": 30}
    start = np.zeros(5000)
    exact = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    assert np.abs(fit.raw[:, 0] - exact).max() < 1e-5 * exact.std()


def test_items_of_one_or_two_votes_are_named():
    """By numbers of votes, whatever each counts: two rows of weight 5 are two votes."""
    often = [{"first": a, "second": b, "winner": a} for a, b in ("xy", "yz", "zx") * 3]
    row = {"first": "x", "second": "rare", "winner": "x", "weight": 5.0}
    fit = fit_items([each | {"weight": 1.0} for each in often] + [row] * 2, "base", ridge=1.0)
    assert [said for said in fit.warnings if said.endswith("too narrow: rare.")]
    assert not fit_items(often, "base").warnings


def test_what_has_no_intervals_says_why():
    made = votes(4, 200)
    one = ItemComparisons(made.first, made.second, made.outcomes, annotators=("me",) * len(made))
    with pytest.raises(UserError, match="one person made all comparisons"):
        fit_items(one, "base").to_frame()
    assert "mean_low" not in fit_items(one, "base").to_frame(intervals=False)
