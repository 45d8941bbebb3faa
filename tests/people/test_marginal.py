"""The likelihood of people's comparisons: its derivatives, its largest value, and its units."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_people import drawn

from hidden_context.people.fit import fit, started
from hidden_context.people.marginal import ROUGHLY, Climb, Design, State, most_likely
from hidden_context.people.people import Clusters
from hidden_context.people.source import Source


def climb_of(threshold: float, clusters: bool, monkeypatch: pytest.MonkeyPatch) -> Climb:
    """Twelve people, five items, two directions; expectation propagation to its end."""
    exactly = {"tolerance": 1e-9, "num_nodes": 40}
    monkeypatch.setattr("hidden_context.people.marginal.ROUGHLY", exactly)
    rng = np.random.default_rng(0)
    ballots = drawn(rng.normal(size=(12, 5)), 9, rng, threshold)
    model, state, chunks = started(Source(ballots), 2, seed=0)
    if clusters:
        roots = np.tril(rng.normal(size=(2, 2, 2)))
        state = state.clustered(Clusters(rng.normal(size=(2, 2)), roots, np.array([0.3, 0.7])))
    state = replace(state, mean=rng.normal(size=5) * 0.3)
    return Climb(model, Design(None, 0.3, 0.7), chunks, state)


@pytest.mark.parametrize(("threshold", "clusters"), [(0.0, False), (0.5, False), (0.5, True)])
def test_derivatives_are_those_of_differences(
    threshold: float, clusters: bool, monkeypatch: pytest.MonkeyPatch
):
    """Central differences of step 1e-4 are off by 1e-8 times a third derivative of order 1."""
    climb = climb_of(threshold, clusters, monkeypatch)
    at = climb.state.packed()
    _, gradient = climb(at)
    for move in np.eye(len(at)):
        if climb.state.unpacked(move).roots[:, 0, 1].any():  # above the diagonal nothing moves
            continue
        both = [climb(at + side * 1e-4 * move)[0] for side in (1, -1)]
        assert gradient @ move == pytest.approx((both[0] - both[1]) / 2e-4, abs=1e-6)


@pytest.mark.parametrize(("spread", "most"), [(1.4, 1e-6), (3.0, 3e-5)])
def test_the_likelihood_that_is_climbed_is_the_exact_one(spread: float, most: float):
    """In nats a comparison; a pair divides people by deviations of up to 6, and of up to 11."""
    rng = np.random.default_rng(0)
    mean, directions = rng.normal(size=10), rng.normal(size=(2, 10))
    utilities = mean + spread * rng.normal(size=(100, 2)) @ directions
    ballots = drawn(utilities, 20, rng)
    people = fit(Source(ballots), num_directions=2, ridge=0.3)
    people = replace(people, item_covariance=None)
    rough, exact = (
        people.infer(ballots, num_nodes=nodes).log_evidence.sum() / ballots.weight.sum()
        for nodes in (ROUGHLY["num_nodes"], None)
    )
    assert rough == pytest.approx(exact, abs=most)
    assert people.log_likelihood == pytest.approx(exact, abs=most)


def test_origin_and_unit_of_the_coordinates_change_nothing(monkeypatch: pytest.MonkeyPatch):
    """Neither the likelihood nor the ridges."""
    climb = climb_of(0.5, True, monkeypatch)
    state = climb.state.standard()
    centers, shares = state.clusters.centers, state.clusters.shares
    np.testing.assert_allclose(shares @ centers, 0, atol=1e-12)
    spread = state.roots @ state.roots.transpose(0, 2, 1) + centers[:, :, None] * centers[:, None]
    np.testing.assert_allclose(np.einsum("c,crs->rs", shares, spread), np.eye(2), atol=1e-12)
    before, after = climb(climb.state.packed())[0], climb(state.packed())[0]
    assert after == pytest.approx(before, abs=1e-9)


def test_a_latent_class_keeps_its_place():
    """A cluster without any spread is one."""
    roots = np.stack([np.zeros((2, 2)), np.array([[0.5, 0.0], [0.2, 0.1]])])
    clusters = Clusters(np.array([[1.0, 0.0], [-1.0, 1.0]]), roots, np.array([0.5, 0.5]))
    state = State.start(4, 2, 1, seed=0).clustered(clusters)
    before, after = (
        one.mean + one.clusters.centers @ one.directions.T for one in (state, state.standard())
    )
    np.testing.assert_allclose(before, after, atol=1e-12)
    np.testing.assert_allclose(state.standard().roots[0], 0, atol=1e-12)


def test_no_small_change_is_likelier(monkeypatch: pytest.MonkeyPatch):
    climb = climb_of(0.5, False, monkeypatch)
    model, state, _ = most_likely(climb.model, climb.state, climb.design, climb.chunks, 1e-12)
    assert model.converged
    climb.starts = [None for _ in climb.chunks]
    best = climb(state.packed())[0]
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert climb(state.packed() + 0.01 * rng.normal(size=len(state.packed())))[0] > best


def test_items_of_few_comparisons_are_drawn_to_the_others():
    """Means of 60 items of variance .25, with twelve comparisons each, of information 2.5 or so.

    Without a prior their squared error would be .4, more than their variance; with it .15 ± .03.
    Their variance is known to √(2/60) (.25 + .4) = .12, so that the error they state is right to a
    half.
    """
    rng = np.random.default_rng(2)
    truth = 0.5 * rng.normal(size=60)
    people = fit(Source(drawn(np.tile(truth, (30, 1)), 12, rng)), num_directions=0)
    error = people.mean - (truth - truth.mean())
    assert (error**2).mean() < truth.var()
    assert people.item_covariance is not None
    assert 0.5 < (error**2).mean() / people.item_covariance[:, 0, 0].mean() < 1.5


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_however_far_a_step_goes_no_likelihood_is_above_1(
    scale: float, monkeypatch: pytest.MonkeyPatch
):
    """Where expectation propagation finds none, the point counts as worse than where it came from.

    It once gave a likelihood of e^1500 a vote where utilities were fifty times the noise, at which
    the climb ended.
    """
    climb = climb_of(0.5, False, monkeypatch)
    roughly = {"tolerance": 1e-3, "num_nodes": 12, "must_settle": False}
    monkeypatch.setattr("hidden_context.people.marginal.ROUGHLY", roughly)
    before, _ = climb(climb.state.packed())
    climb.stepped(climb.state.packed())
    far = replace(
        climb.state, mean=scale * climb.state.mean, directions=scale * climb.state.directions
    )
    value, gradient = climb(far.packed())
    assert value > 0
    assert np.isfinite(gradient).all()
    assert scale == 1 or value > before
