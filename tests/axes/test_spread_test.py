"""The permutations: strata, units, exact ranks; effects against scikit-learn and the truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest
from simulated_decisions import (
    World,
    counted,
    draw,
    found_of_random_groups,
    own_effects,
    search,
)
from sklearn.linear_model import LogisticRegression

from hidden_context.axes.effects import RIDGE, fit_effects
from hidden_context.axes.spread_test import Shuffle, p_value, standardized_spread

SMALL = World(people=50, each=20, features=10, num_axes=0)


def test_contexts_change_places_only_within_strata_and_units_stay_whole() -> None:
    unit = np.array([0, 0, 1, 2, 3, 3])
    shuffle = Shuffle(unit, np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), 200, 0)
    products = np.array([[1.0], [1.0], [10.0], [100.0], [500.0], [500.0]])
    observed, *rest = shuffle.pulls(products)
    assert observed[0, :, 0].tolist() == [102.0, 1010.0]
    seen = {tuple(pulls) for chunk in rest for pulls in chunk[:, :, 0].tolist()}
    assert seen == {(102, 1010), (1002, 110), (110, 1002), (1010, 102)}


def test_a_unit_alone_in_its_stratum_stays_and_then_nothing_can_be_told() -> None:
    shuffle = Shuffle(np.arange(6), np.array([0, 1, 0, 1, 0, 1]), np.arange(6), 20, 0)
    statistics = standardized_spread(np.ones((6, 1)), shuffle)
    assert (statistics == 0).all()
    assert p_value(statistics[:, 0]) == 1


def test_p_values_are_uniform_where_nobody_differs_whatever_all_like() -> None:
    """200 sets; the distance of their p values from uniform has p > .001 (Kolmogorov–Smirnov)."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        products = rng.standard_t(3, (200, 1)) + 0.5  # a mean: what features do not explain
        shuffle = Shuffle(np.arange(200), np.arange(200) % 20, np.zeros(200, int), 99, 1)
        found.append(p_value(standardized_spread(products, shuffle)[:, 0]))
    assert kstest(np.array(found) - 0.005, "uniform").pvalue > 0.001


def test_without_axes_effects_are_those_of_a_logistic_regression_with_a_ridge() -> None:
    decisions, _, _ = draw(SMALL, 0)
    none = np.empty((len(decisions.wins), 0))
    fitted = fit_effects(
        decisions.features, decisions.wins, decisions.weight, decisions.context, none
    )
    peer = LogisticRegression(C=1 / RIDGE, fit_intercept=False, tol=1e-8)
    peer.fit(decisions.features, decisions.wins)
    assert fitted.common == pytest.approx(peer.coef_[0], abs=1e-4)


def test_own_effects_are_those_of_the_people() -> None:
    """Within what 200 people leave open: of a spread ± 10 %, of a share of 95 % ± 4.6 % (3 s.e.).

    The spread may be low by a tenth besides, which Laplace's approximation costs.
    """
    world = World(people=200, each=60, features=5, num_axes=1, spread=0.8)
    decisions, axes, _ = draw(world, 0)
    (axis,) = axes
    fitted = fit_effects(
        decisions.features,
        decisions.wins,
        decisions.weight,
        decisions.context,
        decisions.features[:, [axis]],
    )
    real = own_effects(world, 0)[:, 0]
    assert 0.8 * real.std() < fitted.spread[0] < 1.1 * real.std()
    away = np.abs(fitted.own[:, 0] - (real - real.mean())) / fitted.own_std[:, 0]
    assert 0.904 < (away < 1.96).mean() <= 0.996


def test_noise_has_no_axis_and_who_is_called_first_changes_nothing() -> None:
    decisions, _, _ = draw(SMALL, 1)
    flip = np.where(np.random.default_rng(0).random(len(decisions.wins)) < 0.5, -1.0, 1.0)
    flipped = replace(
        decisions,
        features=decisions.features * flip[:, None],
        wins=np.where(flip > 0, decisions.wins, 1 - decisions.wins),
    )
    one, other = search(decisions), search(flipped)
    assert one.chosen == other.chosen == ()
    assert one.alone == pytest.approx(other.alone, abs=1e-6)


def test_planted_axes_are_found_and_no_others() -> None:
    found = counted(World(people=60, features=20, spread=0.8), 2)
    assert found[:, 0].sum() == 6
    assert found[:, 1].sum() == 0


def test_carelessness_is_told_from_taste() -> None:
    """Half of the people follow the average at .2 of its weight: one axis, no feature's."""
    found = counted(World(num_axes=0, features=15, careless=0.8), 2)
    assert found[:, 0].sum() == 2
    assert found[:, 1].sum() == 0


def test_what_no_feature_says_is_no_axis_where_places_change_within_pairs() -> None:
    """Ten parts of the people see pairs of their own: only within pairs is it safe."""
    world = World(num_axes=0, people=50, each=20, pairs=100, quality=1.5, prompts=10)
    assert counted(world, 3)[:, 1].min() > 0
    assert counted(world, 3, within_pairs=True)[:, 1].sum() == 0


def test_groups_get_no_credit_for_the_tastes_of_their_annotators() -> None:
    """Twelve annotators who differ, in two groups at random: false only where each vote moves."""
    world = World(people=12, each=80, features=10, spread=1.2)
    assert (found_of_random_groups(world, 8, whole=True) > 0).sum() <= 1  # P(2 or more) is .01
    assert (found_of_random_groups(world, 8, whole=False) > 0).sum() >= 2


SHARED = World(num_axes=0, pairs=1000, quality=1.5, prompts=5)
CASES = {
    "no axis": (World(num_axes=0), 200, False),
    "three axes of spread .6": (World(), 100, False),
    "three of .4": (World(spread=0.4), 50, False),
    "three of .3": (World(spread=0.3), 50, False),
    "three of .6, neighbors correlate .8": (World(correlation=0.8), 50, False),
    "no axis, half careless": (World(num_axes=0, careless=0.7), 50, False),
    "three of .6, half careless": (World(careless=0.5), 50, False),
    "no axis, quality unsaid, among all": (SHARED, 50, False),
    "the same, within pairs": (SHARED, 50, True),
    "three of .6, quality unsaid, within pairs": (replace(SHARED, num_axes=3), 50, True),
}
"""World, runs, and whether places change within pairs."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_at_full_size_false_axes_are_bounded_and_planted_ones_found(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints what docs/axes.md shows; the bounds are those that were set before."""
    world, runs, within_pairs = CASES[name]
    found = counted(world, runs, within_pairs=within_pairs)
    free = (found[:, 1] == 0).mean()
    rate = (found[:, 1] / found.sum(1).clip(1)).mean()
    with capsys.disabled():
        print(
            f"\n{name}: {found[:, 0].mean():.2f} true; none false in {free:.3f} of {runs} runs;",
            end="",
        )
        print(f" false discovery rate {rate:.3f}", end="")
    if name == "no axis":
        assert free >= 0.95
    if name == "three axes of spread .6":
        assert found[:, 0].mean() / 3 >= 0.9
        assert rate <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_at_full_size_random_groups_have_no_axis(
    whole: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most 5 of 100 where annotators stay whole: at a rate of .02 more have a chance of .015."""
    found = found_of_random_groups(
        World(people=12, each=80, features=10, spread=1.2), 100, whole=whole
    )
    with capsys.disabled():
        print(
            f"\nrandom groups, whole annotators {whole}: {(found > 0).mean():.3f} with an axis",
            end="",
        )
    assert not whole or (found > 0).mean() <= 0.05
