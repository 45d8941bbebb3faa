"""Families fitted to one data set, and to labels simulated from the scalar one."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import simulated_pairs

from hidden_context.audits.family_fit import (
    FamilyFit,
    fit_family,
    training_curve,
)
from hidden_context.audits.folds import make_partitions, sample_of_prompts
from hidden_context.audits.null_fits import are_votes, drawn_answers, null_figures
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.result import FITTED_GAIN
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import Outcomes

DRAWS = 9
NUM_PAIRS = 500


def fits_of(*, spread: bool) -> dict[str, FamilyFit]:
    pairs = simulated_pairs(NUM_PAIRS, spread=spread)
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    names = ("base", "mean_and_variance")
    return {name: fit_family(make_family(name), pairs, partitions, ties="half") for name in names}


@pytest.fixture(scope="module")
def with_spread() -> dict[str, FamilyFit]:
    return fits_of(spread=True)


def nulls_of(fits: dict[str, FamilyFit]):
    votes = np.ones(NUM_PAIRS)
    figures = null_figures(fits, fits["base"], num_votes=votes, num_draws=DRAWS, seed=0)
    return {name: {figure.figure: figure for figure in of} for name, of in figures.items()}


@pytest.fixture(scope="module")
def nulls(with_spread: dict[str, FamilyFit]):
    return nulls_of(with_spread)


def test_spread_that_is_there_gains_more_than_any_simulated_labels(nulls):
    """Labels of the scalar model have none, so the gain is the first of 1 + draws."""
    of_normal = nulls["mean_and_variance"]
    assert of_normal[FITTED_GAIN].p_value == 1 / (1 + DRAWS)
    assert {FITTED_GAIN, "r2_pooled"}.isdisjoint(nulls["base"])
    assert nulls["base"]["accuracy"].p_value is None


def test_draws_are_as_many_as_asked_and_their_p_values_are_ranks(with_spread, nulls):
    for name in with_spread:
        assert all(len(each.draws) == DRAWS for each in nulls[name].values())
    found = nulls["mean_and_variance"]["r2_pooled"]
    below = sum(draw <= found.observed for draw in found.draws)
    assert found.p_value == pytest.approx((1 + below) / (1 + DRAWS))
    assert nulls["mean_and_variance"]["r2_rank"].p_value is None


def tied(pairs):
    shares = pairs.outcomes.shares.copy()
    shares[::5] = [0, 1, 0]
    return replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))


def test_drawn_answers_tie_as_often_as_real_ones_and_predict_as_well():
    """With Bradley–Terry and ties by threshold; draws without ties, or from held-out utilities, are
    far apart. Of the share of ties and of the log-likelihood the standard error is known.
    """
    rng = np.random.default_rng(0)
    pairs = simulated_pairs(1500, spread=False)
    ahead = (pairs.vectors[pairs.first] - pairs.vectors[pairs.second]).numpy()
    ahead = ahead @ np.array([5.0, -3.5, 2.5, 0, 0, 0]) + rng.logistic(size=1500)
    shares = np.stack([ahead < -0.5, abs(ahead) <= 0.5, ahead > 0.5], axis=1).astype(np.float32)
    pairs = replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    family = make_family("base")
    fit = fit_family(family, pairs, partitions, ties="threshold")
    drawn = drawn_answers(fit, num_votes=np.ones(1500), num_draws=10, seed=0)
    share = shares[:, 1].mean()
    # of the fitted threshold and of the draws alike
    error = np.sqrt(2 * share * (1 - share) / 1500)
    assert np.abs(drawn[..., 1].mean(1) - share).max() < 4 * error
    nats = []
    for of in (shares, *drawn):
        again = replace(pairs, outcomes=replace(pairs.outcomes, shares=of))
        (scores,) = fit_family(family, again, partitions, ties="threshold").scores
        nats.append(scores.log_likelihood)
    real, of_draws = np.mean(nats[0]), np.mean(nats[1:], axis=1)
    assert abs(real - of_draws.mean()) < 3 * np.sqrt(2 / 1500) * np.std(nats[0])


def test_shares_that_are_no_votes_are_told_from_votes():
    shares = np.array([[1 / 3, 0, 2 / 3], [0, 1, 0]])
    assert are_votes(Outcomes(shares, np.ones(2)), np.array([3, 1]))
    assert not are_votes(Outcomes(shares, np.ones(2)), np.array([1, 1]))


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
    pairs = simulated_pairs(100, spread=False)
    partitions = make_partitions(pairs.prompt, num_folds=4, num_seeds=1, seed=0)
    base = make_family("base")
    for data, kind in ((tied(pairs), "threshold"), (pairs, "half")):
        fit = fit_family(base, data, partitions, ties="threshold")
        assert fit.fitted.start.ties == kind


def test_a_sample_is_of_whole_prompts():
    prompt = np.repeat(np.arange(40), np.arange(40) % 5 + 1)
    rows = sample_of_prompts(prompt, 50)
    assert 45 <= len(rows) <= 50
    assert (np.diff(rows) > 0).all()
    assert set(prompt[rows]).isdisjoint(np.delete(prompt, rows))
    assert sample_of_prompts(prompt, len(prompt)).tolist() == list(range(len(prompt)))
    assert len(sample_of_prompts(np.zeros(9, int), 5)) == 9  # one prompt is kept whole


def test_the_stopping_rule_names_what_was_chosen(with_spread):
    fitted = with_spread["mean_and_variance"].fitted
    rule = with_spread["mean_and_variance"].scores[0].stopping_rule
    assert f"median ridge {np.median(fitted.ridge):g}, {np.median(fitted.steps):g} steps" in rule
    assert "until it converged" in with_spread["base"].scores[0].stopping_rule
