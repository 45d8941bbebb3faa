"""Distributions for a list of items: likelihoods of votes, what a fit keeps, what is refused."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats

from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.distributions import FAMILIES, Family, Normal, Point, SharedContext, make_family
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, ItemFit, fit_items, objective, read_votes
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

NUM_ITEMS = 6
every_family = pytest.mark.parametrize("name", list(FAMILIES))


def votes(num_comparisons: int = 300, *, num_grades: int = 1, seed: int = 0) -> ItemComparisons:
    """Soft labels of all grades, unequal weights, pairs in both orders and some with themselves."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(2 * num_grades + 1), num_comparisons)
    hard = rng.random(num_comparisons) < 0.5
    shares[hard] = np.eye(2 * num_grades + 1)[shares[hard].argmax(1)]
    weight = rng.uniform(0.2, 2.0, num_comparisons)
    outcomes = Outcomes(shares, weight / weight.mean())
    first, second = rng.integers(NUM_ITEMS, size=(2, num_comparisons))
    return ItemComparisons(first, second, outcomes)


def turned_round(comparisons: ItemComparisons) -> ItemComparisons:
    outcomes = comparisons.outcomes
    return ItemComparisons(
        comparisons.second,
        comparisons.first,
        Outcomes(outcomes.shares[:, ::-1].copy(), outcomes.weight),
    )


def fit_of(family: Family, comparisons: ItemComparisons, **options: Any) -> ItemFit:
    return fit_items(comparisons, family, num_items=NUM_ITEMS, check_spread=False, **options)


def anything(family: Family, model: OutcomeModel = DEFAULT_OUTCOME_MODEL) -> ItemFit:
    """Outputs of no particular data."""
    raw = np.random.default_rng(1).normal(size=(NUM_ITEMS, family.num_outputs))
    return ItemFit(family, model, raw, converged=True)


# Votes


MODELS = {
    "half": OutcomeModel(),
    "threshold": OutcomeModel("threshold", (0.2,)),
    "davidson": OutcomeModel("davidson", davidson=0.7),
    "two strengths": OutcomeModel("threshold", (0.1, 0.3)),
    "three strengths": OutcomeModel("threshold", (0.1, 0.3, 0.6)),
}


@every_family
@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_votes_summed_over_pairs_are_as_likely(name: str, model: OutcomeModel):
    comparisons = votes(num_grades=model.num_grades)
    fit = anything(make_family(name), model)
    summed = comparisons.summed()
    assert len(summed) <= NUM_ITEMS**2
    each, together = (fit.log_likelihood(c).mean() for c in (comparisons, summed))
    assert together == pytest.approx(each, rel=1e-9)


@every_family
def test_the_order_of_two_items_says_nothing(name: str):
    model = MODELS["three strengths"]
    comparisons = votes(num_grades=3)
    fit = anything(make_family(name), model)
    np.testing.assert_allclose(
        fit.log_likelihood(comparisons), fit.log_likelihood(turned_round(comparisons)), rtol=1e-9
    )


def test_turned_round_comparisons_have_the_same_sums_and_the_same_fit():
    comparisons = votes()
    one, other = comparisons.summed(), turned_round(comparisons).summed()
    np.testing.assert_array_equal(one.first, other.first)
    np.testing.assert_array_equal(one.second, other.second)
    np.testing.assert_allclose(one.outcomes.shares, other.outcomes.shares, atol=1e-12)
    np.testing.assert_allclose(
        fit_of(Point(), comparisons).raw, fit_of(Point(), turned_round(comparisons)).raw, atol=1e-5
    )


def test_summed_votes_are_wins_and_ties_of_the_first():
    """Two wins of 0 over 1, one of 1 over 0 and a tie; grades: loss, tie, win."""
    shares = np.array([[0, 0, 1.0], [1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    comparisons = ItemComparisons(
        np.array([0, 1, 1, 1]), np.array([1, 0, 0, 0]), Outcomes(shares, np.ones(4))
    )
    summed = comparisons.summed()
    assert summed.first.tolist() == [0, 1]
    assert summed.second.tolist() == [1, 0]
    np.testing.assert_allclose(summed.outcomes.shares, [[0, 1 / 3, 2 / 3], [0, 0, 1]])
    np.testing.assert_allclose(summed.outcomes.weight, [3 / 2, 1 / 2])


def test_sums_need_not_be_summed_again():
    once = votes().summed()
    twice = once.summed()
    np.testing.assert_array_equal(once.first, twice.first)
    np.testing.assert_allclose(once.outcomes.shares, twice.outcomes.shares, atol=1e-12)
    np.testing.assert_allclose(once.outcomes.weight, twice.outcomes.weight)


def test_selected_comparisons_weigh_one_on_average():
    comparisons = votes(20)
    kept = comparisons.selected(np.arange(5))
    assert len(kept) == 5
    assert kept.outcomes.weight.mean() == pytest.approx(1.0)
    ratio = kept.outcomes.weight / comparisons.outcomes.weight[:5]
    np.testing.assert_allclose(ratio, ratio[0])


# Fits


def counts() -> tuple[np.ndarray, ItemComparisons]:
    """Wins of rows over columns, 5 to 15 for each, and the same one by one."""
    wins = np.random.default_rng(0).integers(5, 16, (NUM_ITEMS, NUM_ITEMS))
    np.fill_diagonal(wins, 0)
    winner, loser = np.nonzero(wins)
    times = wins[winner, loser]
    return wins, ItemComparisons.won(np.repeat(winner, times), np.repeat(loser, times))


def test_base_satisfies_the_likelihood_equations_of_bradley_and_terry():
    """Each item wins as often as it is expected to (Bradley and Terry 1952)."""
    wins, comparisons = counts()
    fit = fit_of(Point(), comparisons)
    assert fit.converged
    expected = ((wins + wins.T) * fit.prob_matrix()).sum(1)
    np.testing.assert_allclose(expected, wins.sum(1), atol=1e-7 * wins.sum())


def test_the_fit_is_that_of_another_optimiser():
    """On 500 votes a pair of well-determined items: with few votes there are several optima."""
    rng = np.random.default_rng(0)
    mean, std = np.linspace(-1, 1, NUM_ITEMS), np.linspace(0.5, 1.5, NUM_ITEMS)
    first, second = np.triu_indices(NUM_ITEMS, 1)
    z = (mean[first] - mean[second]) / np.hypot(std[first], std[second])
    wins = np.zeros((NUM_ITEMS, NUM_ITEMS))
    wins[first, second] = rng.binomial(500, scipy.stats.norm.cdf(z))
    wins[second, first] = 500 - wins[first, second]
    winner, loser = np.nonzero(wins)
    times = wins[winner, loser].astype(int)
    comparisons = ItemComparisons.won(np.repeat(winner, times), np.repeat(loser, times))

    def loss(values: np.ndarray) -> float:
        mean, spread = values[:NUM_ITEMS], np.exp(values[NUM_ITEMS:])
        z = (mean[:, None] - mean) / np.hypot(spread[:, None], spread)
        return -(wins * scipy.stats.norm.logcdf(z)).sum() / wins.sum()

    best = scipy.optimize.minimize(loss, np.zeros(2 * NUM_ITEMS))
    fit = fit_of(Normal(), comparisons)
    found = -fit.log_likelihood(comparisons).mean()
    assert found == pytest.approx(best.fun, abs=1e-7)


@every_family
def test_a_list_of_pairs_and_a_matrix_of_all_give_one_fit(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """After ten steps, rounding apart: the same loss is descended, ties and grades included."""
    model = OutcomeModel("threshold", (0.1, 0.3, 0.6))
    comparisons = votes(num_grades=3)
    fits = []
    for share in (0.0, 2.0):
        monkeypatch.setattr(objective, "TABLE_FROM", share)
        fits.append(
            fit_of(make_family(name), comparisons, outcome_model=model, max_iterations=10).raw
        )
    np.testing.assert_allclose(fits[0], fits[1], atol=1e-6)


def test_a_matrix_does_not_mind_cells_without_votes(monkeypatch: pytest.MonkeyPatch):
    """An unseen outcome may be impossible: its log-probability of -inf has no gradient."""
    monkeypatch.setattr(objective, "TABLE_FROM", 0.0)
    chain = ItemComparisons.won(np.arange(NUM_ITEMS - 1), np.arange(1, NUM_ITEMS))
    for name in FAMILIES:
        fit = fit_of(make_family(name), chain, ridge=0.1, max_iterations=50)
        assert np.isfinite(fit.raw).all()
        assert (fit.prob_matrix()[chain.first, chain.second] > 0.5).all()


def test_weights_are_numbers_of_votes():
    comparisons = ItemComparisons.won(np.array([0, 1, 2, 1, 0]), np.array([1, 0, 1, 2, 2]))
    times = np.array([3, 1, 2, 2, 1])
    outcomes = comparisons.outcomes
    weighted = ItemComparisons(
        comparisons.first, comparisons.second, Outcomes(outcomes.shares, times / times.mean())
    )
    repeated = comparisons.selected(np.repeat(np.arange(5), times))
    fits = [fit_items(c, Point(), num_items=3) for c in (weighted, repeated)]
    np.testing.assert_allclose(fits[0].raw, fits[1].raw, atol=1e-5)


def test_an_item_without_comparisons_goes_to_0_with_a_ridge():
    comparisons = ItemComparisons.won(np.array([0, 0, 1]), np.array([1, 1, 0]))
    fit = fit_items(comparisons, Point(), num_items=3, ridge=1.0)
    assert fit.raw[2, 0] == pytest.approx(0.0, abs=1e-6)


@every_family
def test_more_ridge_shrinks_more(name: str):
    sizes = [
        (fit_of(make_family(name), counts()[1], ridge=ridge, max_iterations=100).raw ** 2).sum()
        for ridge in (0.1, 1.0, 10.0, 1e6)
    ]
    assert all(weak > strong for weak, strong in itertools.pairwise(sizes))
    assert sizes[-1] < 1e-6


def test_the_ridge_is_a_normal_prior():
    """One item always wins, n times: d log posterior = 0 is n σ(-2u) = ridge · u."""
    n, ridge = 20, 0.5
    comparisons = ItemComparisons.won(np.zeros(n, dtype=int), np.ones(n, dtype=int))
    fit = fit_items(comparisons, Point(), num_items=2, ridge=ridge)
    utility = fit.raw[0, 0]
    assert n / (1 + np.exp(2 * utility)) == pytest.approx(ridge * utility, abs=1e-5)
    assert fit.raw[1, 0] == pytest.approx(-utility, abs=1e-5)


def test_too_few_iterations_do_not_converge():
    assert not fit_of(Point(), counts()[1], max_iterations=1).converged


def test_the_best_of_several_starts_is_kept():
    _, comparisons = counts()
    losses = [
        -fit_of(SharedContext(), comparisons, num_starts=starts, max_iterations=40)
        .log_likelihood(comparisons)
        .mean()
        for starts in (1, 2, 4)
    ]
    assert losses[0] >= losses[1] >= losses[2]


def test_a_fit_is_that_of_its_seed():
    first, again, other = (
        fit_of(Normal(), counts()[1], seed=seed, max_iterations=5).raw for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_matrix_of_preferences_is_complete():
    prob = anything(Normal()).prob_matrix()
    np.testing.assert_allclose(prob + prob.T, 1.0)
    np.testing.assert_allclose(np.diag(prob), 0.5)


# What votes determine


def won(*pairs: str) -> list[dict[str, str]]:
    """Of "ab", a won against b; of "a=b", neither."""
    return [
        {"first": pair[0], "second": pair[-1], "winner": "tie" if "=" in pair else pair[0]}
        for pair in pairs
    ]


def names_of(fit: ItemFit, items: Iterable[int]) -> str:
    return "".join(str(fit.names[item]) for item in items)


def tiers_of(fit: ItemFit) -> list[list[str]]:
    assert fit.win_graph is not None
    return [[names_of(fit, sorted(tier)) for tier in tiers] for tiers in fit.win_graph.tiers]


def test_two_items_are_apart_by_their_log_odds():
    fit = fit_items(won(*["ab"] * 7, *["ba"] * 2), "base")
    mean = fit.to_frame().set_index("item")["mean"]
    assert fit.converged
    assert not fit.warnings
    assert mean["a"] - mean["b"] == pytest.approx(np.log(7 / 2), abs=1e-5)


@pytest.mark.parametrize("name", ["base", "categorical"])
@pytest.mark.parametrize(
    ("pairs", "tiers"),
    [
        (["ab", "bc", "ca"], [["abc"]]),
        (["ab", "bc", "a=c"], [["abc"]]),
        (["ab", "bc", "ac"], [["a", "b", "c"]]),
        (["ab", "ba", "bc", "ac"], [["ab", "c"]]),
        (["ab", "ba", "cb", "da"], [["c", "d", "ab"]]),
        (["ab", "bc", "ca", "x=y"], [["abc"], ["xy"]]),
        (["ab", "bc", "ca", "xy"], [["abc"], ["x", "y"]]),
    ],
)
def test_what_votes_leave_open_is_named(name: str, pairs: list[str], tiers: list[list[str]]):
    fit = fit_items(won(*pairs), name, max_iterations=20, check_spread=False)
    found = tiers_of(fit)
    assert sorted(map(sorted, found)) == sorted(map(sorted, tiers))
    assert [len(part) for part in found] == [len(part) for part in tiers]
    determined = tiers == [["abc"]]
    if not determined:
        assert not fit.converged
    text = " ".join(fit.warnings)
    assert ("Not identified" in text) == (len(tiers) > 1)
    assert ("No finite fit" in text) == any(len(part) > 1 for part in tiers)
    if len(tiers) > 1:
        assert "2 parts of the items: (a, b, c), (x, y)." in text
    assert ("ridge=1" in text) == (not determined)
    assert text in " ".join(repr(fit).splitlines())


@pytest.mark.parametrize("seed", [0, 1])
def test_separable_votes_do_not_converge_whatever_the_number_of_steps(seed: int):
    for steps in (20, 500):
        fit = fit_items(won("ab", "bc"), "base", max_iterations=steps, seed=seed)
        assert not fit.converged
        assert "(a) > (b) > (c)" in fit.warnings[0]


def test_items_never_compared_are_named():
    fit = fit_items(won("ab", "ba", "ac", "ca"), "base")
    assert fit.converged
    comparisons = ItemComparisons.won(np.array([0, 1]), np.array([1, 0]))
    fit = fit_items(comparisons, "base", num_items=4)
    assert not fit.converged
    assert "3 parts of the items: (0, 1), (2), (3)." in fit.warnings[0]
    known = np.isfinite(fit.prob_matrix())
    np.testing.assert_array_equal(
        known, np.eye(4, dtype=bool) | (np.add.outer(*[np.arange(4)] * 2) == 1)
    )


def test_where_votes_say_nothing_of_two_items_p_is_not_a_number():
    """c beat a and b, d beat b: of c and d nothing is known, nor of x and the others."""
    fit = fit_items(won("ab", "ba", "ca", "cb", "db", "xy", "yx"), "base")
    table = pd.DataFrame(fit.prob_matrix(), index=fit.items, columns=fit.items)
    assert table.loc["c", "a"] > 0.99
    assert table.loc["a", "b"] == pytest.approx(0.5, abs=1e-5)
    assert table.loc["x", "y"] == pytest.approx(0.5, abs=1e-5)
    assert table.isna().loc[["c", "d", "x"], ["d", "c", "a"]].to_numpy().diagonal().all()


def test_a_strength_that_is_not_the_largest_bounds_a_difference():
    def fit(strength: int) -> ItemFit:
        rows = [{"first": "a", "second": "b", "winner": "a", "strength": strength}]
        rows += [{"first": "b", "second": "c", "winner": "tie", "strength": 0}]
        rows += [{"first": "b", "second": "c", "winner": "b", "strength": 2}]
        return fit_items(rows, "base", outcome_model=MODELS["two strengths"])

    assert tiers_of(fit(2)) == [["a", "bc"]]
    assert tiers_of(fit(1)) == [["abc"]]
    assert fit(1).converged


@pytest.mark.parametrize("pairs", [["ab", "bc", "ac"], ["ab", "ba", "ab", "xy", "zy"]])
def test_with_a_ridge_there_is_one_fit_and_it_is_that_of_another_optimiser(pairs: list[str]):
    ridge = 0.7
    comparisons = read_votes(won(*pairs))
    winner, loser = np.where(
        comparisons.outcomes.win_share > 0.5,
        [comparisons.first, comparisons.second],
        [comparisons.second, comparisons.first],
    )

    def minus_log_posterior(utility: np.ndarray) -> float:
        margins = utility[winner] - utility[loser]
        return np.log1p(np.exp(-margins)).sum() + ridge / 2 * (utility**2).sum()

    start = np.zeros(comparisons.num_items)
    expected = scipy.optimize.minimize(minus_log_posterior, start, tol=1e-10).x
    for seed in range(3):
        fit = fit_items(comparisons, "base", ridge=ridge, seed=seed)
        assert fit.converged
        np.testing.assert_allclose(fit.raw[:, 0], expected, atol=1e-5)
        assert np.isfinite(fit.prob_matrix()).all()
    assert any("Not identified" in said for said in fit.warnings) == ("xy" in pairs)
    said = [each for each in fit.warnings if not each.startswith("Intervals of items")]
    assert all("ridge's alone" in warning for warning in said)


def test_many_items_are_counted_not_all_named():
    fit = fit_items(ItemComparisons.won(np.arange(19), np.arange(1, 20)), "base", max_iterations=5)
    assert "(4) > (5, 6, 7, 8, 9, 10 and 9 more)" in fit.warnings[0]


# Votes with names


WON = [("tea", "soap")] * 3 + [("soap", "tea"), ("tea", "milk"), ("milk", "soap"), ("milk", "tea")]


def outcomes_of_first(comparisons: ItemComparisons) -> dict[tuple[Any, Any], float]:
    """Votes for the first of each pair of names, ties half, in the order of the names."""
    total: dict[tuple[Any, Any], float] = {}
    columns = comparisons.first, comparisons.second, comparisons.outcomes.win_share
    for first, second, share, weight in zip(*columns, comparisons.outcomes.weight, strict=True):
        a, b = comparisons.names[first], comparisons.names[second]
        total[a, b] = total.get((a, b), 0.0) + weight * share
        total[b, a] = total.get((b, a), 0.0) + weight * (1 - share)
    return total


LAYOUTS: dict[str, list[dict[str, Any]]] = {
    "winner and loser": [{"winner": a, "loser": b} for a, b in WON],
    "the winner by name": [{"first": a, "second": b, "winner": a} for a, b in WON],
    "the winner by column": [{"item_a": b, "item_b": a, "winner": "item_b"} for a, b in WON],
    "as preference data": [{"chosen": a, "rejected": b} for a, b in WON],
    "votes": [
        {"first": "tea", "second": "soap", "wins": 3, "losses": 1},
        {"first": "milk", "second": "tea", "wins": 1, "losses": 1},
        {"first": "milk", "second": "soap", "wins": 1, "losses": 0},
    ],
}


@pytest.mark.parametrize("rows", LAYOUTS.values(), ids=list(LAYOUTS))
def test_votes_in_any_layout_are_the_same_comparisons(rows: list[dict[str, Any]]):
    expected = {("tea", "soap"): 3, ("soap", "tea"): 1, ("tea", "milk"): 1, ("milk", "tea"): 1}
    expected |= {("milk", "soap"): 1, ("soap", "milk"): 0}
    for votes in (rows, load_comparisons(rows) if "chosen" in rows[0] else pd.DataFrame(rows)):
        assert outcomes_of_first(read_votes(votes)) == pytest.approx(expected)


def test_items_keep_their_names_of_any_type():
    votes = [{"first": 7, "second": 9, "winner": 9}, {"first": 9, "second": 2.5, "winner": "tie"}]
    fit = fit_items(votes, "base", ridge=1.0)
    assert set(fit.items) == {7, 9, 2.5}
    assert fit.to_frame()["item"].tolist()[0] == 9


def test_two_items_of_one_name_are_refused():
    with pytest.raises(UserError, match=r"two items are called '1': 1 and '1'"):
        read_votes([{"winner": 1, "loser": 2}, {"winner": "1", "loser": 2}])


def test_a_ranking_counts_as_its_pairs_of_weight_2_over_k():
    comparisons = read_votes([{"responses": ["x", "y", "z"], "ranking": [2, 0, 1]}])
    expected = {("z", "x"): 2 / 3, ("z", "y"): 2 / 3, ("x", "y"): 2 / 3}
    expected |= {(loser, winner): 0.0 for winner, loser in expected}
    assert outcomes_of_first(comparisons) == pytest.approx(expected)
    assert comparisons.ballots is not None
    assert comparisons.ballots.tolist() == [0, 0, 0]


def test_strengths_are_read_and_their_thresholds_learned():
    rng = np.random.default_rng(0)
    rows = [
        {"first": "abc"[i], "second": "abc"[j], "winner": "abc"[min(i, j)], "strength": strength}
        for i, j in itertools.permutations(range(3), 2)
        for strength in rng.integers(1, 3, 20).tolist()
    ]
    fit = fit_items(rows, "base", ridge=1.0)
    assert fit.outcome_model.num_grades == 2
    assert fit.outcome_model.thresholds != (0.5,)  # where they start


def test_a_fit_of_names_is_that_of_numbers():
    _, comparisons = counts()
    names = [f"item {number}" for number in range(NUM_ITEMS)]
    columns = comparisons.first, comparisons.second
    rows = [{"winner": names[a], "loser": names[b]} for a, b in zip(*columns, strict=True)]
    by_name = fit_items(rows, "base").to_frame().set_index("item")["mean"][names]
    by_number = fit_of(Point(), comparisons).utility.mean
    np.testing.assert_allclose(by_name, by_number, atol=1e-4)


@every_family
def test_a_table_has_each_item_once_best_first(name: str):
    fit = anything(make_family(name))
    table = fit.to_frame([0.25, 0.75])
    utility = fit.utility
    assert sorted(table["item"]) == list(range(NUM_ITEMS))
    if fit.has_free_levels:
        assert "mean" not in table
    else:
        assert table["mean"].is_monotonic_decreasing
        spread = [] if utility.is_scalar else ["std", "quantile_0.25", "quantile_0.75"]
        assert list(table) == ["item", "mean", *spread]
    if "std" in table:
        np.testing.assert_allclose(table["std"], np.asarray(utility.std)[table["item"]])
    assert f"{NUM_ITEMS} items, family {name}" in repr(fit)
    assert fit._repr_html_().count("<tr") == NUM_ITEMS + 1


# Refusals


@pytest.mark.parametrize("items", [[0, NUM_ITEMS], [-1, 0]])
def test_an_item_out_of_range_is_refused(items: list[int]):
    with pytest.raises(UserError, match=r"not within 0 to 5"):
        fit_of(Point(), ItemComparisons.won(np.array(items), np.array([1, 1])))


@pytest.mark.parametrize("sizes", [(2, 3, 2), (2, 2, 1), (0, 0, 0)])
def test_lists_of_other_lengths_are_refused(sizes: tuple[int, int, int]):
    first, second, weight = sizes
    outcomes = Outcomes(np.tile([0, 0, 1.0], (weight, 1)), np.ones(weight))
    with pytest.raises(UserError, match="give one each"):
        ItemComparisons(np.zeros(first, dtype=int), np.ones(second, dtype=int), outcomes)


def test_thresholds_beyond_all_differences_are_refused():
    """A histogram on [0, 1] is never ahead by 1.5, so a win is impossible and its loss infinite."""
    with pytest.raises(UserError, match="thresholds may be larger"):
        fit_of(
            make_family("categorical"),
            counts()[1],
            outcome_model=OutcomeModel("threshold", (1.5,)),
        )


@pytest.mark.parametrize(
    ("shares", "weight"),
    [
        ([0, 0, np.nan], 1.0),
        ([0, 0.5, 0], 1.0),
        ([-1, 0, 2], 1.0),
        ([0, 0, 1], np.nan),
        ([0, 0, 1], np.inf),
        ([0, 0, 1], -1.0),
    ],
)
def test_votes_that_are_no_shares_are_refused(shares: list[float], weight: float):
    outcomes = Outcomes(np.array([[0, 0, 1.0], shares]), np.array([1.0, weight]))
    with pytest.raises(UserError, match=r"comparison 1 has shares .* give shares that sum to 1"):
        ItemComparisons(np.array([0, 1]), np.array([1, 0]), outcomes)


def test_items_that_are_not_numbered_by_integers_are_refused():
    with pytest.raises(UserError, match=r"items are float64; give their numbers"):
        ItemComparisons.won(np.array([0.0, 1.5]), np.array([1, 0]))


@pytest.mark.parametrize("item", [None, np.nan, pd.NA, ["a"], {}])
def test_an_item_without_a_name_is_refused(item: Any):
    with pytest.raises(UserError, match=r"column 'second' is .*; give what the item is called"):
        read_votes([{"first": "a", "second": item, "winner": "a"}])


@pytest.mark.parametrize(
    "options", [{"ridge": -1.0}, {"ridge": np.nan}, {"max_iterations": 0}, {"num_starts": 0}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]):
    with pytest.raises(UserError, match=f"{next(iter(options))} is .*; give a"):
        fit_of(Point(), counts()[1], **options)
