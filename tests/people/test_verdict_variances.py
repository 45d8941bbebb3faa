"""Verdicts are shared out between people and noise; what is not known of items is in neither."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from hidden_context.people.fit import fit
from hidden_context.people.inference import infer, verdict_moments
from hidden_context.people.people import Clusters, People
from hidden_context.people.source import Source

FIRST, SECOND = np.array([[0]]), np.array([[1]])


def people_of(directions: np.ndarray, item_covariance: np.ndarray | None) -> People:
    """Two items of mean utilities .8 and 0, without ties."""
    return People(
        items=("a", "b"),
        mean=np.array([0.8, 0.0]),
        directions=directions,
        thresholds=np.zeros(1),
        threshold_shares=np.ones(1),
        clusters=Clusters.one(directions.shape[1]),
        num_people=50,
        item_covariance=item_covariance,
    )


def test_items_that_are_not_known_are_no_disagreement():
    loose = np.full((2, 1, 1), 0.3)  # of the means
    people = people_of(np.zeros((2, 0)), loose)
    np.testing.assert_allclose(people.disagreement(), 0, atol=1e-6)
    assert people.to_frame()["std"].max() < 1e-3
    np.testing.assert_allclose(people.to_frame()["standard_error"], 0.3**0.5, atol=1e-6)
    # P is of items as far as they are known, all the same
    by_hand = quad(lambda d: expit(d) * norm.pdf(d, 0.8, 0.6**0.5), -10, 10)[0]
    assert people.prob_matrix()[0, 1] == pytest.approx(by_hand, abs=1e-6)


def test_nobody_differs_where_everybody_is_fitted_alike():
    rng = np.random.default_rng(0)
    utilities = rng.normal(size=30)
    votes = []
    for person in range(30):
        for _ in range(6):
            a, b = rng.choice(30, 2, replace=False)
            wins = rng.random() < expit(utilities[a] - utilities[b])
            winner = f"i{a if wins else b}"
            votes.append(
                {"first": f"i{a}", "second": f"i{b}", "winner": winner, "annotator": person}
            )
    people = fit(Source.read(votes, None), num_directions=0)
    np.testing.assert_allclose(people.disagreement(), 0, atol=1e-5)


def test_variances_are_those_of_drawn_items_and_people():
    rng = np.random.default_rng(1)
    directions = np.array([[0.9, 0.2], [-0.4, 0.6]])
    root = rng.normal(size=(2, 3, 3)) / 7
    loose = root @ root.transpose(0, 2, 1)
    between, within = people_of(directions, loose).posterior_of_nobody().variances(FIRST, SECOND)
    items = np.concatenate([np.array([[0.8], [0.0]]), directions], axis=1)
    drawn = items[:, None] + np.einsum("iab,ikb->ika", root, rng.normal(size=(2, 3_000, 3)))
    forms = drawn[0] - drawn[1]
    of_people = np.concatenate([np.ones((400, 1)), rng.normal(size=(400, 2))], axis=1)
    expected = expit(forms @ of_people.T)
    # 3,000 items and 400 people: standard errors below .001 and about .002. The spread of people at
    # given items is taken as its mean over items, which is a little too much.
    assert between[0, 0] == pytest.approx(expected.var(1).mean(), abs=0.008)
    assert within[0, 0] == pytest.approx((expected * (1 - expected)).mean(), abs=0.008)
    known = people_of(directions, None).posterior_of_nobody()
    moments = known.verdicts(FIRST, SECOND)
    np.testing.assert_allclose(known.variances(FIRST, SECOND)[0], moments[1] - moments[0] ** 2)


@pytest.mark.parametrize(
    ("mean", "deviation"), [(1, 1), (1, 3), (3, 10), (5, 20), (2, 30), (0, 70)]
)
def test_people_who_differ_much_are_integrated_too(mean: float, deviation: float):
    def moment(power: int) -> float:
        def integrand(difference: float) -> float:
            return expit(difference) ** power * norm.pdf(difference, mean, deviation)

        edges = [mean - 9 * deviation, -40, -5, 0, 5, 40, mean + 9 * deviation]
        edges = sorted({np.clip(edge, edges[0], edges[-1]) for edge in edges})
        return sum(quad(integrand, *part)[0] for part in pairwise(edges))

    found = verdict_moments(np.array(float(mean)), np.array(float(deviation) ** 2), 0.0)
    np.testing.assert_allclose(found, [moment(1), moment(2), moment(1)], atol=2e-6)


@pytest.mark.parametrize("slope", [0.5, 3.0, 10.0, 30.0])
def test_one_vote_of_a_wide_form_is_exact(slope: float):
    found = infer(
        np.full((1, 1), 0.5),
        np.full((1, 1, 1), slope),
        np.array([[[0.0, 0.0, 1.0]]]),
        np.ones((1, 1)),
        0.0,
    )
    at = np.linspace(-9, 9, 400_001)
    density = expit(0.5 + slope * at) * norm.pdf(at)
    mass = np.trapezoid(density, at)
    mean = np.trapezoid(density * at, at) / mass
    assert found.log_evidence[0] == pytest.approx(np.log(mass), abs=2e-6)
    assert found.mean[0, 0] == pytest.approx(mean, abs=2e-6)
    variance = np.trapezoid(density * at**2, at) / mass - mean**2
    assert found.covariance[0, 0, 0] == pytest.approx(variance, abs=2e-6)


def test_an_item_and_itself_have_no_variance():
    people = replace(people_of(np.ones((2, 1)), np.tile(np.eye(2) / 5, (2, 1, 1))))
    assert people.disagreement()[0, 0] == 0.0
