"""What is not known of items: against independent calculations, and what it is good for."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from simulated_people import drawn

from hidden_context.people import Ballots, People
from hidden_context.people.fit import fit
from hidden_context.people.inference import infer, log_probabilities
from hidden_context.people.source import Source


def test_a_comparison_is_integrated_over_what_is_not_known_of_items():
    """Against quadrature over the deviation d of the difference, N(0, slope² + extra).

    Given d the coordinate is normal with mean k d and variance 1 − k slope, k = slope over the
    variance of d.
    """
    offset, slope, extra, threshold = 0.4, 1.7, 0.8, 0.7
    arrays = np.array([[offset]]), np.array([[[slope]]]), np.eye(3)[[[2]]], np.ones((1, 1))
    found = infer(*arrays, threshold, np.array([[extra]]))
    whole = slope**2 + extra
    k = slope / whole

    def times(power: int) -> float:
        def integrand(d: float) -> float:
            of_coordinate = (1.0, k * d, (k * d) ** 2 + 1 - k * slope)[power]
            prob = np.exp(log_probabilities(np.array(offset + d), threshold)[2])
            return float(of_coordinate * prob * norm.pdf(d, scale=whole**0.5))

        return quad(integrand, -25, 25, epsabs=1e-12)[0]

    mass, mean = times(0), times(1) / times(0)
    assert found.log_evidence[0] == pytest.approx(np.log(mass), abs=1e-6)
    assert found.mean[0, 0] == pytest.approx(mean, abs=1e-6)
    assert found.covariance[0, 0, 0] == pytest.approx(times(2) / mass - mean**2, abs=1e-6)


def test_where_nobody_differs_it_is_the_inverse_information_of_bradley_terry():
    """On each item, given the others, with its prior: against a numerical second derivative."""
    rng = np.random.default_rng(0)
    ballots = drawn(np.tile(rng.normal(size=5), (20, 1)), 30, rng)
    people = fit(Source(ballots), num_directions=0, tolerance=1e-12)

    def log_likelihood(mean: np.ndarray) -> float:
        ahead = mean[ballots.first] - mean[ballots.second]
        return float(np.log(expit(np.where(ballots.shares[..., 2] == 1, ahead, -ahead))).sum())

    middle = log_likelihood(people.mean)
    assert people.item_covariance is not None
    prior = 1 / (people.mean**2 + people.item_covariance[:, 0, 0]).mean()  # to a tenth
    for item, move in enumerate(1e-3 * np.eye(5)):
        both = sum(log_likelihood(people.mean + side * move) for side in (1, -1))
        information = prior - (both - 2 * middle) / 1e-6
        found = people.item_covariance[item, 0, 0]
        assert 1 / found == pytest.approx(information, abs=0.1 * prior + 1e-3 * information)


def test_an_item_is_even_with_itself_however_little_is_known_of_it(few: "Few"):
    prob = few.model.prob_matrix()
    np.testing.assert_allclose(np.diag(prob), 0.5)
    np.testing.assert_allclose(prob + prob.T, 1, atol=1e-9)


class Few:
    """A hundred items with 48 comparisons each, of 120 people; others to predict."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        utilities = 0.8 * rng.normal(size=100) + rng.normal(size=(270, 2)) @ (
            0.7 * rng.normal(size=(2, 100))
        )
        ballots = drawn(utilities, 40, rng)
        number = np.arange(40)
        fitted = ballots.selected(np.arange(120)).kept(number < np.full((120, 1), 20))
        self.others: Ballots = ballots.selected(np.arange(120, 270))
        self.model: People = fit(Source(fitted), num_directions=2, ridge=3.0)
        self.of_all: People = fit(Source(fitted), num_directions=0)

    def losses(self, model: People, numbers: tuple[int, ...]) -> list[float]:
        """Of the last 20 comparisons of the others, given n of the first."""
        number, losses = np.arange(40), []
        for count in numbers:
            person = model.infer_all(self.others.kept(number < np.full((150, 1), count)))
            asked = self.others.first[:, 20:], self.others.second[:, 20:]
            probs = np.moveaxis(person.outcome_probs(*asked), 0, -1)
            won = self.others.shares[:, 20:, 2] == 1
            losses.append(float(-np.log(np.where(won, probs[..., 2], probs[..., 0])).mean()))
        return losses


@pytest.fixture(scope="module")
def few() -> Few:
    return Few(0)


def test_of_few_votes_an_item_more_of_a_person_is_never_worse(few: Few):
    """3,000 votes: the standard error of a difference of losses is below .003."""
    losses = few.losses(few.model, (0, 1, 3, 5, 10, 20))
    assert all(after < before + 0.003 for before, after in pairwise(losses))
    assert losses[-1] < losses[0] - 0.01


def test_of_few_votes_an_item_nobody_unknown_is_predicted_as_the_population_is(few: Few):
    (of_model,), (of_all,) = few.losses(few.model, (0,)), few.losses(few.of_all, (0,))
    assert of_model < of_all + 0.002


@pytest.mark.slow
def test_of_few_votes_an_item_what_is_known_of_it_is_not_taken_for_all():
    """Over three simulations, taking items as if they were known loses."""
    excess = []
    for seed in range(3):
        few = Few(seed)
        numbers = (0, 3, 10, 20)
        plugged = replace(few.model, item_covariance=None)
        of_plugged, of_model = (few.losses(one, numbers) for one in (plugged, few.model))
        excess.append(np.subtract(of_plugged, of_model))
    assert np.mean(excess) > 0
