"""Families fitted to one data set, and to labels simulated from the scalar one."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import simulated_pairs

from hidden_context.audits.family_fit import (
    FamilyFit,
    fit_family,
    training_curve,
    without_intervals,
)
from hidden_context.audits.folds import make_partitions, sample_of_prompts
from hidden_context.audits.null_fits import null_figures
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap

DRAWS = 9


def fits_of(*, spread: bool) -> dict[str, FamilyFit]:
    pairs = simulated_pairs(400, spread=spread)
    partitions = make_partitions(pairs.prompt, num_folds=4, num_seeds=2, seed=0)
    names = ("base", "mean_and_variance")
    return {name: fit_family(make_family(name), pairs, partitions, ties="half") for name in names}


@pytest.fixture(scope="module")
def with_spread() -> dict[str, FamilyFit]:
    return fits_of(spread=True)


def nulls_of(fits: dict[str, FamilyFit]):
    figures = null_figures(fits, num_votes=np.ones(400), num_draws=DRAWS, seed=0)
    return {name: {figure.figure: figure for figure in of} for name, of in figures.items()}


@pytest.fixture(scope="module")
def nulls(with_spread: dict[str, FamilyFit]):
    return nulls_of(with_spread)


def test_spread_that_is_there_gains_more_than_any_simulated_labels(nulls):
    """Labels of the scalar model have none, so the gain is the first of 1 + draws."""
    of_normal = nulls["mean_and_variance"]
    assert of_normal["against_base"].p_value == 1 / (1 + DRAWS)
    assert {"against_base", "r2_pooled"}.isdisjoint(nulls["base"])
    assert nulls["base"]["accuracy"].p_value is None


def test_observed_figures_are_those_of_the_fits_and_draws_are_as_many_as_asked(with_spread, nulls):
    for name, fit in with_spread.items():
        measured = without_intervals(list(fit.scores))
        assert nulls[name]["accuracy"].observed == pytest.approx(measured.accuracy["mean"].value)
        assert all(len(each.draws) == DRAWS for each in nulls[name].values())


def test_p_values_of_labels_without_spread_are_ranks():
    found: ParametricBootstrap = nulls_of(fits_of(spread=False))["mean_and_variance"]["r2_rank"]
    below = sum(draw <= found.observed for draw in found.draws)
    assert found.p_value == pytest.approx((1 + below) / (1 + DRAWS))


def test_the_curve_has_a_point_for_each_checkpoint_and_ends_where_training_ends(with_spread):
    fit = with_spread["mean_and_variance"]
    curve = training_curve(fit.fitted)
    assert [point.steps for point in curve] == list(fit.fitted.checkpoints)
    assert [point.passes * fit.fitted.steps_a_pass for point in curve] == pytest.approx(
        [point.steps for point in curve]
    )
    last = out_of_fold(fit.fitted, fit.fitted.path[-1])
    nats = np.mean([of_seed.log_likelihood for of_seed in last])
    assert curve[-1].log_likelihood == pytest.approx(nats)


def test_ties_are_modelled_where_there_are_any():
    pairs = simulated_pairs(400, spread=False)
    shares = pairs.outcomes.shares.copy()
    shares[::5] = [0, 1, 0]
    tied = replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))
    partitions = make_partitions(pairs.prompt, num_folds=4, num_seeds=1, seed=0)
    base = make_family("base")
    assert fit_family(base, tied, partitions, ties="threshold").fitted.start.ties == "threshold"
    assert fit_family(base, pairs, partitions, ties="threshold").fitted.start.ties == "half"


def test_a_sample_is_of_whole_prompts():
    prompt = np.repeat(np.arange(40), np.arange(40) % 5 + 1)
    rows = sample_of_prompts(prompt, 50)
    assert 45 <= len(rows) <= 50
    assert (np.diff(rows) > 0).all()
    assert set(prompt[rows]).isdisjoint(np.delete(prompt, rows))
    assert sample_of_prompts(prompt, len(prompt)).tolist() == list(range(len(prompt)))
    assert len(sample_of_prompts(np.zeros(9, int), 5)) == 9  # one prompt is kept whole


def test_the_stopping_rule_names_what_was_chosen(with_spread):
    fitted = with_spread["base"].fitted
    rule = with_spread["base"].scores[0].stopping_rule
    assert f"median ridge {np.median(fitted.ridge):g}, {np.median(fitted.steps):g} steps" in rule
