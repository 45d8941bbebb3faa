"""The interval of a rate against Wilson's formula, repeated rows, and its own coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.rates import agreement_of, rate_of_higher, wilson


def numbers(estimate: Estimate) -> tuple[float, float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


def roots(p: float, n: float, quantile: float) -> list[float]:
    """Rates π that are `quantile` standard errors √(π(1 - π)/n) from p: Wilson's definition."""
    t2 = quantile**2 / n
    return sorted(np.roots([1 + t2, -2 * p - t2, p * p]).real.tolist())


def test_rows_of_their_own_prompts_have_wilsons_interval_of_one_row_less() -> None:
    """Var of the mean is p(1 - p)/(n - 1), estimated; so its quantile is Student's."""
    for wins, n in ((3, 7), (50, 187), (98, 187), (1, 40)):
        rate = wilson(np.arange(n) < wins, np.arange(n))
        low, high = roots(wins / n, n - 1, stats.t(n - 1).ppf(0.975))
        assert numbers(rate) == pytest.approx((wins / n, low, high))
        assert (rate.how, rate.level) == (f"Wilson, {n} prompts", 0.95)


def test_with_many_rows_it_is_scipys_interval() -> None:
    rate = wilson(np.arange(100_000) < 31_000, np.arange(100_000))
    expected = stats.binomtest(31_000, 100_000).proportion_ci(0.95, method="wilson")
    assert numbers(rate)[1:] == pytest.approx((expected.low, expected.high), abs=1e-7)


@pytest.mark.parametrize("success", [0, 1])
def test_where_all_rows_are_equal_the_prompts_count_by_kish(success: int) -> None:
    """Of equal weights all n count: scipy's interval at the level whose z is Student's quantile."""
    rate = wilson(np.full(9, success), np.arange(9))
    level = 2 * stats.norm.cdf(stats.t(8).ppf(0.975)) - 1
    expected = stats.binomtest(9 * success, 9).proportion_ci(level, method="wilson")
    assert numbers(rate) == pytest.approx((success, expected.low, expected.high), abs=1e-12)
    weights = np.array([1.0, 2, 3, 4])
    weighted = wilson(np.full(4, success), np.array([0, 0, 1, 2]), weights=weights)
    of_prompt = np.array([3.0, 3, 4])
    low, high = roots(success, of_prompt.sum() ** 2 / (of_prompt**2).sum(), stats.t(2).ppf(0.975))
    assert numbers(weighted) == pytest.approx((success, low, high), abs=1e-7)


def test_saying_everything_four_times_does_not_narrow_an_interval() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.integers(0, 2, 50), np.ones(50)):
        once = wilson(values, np.arange(50))
        often = wilson(np.tile(values, 4), np.tile(np.arange(50), 4))
        assert numbers(often) == pytest.approx(numbers(once))
        assert often.how == once.how == "Wilson, 50 prompts"


def test_a_row_of_weight_two_counts_as_two_rows_of_its_prompt() -> None:
    """Where rows of a prompt are alike, so that they vary more than independent rows would."""
    rng = np.random.default_rng(1)
    prompts = np.arange(60) // 3
    values = rng.integers(0, 3, 20)[prompts] / 2
    weights = rng.integers(0, 4, 60)
    weights[:3] = 0  # a prompt without votes is none
    repeated = np.repeat(np.arange(60), weights)
    weighted = wilson(values, prompts, weights=weights)
    expected = wilson(values[repeated], prompts[repeated])
    assert numbers(weighted) == pytest.approx(numbers(expected))
    assert weighted.how == expected.how == "Wilson, 19 prompts"
    scaled = wilson(values, prompts, weights=1e-3 * weights)
    assert numbers(scaled) == pytest.approx(numbers(expected))


def test_failures_have_the_turned_interval_of_successes() -> None:
    rng = np.random.default_rng(2)
    values, prompts, weights = rng.random(40), np.arange(40) // 2, rng.exponential(size=40)
    value, low, high = numbers(wilson(values, prompts, weights=weights))
    turned = numbers(wilson(1 - values, prompts, weights=weights))
    assert turned == pytest.approx((1 - value, 1 - high, 1 - low))


def test_one_prompt_says_nothing_about_others() -> None:
    assert numbers(wilson([1, 1, 0.5, 0], ["same"] * 4)) == (0.625, 0, 1)
    assert numbers(wilson([1, 0], ["a", "b"], weights=[1, 0])) == (1, 0, 1)


def covers(rate: Estimate, truth: float) -> bool:
    _, low, high = numbers(rate)
    return low <= truth <= high


@pytest.mark.parametrize(("spread", "truth"), [(1.0, 0.05), (1.5, 0.05), (1.5, 0.5)])
def test_it_covers_where_a_few_rows_hold_most_of_the_weight(spread: float, truth: float) -> None:
    """Lognormal weights; the variance between rows alone covers .877, .745 and .893.

    Of 400 data sets: .95 less four binomial errors, 4 · √(.95 · .05/400) = .044. It may cover more.
    """
    rng = np.random.default_rng(6)
    held = [
        covers(
            wilson(rng.random(100) < truth, np.arange(100), weights=rng.lognormal(0, spread, 100)),
            truth,
        )
        for _ in range(400)
    ]
    assert np.mean(held) >= 0.95 - 0.044


def test_successes_and_failures_are_no_more_rows_than_kish_says() -> None:
    """Both heavy rows succeed, near the mean: Σ w² (y - p)² says more rows than weights can."""
    weights = np.array([1.0, 1, 1, 1, 9, 9])
    success = np.array([1, 0, 0, 0, 1, 1])
    share = weights @ success / weights.sum()
    variance = (weights**2 @ (success - share) ** 2) / weights.sum() ** 2 * 6 / 5
    kish = weights.sum() ** 2 / (weights @ weights)
    assert share * (1 - share) / variance > kish
    low, high = roots(share, kish, stats.t(5).ppf(0.975))
    assert numbers(wilson(success, np.arange(6), weights=weights)) == pytest.approx(
        (share, low, high)
    )


@pytest.mark.parametrize("truth", [0.5, 0.3, 0.05])
@pytest.mark.parametrize(("prompts", "rows"), [(200, 1), (40, 5)], ids=["independent", "clustered"])
def test_the_interval_covers_as_often_as_it_says(truth: float, prompts: int, rows: int) -> None:
    """Exact: P(k of m prompts), summed over the k whose interval holds the truth.

    Rows of one prompt are all equal, so m prompts are all there is. The coverage of a count jumps
    as it moves by one: by at most P(k at an end), .02 here, about 95 % (Brown, Cai, DasGupta 2001).
    The 200 rows taken for independent would cover P(|Z| < 1.96/√5) = 62 %.
    """
    numbers_of = np.repeat(np.arange(prompts), rows)
    held = [covers(wilson(numbers_of < k, numbers_of), truth) for k in range(prompts + 1)]
    coverage = stats.binom.pmf(np.arange(prompts + 1), prompts, truth) @ held
    assert coverage == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("truth", [0.5, 0.05])
def test_the_interval_covers_where_votes_are_unequal(truth: float) -> None:
    """1000 data sets of 200 comparisons with 1 to 10 votes; 4 binomial errors of 95 %."""
    rng = np.random.default_rng(3)
    covered = [
        covers(
            wilson(rng.random(200) < truth, np.arange(200), weights=rng.integers(1, 11, 200)), truth
        )
        for _ in range(1000)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 1000))


def test_an_interval_holds_its_value_and_lies_in_the_unit_interval() -> None:
    """Whatever rounding does: weights over many orders of magnitude, all equal values."""
    for seed in range(600):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 30))
        values = rng.choice([0, 0.5, 1], n) if seed % 3 else np.full(n, seed % 2)
        weights = rng.exponential(size=n) ** 3
        rate = wilson(values, rng.integers(0, n, n), weights=weights)
        value, low, high = numbers(rate)
        assert 0 <= low <= value <= high <= 1, (seed, rate)


def test_what_has_no_rate_is_refused() -> None:
    with pytest.raises(UserError, match="weights is as low as -1"):
        wilson([1, 0], [0, 1], weights=[1, -1])
    with pytest.raises(UserError, match="the 2 weights are all 0"):
        wilson([1, 0], [0, 1], weights=[0, 0])
    with pytest.raises(UserError, match=r"expected \(2,\)"):
        wilson([1, 0], [0, 1, 2])
    with pytest.raises(UserError, match="at least one"):
        wilson([], [])


# How often one reward is the higher


def test_a_rate_has_the_interval_of_its_decisions_with_ties_half() -> None:
    first, second = np.array([2.0, 1, 0, 5]), np.array([1.0, 1, 1, 0])
    rate = rate_of_higher(first, second, np.arange(4))
    expected = wilson([1, 0.5, 0, 1], np.arange(4))
    assert rate == Rate(**vars(expected), published=0.75, ties=1, n=4)


def test_the_published_rate_counts_ties_in_full_exactly() -> None:
    """98 of 187, 7 of them ties: the paper's code asks whether the first is at least the second."""
    first = np.concatenate([np.ones(91), np.zeros(7), np.zeros(89)])
    second = np.concatenate([np.zeros(98), np.ones(89)])
    rate = rate_of_higher(first, second, np.arange(187))
    assert (rate.published, rate.ties, rate.n) == (98 / 187, 7, 187)
    assert rate.value == pytest.approx(94.5 / 187)


def test_rates_of_both_orders_add_to_one() -> None:
    first, second = np.random.default_rng(4).integers(0, 3, (2, 100))
    rates = rate_of_higher(first, second, np.arange(100)), rate_of_higher(second, first, range(100))
    assert rates[0].value + rates[1].value == pytest.approx(1)
    assert rates[0].published + rates[1].published == pytest.approx(1 + rates[0].ties / 100)


def test_minus_infinity_is_a_reward_that_ties_with_itself() -> None:
    first, second = np.array([-np.inf, 0, -np.inf]), np.array([-np.inf, -np.inf, 1])
    agreement = agreement_of(first, second, np.ones(3))
    np.testing.assert_array_equal(agreement, [0.5, 1, 0])


def test_several_trainings_are_averaged_before_the_interval() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.3, 1, (3, 50)), rng.normal(size=(3, 50))
    prompts, share, weight = np.arange(50) // 2, rng.random(50), rng.exponential(size=50)
    rate = rate_of_higher(first, second, prompts, win_share=share, weights=weight)
    agreement = np.where(first > second, share, 1 - share).mean(0)
    assert numbers(rate) == numbers(wilson(agreement, prompts, weights=weight))
    assert rate.published == pytest.approx(weight @ agreement / weight.sum())
    assert (rate.ties, rate.n) == (0, 50)
    tied = rate_of_higher(np.array([[1.0, 1, 0], [1, 0, 0]]), np.ones((2, 3)), np.arange(3))
    assert tied.ties == 3  # two in one training, one in the other, as `published` has them
    assert tied.published - tied.value == pytest.approx(3 / 2 / (2 * 3))


def test_a_success_is_a_vote_for_the_higher() -> None:
    """Three votes of four for the first, which is higher; one of two for the other pair, a tie."""
    rate = rate_of_higher(
        np.array([1.0, 0]),
        np.zeros(2),
        np.arange(2),
        win_share=np.array([0.75, 0.5]),
        weights=np.array([4, 2]),
    )
    assert rate.value == pytest.approx((3 + 1) / 6)
    assert rate.published == pytest.approx((3 + 2) / 6)
