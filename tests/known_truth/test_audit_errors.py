"""The audit's test for hidden context: as seldom wrong as it says, and it finds what is there.

Its figures are those of `tests/audit/audit_errors.py`, at sizes that a test can afford.
"""

import numpy as np
import pytest
from audit_errors import NUM_DRAWS, NUM_ITEMS, draw_pairs, of_null, of_r2
from scipy.stats import binom, kstest
from simulated_items import LatentGroups, excess_loss, unlimited_comparisons

from hidden_context.items import fit_items

FAMILY = "mean_and_variance"
DEVIATIONS = f"the same in their deviations, {FAMILY}"


def of_worlds(world: str, num_comparisons: int, num_worlds: int) -> dict[str, np.ndarray]:
    found = [
        of_null(draw_pairs(world, num_comparisons, seed)[0], [FAMILY], seed)
        for seed in range(num_worlds)
    ]
    return {name: np.array([each[name] for each in found], float) for name in found[0]}


def test_without_hidden_context_real_answers_are_like_drawn_ones():
    """Over worlds the gain is 0 deviations of the draws above their mean, if it is one of them.

    Of the real gain and the mean of 19 draws the variance is 1 + 1/19, over a deviation taken from
    19 draws that of a t of 18: ×18/16. Three worlds, four errors: 2.51. With draws that have
    no ties, or of held-out utilities, p was 1 always.
    """
    found = of_worlds("ties", 150, 3)
    error = np.sqrt((1 + 1 / NUM_DRAWS) * 18 / 16 / 3)
    assert abs(found[DEVIATIONS].mean()) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("world", ["bradley_terry", "ties"])
def test_without_hidden_context_every_p_is_as_likely(world: str):
    """40 worlds, p of 1/20 to 20/20; both tests at 1 in 1,000."""
    p = of_worlds(world, 500, 40)[f"p of {FAMILY}"]
    assert (p <= 0.05).sum() <= binom.ppf(0.999, 40, 0.05)
    spread_evenly = p - np.random.default_rng(0).random(40) / (1 + NUM_DRAWS)
    assert kstest(spread_evenly, "uniform").pvalue > 0.001


def true_gain(seed: int) -> float:
    """Of one spread for each item over a scalar utility, fitted to comparisons without end."""
    tastes = np.random.default_rng(seed).normal(size=(8, NUM_ITEMS))[:2]
    items = LatentGroups(tastes, np.array([0.5, 0.5]))
    votes = unlimited_comparisons(items)
    base, normal = (fit_items(votes, name, check_spread=False) for name in ("base", FAMILY))
    return excess_loss(items, base.family, base.raw) - excess_loss(items, normal.family, normal.raw)


@pytest.mark.slow
def test_an_even_mixture_of_two_populations_gains_on_draws_what_it_truly_gains():
    """2n times the gain is χ² of d = 30 with noncentrality 2n · true gain, shrunk by a ridge.

    Its deviation is √(2d + 8n · true gain)/(2n), and with the mean of 19 draws a 19th more. So
    the gain above the draws is the true one less what the ridge takes of it, at most a half: within
    three deviations of the mean of three worlds of 20,000, and three of those without hidden
    context, √(2d)/(2n), above 0.
    """
    n, num_worlds = 20_000, 3
    true = np.array([true_gain(seed) for seed in range(num_worlds)])
    above = of_worlds("mixture", n, num_worlds)[f"gain above the draws', {FAMILY}"]
    of_mean = np.sqrt((1 + 1 / NUM_DRAWS) / num_worlds) / (2 * n)
    error = of_mean * np.sqrt(2 * NUM_ITEMS + 8 * n * true.mean())
    assert 0.5 * true.mean() - 3 * error < above.mean() < true.mean() + 3 * error
    assert above.mean() > 3 * of_mean * np.sqrt(2 * NUM_ITEMS)


@pytest.mark.slow
def test_corrected_r2_is_as_often_within_its_interval_as_that_says():
    """20 worlds at 95 %; at 1 in 1,000."""
    found = []
    for seed in range(20):
        pairs, _, true = draw_pairs("normal", 1000, seed)
        found.append(of_r2(pairs, true, FAMILY, seed)["covered, corrected"])
    assert sum(found) >= binom.ppf(0.001, 20, 0.95)
