"""The expected rank is the Borda count; rank r² against theory, sampling and quantiles."""

import math

import numpy as np
import pytest
from measures.normal_outputs import NORMAL, example, outputs
from scipy import stats

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.errors import UserError
from hidden_context.measures import population_rank
from hidden_context.measures.explained_variance import rank_explained_variance
from hidden_context.measures.population_rank import borda_counts

FAMILIES: list[Family] = [Normal(), Categorical(num_atoms=6)]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=repr)


def make_raw(family: Family, n: int = 30) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (n, family.num_outputs))


@every_family
def test_the_expected_rank_is_the_borda_count(family: Family) -> None:
    """E[F(U_i)] = ∫ F(quantile_i(q)) dq, F the mixture of all responses' distributions.

    The midpoint rule over q errs by at most (slope of the integrand) / 4 a cell; F rises by at most
    1 in all, so the error is below 1/levels.
    """
    raw = make_raw(family)
    utility = family.decode(raw)
    levels = 4000
    expected = np.zeros(len(raw))
    for q in (np.arange(levels) + 0.5) / levels:
        at = np.asarray(utility.quantile(float(q)))
        expected += np.asarray(utility.cdf(at[:, None])).mean(-1) / levels
    np.testing.assert_allclose(borda_counts(family, raw), expected, atol=1 / levels)


@every_family
def test_borda_counts_average_one_half(family: Family) -> None:
    assert borda_counts(family, make_raw(family)).mean() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_rank_r2_of_normal_utilities_is_that_of_theory(share: float) -> None:
    """For normal means and spreads Var[E[rank]] = asin(r²/2) / 2π (Kruskal 1958).

    1000 equally likely means stand for a normal distribution; their variance is .9987 of its.
    """
    mean = math.sqrt(share) * stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    raw = outputs(mean, np.full(1000, math.sqrt(1 - share)))
    expected = 6 / math.pi * math.asin(share / 2)
    assert rank_explained_variance(NORMAL, raw) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    "increasing", [np.exp, np.cbrt, lambda u: u + u**3], ids=["exp", "cbrt", "odd"]
)
def test_rank_r2_is_that_of_ranks_of_any_increasing_map_of_the_utilities(increasing) -> None:
    """By sampling: 20 responses, 2,000 utilities each.

    A mean rank has standard error √(1/12/2000) = .0065 at most. The estimate of 12 Var is too high
    by 12 · .0065² = .0005, and varies by 2 · 12 · √(Var/20) · .0065 < .0101 (Var < 1/12).
    """
    raw, _ = example(num_prompts=20, rows=1)
    utility = NORMAL.decode(raw)
    draws = utility.mean + utility.std * np.random.default_rng(1).normal(size=(2000, 20))
    ranks = stats.rankdata(increasing(draws)).reshape(draws.shape) / draws.size
    expected = 12 * ranks.mean(0).var()
    assert rank_explained_variance(NORMAL, raw) == pytest.approx(expected, abs=0.0005 + 4 * 0.0101)


def test_nearly_certain_utilities_explain_all_ranks_but_for_their_number() -> None:
    """n distinct points have ranks (i + ½)/n, of variance (1 - 1/n²)/12."""
    raw = outputs(np.arange(50.0), np.full(50, 1e-3))
    assert rank_explained_variance(NORMAL, raw) == pytest.approx(1 - 1 / 50**2, abs=1e-9)


def test_equal_distributions_explain_nothing() -> None:
    assert rank_explained_variance(NORMAL, np.ones((5, 2))) == pytest.approx(0, abs=1e-12)


def test_borda_counts_do_not_depend_on_how_many_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = make_raw(NORMAL)
    at_once = borda_counts(NORMAL, raw)
    monkeypatch.setattr(population_rank, "NUMBERS_AT_ONCE", 1)
    np.testing.assert_allclose(borda_counts(NORMAL, raw), at_once, rtol=1e-12)


def test_what_has_no_ranks_is_refused() -> None:
    with pytest.raises(UserError, match="scalar"):
        rank_explained_variance(Point(), np.ones((3, 1)))
    with pytest.raises(UserError, match="or there are none"):
        rank_explained_variance(NORMAL, np.ones((0, 2)))
    with pytest.raises(UserError, match="at least 1"):
        borda_counts(NORMAL, np.ones((0, 2)))
    for measure in (borda_counts, rank_explained_variance):
        with pytest.raises(UserError, match="num_outputs"):
            measure(NORMAL, np.ones(2))
