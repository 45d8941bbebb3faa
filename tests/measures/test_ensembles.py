"""The variance of an ensemble against its law and by sampling."""

import math

import numpy as np
import pytest
from measures.simulated_scores import comparisons

from hidden_context.distributions import Point
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.point import PointUtility
from hidden_context.errors import UserError
from hidden_context.measures.ensembles import Ensemble, ensemble_variance, ensembles


def member(seed: int, n: int = 5) -> NormalUtility:
    rng = np.random.default_rng(seed)
    return NormalUtility(np.arange(n) + rng.normal(size=n), rng.uniform(0.5, 2, size=n), "probit")


MEMBERS = [member(seed) for seed in range(4)]


def test_the_total_is_the_variance_of_the_mixture_of_aligned_members() -> None:
    """By sampling, 200,000 utilities: 4 standard errors of a variance, kurtosis at most 3 here."""
    rng = np.random.default_rng(0)
    found = ensemble_variance(MEMBERS)
    draws = []
    for utility in MEMBERS:
        scale = math.sqrt(utility.mean.var() + utility.variance.mean())
        noise = rng.normal(size=(50_000, 5))
        draws.append((utility.mean - utility.mean.mean() + utility.std * noise) / scale)
    mixture = np.concatenate(draws)
    margin = 4 * math.sqrt(2 / 200_000) * 1.5
    np.testing.assert_allclose(mixture.var(0), found.total, rtol=margin)
    np.testing.assert_allclose(mixture.mean(0), found.mean, atol=4 / math.sqrt(200_000))
    np.testing.assert_allclose(found.total, found.epistemic + found.aleatoric)


def test_members_that_differ_by_scale_and_origin_alone_know_everything() -> None:
    (one, *_) = MEMBERS
    moved = NormalUtility(7 * one.mean - 3, 7 * one.std, "probit")
    found = ensemble_variance([one, moved])
    np.testing.assert_allclose(found.epistemic, 0, atol=1e-12)
    np.testing.assert_allclose(found.aleatoric, ensemble_variance([one, one]).aleatoric)


def test_points_that_disagree_are_all_epistemic() -> None:
    found = ensemble_variance([PointUtility(np.array(u)) for u in ([0.0, 1, 2], [1.0, 0, 2])])
    assert (found.aleatoric == 0).all()
    assert found.epistemic[2] == pytest.approx(0)
    assert (found.epistemic[:2] > 0.1).all()


def test_an_average_response_has_a_total_variance_of_one_with_its_mean() -> None:
    """Aligned members have total variance 1, so the mixture's second moment averages 1."""
    found = ensemble_variance(MEMBERS)
    assert np.mean(found.total + found.mean**2) == pytest.approx(1)


def test_runs_of_one_family_and_training_set_on_the_same_rows_are_an_ensemble() -> None:
    runs = [comparisons(seed=seed) for seed in range(3)]
    other = [comparisons(trained_on="helpful"), comparisons(seed=4)[:-3], comparisons(Point())]
    members = [run.family.decode(np.concatenate([*run.by_row.swapaxes(0, 1)])) for run in runs]
    variance = ensemble_variance(members)
    expected = Ensemble(
        "mean_and_variance", "both", 3, variance.epistemic.mean(), variance.aleatoric.mean()
    )
    assert ensembles([*runs, *other]) == [expected]


def test_a_run_alone_and_scalar_runs_are_no_ensemble() -> None:
    assert ensembles([comparisons(), comparisons(Point()), comparisons(Point(), seed=1)]) == []
    assert ensembles([]) == []


def test_members_that_cannot_be_mixed_are_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        ensemble_variance(MEMBERS[:1])
    with pytest.raises(UserError, match="same responses"):
        ensemble_variance([member(0), member(1, n=6)])
    with pytest.raises(UserError, match="one number"):
        ensemble_variance([PointUtility(np.ones(3)), PointUtility(np.ones(3))])
