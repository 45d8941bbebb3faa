"""A distribution over people, against people who are known."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from hidden_context import UserError
from hidden_context.people import Ballots, fit_people, read_ballots
from hidden_context.people.inference import infer, log_probabilities


def drawn(
    utilities: np.ndarray, count: int, rng: np.random.Generator, threshold: float = 0.0
) -> Ballots:
    """Random comparisons of each person by her utilities, shape `(people, items)`."""
    people, items = utilities.shape
    first = rng.integers(items, size=(people, count))
    second = (first + rng.integers(1, items, size=(people, count))) % items
    ahead = np.take_along_axis(utilities, first, 1) - np.take_along_axis(utilities, second, 1)
    uniform = rng.random((people, count))
    wins, losses = expit(ahead - threshold), expit(-ahead - threshold)
    grade = np.where(uniform < wins, 2, np.where(uniform < wins + losses, 0, 1))
    names = tuple(range(people))
    return Ballots(
        first, second, np.eye(3)[grade], np.ones((people, count)), tuple(range(items)), names
    )


def loss_of_last(ballots: Ballots, model, known: int, asked_from: int) -> float:
    """Nats per comparison from number `asked_from` on, given the first `known`."""
    number = np.arange(ballots.weight.shape[1])
    both = np.broadcast_to((number < known) | (number >= asked_from), ballots.weight.shape)
    given = np.broadcast_to(number < known, ballots.weight.shape)
    gain = model.log_evidence(ballots.kept(both)) - (
        model.log_evidence(ballots.kept(given)) if known else 0
    )
    return float(-gain.sum() / (number >= asked_from).sum() / len(ballots))


@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("grade", [0, 1, 2])
def test_one_comparison_is_integrated_exactly(threshold: float, grade: int):
    """Against adaptive quadrature of the likelihood times N(0, slope²)."""
    offset, slope = 0.4, 1.7
    shares = np.eye(3)[[[grade]]]
    found = infer(
        np.array([[offset]]), np.array([[[slope]]]), shares, np.ones((1, 1)), threshold
    )

    def times(power: int) -> float:
        def integrand(f: float) -> float:
            log = log_probabilities(np.array(offset + slope * f), threshold)[grade]
            return f**power * np.exp(log) * norm.pdf(f)

        return quad(integrand, -12, 12, epsabs=1e-12)[0]

    mass, mean = times(0), times(1) / times(0)
    assert found.log_evidence[0] == pytest.approx(np.log(mass), abs=1e-6)
    assert found.mean[0, 0] == pytest.approx(mean, abs=1e-6)
    assert found.covariance[0, 0, 0] == pytest.approx(times(2) / mass - mean**2, abs=1e-6)


def test_probabilities_of_the_three_outcomes_sum_to_one_at_the_extremes_too():
    ahead = np.array([-800.0, -3.0, 0.0, 5.0, 800.0])
    for threshold in (0.02, 1.0, 4.0):
        log = log_probabilities(ahead, threshold)
        assert np.isfinite(log).all()
        np.testing.assert_allclose(np.exp(log).sum(0), 1, atol=1e-12)


@pytest.fixture(scope="module")
def known():
    """1,000 people to fit, 250 to test; utilities of ten items, and what each of them said."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(10, 4))
    covariance = root @ root.T * 0.375 + 0.7 * np.eye(10)
    mean = 0.8 * rng.normal(size=10)
    utilities = mean + rng.normal(size=(1250, 10)) @ np.linalg.cholesky(covariance).T
    ballots = drawn(utilities, 45, rng)
    fitted = np.arange(1250) < 1000
    model = fit_people(ballots.selected(fitted), num_directions=9)
    return covariance, mean, utilities[~fitted], ballots.selected(~fitted), model


def test_mean_and_covariance_of_people_are_recovered(known):
    """Standard errors of a mean and of a variance of 1,000 people, were they seen: 4 of them."""
    covariance, mean, _, _, model = known
    centred = np.eye(10) - 1 / 10
    truth = centred @ covariance @ centred
    error = 4 * np.sqrt(np.diag(truth) / 1000)
    assert (abs(model.mean - (mean - mean.mean())) < error + 0.05).all()
    relative = np.diag(model.directions @ model.directions.T) / np.diag(truth)
    assert (abs(relative - 1) < 4 * np.sqrt(2 / 1000) + 0.1).all()
    assert model.converged


def test_intervals_hold_a_persons_utilities_as_often_as_they_say(known):
    _, _, utilities, ballots, model = known
    truth = utilities - utilities.mean(1, keepdims=True)
    for count in (1, 5, 20):
        person = model.posterior(ballots.kept(np.arange(45) < np.full((250, 1), count)))
        inside = abs(truth - person.utility.mean) < norm.ppf(0.95) * person.utility.std
        assert 0.88 < inside.mean() < 0.92


def test_more_comparisons_of_a_person_predict_her_better(known):
    _, _, _, ballots, model = known
    losses = [loss_of_last(ballots, model, count, 20) for count in (0, 1, 3, 5, 10, 20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 0.5
